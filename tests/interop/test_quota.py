"""Quotas on the running server: an allocation is charged from Allocate until it is gone, whichever
way it goes, and what was refused charges nothing."""

import signal
import socket
import struct
import time
import unittest

from operating import SECONDS, Operated
from server import Server, free_port
from tcpturn import TCP, UDP, TcpTurnClient, reset_on_close
from test_dtls import DtlsPipe, PipeSocket
from test_metrics import get, samples
from turnclient import (ALLOCATE, EVEN_PORT, LIFETIME, REFRESH, REQUEST, REQUESTED_ADDRESS_FAMILY,
                        REQUESTED_TRANSPORT, RESERVATION_TOKEN, XOR_RELAYED_ADDRESS, Message,
                        Refused, TurnClient, rest_credentials)

USER, PASSWORD, SECRET = "alice", "correct horse", "a shared secret"
ADDITIONAL_ADDRESS_FAMILY, MOBILITY_TICKET = 0x8000, 0x8030
IPV4, IPV6 = bytes([1, 0, 0, 0]), bytes([2, 0, 0, 0])


class Quota(unittest.TestCase):
    OPTIONS = ()
    LIMIT = 1

    @classmethod
    def setUpClass(cls):
        if cls is Quota:
            raise unittest.SkipTest("what the others share")
        cls.server = cls.enterClassContext(cls.make_server())

    @classmethod
    def make_server(cls):
        return Server(
            "--user", f"{USER}:{PASSWORD}", "--user-quota", str(cls.LIMIT), "--mobility",
            "--tcp-relay", "--dtls", "--workers", "2", "--relay-ip", "127.0.0.1", "--relay-ip",
            "::1", "--allowed-peer-ip", "127.0.0.1", "--static-auth-secret", SECRET, *cls.OPTIONS,
            tls=True)

    def client(self, transport="udp", kind=TurnClient, credentials=(USER, PASSWORD)):
        address = self.server.tls_address if transport == "tls" else self.server.address
        username, password = credentials
        if transport == "dtls":
            pipe = DtlsPipe(self.server.tls_address)
            self.addCleanup(pipe.close)
            client = kind(address, username=username, password=password)
            client.socket.close()
            client.socket, client.pipe = PipeSocket(pipe), pipe
            return client
        client = kind(address, transport, username=username, password=password)
        self.addCleanup(client.close)
        return client

    def allocate(self, client, *more, transport=UDP):
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, transport)
        for kind, value in more:
            message.add(kind, value)
        answer = client.authenticated(message)
        client.relayed = answer.address(XOR_RELAYED_ADDRESS)
        return answer

    def assert_refused(self, code, call, *arguments, **more):
        with self.assertRaises(Refused) as refusal:
            call(*arguments, **more)
        self.assertEqual(refusal.exception.code, code)

    def assert_full(self, **more):
        self.assert_refused(486, self.client(**more).allocate)

    def assert_free(self, seconds=SECONDS, **more):
        """As many as the limit may be had, if not at once then soon; and not one more."""
        end, held = time.monotonic() + seconds, []
        while len(held) < self.LIMIT:
            client = self.client(**more)
            try:
                client.allocate()
                held.append(client)
            except Refused as refusal:
                self.assertEqual(refusal.code, 486)
                self.assertLess(time.monotonic(), end, "still charged")
                time.sleep(0.05)
        self.assert_full(**more)
        for client in held:
            client.refresh(0)


