"""What the release binary does when the machine fails it: no descriptors, buffers, routes or ports,
a wall clock that jumps, a thread that hangs, a death and a restart. After each of them the
server's own audit (`turnpike ctl audit`) must find nothing wrong."""

import contextlib
import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from faults import FILE, TCP, UDP, Faults
from server import BINARY, Server, free_port
from test_dtls import DtlsPipe
from turnclient import BINDING, REQUEST, Message, Refused, TurnClient, rest_credentials
from websocket import Closed, WebSocket

SECONDS = 20
OPTIONS = ["--user", "alice:secret", "--realm", "example.org", "--relay-ip", "127.0.0.1",
           "--allowed-peer-ip", "127.0.0.1", "--static-auth-secret", "shared", "--open-rooms"]
SEND_ERRORS = ("ENOBUFS", "EAGAIN", "EPERM", "ENETUNREACH", "EMSGSIZE")


class Faulty(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.faults = cls.enterClassContext(Faults())

    def start(self, *options, workers=2, **more):
        self.folder = tempfile.mkdtemp(prefix="turnpike-faulty-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "admin.sock")
        self.server = self.enterContext(Server(
            *OPTIONS, "--workers", str(workers), "--admin-socket", self.path, *options,
            env=self.faults.env, **more))
        self.addCleanup(self.faults.clear)  # before the server is asked to end

    def ctl(self, *words):
        return subprocess.run(
            [BINARY, "ctl", "--socket", self.path, "--json", *words], capture_output=True,
            text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)

    def audit(self, **expected):
        """Nothing is wrong, and these counts are so."""
        run = self.ctl("audit")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        found = json.loads(run.stdout)
        self.assertEqual({name: found[name] for name in expected}, expected)

    def comes_to_be(self, question, wanted=True):
        end = time.monotonic() + SECONDS
        while (answer := question()) != wanted:
            self.assertLess(time.monotonic(), end, f"still {answer}\n{self.server.log()}")
            time.sleep(0.02)

    def client(self, transport="udp", timeout=SECONDS, **credentials):
        credentials = credentials or {"username": "alice", "password": "secret"}
        address = self.server.tls_address if transport == "tls" else self.server.address
        client = TurnClient(address, transport, timeout=timeout, **credentials)
        self.addCleanup(client.close)
        return client

    def allocated(self, transport="udp", **more):
        client = self.client(transport, **more)
        client.allocate()
        return client

    def peer(self):
        peer = self.enterContext(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(SECONDS)
        return peer


class Sends(Faulty):
    """Whatever a send answers, that datagram or that connection is lost, and nothing else."""

    def setUp(self):
        super().setUp()
        self.start(tls=True)

    @contextlib.contextmanager
    def datagrams_failing(self, error, **which):
        with contextlib.ExitStack() as rules:
            yield [rules.enter_context(self.faults.failing(call, error, kinds=UDP, **which))
                   for call in ("sendto", "sendmsg", "sendmmsg")]

    def test_a_client_over_udp_asks_again_and_is_answered(self):
        client = self.allocated()
        for error in SEND_ERRORS:
            with self.subTest(error), self.datagrams_failing(
                    error, port=self.server.port, limit=2) as rules:
                self.assertEqual(client.refresh(), 600)
                self.assertGreater(sum(rule.hits for rule in rules), 0)
        self.audit(allocations=1, quota=1)

    def test_a_relayed_datagram_is_lost_and_the_next_one_is_not(self):
        client, peer = self.allocated(), self.peer()
        client.bind_channel(peer.getsockname())
        for error in SEND_ERRORS:
            # ENETUNREACH may be what an earlier packet left behind: it is tried twice.
            with self.subTest(error), self.datagrams_failing(
                    error, not_port=self.server.port, limit=2) as rules:
                self.comes_to_be(lambda: self.lost_one(client, peer, rules))
            client.send(peer.getsockname(), b"after " + error.encode())
            while peer.recv(100) != b"after " + error.encode():
                pass
        self.audit(allocations=1, channels=1)

    @staticmethod
    def lost_one(client, peer, rules):
        client.send(peer.getsockname(), b"lost")
        return sum(rule.hits for rule in rules) >= 2

    def test_a_client_hears_the_next_datagram_of_a_peer(self):
        client, peer = self.allocated(), self.peer()
        client.bind_channel(peer.getsockname())
        for error in SEND_ERRORS:
            with self.subTest(error), self.datagrams_failing(
                    error, port=self.server.port, limit=2) as rules:
                self.comes_to_be(lambda: self.peers_lost_one(client, peer, rules))
            peer.sendto(b"after " + error.encode(), client.relayed)
            while client.receive()[1] != b"after " + error.encode():
                pass
        self.audit(allocations=1)

    @staticmethod
    def peers_lost_one(client, peer, rules):
        peer.sendto(b"lost", client.relayed)
        return sum(rule.hits for rule in rules) >= 2

    def train(self, client, peer, count):
        """So many datagrams for the peer in one segment of TCP, so in one flush of the server."""
        number = client.channels[peer.getsockname()]
        one = struct.pack("!HH", number, 100) + bytes(100)
        client.write(one * count)

    def test_a_train_refused_as_segments_arrives_one_by_one(self):
        client, peer = self.allocated("tcp"), self.peer()
        client.bind_channel(peer.getsockname())
        for error in ("EMSGSIZE", "EINVAL", "EIO"):
            with self.subTest(error), self.faults.failing(
                    "sendmsg", error, kinds=UDP, not_port=self.server.port, limit=1) as rule:
                self.train(client, peer, 20)
                for _ in range(20):
                    self.assertEqual(len(peer.recv(200)), 100)
                self.assertEqual(rule.hits, 1)
        self.audit(allocations=1)

    def test_a_train_without_a_buffer_is_lost_and_the_next_one_is_not(self):
        client, peer = self.allocated("tcp"), self.peer()
        client.bind_channel(peer.getsockname())
        for error in ("ENOBUFS", "EAGAIN", "EPERM"):
            with self.subTest(error), self.faults.failing(
                    "sendmsg", error, kinds=UDP, not_port=self.server.port) as rule:
                self.train(client, peer, 20)
                self.comes_to_be(lambda: rule.hits > 0)
            client.send(peer.getsockname(), b"after")
            while peer.recv(200) != b"after":
                pass
        self.audit(allocations=1)

    def test_a_stream_waits_for_room(self):
        for transport in ("tcp", "tls"):
            with self.subTest(transport):
                client = self.allocated(transport)
                with self.faults.failing("writev", "EAGAIN", kinds=TCP, limit=3) as rule:
                    self.assertEqual(client.refresh(), 600)
                    self.assertEqual(rule.hits, 3)
                self.audit(allocations=1)
                client.refresh(0)

    def test_a_stream_that_cannot_be_written_ends_with_its_allocation(self):
        for transport in ("tcp", "tls"):
            for error in ("ENOBUFS", "EPERM", "ENETUNREACH"):
                with self.subTest(transport, error=error):
                    client = self.allocated(transport)
                    with self.faults.failing("writev", error, kinds=TCP, limit=1):
                        with self.assertRaises((ConnectionError, ssl.SSLError)):
                            client.refresh()
                    self.comes_to_be(self.allocations, 0)
                    self.audit(allocations=0, quota=0, turn_connections=0)
                    client = self.allocated(transport)
                    client.refresh(0)
                    client.close()

    def allocations(self):
        return json.loads(self.ctl("info").stdout)["allocations"]

    def test_web_sockets(self):
        for members, tls in ((1, False), (2, True)):
            address = self.server.tls_address if tls else self.server.address
            with self.subTest(tls=tls):
                tab = WebSocket(address, tls=tls)
                with self.faults.failing("writev", "EAGAIN", kinds=TCP, limit=3) as rule:
                    tab.say(type="join", room="demo", name="Ann")
                    tab.hear("joined")
                    self.assertEqual(rule.hits, 3)
                self.audit(members=members)
                with self.faults.failing("writev", "ENOBUFS", kinds=TCP, limit=1):
                    tab.say(type="ping")
                    with self.assertRaises((Closed, ConnectionError, ssl.SSLError)):
                        tab.hear("pong")
                tab.close()
                with WebSocket(address, tls=tls) as again:
                    again.say(type="join", room="demo", name="Ann")
                    for other in again.hear("joined")["members"]:
                        self.assertTrue(other.get("away"))
                    again.say(type="leave")
                    with contextlib.suppress(Closed, ConnectionError, ssl.SSLError):
                        again.hear("never")
                self.audit()


class Datagrams(Faulty):
    def test_dtls(self):
        """The handshake, and a request after it, survive sends that fail."""
        self.start("--dtls", tls=True)
        for error in ("ENOBUFS", "EAGAIN", "EPERM"):  # OpenSSL's client waits a second each time
            with self.subTest(error), contextlib.ExitStack() as rules:
                for call in ("sendto", "sendmsg", "sendmmsg"):
                    rules.enter_context(self.faults.failing(
                        call, error, kinds=UDP, port=self.server.tls_port, limit=1))
                with DtlsPipe(self.server.tls_address) as pipe:
                    request = Message(BINDING, REQUEST)
                    pipe.send(request.encode())
                    answer = pipe.recv(SECONDS)
                    self.assertIsNotNone(answer)
                    self.assertEqual(Message.decode(answer).transaction, request.transaction)
        self.audit(allocations=0)


class Shortages(Faulty):
    def test_out_of_descriptors(self):
        self.start(tls=True, prefix=["prlimit", "--nofile=100:100"])
        peer = self.peer()
        clients = [self.allocated()]
        clients[0].bind_channel(peer.getsockname())
        waiting = self.client()
        with self.assertRaises(Refused) as refusal:
            for _ in range(100):
                clients.append(self.allocated(**self.guest(len(clients))))
        self.assertEqual(refusal.exception.code, 508)
        accepts = self.faults.calls("accept4")
        for _ in range(20):
            with socket.create_connection(self.server.address, SECONDS) as connection:
                # Accepted with the spare descriptor and closed, so that nobody waits in vain.
                with contextlib.suppress(ConnectionError):
                    self.assertEqual(connection.recv(1), b"")
        # Some calls a connection: the one that fails, the one that the spare is for, an empty one.
        self.assertLess(self.faults.calls("accept4") - accepts, 20 * 8)
        clients[0].send(peer.getsockname(), b"as ever")
        self.assertEqual(peer.recv(100), b"as ever")
        for client in clients[1:]:
            client.refresh(0)
        clients[0].refresh()
        waiting.allocate()
        self.allocated("tcp").refresh()
        self.allocated("tls").refresh()
        self.audit(allocations=4, quota=4)

    @staticmethod
    def guest(number):
        username, password = rest_credentials("shared", f"guest-{number}")
        return {"username": username, "password": password}

    def rests(self, error):
        """How the listener takes an accept that always fails: with pauses."""
        with self.faults.failing("accept4", error, kinds=TCP) as rule:
            began = time.monotonic()
            client = self.client("tcp")
            self.comes_to_be(lambda: rule.hits >= 12)
            # A rest is 100 ms, and two calls at most lie between two of them.
            hits, rests = rule.hits, (time.monotonic() - began) / 0.1
            self.assertLess(hits, 8 + 4 * rests, f"{error}: it spins")
        client.allocate()
        client.refresh(0)
        client.close()

    def test_accepting_rests_while_the_kernel_refuses(self):
        self.start()
        for error in ("ENFILE", "EMFILE", "ENOBUFS", "ENOMEM", "EPERM"):
            with self.subTest(error):
                self.rests(error)
        self.audit(allocations=0)

    def test_no_socket_is_508_until_there_is_one(self):
        self.start()
        client = self.client()
        for call, error in (("socket", "ENFILE"), ("socket", "ENOBUFS"), ("socket", "EMFILE"),
                            ("bind", "EADDRINUSE"), ("bind", "ENOMEM")):
            with self.subTest(call, error=error):
                with self.faults.failing(call, error, kinds=UDP):
                    with self.assertRaises(Refused) as refusal:
                        client.allocate()
                    self.assertEqual(refusal.exception.code, 508)
                    self.audit(allocations=0, quota=0)
                client.allocate()
                client.refresh(0)

    def test_out_of_ports(self):
        first = free_port()
        self.start("--min-port", str(first), "--max-port", str(first + 3))
        clients = []
        with self.assertRaises(Refused) as refusal:
            for _ in range(10):
                clients.append(self.allocated())
        self.assertEqual(refusal.exception.code, 508)
        self.assertGreater(len(clients), 0)
        self.audit(allocations=len(clients), quota=len(clients))
        clients.pop().refresh(0)
        clients.append(self.allocated())
        self.audit(allocations=len(clients), quota=len(clients))

    def test_a_disk_that_is_full_for_a_while(self):
        log = os.path.join(tempfile.mkdtemp(prefix="turnpike-log-"), "log")
        self.addCleanup(shutil.rmtree, os.path.dirname(log))
        self.start("--log-file", log, "--log-allocations")
        with self.faults.failing("write", "ENOSPC", kinds=FILE) as rule:
            self.allocated().refresh(0)
            self.comes_to_be(lambda: rule.hits > 0)
            self.allocated().refresh(0)
        def logged():
            with open(log, encoding="utf-8") as file:
                return file.read().count("allocation_ended")
        before = logged()
        self.allocated().refresh(0)
        self.comes_to_be(lambda: logged() > before)
        self.audit(allocations=0)


class Clocks(Faulty):
    def test_a_wall_clock_that_jumps_moves_credentials_and_nothing_else(self):
        self.start()
        username, password = rest_credentials("shared", "guest", ttl=3600)
        kept = self.allocated()
        temporary = self.allocated(username=username, password=password)
        tab = self.enterContext(WebSocket(self.server.address))
        tab.say(type="join", room="demo", name="Ann")
        tab.hear("joined")
        for jump in (7200, -7200, 400 * 86400, 0):
            with self.subTest(jump=jump):
                self.faults.shift_wall_clock(jump)
                # A nonce of another time costs a 438, which the client follows; they name the
                # time of day so that they live through a restart.
                kept.refresh()
                # Its holder keeps it, whatever the time of day.
                temporary.refresh()
                tab.say(type="ping")
                tab.hear("pong")
                self.audit(allocations=2, members=1)
                uptime = json.loads(self.ctl("info").stdout)["uptime_seconds"]
                self.assertTrue(0 <= uptime < 3600, uptime)
                stale = self.client(username=username, password=password)
                if jump > 3600:
                    with self.assertRaises(Refused) as refusal:
                        stale.allocate()
                    self.assertEqual(refusal.exception.code, 401)
                else:
                    stale.allocate()
                    stale.refresh(0)


class Hangs(Faulty):
    def test_a_worker_that_hangs_is_told_and_the_other_goes_on(self):
        self.start()
        # TCP goes to whichever worker the kernel chooses; those of UDP that answer are the other's.
        rule = self.faults.begin("recvmmsg", kinds=UDP, port=self.server.port, limit=1, block=True)
        silent = self.client(timeout=0.1)
        with self.assertRaises(TimeoutError):
            silent.binding()
        self.comes_to_be(lambda: rule.hits, 1)
        answered = []

        def somebody_is_answered():
            with contextlib.suppress(TimeoutError):
                client = self.client(timeout=1)
                client.allocate()
                answered.append(client)
            return len(answered) > 0
        self.comes_to_be(somebody_is_answered)
        run = self.ctl("audit")
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("does not answer", run.stderr)
        self.comes_to_be(lambda: self.web("/readyz")[0], 503)
        self.assertIn("workers do not answer", self.web("/readyz")[1])
        self.assertEqual(self.ctl("info").returncode, 0)
        answered[0].refresh()
        rule.take_back()
        self.comes_to_be(lambda: self.web("/readyz")[0], 200)
        silent.timeout = SECONDS
        silent.binding()
        self.audit()

    def web(self, path):
        """As a browser that is served by whichever worker answers."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                with socket.create_connection(self.server.address, 1) as connection:
                    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                                       "Connection: close\r\n\r\n".encode())
                    answer = b""
                    while piece := connection.recv(65536):
                        answer += piece
                return int(answer.split()[1]), answer.decode()
            except (TimeoutError, IndexError):
                self.assertLess(time.monotonic(), end)


class BadLink:
    """A way to the server over UDP that loses every fifth datagram of each direction, swaps every
    seventh with the next one and doubles every fourth. Many kernels have no netem, and this needs
    neither root nor a namespace."""

    def __init__(self, server):
        self.server, self.stopping = server, False
        self.passed = {"in": 0, "out": 0}
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.address = self.front.getsockname()
        self.ways = {}  # client -> the socket that speaks for it
        self.held = []  # (socket, datagram, to): overtaken by the next one
        self.lost = self.doubled = self.swapped = 0
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for one in (self.front, *self.ways.values()):
            one.close()

    def run(self):
        clients = {}
        while not self.stopping:
            readable, _, _ = select.select([self.front, *clients], [], [], 0.05)
            if not readable:
                self.release()
            for one in readable:
                data, source = one.recvfrom(65536)
                if one is not self.front:
                    self.send(self.front, data, clients[one])
                    continue
                if source not in self.ways:
                    self.ways[source] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    clients[self.ways[source]] = source
                self.send(self.ways[source], data, self.server)

    def send(self, one, data, to):
        way = "out" if one is self.front else "in"
        self.passed[way] += 1
        number = self.passed[way]
        if number % 5 == 0:
            self.lost += 1
        elif number % 7 == 0:
            self.swapped += 1
            self.held.append((one, data, to))
        else:
            twice = number % 4 == 0
            self.doubled += twice
            for _ in range(2 if twice else 1):
                one.sendto(data, to)
            self.release()

    def release(self):
        for one, data, to in self.held:
            one.sendto(data, to)
        self.held = []


class Links(Faulty):
    def test_allocations_are_made_used_and_ended_over_a_bad_link(self):
        self.start()
        peer = self.peer()
        with BadLink(self.server.address) as link:
            clients = []
            for _ in range(5):
                client = TurnClient(link.address, username="alice", password="secret",
                                    timeout=SECONDS)
                self.addCleanup(client.close)
                client.allocate()
                client.bind_channel(peer.getsockname())
                clients.append(client)
            self.audit(allocations=5, quota=5, channels=5)
            for client in clients:
                client.refresh()
                # Media is not sent again by anybody: some of it arrives.
                self.comes_to_be(lambda one=client: self.heard(one, peer))
            self.audit(allocations=5, quota=5)
            for client in clients:
                # An answer may be lost, and then there is nothing to refresh: 437 (RFC 8656 7.2).
                with contextlib.suppress(Refused):
                    client.refresh(0)
            self.assertGreater(min(link.lost, link.doubled, link.swapped), 0)
        self.audit(allocations=0, quota=0, channels=0)

    @staticmethod
    def heard(client, peer):
        client.send(peer.getsockname(), b"media")
        return bool(select.select([peer], [], [], 0.05)[0]) and peer.recv(100) == b"media"


class Deaths(Faulty):
    """kill -9 while clients are at work, and another server in its place."""

    def test_clients_go_on_with_the_server_that_comes_after(self):
        port = free_port()
        folder = tempfile.mkdtemp(prefix="turnpike-death-")
        self.addCleanup(shutil.rmtree, folder)
        options = [*OPTIONS, "--workers", "2", "--admin-socket", os.path.join(folder, "admin.sock")]
        self.path = options[-1]
        peer = self.peer()
        stop, renewed, problems = threading.Event(), [0] * 6, []

        def call(index):
            """One client's life: what ends is begun again."""
            transport = "tcp" if index % 2 else "udp"
            client = None
            while not stop.is_set():
                try:
                    if client is None:
                        client = TurnClient(("127.0.0.1", port), transport, username="alice",
                                            password="secret", timeout=1)
                        client.allocate()
                        client.bind_channel(peer.getsockname())
                        renewed[index] += 1
                    client.send(peer.getsockname(), b"media")
                    client.refresh()
                except (OSError, Refused, ValueError):
                    if client is not None:
                        client.close()
                    client = None
                    stop.wait(0.05)
                except Exception as problem:  # what no client should see
                    problems.append(repr(problem))
                    return
            if client is not None:
                with contextlib.suppress(OSError, Refused, ValueError):
                    client.refresh(0)
                client.close()

        threads = [threading.Thread(target=call, args=(index,)) for index in range(6)]
        with Server(*options, port=port) as self.server:
            for thread in threads:
                thread.start()
            self.comes_to_be(lambda: min(renewed) >= 1)
            self.server.kill()
        with Server(*options, port=port) as self.server:
            self.comes_to_be(lambda: min(renewed) >= 2)
            stop.set()
            for thread in threads:
                thread.join(SECONDS)
            self.assertEqual(problems, [])
            self.audit(allocations=0, quota=0, turn_connections=0)


if __name__ == "__main__":
    unittest.main()
