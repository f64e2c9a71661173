"""JSON Web Tokens as passwords of relay users: --turn-jwt, over every transport and with coturn's
turnutils_uclient."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import tempfile
import time
import unittest

from server import Server
from test_turnutils import MESSAGES, Peer
from turnclient import Refused, TurnClient

SECRET, OLD_SECRET = "s" * 32, "o" * 40
OPTIONS = ("--turn-jwt", SECRET, "--turn-jwt", OLD_SECRET, "--relay-ip", "127.0.0.1",
           "--allowed-peer-ip", "127.0.0.1", "--rfc5766-channel-numbers")


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims, secret=SECRET, algorithm="HS256"):
    text = ".".join(encode(json.dumps(part).encode())
                    for part in ({"alg": algorithm, "typ": "JWT"}, claims))
    return text + "." + encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def credential(jwt):
    return {"username": jwt[:jwt.rindex(".")], "password": jwt}


def soon(seconds=600, **more):
    return {"sub": "ada", "exp": int(time.time()) + seconds, **more}


class TurnJwt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(*OPTIONS, tls=True))

    def allocate(self, jwt, transport="udp", **more):
        address = self.server.tls_address if transport == "tls" else self.server.address
        with TurnClient(address, transport, **{**credential(jwt), **more}) as client:
            client.allocate()
            client.refresh(0)

    def refused(self, jwt, **more):
        with self.assertRaisesRegex(Refused, "^401 "):
            self.allocate(jwt, **more)

    def test_a_token_allocates_over_every_transport(self):
        for transport in ("udp", "tcp", "tls"):
            with self.subTest(transport=transport):
                self.allocate(token(soon()), transport)

    def test_both_secrets_are_good(self):
        self.allocate(token(soon(), OLD_SECRET))
        self.refused(token(soon(), "x" * 32))

    def test_other_passwords_are_refused(self):
        jwt = token(soon())
        for password in (jwt[:-1], jwt.rsplit(".", 1)[1], jwt.rsplit(".", 1)[0], "secret", SECRET):
            self.refused(jwt, password=password)

    def test_expired_and_future_tokens_are_refused(self):
        self.refused(token(soon(-60)))
        self.refused(token(soon(nbf=int(time.time()) + 120)))

    def test_none_is_no_algorithm(self):
        self.refused(token(soon(), algorithm="none"))
        self.refused(token(soon(), algorithm="HS384"))

    def test_a_username_of_508_bytes_is_good_and_one_more_is_not(self):
        empty = len(credential(token(soon(x="")))["username"])
        room = next(x for x in range(400) if
                    len(credential(token(soon(x="x" * x)))["username"]) >= 507)
        self.assertLess(empty, 507)
        self.allocate(token(soon(x="x" * room)))
        with self.assertRaisesRegex(Refused, "^400 "):
            self.allocate(token(soon(x="x" * (room + 3))))

    def test_a_renewed_token_refreshes_and_another_user_does_not(self):
        with TurnClient(self.server.address, **credential(token(soon()))) as client:
            client.allocate()
            renewed = credential(token(soon(1200)))
            client.username, client.password = renewed["username"], renewed["password"]
            client.key = None
            client.refresh()
            other = credential(token(soon(sub="eve")))
            client.username, client.password = other["username"], other["password"]
            client.key = None
            with self.assertRaisesRegex(Refused, "^441 "):
                client.refresh()

    def test_coturns_client_relays_with_a_token(self):
        jwt = token(soon())
        with Peer() as peer:
            run = subprocess.run(
                ["turnutils_uclient", "-u", credential(jwt)["username"], "-w", jwt, "-p",
                 str(self.server.port), "-e", "127.0.0.1", "-r", str(peer.port), "-n",
                 str(MESSAGES), "-m", "1", "-c", "127.0.0.1"], text=True, capture_output=True,
                timeout=90, check=False, stdin=subprocess.DEVNULL)
        self.assertIn(f"tot_send_msgs={MESSAGES}, tot_recv_msgs={MESSAGES}",
                      run.stdout + run.stderr)

    def test_nothing_of_a_token_is_logged(self):
        jwt = token(soon())
        self.allocate(jwt)
        self.assertNotIn(jwt.rsplit(".", 1)[1], self.server.log())


class TurnJwtOptions(unittest.TestCase):
    def test_an_allocation_may_end_with_its_token(self):
        with Server("--turn-jwt", SECRET, "--strict-expiry") as server:
            with TurnClient(server.address, **credential(token(soon(60)))) as client:
                client.allocate()
                self.assertLessEqual(client.refresh(600), 60)

    def test_secrets_come_from_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "secrets")
            with open(path, "w", encoding="ascii") as file:
                file.write("# first\n" + SECRET + "\n")
            os.chmod(path, 0o600)
            with Server("--turn-jwt-file", path) as server:
                with TurnClient(server.address, **credential(token(soon()))) as client:
                    client.allocate()

    def test_without_the_option_a_token_is_nothing(self):
        with Server() as server:
            with TurnClient(server.address, **credential(token(soon()))) as client:
                with self.assertRaisesRegex(Refused, "^401 "):
                    client.allocate()


if __name__ == "__main__":
    unittest.main()