class EveryEnd(Quota):
    def test_a_lifetime_of_zero(self):
        for transport in ("udp", "tcp", "tls", "dtls"):
            with self.subTest(transport):
                client = self.client(transport)
                client.allocate()
                self.assert_full()
                client.refresh(0)
                self.assert_free(0)

    def test_the_end_of_its_connection(self):
        for transport, end in (("tcp", self.close), ("tcp", self.reset), ("tls", self.close),
                               ("tls", self.reset), ("dtls", self.say_goodbye)):
            with self.subTest(transport=transport, end=end.__name__):
                client = self.client(transport)
                client.allocate()
                self.assert_full()
                end(client)
                self.assert_free()

    @staticmethod
    def close(client):
        client.socket.close()

    @staticmethod
    def reset(client):
        reset_on_close(client.socket)
        client.socket.close()

    @staticmethod
    def say_goodbye(client):
        client.pipe.process.stdin.close()
        client.pipe.process.wait(SECONDS)

    def test_both_families_are_one_until_the_second_is_gone(self):
        client = self.client()
        self.allocate(client, (ADDITIONAL_ADDRESS_FAMILY, IPV6))
        for family in (IPV6, IPV4):
            self.assert_full()
            message = Message(REFRESH, REQUEST).add(LIFETIME, bytes(4))
            client.authenticated(message.add(REQUESTED_ADDRESS_FAMILY, family))
        self.assert_free(0)

    def test_a_tcp_allocation_with_its_data_connections(self):
        client = self.client("tcp", TcpTurnClient)
        client.allocate_tcp()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            data = client.bind(client.connect(listener.getsockname()))
            peer, _ = listener.accept()
        with peer:
            self.assert_full()
            client.socket.close()
            peer.settimeout(SECONDS)
            self.assertEqual(peer.recv(1), b"")
        data.close()
        self.assert_free()

    def test_a_mobile_one_wherever_it_went(self):
        client = self.client()
        ticket = self.allocate(client, (MOBILITY_TICKET, b"")).get(MOBILITY_TICKET)
        for transport in ("tcp", "udp", "tls", "tcp", "udp"):
            there = self.client(transport)
            message = Message(REFRESH, REQUEST).add(MOBILITY_TICKET, ticket)
            ticket = there.authenticated(message).get(MOBILITY_TICKET)
            there.permit(("127.0.0.1", 9))
            there.send(("127.0.0.1", 9), b"it is here now")
            self.assert_full()
            client.close()
            self.assert_full()
            client = there
        client.refresh(0)
        self.assert_free()


