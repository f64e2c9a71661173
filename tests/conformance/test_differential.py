"""The same conversations with Debian's coturn and with this server; every difference is explained.

The conversations and the explanations are in conversations/.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from conversation import PASSWORD, REALM_NAME, USER, Conversation, stun
from differential import SECOND_PASSWORD, SECOND_USER, Player, read_conversations
from server import free_port
from turnclient import BINDING, TurnClient

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conversations")
DIFFERENCES = os.path.join(FOLDER, "differences.txt")
START_SECONDS = 10
# Only ours have it: the choice of RFC 8489 section 9.2.4, which coturn does not offer.
ALWAYS_OURS = " PASSWORD-ALGORITHMS"


def read_differences(text):
    """{(conversation, line number): (line, coturn, ours, why)}; see the file's head."""
    found = {}
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        fields = dict(line.partition(": ")[::2] for line in lines[1:])
        match = re.fullmatch(r"\[(.+)\] (\d+): (.+)", lines[0])
        key = (match.group(1), int(match.group(2)))
        found[key] = (match.group(3), fields["coturn"], fields["ours"], fields["why"])
    return found


class Coturn:
    """Debian's coturn with the same users, on a port of its own."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-coturn-")
        self.address = ("127.0.0.1", free_port())
        self.process = subprocess.Popen(
            ["turnserver", "-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1",
             "--listening-port", str(self.address[1]), "--no-tls", "--no-dtls", "--no-cli",
             "--relay-threads", "1", "--lt-cred-mech", "--user", f"{USER}:{PASSWORD}",
             "--user", f"{SECOND_USER}:{SECOND_PASSWORD}", "--realm", REALM_NAME,
             "--allow-loopback-peers", "--mobility", "--no-software-attribute",
             "--no-stun-backward-compatibility", "--response-origin-only-with-rfc5780",
             "--userdb", self.folder + "/db",
             "--pidfile", self.folder + "/pid", "--no-stdout-log", "--simple-log",
             "--log-file", "/dev/null"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with TurnClient(self.address, timeout=0.3) as client:
                try:
                    client.binding()
                    return self
                except (TimeoutError, ConnectionRefusedError):
                    time.sleep(0.05)  # it is starting; nothing tells when it listens
        self.__exit__()
        raise AssertionError("coturn did not start")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@unittest.skipUnless(shutil.which("turnserver"), "needs Debian's coturn")
class Differential(Conversation):
    OPTIONS = ("--user", f"{SECOND_USER}:{SECOND_PASSWORD}", "--relay-ip", "127.0.0.1",
               "--mobility", "--no-software-attribute")
    maxDiff = None

    def test_every_difference_to_coturn_is_explained(self):
        with open(DIFFERENCES, encoding="utf-8") as file:
            explained = read_differences(file.read())
        found = {}
        # Every socket stays open to the end: a port that the kernel gives out a second time would
        # bring a conversation the allocation that an earlier one left at the server.
        with Coturn() as coturn, contextlib.ExitStack() as stack:
            for name, lines in read_conversations(FOLDER):
                theirs = stack.enter_context(Player(coturn.address))
                ours = stack.enter_context(Player(self.server.address))
                answers = [answer.replace(ALWAYS_OURS, "") for answer in ours.play(lines)]
                pairs = zip(lines, theirs.play(lines), answers)
                found |= {(name, number): (line, *answers)
                          for number, (line, *answers) in enumerate(pairs, 1)
                          if answers[0] != answers[1]}
        self.assertEqual([self.block(key, value) for key, value in found.items()
                          if explained.get(key, ())[:3] != value], [], "not explained")
        self.assertEqual(sorted(set(explained) - set(found)), [], "explained, but no difference")

    @staticmethod
    def block(key, value):
        return "\n".join([f"\n[{key[0]}] {key[1]}: {value[0]}", f"coturn: {value[1]}",
                          f"ours: {value[2]}", "why: "])

    def test_reasons_are_given(self):
        with open(DIFFERENCES, encoding="utf-8") as file:
            explained = read_differences(file.read())
        self.assertEqual([key for key, value in explained.items() if len(value[3]) < 10], [])
