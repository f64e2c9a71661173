"""`turnpike credentials`: that a server with the same secret takes what is printed, wherever that
secret stands, and that nothing is made, or told, where there is none."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from server import BINARY, Server
from turnclient import Refused, TurnClient

SECRET = "a-secret-that-nobody-guesses-0123456789"


def credentials(*options, env=None):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}
    return subprocess.run([BINARY, "credentials", *options], text=True, capture_output=True,
                          timeout=60, check=False, stdin=subprocess.DEVNULL,
                          env={**environment, **(env or {})})


def field(text, label):
    return re.search(rf"^{label} +(\S+)$", text, re.M).group(1)


class CredentialsCommand(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content)
        return self.path(name)

    def printed(self, *options, env=None):
        done = credentials("--state-dir", self.path("state"), *options, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        self.assertFalse(os.path.exists(self.path("state")), "it makes nothing")
        return done.stdout

    def minted(self, *options, env=None):
        return json.loads(self.printed("--json", *options, env=env))

    def relays(self, server, username, password):
        with TurnClient(server.address, username=username, password=password) as client:
            self.assertTrue(client.allocate())

    # --- what a server takes

    def test_a_server_with_the_same_secret_takes_them_from_every_source(self):
        file = self.write("secret", SECRET + "\n")
        conf = self.write("turnserver.conf", f"use-auth-secret\nstatic-auth-secret={SECRET}\n")
        with Server("--static-auth-secret-file", file, "--relay-ip", "127.0.0.1") as server:
            for options, env in ((("--static-auth-secret-file", file), None),
                                 (("--static-auth-secret", SECRET), None),
                                 (("--config", conf), None),
                                 ((), {"TURNPIKE_STATIC_AUTH_SECRET": SECRET}),
                                 ((), {"TURNPIKE_STATIC_AUTH_SECRET__FILE": file})):
                with self.subTest(options=options, env=env):
                    minted = self.minted(*options, env=env)
                    self.relays(server, minted["username"], minted["password"])
            with self.assertRaises(Refused):
                self.relays(server, minted["username"], minted["password"][::-1])

    def test_the_secret_that_a_server_made_itself_is_found_in_its_state_directory(self):
        with Server("--relay-ip", "127.0.0.1") as server:
            state = os.path.join(server.folder, "state")
            done = credentials("--state-dir", state, "--listening-ip", "127.0.0.1",
                               "--listening-port", str(server.port))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.relays(server, field(done.stdout, "username"), field(done.stdout, "password"))
            # The line for a back end works as it stands.
            line = re.search(r"^curl .*$", done.stdout, re.M).group(0)
            answer = subprocess.run(["sh", "-c", line.replace("curl ", "curl -sSf ", 1)], text=True,
                                    capture_output=True, timeout=30, check=True)
            self.assertEqual(len(json.loads(answer.stdout)["iceServers"]), 2)

    def test_an_expired_one_is_refused(self):
        with Server("--static-auth-secret", SECRET, "--relay-ip", "127.0.0.1") as server:
            minted = self.minted("--static-auth-secret", SECRET, "--ttl", "1")
            # The clock of the server is the one of this machine.
            while time.time() <= minted["expires_at"]:
                time.sleep(0.05)
            with self.assertRaises(Refused):
                self.relays(server, minted["username"], minted["password"])

    # --- what is printed

    def test_wishes_are_in_it(self):
        before = int(time.time())
        minted = self.minted("--static-auth-secret", SECRET, "--user-id", "bob", "--ttl", "3600",
                             "--public-host", "turn.example.org")
        self.assertRegex(minted["username"], r"^\d+:bob~[0-9a-f]{8}$")
        self.assertEqual(minted["ttl"], 3600)
        self.assertLessEqual(before + 3600, minted["expires_at"])
        self.assertEqual(minted["uris"], ["turn:turn.example.org:3478?transport=udp",
                                          "turn:turn.example.org:3478?transport=tcp"])
        stun, turn = minted["iceServers"]
        self.assertEqual(stun, {"urls": ["stun:turn.example.org:3478"]})
        self.assertEqual(turn, {"urls": minted["uris"], "username": minted["username"],
                                "credential": minted["password"]})

    def test_the_text_has_what_people_paste(self):
        text = self.printed("--static-auth-secret", SECRET, "--public-host", "turn.example.org",
                            "--user-id", "o'neil")
        username, password = field(text, "username"), field(text, "password")
        self.assertIn(f'"credential": "{password}"', text)
        self.assertIn(f"  TURN username     {username}\n  TURN password     {password}\n", text)
        self.assertIn("  STUN or TURN URI  turn:turn.example.org:3478?transport=udp\n", text)
        self.assertIn("'http://turn.example.org:3478/api/ice?ttl=86400&username=o%27neil'", text)

    # --- what is refused

    def test_without_a_secret_the_sentence_says_where_one_may_be(self):
        done = credentials("--state-dir", self.path("state"))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^turnpike: there is no shared secret .*--config FILE")
        self.assertFalse(os.path.exists(self.path("state")))

    def test_mistakes(self):
        for options, words in ((("--ttl", "0"), "--ttl 0: expected a number of seconds"),
                               (("--ttl", "soon"), "--ttl soon"),
                               (("--ttl",), "--ttl needs a value"),
                               (("--user-id", "a\nb"), "control characters"),
                               (("--json=1",), "--json takes no value"),
                               (("--json", "--json"), "given twice"),
                               (("--tll", "60"), "unknown option --tll"),
                               (("--listening-port", "0"), "--listening-port 0")):
            with self.subTest(options=options):
                done = credentials("--static-auth-secret", SECRET, *options)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(words, done.stderr)
                self.assertNotIn(SECRET, done.stderr)

    def test_a_word_that_is_no_command(self):
        done = subprocess.run([BINARY, "credentails"], text=True, capture_output=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean credentials?", done.stderr)

    def test_help(self):
        done = credentials("--help")
        self.assertEqual(done.returncode, 0)
        for words in ("Usage: turnpike credentials", "--user-id NAME", "--ttl SECONDS"):
            self.assertIn(words, done.stdout)


if __name__ == "__main__":
    unittest.main()