class WhatIsRefused(Quota):
    """With a single port to relay from."""

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.OPTIONS = ("--min-port", str(cls.port), "--max-port", str(cls.port))
        super().setUpClass()

    def test_charges_nothing(self):
        for _ in range(3):
            for code, attributes in ((442, ((REQUESTED_TRANSPORT, bytes([99, 0, 0, 0])),)),
                                     (400, ()),
                                     (440, ((REQUESTED_TRANSPORT, UDP),
                                            (REQUESTED_ADDRESS_FAMILY, bytes([9, 0, 0, 0])))),
                                     (400, ((REQUESTED_TRANSPORT, UDP), (LIFETIME, b"xx"))),
                                     (405, ((REQUESTED_TRANSPORT, TCP), (MOBILITY_TICKET, b""))),
                                     (420, ((REQUESTED_TRANSPORT, UDP), (0x7F01, b""))),
                                     (508, ((REQUESTED_TRANSPORT, UDP),
                                            (RESERVATION_TOKEN, bytes(8))))):
                message = Message(ALLOCATE, REQUEST)
                for kind, value in attributes:
                    message.add(kind, value)
                with self.subTest(code=code, attributes=attributes):
                    self.assert_refused(code, self.client("tcp").authenticated, message)
        self.assert_free(0)

    def test_no_port_left_charges_nothing(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
            squatter.bind(("127.0.0.1", self.port))
            for _ in range(3):
                self.assert_refused(508, self.client().allocate)
        self.assert_free(0)

    def test_a_second_allocate_on_the_five_tuple_charges_nothing(self):
        client = self.client()
        client.allocate()
        for _ in range(3):
            self.assert_refused(437, client.allocate)
        client.refresh(0)
        self.assert_free(0)


class Pairs(Quota):
    LIMIT = 2

    def test_a_reserved_port_counts_until_who_took_it_over_is_gone(self):
        one, two = self.client(), self.client()
        token = self.allocate(one, (EVEN_PORT, bytes([0x80]))).get(RESERVATION_TOKEN)
        self.assert_full()
        self.allocate(two, (RESERVATION_TOKEN, token))
        self.assertEqual(two.relayed[1], one.relayed[1] + 1)
        self.assert_full()
        one.refresh(0)
        two.refresh(0)
        self.assert_free(0)

    def test_a_pair_that_does_not_fit_charges_nothing(self):
        one, two = self.client(), self.client()
        one.allocate()
        self.assert_refused(486, self.allocate, two, (EVEN_PORT, bytes([0x80])))
        one.refresh(0)
        self.assert_free(0)


class ShortLives(Quota):
    OPTIONS = ("--max-allocate-lifetime", "2", "--strict-expiry")

    def test_silence(self):
        client = self.client()
        client.allocate()
        self.assert_full()
        self.assert_free()

    def test_a_mobile_one_whose_connection_broke_and_who_never_came_back(self):
        client = self.client("tcp")
        answer = self.allocate(client, (MOBILITY_TICKET, b""))
        self.assertEqual(struct.unpack("!I", answer.get(LIFETIME))[0], 2)
        client.close()
        self.assert_full()
        self.assert_free()

    def test_the_end_of_its_credential(self):
        client = self.client(credentials=rest_credentials(SECRET, "carol", ttl=2))
        client.allocate()
        renewed = rest_credentials(SECRET, "carol", ttl=600)
        self.assert_full(credentials=renewed)
        self.assert_free(credentials=renewed)


class WhileDraining(Operated, Quota):
    """One allocation of each kind, all made before the server drains, which then go one by one."""

    LIMIT = 100

    @classmethod
    def setUpClass(cls):
        cls.metrics = free_port()
        cls.OPTIONS = ("--prometheus-port", str(cls.metrics), "--max-allocate-lifetime", "3600")
        cls.server = cls.make_server()
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.clean)  # it ends by itself

    def charged(self):
        return samples(get(self.metrics, "/metrics"))["turnpike_turn_quota_charged"]

    def release(self, client):
        client.refresh(0)

    def release_by_family(self, client):
        for family in (IPV6, IPV4):
            message = Message(REFRESH, REQUEST).add(LIFETIME, bytes(4))
            client.authenticated(message.add(REQUESTED_ADDRESS_FAMILY, family))

    def move_and_release(self, client):
        there = self.client("tcp")
        message = Message(REFRESH, REQUEST).add(MOBILITY_TICKET, client.ticket)
        there.authenticated(message)
        there.permit(("127.0.0.1", 9))
        there.send(("127.0.0.1", 9), b"it is here now")
        there.refresh(0)

    def with_data_connection(self):
        client = self.client("tcp", TcpTurnClient)
        client.allocate_tcp()
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        data = client.bind(client.connect(listener.getsockname()))
        self.addCleanup(data.close)
        self.enterContext(listener.accept()[0])
        return client

    def test_each_is_given_back_at_its_end_and_the_last_one_ends_the_server(self):
        close, reset, goodbye = EveryEnd.close, EveryEnd.reset, EveryEnd.say_goodbye
        ways = []
        for transport, end in (("udp", self.release), ("tcp", self.release), ("tls", self.release),
                               ("dtls", self.release), ("tcp", close), ("tcp", reset),
                               ("tls", close), ("tls", reset), ("dtls", goodbye)):
            client = self.client(transport)
            client.allocate()
            ways.append((f"{transport} {end.__name__}", client, end))
        dual = self.client()
        self.allocate(dual, (ADDITIONAL_ADDRESS_FAMILY, IPV6))
        ways.append(("both families", dual, self.release_by_family))
        ways.append(("a TCP allocation", self.with_data_connection(), close))
        mobile = self.client()
        mobile.ticket = self.allocate(mobile, (MOBILITY_TICKET, b"")).get(MOBILITY_TICKET)
        ways.append(("one that moves", mobile, self.move_and_release))
        first, second = self.client(), self.client()
        token = self.allocate(first, (EVEN_PORT, bytes([0x80]))).get(RESERVATION_TOKEN)
        last = self.client()
        last.allocate()
        held = len(ways) + 3
        self.assertEqual(self.charged(), held)

        self.server.process.send_signal(signal.SIGUSR1)
        self.comes_to_be(self.refuses, True)
        self.assertEqual(self.charged(), held, "what was refused charges nothing")
        self.allocate(second, (RESERVATION_TOKEN, token))
        self.assertEqual(self.charged(), held, "a port that was promised is charged already")
        ways += [("the first of a pair", first, self.release),
                 ("the second of a pair", second, self.release)]
        for name, client, end in ways:
            with self.subTest(name):
                end(client)
                held -= 1
                self.comes_to_be(self.charged, held)
        self.assertEqual(held, 1)
        last.refresh()
        self.release(last)
        self.assertEqual(self.server.process.wait(SECONDS), 0)


if __name__ == "__main__":
    unittest.main()
