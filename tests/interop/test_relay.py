"""The relay from outside, with a client of our own: every transport, who may, who may not."""

import contextlib
import itertools
import os
import random
import socket
import time
import unittest

from server import EXIT_CANNOT_LISTEN, Server, free_port
from turnclient import Refused, TurnClient, rest_credentials

USER, PASSWORD = "alice", "correct horse"
TRANSPORTS = ("udp", "tcp", "tls")


def relay(*options, **more):
    return Server("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1", *options, **more)


def client(server, transport="udp", username=USER, password=PASSWORD, **more):
    address = server.tls_address if transport == "tls" else server.address
    return TurnClient(address, transport, username=username, password=password, **more)


def quiet(sock, seconds=0.5):
    """Whether nothing arrives."""
    sock.settimeout(seconds)
    try:
        return sock.recv(2048) == b""
    except (TimeoutError, ConnectionError):
        return True


class Relaying(unittest.TestCase):
    def talk(self, left, right):
        left.permit(right.relayed)
        right.permit(left.relayed)
        for size in (0, 1, 2, 3, 4, 1000, 1200):
            data = os.urandom(size)
            left.send(right.relayed, data)
            self.assertEqual(right.receive(), (left.relayed, data))
            right.send(left.relayed, data)
            self.assertEqual(left.receive(), (right.relayed, data))

    def test_between_two_allocations_over_every_pair_of_transports(self):
        with relay("--workers", "2", tls=True) as server:
            for one in TRANSPORTS:
                for other in TRANSPORTS:
                    with self.subTest(one=one, other=other), client(server, one) as left, \
                            client(server, other) as right:
                        left.allocate()
                        right.allocate()
                        self.talk(left, right)  # Send and Data indications
                        left.bind_channel(right.relayed)
                        self.talk(left, right)  # a channel on one side
                        right.bind_channel(left.relayed)
                        self.talk(left, right)  # channels on both

    def test_to_a_peer_that_is_allowed_by_name(self):
        with relay("--allowed-peer-ip", "127.0.0.1", tls=True) as server, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            for transport in TRANSPORTS:
                with self.subTest(transport=transport), client(server, transport) as caller:
                    caller.allocate()
                    for bind in (caller.permit, caller.bind_channel):
                        bind(peer.getsockname())
                        caller.send(peer.getsockname(), b"out")
                        self.assertEqual(peer.recvfrom(2048), (b"out", caller.relayed))
                        peer.sendto(b"and back", caller.relayed)
                        self.assertEqual(caller.receive(), (peer.getsockname(), b"and back"))

    def test_over_ipv6(self):
        with Server("--user", f"{USER}:{PASSWORD}", "--relay-ip", "::1", ips=["::1"]) as server:
            for transport in ("udp", "tcp"):
                with self.subTest(transport=transport), client(server, transport) as left, \
                        client(server, transport) as right:
                    self.assertEqual(left.binding()[0], "::1")
                    left.allocate(family=2)
                    right.allocate(family=2)
                    self.assertEqual(left.relayed[0], "::1")
                    self.talk(left, right)
                    left.bind_channel(right.relayed)
                    right.bind_channel(left.relayed)
                    self.talk(left, right)

    def test_many_packets_arrive_once_and_in_order(self):
        with relay("--workers", "2", tls=True) as server:
            for transport in TRANSPORTS:
                with self.subTest(transport=transport), client(server, transport) as left, \
                        client(server) as right:
                    left.allocate()
                    right.allocate()
                    left.bind_channel(right.relayed)
                    right.bind_channel(left.relayed)
                    for start in range(0, 2000, 20):
                        for number in range(start, start + 20):
                            left.send(right.relayed, b"%06d" % number * 20)
                        for number in range(start, start + 20):
                            self.assertEqual(right.receive()[1], b"%06d" % number * 20)


class ShortCuts(unittest.TestCase):
    """Two clients of one server: no packet visits the kernel between them, whichever families and
    transports they come over, whichever they relay, and whichever worker each of them has."""

    def test_between_every_pair_of_transports_and_families(self):
        ways = list(itertools.product(TRANSPORTS, ("127.0.0.1", "::1")))
        with relay("--relay-ip", "::1", "--workers", "3", ips=["127.0.0.1", "::1"],
                   tls=True) as server:
            sent = 0
            for family, one, other in itertools.product((1, 2), ways, ways):
                with self.subTest(family=family, one=one, other=other), \
                        self.client(server, *one) as left, self.client(server, *other) as right:
                    left.allocate(family)
                    right.allocate(family)
                    left.permit(right.relayed)
                    right.bind_channel(left.relayed)
                    for number in range(3):
                        left.send(right.relayed, b"to the right %d" % number)
                        self.assertEqual(right.receive(),
                                         (left.relayed, b"to the right %d" % number))
                        right.send(left.relayed, b"to the left %d" % number)
                        self.assertEqual(left.receive(),
                                         (right.relayed, b"to the left %d" % number))
                        sent += 2
        # What it says when it ends.
        self.assertIn(f"{sent} packets relayed to peers ({sent} of them to clients of ours)",
                      server.log())

    @staticmethod
    def client(server, transport, ip):
        port = server.tls_port if transport == "tls" else server.port
        return TurnClient((ip, port), transport, username=USER, password=PASSWORD)


