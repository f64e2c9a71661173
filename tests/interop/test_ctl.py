"""`turnpike ctl` and the UNIX socket that it asks."""

import http.client
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import unittest

from operating import Operated
from server import BINARY, Server
from turnclient import Refused, TurnClient
from websocket import Closed, WebSocket

OPTIONS = ["--user", "alice:secret", "--user", "bob:hush", "--realm", "example.org", "--relay-ip",
           "127.0.0.1", "--allowed-peer-ip", "127.0.0.1", "--static-auth-secret", "shared",
           "--api-key", "a-key-for-back-ends"]
SECONDS = 15


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


class Ctl(Operated, unittest.TestCase):
    def start(self, *options, workers=2, ends_itself=False, **more):
        self.folder = tempfile.mkdtemp(prefix="turnpike-ctl-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "turnpike.sock")
        server = Server(*OPTIONS, "--workers", str(workers), "--admin-socket", self.path, *options,
                        **more)
        if ends_itself:
            server.__enter__()
            self.addCleanup(server.clean)
        else:
            self.enterContext(server)
        self.server = server

    def run_ctl(self, *words, code=0, env=None):
        run = subprocess.run([BINARY, "ctl", *words], capture_output=True, text=True,
                             timeout=60, check=False, env={**os.environ, **(env or {})})
        self.assertEqual(run.returncode, code, run.stdout + run.stderr + self.server.log())
        return run.stdout if code == 0 else run.stderr

    def ctl(self, *words, code=0):
        return self.run_ctl("--socket", self.path, *words, code=code)

    def json(self, *words):
        return json.loads(self.ctl("--json", *words))

    def ask(self, method, target, body=None):
        connection = UnixConnection(self.path)
        self.addCleanup(connection.close)
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def client(self, username="alice", password="secret", transport="udp"):
        client = TurnClient(self.server.address, transport, username=username, password=password)
        self.addCleanup(client.close)
        client.allocate()
        return client

    def test_the_socket_is_its_owners_and_goes_with_the_server(self):
        self.start()
        self.assertEqual(stat.S_IMODE(os.lstat(self.path).st_mode), 0o600)
        self.assertTrue(stat.S_ISSOCK(os.lstat(self.path).st_mode))
        self.doCleanups()
        self.assertFalse(os.path.exists(self.path))

    def test_a_socket_that_a_killed_server_left_is_replaced_and_no_other_file(self):
        self.start()
        with self.assertRaises(AssertionError) as second, Server(
                *OPTIONS, "--admin-socket", self.path):
            pass
        self.assertIn("another server is there", str(second.exception))
        self.server.kill()
        self.assertTrue(os.path.exists(self.path))
        with Server(*OPTIONS, "--admin-socket", self.path):
            self.assertIn("version", self.json("info"))
        file = os.path.join(self.folder, "precious")
        with open(file, "w", encoding="ascii") as out:
            out.write("text")
        with self.assertRaises(AssertionError), Server(*OPTIONS, "--admin-socket", file):
            pass
        self.assertTrue(os.path.exists(file))

    def test_it_is_found_where_systemd_makes_a_folder(self):
        folder = tempfile.mkdtemp(prefix="turnpike-run-")
        self.addCleanup(shutil.rmtree, folder)
        env = {"RUNTIME_DIRECTORY": folder}
        with Server(*OPTIONS, env=env) as self.server:
            self.assertIn("version", self.run_ctl("info", env=env))

    def test_no_server_is_said(self):
        with Server(*OPTIONS) as self.server:
            why = self.run_ctl("--socket", "/nowhere/turnpike.sock", "info", code=3)
            self.assertIn("no server answers at /nowhere/turnpike.sock", why)
            self.assertIn("which command?", self.run_ctl(code=2))

    def test_info(self):
        self.start()
        self.client()
        info = self.json("info")
        self.assertEqual(info["allocations"], 1)
        self.assertEqual(info["workers"], 2)
        self.assertFalse(info["draining"])
        self.assertRegex(self.ctl("info"), r"(?m)^allocations +1$")

    def test_sessions_with_live_bytes(self):
        self.start(tls=False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(SECONDS)
            alice, bob = self.client(), self.client("bob", "hush", "tcp")
            bob.bind_channel(peer.getsockname())
            bob.send(peer.getsockname(), b"x" * 1000)
            peer.recvfrom(2000)
            peer.sendto(b"y" * 10, bob.relayed)
            bob.receive()
            one, = self.json("sessions", "--user", "bob")["allocations"]
            self.assertEqual((one["bytes_to_peers"], one["bytes_to_client"]), (1000, 10))
            self.assertEqual((one["user"], one["transport"]), ("bob", "tcp"))
            self.assertEqual(one["relayed"], ["%s:%d" % bob.relayed])
            self.assertEqual((one["channels"], one["permissions"]), (1, 1))
            self.assertEqual(one["client"], "%s:%d" % bob.socket.getsockname())
            self.assertTrue(500 < one["seconds_left"] <= 600)
        everybody = self.json("sessions")["allocations"]
        self.assertEqual(sorted(row["user"] for row in everybody), ["alice", "bob"])
        table = self.ctl("sessions")
        self.assertRegex(table, r"(?m)^\d+-[0-9a-f]+ +bob +tcp 127.* 1\.0 kB +10 B")
        self.assertNotIn("hush", table)
        del alice

    def test_many_come_in_pages(self):
        self.start()
        clients = [self.client() for _ in range(25)]
        seen, after, pages = [], "", 0
        while after is not None:
            status, page = self.ask(
                "GET", "/admin/v1/allocations?limit=10" + (after and "&after=" + after))
            self.assertEqual(status, 200)
            self.assertLessEqual(len(page["allocations"]), 10)
            seen += [row["id"] for row in page["allocations"]]
            after, pages = page["next"], pages + 1
        self.assertEqual(pages, 3)
        self.assertEqual(len(set(seen)), 25)
        self.assertEqual(len(seen), 25)
        for wrong in ("limit=0", "limit=1001", "limit=x", "after=x"):
            self.assertEqual(self.ask("GET", "/admin/v1/allocations?" + wrong)[0], 400)
        del clients

    def test_kick_an_allocation(self):
        self.start()
        alice, bob = self.client(), self.client("bob", "hush")
        one, = self.json("sessions", "--user", "alice")["allocations"]
        self.assertEqual(self.ctl("kick", one["id"]), "ended\n")
        with self.assertRaises(Refused) as refusal:
            alice.refresh()
        self.assertEqual(refusal.exception.code, 437)
        bob.refresh()
        self.assertIn("no such allocation", self.ctl("kick", one["id"], code=1))
        self.assertIn("no such allocation", self.ctl("kick", "99-1", code=1))
        self.assertIn("no such allocation", self.ctl("kick", "nonsense", code=1))
        self.client().refresh()

    def test_rooms_their_sessions_and_kick_a_member(self):
        self.start("--open-rooms")
        ann, bob = WebSocket(self.server.address), WebSocket(self.server.address)
        self.addCleanup(ann.close)
        self.addCleanup(bob.close)
        ann.say(type="join", room="demo", name="Ann")
        joined = ann.hear("joined")
        bob.say(type="join", room="another room", name="Bob")
        bob.hear("joined")
        credential = joined["iceServers"][-1]
        relay = self.client(credential["username"], credential["credential"])
        self.client()
        rooms = {room["room"]: room["members"] for room in self.json("rooms")["rooms"]}
        self.assertEqual(rooms["demo"], [{"id": joined["self"]["id"], "name": "Ann",
                                          "away": False}])
        self.assertIn("another room", rooms)
        one, = self.json("sessions", "--room", "demo")["allocations"]
        self.assertEqual(one["relayed"], ["%s:%d" % relay.relayed])
        self.assertEqual(self.json("sessions", "--room", "another room")["allocations"], [])
        self.assertIn("no such room", self.ctl("sessions", "--room", "nowhere", code=1))
        self.assertEqual(self.ctl("kick", joined["self"]["id"]), "ended\n")
        with self.assertRaises(Closed) as closed:
            ann.hear("never")
        self.assertEqual(closed.exception.code, 4003)
        self.comes_to_be(lambda: len(self.json("sessions")["allocations"]), 1)
        self.assertIn("no such member", self.ctl("kick", joined["self"]["id"], code=1))

    def test_audit_of_a_server_at_work(self):
        for workers in (1, 2):
            with self.subTest(workers=workers):
                self.start("--open-rooms", "--dtls", "--tcp-relay", "--prometheus-port", "0",
                           workers=workers, tls=True)
                clients = [self.client(transport=transport)
                           for transport in ("udp", "tcp", "udp", "tcp")]
                secure = TurnClient(self.server.tls_address, "tls", username="bob",
                                    password="hush")
                self.addCleanup(secure.close)
                secure.allocate()
                reserving = TurnClient(self.server.address, "udp", username="bob",
                                       password="hush")
                self.addCleanup(reserving.close)
                reserving.reserve()
                with WebSocket(self.server.address) as tab, WebSocket(
                        self.server.tls_address, tls=True) as other:
                    tab.say(type="join", room="demo", name="Ann")
                    tab.hear("joined")
                    found = self.json("audit")
                    counted = {"allocations": 6, "reservations": 1, "quota": 7, "rooms": 1,
                               "members": 1, "turn_connections": 3, "web_connections": 2,
                               "findings": [], "more": 0}
                    self.assertEqual({name: found[name] for name in counted}, counted)
                    self.assertIn("nothing is wrong", self.ctl("audit"))
                    del other
                for client in clients:
                    client.refresh(0)
                self.assertEqual(self.json("audit")["allocations"], 2)
                self.doCleanups()

    def test_drain(self):
        self.start(ends_itself=True)
        alice = self.client()
        self.assertIn("draining", self.ctl("drain"))
        self.assertTrue(self.json("info")["draining"])
        alice.refresh()
        alice.refresh(0)
        self.assertEqual(self.server.process.wait(SECONDS), 0)

    def test_reload_says_what_comes_of_it(self):
        folder = tempfile.mkdtemp(prefix="turnpike-config-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        config = os.path.join(folder, "turnpike.json")

        def write(text):
            with open(config, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(config, 0o644)
        write('{"max-bps": 0}')
        self.start("--config", config)
        write('{"max-bps": 1000, "min-port": 50000}')
        self.assertEqual(self.json("reload"), {"reloaded": True, "need_restart": ["min-port"]})
        self.assertIn("--min-port has changed", self.ctl("reload"))
        write('{"max-bps": "many"}')
        self.assertIn("max-bps", self.ctl("reload", code=1))

    def test_log_level(self):
        self.start()
        self.client()
        self.assertNotIn("allocation 127.0.0.1", self.server.log())
        self.ctl("log-level", "debug")
        self.client()
        self.comes_to_be(lambda: "allocation 127.0.0.1" in self.server.log(), True)
        self.assertIn("level is", self.ctl("log-level", "loud", code=1))

    def test_credentials_work(self):
        self.start()
        made = self.json("credentials", "--name", "guest", "--ttl", "60")
        turn = made["iceServers"][-1]
        self.assertIn("guest", turn["username"])
        self.client(turn["username"], turn["credential"]).refresh()
        self.assertIn("ttl", self.ctl("credentials", "--ttl", "86401", code=1))

    def test_nonsense_is_answered(self):
        self.start()
        for method, target, status in (("GET", "/", 404), ("GET", "/admin/v1/nothing", 404),
                                       ("POST", "/admin/v1/nothing", 404),
                                       ("PUT", "/admin/v1/info", 405),
                                       ("GET", "/metrics", 404)):
            self.assertEqual(self.ask(method, target)[0], status, target)
        self.assertEqual(self.ask("POST", "/admin/v1/loglevel", "[")[0], 400)
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(self.path)
            raw.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            raw.settimeout(SECONDS)
            self.assertIn(b"400", raw.recv(1000))
        # Who asks and does not wait for the answer.
        for _ in range(50):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(self.path)
                raw.sendall(b"GET /admin/v1/allocations HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(self.json("sessions")["allocations"], [])

    def test_the_public_ports_know_nothing_of_it(self):
        self.start()
        connection = http.client.HTTPConnection(*self.server.address, timeout=SECONDS)
        self.addCleanup(connection.close)
        connection.request("GET", "/admin/v1/info")
        self.assertEqual(connection.getresponse().status, 404)


if __name__ == "__main__":
    unittest.main()
