"""SIGHUP and SIGUSR2 on the running server: the configuration is read again, checked as a whole and
applied, or nothing of it is; certificates are renewed under live connections; quotas stay right."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from operating import SECONDS, Operated
from server import Server, certificate, free_port
from test_dtls import DtlsPipe
from test_metrics import get, samples
from turnclient import Refused, TurnClient, rest_credentials
from websocket import WebSocket

CONFIG = {"user": ["alice:secret"], "realm": "example.org", "relay-ip": ["127.0.0.1"],
          "allowed-peer-ip": ["127.0.0.1"], "static-auth-secret": ["old secret"],
          "api-key": ["a-key-for-back-ends"]}


class Reload(Operated, unittest.TestCase):
    def start(self, *options, tls=False, workers=2, env=None, **settings):
        self.folder = tempfile.mkdtemp(prefix="turnpike-reload-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)  # the server may have given root up
        self.path = os.path.join(self.folder, "turnpike.json")
        self.metrics = free_port()
        self.config = dict(CONFIG)
        if tls:
            self.make_certificate()
            self.config.update({"cert": os.path.join(self.folder, "cert.pem"),
                                "pkey": os.path.join(self.folder, "key.pem"), "dtls": True})
        self.write(**settings)
        self.server = self.enterContext(
            Server("--config", self.path, "--workers", str(workers), "--prometheus-port",
                   str(self.metrics), *options, env=env, tls="as configured" if tls else False))

    def write(self, **settings):
        for name, value in settings.items():
            self.config[name.replace("_", "-")] = value
        self.put(self.path, json.dumps(self.config))

    @staticmethod
    def put(path, text):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def make_certificate(self, names=("key.pem", "cert.pem")):
        """These files of a new pair take the place of the ones before; answers where it is made."""
        made = tempfile.mkdtemp(dir=self.folder)
        os.chmod(made, 0o755)
        for path in certificate(made):
            os.chmod(path, 0o644)
        for name in names:
            os.rename(os.path.join(made, name), os.path.join(self.folder, name))
        return made

    def says(self, text, count=1):
        end = time.monotonic() + SECONDS
        while self.server.log().count(text) < count:
            self.assertLess(time.monotonic(), end, self.server.log())
            time.sleep(0.02)

    def reload(self, says="reloaded: ", **settings):
        before = self.server.log().count(says)
        self.write(**settings)
        self.server.process.send_signal(signal.SIGHUP)
        self.says(says, before + 1)

    def client(self, username="alice", password="secret", transport="udp"):
        address = self.server.tls_address if transport == "tls" else self.server.address
        client = TurnClient(address, transport, username=username, password=password)
        self.addCleanup(client.close)
        return client

    def code(self, username="alice", password="secret"):
        """Of several tries from several ports, each of which has its worker."""
        codes = set()
        for _ in range(8):
            client = self.client(username, password)
            try:
                client.allocate()
                client.refresh(0)
                codes.add(0)
            except Refused as refusal:
                codes.add(refusal.code)
            client.close()
        return codes.pop() if len(codes) == 1 else codes

    def counted(self, name):
        return samples(get(self.metrics, "/metrics"))[name]

    @staticmethod
    def refused(call, *arguments):
        try:
            call(*arguments)
            return 0
        except Refused as refusal:
            return refusal.code


class Configuration(Reload):
    def test_users_come_and_go_and_their_allocations_stay(self):
        self.start()
        alice = self.client()
        alice.allocate()
        self.assertEqual(self.code("bob", "hush"), 401)
        self.reload(user=["bob:hush"])
        self.comes_to_be(lambda: self.code("bob", "hush"), 0)
        self.comes_to_be(self.code, 401)
        self.assertEqual(self.refused(alice.refresh), 401)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            self.assertEqual(self.refused(alice.permit, peer.getsockname()), 401)
        self.assertEqual(self.counted('turnpike_turn_allocations{transport="udp",family="4"}'), 1)

    def test_secrets_rotate_and_nobody_is_cut(self):
        self.start()
        username, password = rest_credentials("old secret", "carol")
        carol = self.client(username, password)
        carol.allocate()
        self.reload(static_auth_secret=["new secret", "old secret"])
        new = rest_credentials("new secret", "dave")
        self.comes_to_be(lambda: self.code(*new), 0)
        self.assertEqual(self.code(username, password), 0)
        carol.refresh()
        self.reload(static_auth_secret=["new secret"])
        self.comes_to_be(lambda: self.code(username, password), 401)
        self.assertEqual(self.code(*new), 0)

    def test_secrets_come_from_files_that_variables_name(self):
        folder = tempfile.mkdtemp(prefix="turnpike-secret-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "secret")
        self.put(path, "first\n")
        # The environment wins over the file.
        self.start(env={"TURNPIKE_STATIC_AUTH_SECRET__FILE": path})
        self.comes_to_be(lambda: self.code(*rest_credentials("first", "carol")), 0)
        self.put(path, "second\n")
        self.reload()
        self.comes_to_be(lambda: self.code(*rest_credentials("second", "carol")), 0)
        self.comes_to_be(lambda: self.code(*rest_credentials("first", "carol")), 401)

    def test_coturns_file_is_read_again_too(self):
        self.start()
        self.path = os.path.join(self.folder, "turnserver.conf")
        lines = ["user=alice:secret", "realm=example.org", "relay-ip=127.0.0.1",
                 "allowed-peer-ip=127.0.0.1"]
        self.put(self.path, "\n".join(lines) + "\n")
        with Server("--config", self.path) as server:
            self.server, before = server, self.server
            self.assertEqual(self.code("bob", "hush"), 401)
            self.put(self.path, "\n".join(lines + ["user=bob:hush"]) + "\n")
            server.process.send_signal(signal.SIGHUP)
            self.comes_to_be(lambda: self.code("bob", "hush"), 0)
            self.server = before

    def test_what_is_wrong_changes_nothing(self):
        self.start()
        alice = self.client()
        alice.allocate()
        for settings, why in (({"max_bps": "many"}, "max-bps"),
                              ({"max_bps": 0, "user_qouta": 5}, "user-quota"),
                              ({"denied_peer_ip": ["10.0.0.0/99"]}, "denied-peer-ip")):
            with self.subTest(why):
                kept = dict(self.config)
                self.reload("nothing is reloaded: ", user=["bob:hush"], **settings)
                self.assertIn(why, self.server.log().rsplit("nothing is reloaded: ", 1)[1])
                self.config = kept
        self.put(self.path, "{")
        self.server.process.send_signal(signal.SIGHUP)
        self.says("nothing is reloaded: ", 4)
        self.assertEqual(self.code(), 0)
        self.assertEqual(self.code("bob", "hush"), 401)
        alice.refresh()

    def test_what_cannot_change_is_named_once_each(self):
        self.start()
        self.reload(min_port=50000, mobility=True, user=["bob:hush"])
        log = self.server.log()
        for option in ("min-port", "mobility"):
            self.assertEqual(log.count(f"--{option} has changed"), 1, log)
        self.assertEqual(log.count("has changed"), 2, log)
        self.comes_to_be(lambda: self.code("bob", "hush"), 0)

    def test_a_peer_that_is_denied_now_hears_no_more(self):
        self.start(workers=1, allowed_peer_ip=["127.0.0.2"])  # not where our own relays are
        alice = self.client()
        alice.allocate()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.2", 0))
            peer.settimeout(SECONDS)
            alice.bind_channel(peer.getsockname())
            alice.send(peer.getsockname(), b"before")
            self.assertEqual(peer.recvfrom(100)[0], b"before")
            self.reload(allowed_peer_ip=[])
            self.comes_to_be(lambda: self.refused(alice.permit, peer.getsockname()), 403)
            alice.send(peer.getsockname(), b"after")
            alice.refresh()  # the server has seen what was sent before it
            peer.setblocking(False)
            with self.assertRaises(BlockingIOError):
                peer.recvfrom(100)

    def test_rooms_and_keys_follow(self):
        self.start()
        with WebSocket(self.server.address) as ann:
            ann.say(type="join", room="demo")
            ann.hear("joined")
            self.reload(room_key=["open sesame"], api_key=["another-key"])
            with WebSocket(self.server.address) as bob:
                bob.say(type="join", room="demo")
                self.assertEqual(bob.hear()["code"], "bad-token")
                bob.say(type="join", room="demo", token="open sesame")
                bob.hear("joined")
            ann.hear("member-joined")

    def test_systemd_is_told(self):
        systemd, path = self.systemd()
        self.start(env={"NOTIFY_SOCKET": path})
        self.assertTrue(systemd.recv(500).startswith(b"READY=1\n"))
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        self.reload()
        name, stamp = systemd.recv(500).decode().split("\n")
        self.assertEqual(name, "RELOADING=1")
        self.assertRegex(stamp, r"^MONOTONIC_USEC=\d+$")
        self.assertGreaterEqual(int(stamp.split("=")[1]), int(before * 1e6))
        self.assertTrue(systemd.recv(500).startswith(b"READY=1\n"))


class Quotas(Reload):
    """What is held stays charged, whatever becomes of the limits and of whoever holds it."""

    FULL = {"user_quota": 486, "total_quota": 508, "address_quota": 486}

    def hold(self, count, **who):
        clients = [self.client(**who) for _ in range(count)]
        for client in clients:
            client.allocate()
        return clients

    def test_limits_below_what_is_held_end_nothing_and_grant_nothing(self):
        for name, full in self.FULL.items():
            with self.subTest(name):
                self.start(**{name: 4})
                held = self.hold(3)
                self.reload(**{name: 1})
                for left in (3, 2, 1):
                    self.assertEqual(self.code(), full, f"{left} are held, 1 may be")
                    for client in held:
                        client.refresh()
                    held.pop().refresh(0)
                self.assertEqual(self.code(), 0)
                self.doCleanups()

    def test_a_limit_that_comes_later_knows_who_is_there(self):
        for name, full in self.FULL.items():
            with self.subTest(name):
                self.start(**{"user_quota": 0, "total_quota": 0, "address_quota": 0})
                held = self.hold(2)
                self.reload(**{name: 2})
                self.assertEqual(self.code(), full)
                self.reload(**{name: 3})
                self.assertEqual(self.code(), 0)
                self.reload(**{name: 0})
                self.assertEqual(self.code(), 0)
                for client in held:
                    client.refresh(0)
                self.reload(**{name: 1})
                self.assertEqual(self.code(), 0)
                self.hold(1)
                self.assertEqual(self.code(), full)
                self.doCleanups()

    def test_who_is_no_user_any_more_is_given_back_at_the_end(self):
        self.start(user=["alice:secret", "bob:hush"], total_quota=2, user_quota=2)
        by_connection, = self.hold(1, transport="tcp")
        other, = self.hold(1, transport="tcp")
        self.assertEqual(self.code("bob", "hush"), 508)
        self.reload(user=["bob:hush"])
        self.comes_to_be(self.code, 401)
        self.assertEqual(self.code("bob", "hush"), 508, "alice's are charged until they end")
        by_connection.close()
        self.comes_to_be(lambda: self.code("bob", "hush"), 0)
        other.close()
        self.comes_to_be(lambda: self.counted(
            'turnpike_turn_allocations{transport="tcp",family="4"}'), 0)
        self.hold(2, username="bob", password="hush")
        self.assertEqual(self.code("bob", "hush"), 508)
        self.reload(user=["alice:secret", "bob:hush"], total_quota=0)
        self.comes_to_be(self.code, 0)
        self.hold(2)
        self.assertEqual(self.code(), 486, "two of them, and none from before")

    def test_a_lifetime_ends_after_the_user_is_gone(self):
        lifetime = 6
        self.start(user=["alice:secret", "bob:hush"], total_quota=1, max_allocate_lifetime=lifetime)
        begin = time.monotonic()
        self.hold(1)
        self.reload(user=["bob:hush"])
        code = self.code("bob", "hush")
        if time.monotonic() < begin + lifetime:
            self.assertEqual(code, 508)
        self.comes_to_be(lambda: self.code("bob", "hush"), 0)


class Certificates(Reload):
    @unittest.skipUnless(os.geteuid() == 0, "root becomes somebody who may not read them")
    def test_who_may_not_read_the_files_any_more_says_so_at_the_start(self):
        with Server("--workers", "1", tls=True) as server:
            pass
        self.assertIn("may not read", server.log())
        self.assertNotIn(" error ", server.log())

    def serial(self, address, datagrams=False):
        """Of the certificate that is shown there."""
        if datagrams:
            shown = subprocess.run(
                ["openssl", "s_client", "-dtls1_2", "-connect", f"{address[0]}:{address[1]}"],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False).stdout
        else:
            context = ssl._create_unverified_context()
            with socket.create_connection(address, timeout=SECONDS) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost") as secure:
                shown = ssl.DER_cert_to_PEM_cert(secure.getpeercert(True)).encode()
        return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown,
                              capture_output=True, timeout=SECONDS, check=True).stdout

    def shown(self):
        """By every worker, over TLS on both ports and over DTLS; a set of one when all agree."""
        found = {self.serial(self.server.tls_address) for _ in range(6)}
        found |= {self.serial(self.server.address) for _ in range(6)}
        return found | {self.serial(self.server.tls_address, datagrams=True) for _ in range(3)}

    def file(self):
        with open(self.config["cert"], "rb") as file:
            return {subprocess.run(["openssl", "x509", "-noout", "-serial"], input=file.read(),
                                   capture_output=True, timeout=SECONDS, check=True).stdout}

    def live(self):
        """Connections that must go on: TURN over TLS and DTLS, a room over HTTPS."""
        turn = self.client(transport="tls")
        turn.allocate()
        room = WebSocket(self.server.tls_address, tls=True)
        self.addCleanup(room.close)
        room.say(type="join", room="demo")
        room.hear("joined")
        pipe = DtlsPipe(self.server.tls_address)
        self.addCleanup(pipe.close)

        def go_on():
            turn.refresh()
            room.say(type="ping", id=1)
            room.hear("pong")
            self.assertIsNone(pipe.process.poll())
        return go_on

    def expiry(self):
        return self.counted(
            'turnpike_tls_certificate_expiry_timestamp_seconds{name="localhost"}')

    def test_sigusr2_takes_the_certificate_and_nothing_else(self):
        self.start(tls=True)
        self.assertEqual(self.shown(), self.file())
        go_on = self.live()
        before = self.expiry()
        self.assertAlmostEqual(before, time.time() + 2 * 86400, delta=120)
        self.write(user=["bob:hush"])
        self.make_certificate()
        self.server.process.send_signal(signal.SIGUSR2)
        self.comes_to_be(self.shown, self.file())
        go_on()
        self.assertGreaterEqual(self.expiry(), before)
        self.assertEqual(self.code(), 0)
        self.assertEqual(self.code("bob", "hush"), 401)

    def test_sighup_takes_it_too_and_from_other_files(self):
        self.start(tls=True)
        go_on = self.live()
        for name in ("cert.pem", "key.pem"):
            os.rename(os.path.join(self.folder, name), os.path.join(self.folder, "old-" + name))
        self.make_certificate()
        for name in ("cert.pem", "key.pem"):
            os.rename(os.path.join(self.folder, name), os.path.join(self.folder, "new-" + name))
        self.reload(cert=os.path.join(self.folder, "new-cert.pem"),
                    pkey=os.path.join(self.folder, "new-key.pem"))
        self.comes_to_be(self.shown, self.file())
        go_on()

    def test_files_that_change_are_noticed(self):
        self.start(tls=True)
        go_on = self.live()
        self.make_certificate()
        self.comes_to_be(self.shown, self.file())
        go_on()

    def test_certbots_links_are_noticed(self):
        self.start(tls=True)
        live, archive = self.folder, os.path.join(self.folder, "archive")
        os.mkdir(archive)
        for number in (1, 2, 3):
            self.make_certificate()
            for name in ("cert.pem", "key.pem"):
                there = os.path.join(archive, f"{number}-{name}")
                os.rename(os.path.join(live, name), there)
                os.symlink(there, os.path.join(live, name))
            self.comes_to_be(self.shown, self.file())

    def test_a_pair_that_does_not_match_is_not_taken(self):
        self.start(tls=True)
        before = self.file()
        made = self.make_certificate(["cert.pem"])
        self.server.process.send_signal(signal.SIGUSR2)
        self.says("the certificate stays the one before: the key")
        self.assertEqual(self.shown(), before)
        self.reload("nothing is reloaded: ", user=["bob:hush"])
        self.assertEqual(self.code("bob", "hush"), 401)
        os.rename(os.path.join(made, "key.pem"), self.config["pkey"])
        self.comes_to_be(self.shown, self.file())

    def test_a_file_that_is_gone_ends_nothing(self):
        self.start(tls=True)
        before = self.file()
        os.rename(self.config["cert"], self.config["cert"] + ".away")
        self.says("the certificate stays the one before: cannot read the certificate")
        self.assertEqual(self.shown(), before)
        os.rename(self.config["cert"] + ".away", self.config["cert"])
        self.says("the certificate is the same as before")
        self.assertEqual(self.shown(), before)


if __name__ == "__main__":
    unittest.main()