class Refusals(unittest.TestCase):
    def refused(self, code, call, *arguments, **more):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **more)
        self.assertEqual(caught.exception.code, code)

    def test_nobody_relays_without_a_credential(self):
        with relay() as server:
            with client(server, username=None) as nobody:
                self.refused(401, nobody.allocate)
            with client(server, password="wrong") as liar:
                self.refused(401, liar.allocate)
            with client(server, username="mallory") as stranger:
                self.refused(401, stranger.allocate)

    def test_a_server_without_users_is_not_open(self):
        with Server("--relay-ip", "127.0.0.1") as server:
            with client(server, username=None) as nobody:
                self.refused(401, nobody.allocate)
            with client(server, username="turnpike", password="") as guess:
                self.refused(401, guess.allocate)

    def test_every_shared_secret_counts_until_its_credential_expires(self):
        with Server("--relay-ip", "127.0.0.1", "--static-auth-secret", "north",
                    "--static-auth-secret", "south") as server:
            for secret in ("north", "south"):
                with client(server, "udp", *rest_credentials(secret, "ann")) as caller:
                    caller.allocate()
            with client(server, "udp", *rest_credentials("west", "ann")) as caller:
                self.refused(401, caller.allocate)
            with client(server, "udp", *rest_credentials("north", "ann", ttl=-5)) as caller:
                self.refused(401, caller.allocate)

    def test_peers_that_are_not_allowed(self):
        with relay() as server, client(server) as caller:
            caller.allocate()
            for peer in ("127.0.0.2", "10.1.2.3", "192.168.0.9", "172.16.4.4", "169.254.169.254",
                         "100.64.1.1", "224.0.0.5", "0.0.0.0", "255.255.255.255"):
                with self.subTest(peer=peer):
                    self.refused(403, caller.permit, (peer, 9))
                    self.refused(403, caller.bind_channel, (peer, 9))
            caller.permit(("8.8.8.8", 9))  # a permission alone sends nothing

    def test_a_denied_peer_stays_denied_unless_allowed(self):
        with relay("--denied-peer-ip", "8.8.8.0/24", "--allowed-peer-ip", "8.8.8.5") as server, \
                client(server) as caller:
            caller.allocate()
            self.refused(403, caller.permit, ("8.8.8.4", 9))
            caller.permit(("8.8.8.5", 9))

    def test_a_live_relay_opens_its_own_port_and_no_other(self):
        with relay() as server, client(server) as left, client(server) as right, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bystander:
            bystander.bind(("127.0.0.1", 0))
            left.allocate()
            right.allocate()
            left.permit(right.relayed)
            left.send(bystander.getsockname(), b"to another port of that address")
            self.assertTrue(quiet(bystander))

    def test_a_peer_without_permission_is_not_heard(self):
        with relay("--allowed-peer-ip", "127.0.0.0/8") as server, client(server) as caller, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.3", 0))
            caller.allocate()
            caller.permit(("127.0.0.1", 9))
            stranger.sendto(b"hello", caller.relayed)
            self.assertIsNone(caller.receive(0.5))
            caller.permit(stranger.getsockname())
            stranger.sendto(b"hello", caller.relayed)
            self.assertEqual(caller.receive(), (stranger.getsockname(), b"hello"))

    def test_the_quota_is_per_user_and_comes_back(self):
        with relay("--user-quota", "2") as server:
            with client(server) as one, client(server, "tcp") as two, client(server) as three:
                one.allocate()
                two.allocate()
                self.refused(486, three.allocate)
                self.assertEqual(one.refresh(0), 0)
                three.allocate()
                three.refresh(0)
            # The connection of `two` is gone, and its allocation with it.
            with client(server) as one, client(server) as two:
                one.allocate()
                for _ in range(100):
                    try:
                        two.allocate()
                        break
                    except Refused as refusal:
                        self.assertEqual(refusal.code, 486)
                        time.sleep(0.02)
                self.assertIsNotNone(two.relayed)

    def test_refresh_to_zero_closes_the_relay(self):
        with relay("--allowed-peer-ip", "127.0.0.1") as server, client(server) as caller, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            caller.allocate()
            caller.permit(peer.getsockname())
            caller.refresh(0)
            peer.connect(caller.relayed)
            peer.settimeout(2)
            with self.assertRaises(ConnectionRefusedError):  # ICMP: nobody has that port
                peer.send(b"anybody?")
                peer.recv(10)
            self.refused(437, caller.refresh)


