"""Part K of the checklist: NAT behaviour discovery (RFC 5780), on two loopback addresses."""

import ipaddress
import socket
import struct

from conversation import ANSWER_SECONDS, Conversation, attribute, error_of, stun
from server import free_port
from turnclient import BINDING, SUCCESS, XOR_MAPPED_ADDRESS, Message

MAPPED_ADDRESS, RESPONSE_ORIGIN, OTHER_ADDRESS = 0x0001, 0x802B, 0x802C
CHANGE_REQUEST, PADDING, RESPONSE_PORT, UNKNOWN_ATTRIBUTES = 0x0003, 0x0026, 0x0027, 0x000A
CHANGE_PORT, CHANGE_IP = 2, 4
IP_AND_UDP = 28


def change(flags):
    return attribute(CHANGE_REQUEST, struct.pack("!I", flags))


def plain_address(value):
    port = struct.unpack_from("!H", value, 2)[0]
    return str(ipaddress.ip_address(value[4:])), port


def open_wire(case):
    """A client that takes answers from anywhere."""
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    case.addCleanup(wire.close)
    wire.bind(("127.0.0.1", 0))
    wire.settimeout(ANSWER_SECONDS)
    return wire


class Discovery(Conversation):
    """Both addresses of the server, each with two ports."""

    IPS = ("127.0.0.1", "127.0.0.2")
    ALTERNATE = free_port()
    OPTIONS = ("--rfc5780", "--alt-listening-port", str(ALTERNATE))

    def corners(self):
        return [(ip, port) for ip in self.IPS for port in (self.server.port, self.ALTERNATE)]

    def ask(self, wire, to, body=b""):
        request = stun(BINDING, body)
        wire.sendto(request, to)
        data, source = wire.recvfrom(4000)
        answer = Message.decode(data)
        self.assertEqual(answer.transaction, request[8:20])
        return answer, source

    def test_5780_6_1_every_answer_names_origin_other_and_mapped_addresses(self):
        wire = open_wire(self)
        for ip, port in self.corners():
            with self.subTest(ip=ip, port=port):
                answer, source = self.ask(wire, (ip, port))
                self.assertEqual(source, (ip, port))
                self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), wire.getsockname())
                self.assertEqual(plain_address(answer.get(MAPPED_ADDRESS)), wire.getsockname())
                self.assertEqual(plain_address(answer.get(RESPONSE_ORIGIN)), (ip, port))
                other_ip = next(other for other in self.IPS if other != ip)
                other_port = self.ALTERNATE if port == self.server.port else self.server.port
                self.assertEqual(plain_address(answer.get(OTHER_ADDRESS)), (other_ip, other_port))

    def test_5780_6_1_answers_leave_from_the_changed_address_and_port(self):
        wire = open_wire(self)
        for i, (ip, port) in enumerate(self.corners()):
            for flags, there in ((0, i), (CHANGE_PORT, i ^ 1), (CHANGE_IP, i ^ 2),
                                 (CHANGE_IP | CHANGE_PORT, i ^ 3)):
                with self.subTest(ip=ip, port=port, flags=flags):
                    answer, source = self.ask(wire, (ip, port), change(flags))
                    self.assertEqual(source, self.corners()[there])
                    self.assertEqual(plain_address(answer.get(RESPONSE_ORIGIN)), source)
                    self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), wire.getsockname())

    def test_5780_6_1_response_port_is_a_port_of_the_address_that_asked(self):
        wire, elsewhere = open_wire(self), open_wire(self)
        port = struct.pack("!H", elsewhere.getsockname()[1])
        for value in (port, port + b"\0\0"):
            wire.sendto(stun(BINDING, attribute(RESPONSE_PORT, value)),
                        (self.IPS[0], self.server.port))
            answer = Message.decode(elsewhere.recvfrom(2000)[0])
            self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), wire.getsockname())
        wire.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            wire.recv(2000)

    def test_5780_6_1_padding_is_given_back_and_no_more_than_that(self):
        wire = open_wire(self)
        for asked, given in ((0, 0), (4, 4), (1000, 1000), (1500, 1500), (3000, 1500)):
            with self.subTest(asked):
                answer, _ = self.ask(wire, (self.IPS[0], self.server.port),
                                     attribute(PADDING, bytes(asked)))
                self.assertEqual(answer.get(PADDING), bytes(given))

    def test_5780_6_1_response_port_with_padding_is_400(self):
        wire = open_wire(self)
        answer, _ = self.ask(wire, (self.IPS[0], self.server.port),
                             attribute(RESPONSE_PORT, b"\x13\x88\0\0")
                             + attribute(PADDING, bytes(4)))
        self.assert_error(answer, 400)

    def test_5780_9_no_answer_is_three_times_as_long_as_its_question(self):
        wire = open_wire(self)
        for body in (b"", change(CHANGE_IP), change(CHANGE_IP | CHANGE_PORT),
                     attribute(PADDING, bytes(4)), attribute(PADDING, bytes(1500)),
                     attribute(CHANGE_REQUEST, bytes(3)), attribute(0x7F01, b"")):
            request = stun(BINDING, body)
            wire.sendto(request, (self.IPS[0], self.server.port))
            answer = wire.recvfrom(4000)[0]
            self.assertLessEqual(len(answer) + IP_AND_UDP, 3 * (len(request) + IP_AND_UDP))

    def test_5780_6_1_over_tcp_there_is_nothing_to_change(self):
        wire = self.wire("tcp")
        self.assert_error(wire.ask(stun(BINDING, change(CHANGE_PORT))), 420)
        self.assertEqual(wire.ask(stun(BINDING)).cls, SUCCESS)


class Limited(Conversation):
    """The same with a rate that a test can reach."""

    IPS = ("127.0.0.1", "127.0.0.2")
    OPTIONS = ("--rfc5780", "--alt-listening-port", str(free_port()),
               "--unauthorized-ratelimit-rps", "5")

    def test_5780_9_answers_are_rate_limited(self):
        wire = open_wire(self)
        wire.settimeout(0.3)
        for _ in range(100):
            wire.sendto(stun(BINDING, change(CHANGE_IP)), (self.IPS[0], self.server.port))
        answers = 0
        try:
            while True:
                wire.recv(2000)
                answers += 1
        except TimeoutError:
            pass
        self.assertIn(answers, range(1, 16))


class OneAddress(Conversation):
    OPTIONS = ("--rfc5780", "--alt-listening-port", str(free_port()))

    def test_5780_6_with_one_address_nothing_can_be_changed(self):
        wire = self.wire()
        self.assertIsNone(wire.ask(stun(BINDING)).get(OTHER_ADDRESS))
        for flags in (0, CHANGE_PORT, CHANGE_IP):
            answer = wire.ask(stun(BINDING, change(flags)))
            self.assert_error(answer, 420)
            self.assertEqual(answer.get(UNKNOWN_ATTRIBUTES), struct.pack("!H", CHANGE_REQUEST))


class Default(Conversation):
    IPS = ("127.0.0.1", "127.0.0.2")

    def test_5780_9_without_the_option_nothing_of_it_is_offered(self):
        wire = self.wire()
        answer = wire.ask(stun(BINDING))
        self.assertIsNone(answer.get(OTHER_ADDRESS))
        self.assertIsNone(answer.get(RESPONSE_ORIGIN))
        for body in (change(0), attribute(PADDING, bytes(64)),
                     attribute(RESPONSE_PORT, b"\x13\x88\0\0")):
            self.assertEqual(error_of(wire.ask(stun(BINDING, body))), 420)
