"""Third-party authorization with coturn's tools: turnutils_oauth seals tokens that we open, and
turnutils_uclient -J allocates, refreshes, permits and relays with tokens of its own."""

import base64
import re
import secrets
import struct
import subprocess
import time
import unittest

from server import Server
from test_turnutils import MESSAGES, Peer
from turnclient import (ALLOCATE, NONCE, REALM, REQUEST, REQUESTED_TRANSPORT, SUCCESS, USERNAME,
                        Message, Refused, TurnClient)

ACCESS_TOKEN = 0x001B
SERVER_NAME = "blackdow.carleon.gov"


def draw(size):
    """Random bytes, none of them zero: coturn's tools take what they are given for C strings."""
    return bytes(secrets.choice(range(1, 256)) for _ in range(size))


# uclient draws one of three keys of its own at every attempt. Those for AES-256 are shorter than
# such a key is, and what it reads behind them nobody else knows; "union" is one for AES-128. It
# tries again until it draws that one.
KEYS = {"union": b"1234567890123456", "ours": draw(32), "short": draw(16)}


def text(key):
    return base64.b64encode(key).decode()


def seal(kid, mac_key, lifetime):
    """A token as turnutils_oauth makes it."""
    now = int(time.time())
    algorithm = "A128GCM" if len(KEYS[kid]) == 16 else "A256GCM"
    run = subprocess.run(
        ["turnutils_oauth", "-e", "-i", SERVER_NAME, "-j", kid, "-k", text(KEYS[kid]),
         "-l", str(now), "-m", "86400", "-n", algorithm, "-o", text(draw(12)),
         "-p", text(mac_key), "-q", str(now << 16), "-r", str(lifetime)],
        capture_output=True, timeout=20, check=True, stdin=subprocess.DEVNULL)
    # Not JSON that can be read: the raw bytes of the key are in it.
    return base64.b64decode(re.search(rb'"access_token":"([^"]+)"', run.stdout).group(1))


class OAuth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = cls.enterClassContext(Peer())
        options = ["--oauth", "--server-name", SERVER_NAME, "--relay-ip", "127.0.0.1",
                   "--rfc5766-channel-numbers", "--allowed-peer-ip", "127.0.0.1"]
        for kid, key in KEYS.items():
            options += ["--oauth-key", f"{kid}:{text(key)}"]
        cls.server = cls.enterClassContext(Server(*options))

    def allocate(self, kid, token, mac_key):
        with TurnClient(self.server.address) as client:
            bare = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
            with self.assertRaises(Refused) as challenge:
                client.request(bare)
            message = Message(ALLOCATE, REQUEST, None, bare.attributes)
            message.add(USERNAME, kid.encode()).add(REALM, challenge.exception.realm)
            message.add(NONCE, challenge.exception.nonce).add(ACCESS_TOKEN, token)
            answer = client.request(message, mac_key)
            self.assertTrue(answer.proved)
            return answer

    def test_tokens_of_turnutils_oauth_open(self):
        for kid in ("ours", "short"):
            mac_key = draw(20)
            answer = self.allocate(kid, seal(kid, mac_key, 300), mac_key)
            self.assertEqual(answer.cls, SUCCESS)
            lifetime = struct.unpack("!I", answer.get(0x000D))[0]
            self.assertIn(lifetime, range(290, 301), "not longer than the token")

    def test_uclient_relays_with_tokens(self):
        for options in ((), ("-s",), ("-t",)):
            run = subprocess.run(
                ["turnutils_uclient", "-J", "-p", str(self.server.port), "-e", "127.0.0.1",
                 "-r", str(self.peer.port), "-n", str(MESSAGES), "-m", "2", "-c", *options,
                 "127.0.0.1"],
                text=True, capture_output=True, timeout=90, check=False,
                stdin=subprocess.DEVNULL)
            output = run.stdout + run.stderr
            self.assertRegex(output, rf"tot_send_msgs={2 * MESSAGES}, "
                                     rf"tot_recv_msgs={2 * MESSAGES}\b", output[-2000:])


if __name__ == "__main__":
    unittest.main()