class Ports(unittest.TestCase):
    def test_an_even_port_when_asked_for(self):
        with relay() as server:
            for _ in range(8):
                with client(server) as caller:
                    self.assertEqual(caller.allocate(even_port=True)[1] % 2, 0)

    def test_the_range_is_kept_and_its_end_is_said(self):
        # Twenty ports, of which other programs may hold some: each is given once, then none.
        with relay("--min-port", "61000", "--max-port", "61019", "--workers", "2") as server, \
                contextlib.ExitStack() as stack:
            ports = set()
            with self.assertRaises(Refused) as caught:
                for _ in range(21):
                    caller = stack.enter_context(client(server))
                    port = caller.allocate()[1]
                    self.assertNotIn(port, ports)
                    self.assertIn(port, range(61000, 61020))
                    ports.add(port)
            self.assertEqual(caught.exception.code, 508)
            self.assertGreaterEqual(len(ports), 15)


class Addresses(unittest.TestCase):
    def test_answers_leave_from_the_address_that_was_asked(self):
        with relay(ips=["127.0.0.1", "127.0.0.2"]) as server:
            for ip in server.ips:
                # Connected: an answer from any other address would not be delivered.
                with TurnClient((ip, server.port), username=USER, password=PASSWORD) as caller:
                    caller.binding()
                    caller.allocate()

    def test_relay_addresses_take_turns(self):
        # Each worker counts the turns of its own clients.
        with relay("--relay-ip", "127.0.0.2", "--workers", "1") as server, \
                contextlib.ExitStack() as stack:
            relayed = [stack.enter_context(client(server)).allocate()[0] for _ in range(4)]
            self.assertEqual(sorted(relayed), ["127.0.0.1"] * 2 + ["127.0.0.2"] * 2)

    def test_when_one_relay_address_has_no_port_left_the_other_is_taken(self):
        port = str(free_port())
        with relay("--relay-ip", "127.0.0.2", "--min-port", port, "--max-port", port) as server, \
                contextlib.ExitStack() as stack:
            squatter = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            squatter.bind(("127.0.0.1", int(port)))
            callers = [stack.enter_context(client(server)) for _ in range(2)]
            self.assertEqual(callers[0].allocate(), ("127.0.0.2", int(port)))
            with self.assertRaises(Refused) as caught:
                callers[1].allocate()
            self.assertEqual(caught.exception.code, 508)

    def test_a_second_server_on_the_same_port_is_refused(self):
        with relay() as server:
            second = relay(port=server.port)
            with self.assertRaises(AssertionError):
                second.__enter__()
            self.assertEqual(second.process.returncode, EXIT_CANNOT_LISTEN)
            self.assertRegex(second.log(), str(server.port))
            with client(server) as caller:
                caller.allocate()


class Garbage(unittest.TestCase):
    def test_is_dropped_on_every_port(self):
        rng = random.Random(7)
        http = free_port()
        with relay("--http-port", str(http), tls=True) as server:
            ports = (server.port, server.tls_port, http)
            for number in range(300):
                data = rng.randbytes(rng.randrange(1, 1400))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.connect(server.address)
                    sock.send(data)
                with self.subTest(number=number), socket.socket() as sock:
                    sock.settimeout(5)
                    sock.connect(("127.0.0.1", ports[number % len(ports)]))
                    try:
                        sock.sendall(data)
                        sock.shutdown(socket.SHUT_WR)
                        while sock.recv(4096):
                            pass
                    except OSError as error:
                        self.assertNotIsInstance(error, TimeoutError)  # reset is an answer
            for transport in TRANSPORTS:
                with client(server, transport) as caller:
                    caller.allocate()

    def test_over_udp_gets_no_answer(self):
        with relay() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(server.address)
            cookie = b"\x21\x12\xa4\x42"
            for data in (b"\x00", b"\x00\x01\x00\x00", b"\x00\x01\x00\x04" + cookie * 4,
                         b"GET / HTTP/1.1\r\n\r\n", b"\x40\x00\x00\x04abcd",
                         b"\x16\x03\x01\x00", b"\x80" * 40, b"\x00\x01\x00\x00" + bytes(16)):
                sock.send(data)
            self.assertTrue(quiet(sock))
        # The last line of its log counts what it threw away.
        self.assertRegex(server.log(), r"stopped: .*[^0-9][1-9]\d* dropped")


if __name__ == "__main__":
    unittest.main()
