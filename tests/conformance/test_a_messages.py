"""Part A of the checklist: the message layer (RFC 8489), over UDP and TCP."""

import os
import socket
import struct
import zlib

from conversation import REALM_NAME, USER, Conversation, Wire, attribute, error_of, stun
from server import Server
from turnclient import (ALLOCATE, BINDING, CHANNEL_BIND, CREATE_PERMISSION, DATA, ERROR,
                        ERROR_CODE, FINGERPRINT, INDICATION, LIFETIME, MESSAGE_INTEGRITY, NONCE,
                        REALM, REFRESH, REQUEST, REQUESTED_TRANSPORT, SEND, SOFTWARE, SUCCESS,
                        USERNAME, XOR_MAPPED_ADDRESS, XOR_RELAYED_ADDRESS, Message, TurnClient)

UNKNOWN_ATTRIBUTES, MAPPED_ADDRESS, OPTIONAL = 0x000A, 0x0001, 0x8FF0
REQUIRED = (0x7F01, 0x7F02, 0x7F03)
UDP_TRANSPORT = attribute(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
FINGERPRINT_XOR = 0x5354554E


def with_fingerprint(message, crc_change=0):
    head = message[:2] + struct.pack("!H", len(message) - 20 + 8) + message[4:]
    crc = (zlib.crc32(head) ^ FINGERPRINT_XOR ^ crc_change) & 0xFFFFFFFF
    return head + struct.pack("!HHI", FINGERPRINT, 4, crc)


def list_of(message):
    value = message.get(UNKNOWN_ATTRIBUTES)
    return list(struct.unpack(f"!{len(value) // 2}H", value))


class Binding(Conversation):
    def test_8489_12_binding_names_where_it_came_from(self):
        wire = self.wire()
        answer = wire.ask(stun(BINDING))
        self.assertEqual((answer.cls, answer.method), (SUCCESS, BINDING))
        self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), wire.local)

    def test_8489_6_3_1_1_the_answer_repeats_cookie_transaction_and_method(self):
        wire, transaction = self.wire(), os.urandom(12)
        request = stun(BINDING, transaction=transaction)
        wire.write(request)
        self.assertEqual(wire.read()[:2] + wire_cookie(request), b"\x01\x01" + request[4:8])
        refused = wire.ask(stun(ALLOCATE, transaction=transaction))
        self.assertEqual((refused.transaction, refused.method, refused.cls),
                         (transaction, ALLOCATE, ERROR))

    def test_8489_12_binding_over_tcp_names_the_source_of_the_connection(self):
        wire = self.wire("tcp")
        answer = wire.ask(stun(BINDING))
        self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), wire.local)

    def test_8489_12_binding_needs_no_credentials(self):
        self.assertEqual(self.wire().ask(stun(BINDING)).cls, SUCCESS)

    def test_8489_12_binding_does_not_need_a_fingerprint(self):
        answer = self.wire().ask(stun(BINDING))
        self.assertEqual(answer.cls, SUCCESS)
        self.assertIsNone(answer.get(FINGERPRINT))

    def test_8489_6_3_1_a_binding_request_sent_again_gets_the_same_answer(self):
        wire, request = self.wire(), stun(BINDING)
        wire.write(request)
        first = wire.read()
        wire.write(request)
        self.assertEqual(wire.read(), first)


def wire_cookie(message):
    return message[4:8]


class Attributes(Conversation):
    def test_8489_6_3_unknown_optional_attributes_are_ignored(self):
        body = attribute(OPTIONAL, b"whatever") + attribute(0xFFFF, b"")
        self.assertEqual(self.wire().ask(stun(BINDING, body)).cls, SUCCESS)

    def test_8489_6_3_1_unknown_required_attributes_are_all_listed(self):
        body = b"".join(attribute(kind, b"x") for kind in REQUIRED)
        answer = self.wire().ask(stun(BINDING, body))
        self.assert_error(answer, 420)
        self.assertEqual(list_of(answer), list(REQUIRED))

    def test_8489_14_13_an_odd_list_is_padded_and_names_nothing_twice(self):
        wire = self.wire()
        request = stun(BINDING, b"".join(attribute(kind, b"") for kind in REQUIRED * 2))
        wire.write(request)
        raw = wire.read()
        answer = Message.decode(raw)
        self.assertEqual(list_of(answer), list(REQUIRED))
        at = raw.index(struct.pack("!HH", UNKNOWN_ATTRIBUTES, 6))
        self.assertEqual(raw[at + 10:at + 12], b"\0\0", "padding is not zero")

    def test_8489_6_3_credentials_are_judged_before_unknown_attributes(self):
        body = UDP_TRANSPORT + attribute(REQUIRED[0], b"")
        self.assert_error(self.wire().ask(stun(ALLOCATE, body)), 401)
        client = self.client()
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
        with self.assertRaisesRegex(Exception, "^420 "):
            client.authenticated(message.add(REQUIRED[0], b""))

    def test_8489_6_3_known_attributes_out_of_place_are_ignored(self):
        body = attribute(LIFETIME, bytes(4)) + attribute(USERNAME, b"somebody")
        body += attribute(ERROR_CODE, b"\0\0\4\0") + attribute(XOR_RELAYED_ADDRESS, bytes(8))
        self.assertEqual(self.wire().ask(stun(BINDING, body)).cls, SUCCESS)

    def test_8489_14_the_first_of_two_counts(self):
        client = self.client()
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
        message.add(REQUESTED_TRANSPORT, bytes([99, 0, 0, 0]))
        message.add(LIFETIME, struct.pack("!I", 1200)).add(LIFETIME, struct.pack("!I", 1800))
        answer = client.authenticated(message)
        self.assertEqual(struct.unpack("!I", answer.get(LIFETIME))[0], 1200)

    def test_8489_14_padding_is_not_looked_at_and_sent_as_zero(self):
        wire = self.wire()
        odd = struct.pack("!HH", SOFTWARE, 5) + b"abcde" + b"\xff\xfe\xfd"
        self.assertEqual(wire.ask(stun(BINDING, odd)).cls, SUCCESS)
        wire.write(stun(ALLOCATE, UDP_TRANSPORT))
        raw = wire.read()
        offset = 20
        while offset < len(raw):
            _, size = struct.unpack_from("!HH", raw, offset)
            padding = raw[offset + 4 + size:offset + 4 + size + -size % 4]
            self.assertEqual(padding, bytes(-size % 4))
            offset += 4 + size + -size % 4

    def test_8489_14_an_attribute_that_runs_past_the_message_is_dropped(self):
        wire = self.wire()
        self.assert_dropped(wire, stun(BINDING, struct.pack("!HH", SOFTWARE, 8) + b"four"))
        self.assert_dropped(wire, stun(BINDING, struct.pack("!HH", SOFTWARE, 0xFFFF)))
        self.assert_dropped(wire, stun(BINDING, attribute(SOFTWARE, b"fine") + b"\x80\x22\0\4"))

    def test_8489_14_14_software_of_763_bytes_in_a_request_is_read(self):
        body = attribute(SOFTWARE, b"s" * 763)
        self.assertEqual(self.wire().ask(stun(BINDING, body)).cls, SUCCESS)
        self.assert_error(self.wire().ask(stun(ALLOCATE, UDP_TRANSPORT + body)), 401)


class Dropped(Conversation):
    def test_8489_6_3_upper_bits_make_it_no_stun_message(self):
        wire = self.wire()
        for first in (0x40, 0x80, 0xC0):
            message = stun(BINDING)
            self.assert_dropped(wire, bytes([message[0] | first]) + message[1:])

    def test_8489_6_3_wrong_lengths_and_runts_are_dropped(self):
        wire = self.wire()
        for length in (1, 2, 3, 4, 8, 0xFFFC):
            self.assert_dropped(wire, stun(BINDING, length=length))
        self.assert_dropped(wire, stun(BINDING, b"abc"))
        for size in (1, 2, 19):
            self.assert_dropped(wire, stun(BINDING)[:size])
        self.assert_dropped(wire, b"")

    def test_8489_6_3_unknown_methods_are_dropped(self):
        wire = self.wire()
        for method in (0x000, 0x002, 0x00F, 0x0FF):
            kind = (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2
            self.assert_dropped(wire, stun(kind, UDP_TRANSPORT))

    def test_8489_6_3_classes_that_a_method_does_not_have_are_dropped(self):
        wire = self.wire()
        for kind in (SEND | REQUEST, DATA | REQUEST, ALLOCATE | INDICATION, REFRESH | INDICATION,
                     CREATE_PERMISSION | INDICATION, CHANNEL_BIND | INDICATION):
            self.assert_dropped(wire, stun(kind, UDP_TRANSPORT))

    def test_8489_6_3_2_indications_are_never_answered(self):
        wire = self.wire()
        self.assert_dropped(wire, stun(BINDING | INDICATION))
        self.assert_dropped(wire, stun(BINDING | INDICATION, attribute(REQUIRED[0], b"")))
        self.assert_dropped(wire, stun(SEND | INDICATION, attribute(REQUIRED[0], b"")))

    def test_8489_6_3_responses_are_dropped(self):
        wire = self.wire()
        for method in (BINDING, ALLOCATE, REFRESH):
            self.assert_dropped(wire, stun(method | SUCCESS))
            self.assert_dropped(wire, stun(method | ERROR, attribute(ERROR_CODE, b"\0\0\4\1")))

    def test_7983_7_the_first_byte_tells_protocols_apart(self):
        wire = self.wire()
        for first in (4, 15, 16, 19, 20, 63, 64, 79, 80, 127, 128, 191, 192, 255):
            self.assert_dropped(wire, bytes([first, 0, 0, 4]) + b"data" * 8)


class Errors(Conversation):
    def test_8489_14_8_every_error_has_a_code_and_a_short_reason(self):
        wire = self.wire()
        nonce = wire.ask(stun(ALLOCATE)).get(NONCE)
        half = attribute(USERNAME, USER.encode()) + attribute(MESSAGE_INTEGRITY, bytes(20))
        stale = attribute(REALM, REALM_NAME.encode()) + attribute(NONCE, b"stale" + nonce)
        seen = set()
        for body in (b"", half, attribute(USERNAME, USER.encode()) + stale
                     + attribute(MESSAGE_INTEGRITY, bytes(20))):
            value = wire.ask(stun(ALLOCATE, UDP_TRANSPORT + body)).get(ERROR_CODE)
            self.assertEqual(value[:2] + bytes([value[2] & 0xF8]), bytes(3))
            self.assertIn(value[2], range(3, 7))
            self.assertLess(value[3], 100)
            self.assertLess(len(value[4:].decode()), 128)
            seen.add(value[2] * 100 + value[3])
        self.assertLessEqual({400, 401}, seen)
        self.assert_error(wire.ask(stun(BINDING, attribute(REQUIRED[0], b""))), 420)


class Fingerprint(Conversation):
    def test_8489_7_a_right_fingerprint_passes_and_a_wrong_one_is_dropped(self):
        wire = self.wire()
        self.assertEqual(wire.ask(with_fingerprint(stun(BINDING))).cls, SUCCESS)
        self.assert_dropped(wire, with_fingerprint(stun(BINDING), crc_change=1))

    def test_8489_14_7_fingerprint_must_be_the_last(self):
        late = with_fingerprint(stun(BINDING))
        late = late[:2] + struct.pack("!H", len(late) - 20 + 8) + late[4:]
        self.assert_dropped(self.wire(), late + attribute(SOFTWARE, b"late"))

    def test_8489_7_a_fingerprint_is_answered_with_one(self):
        wire = self.wire()
        wire.write(with_fingerprint(stun(BINDING)))
        raw = wire.read()
        self.assertIsNotNone(Message.decode(raw).get(FINGERPRINT))
        wire.write(with_fingerprint(stun(ALLOCATE, UDP_TRANSPORT)))
        self.assertIsNotNone(Message.decode(wire.read()).get(FINGERPRINT))

    def test_8489_14_7_the_crc_covers_a_length_that_counts_it(self):
        wire = self.wire()
        wire.write(with_fingerprint(stun(BINDING)))
        raw = wire.read()
        kind, size, crc = struct.unpack("!HHI", raw[-8:])
        self.assertEqual((kind, size), (FINGERPRINT, 4))
        self.assertEqual(crc, zlib.crc32(raw[:-8]) ^ FINGERPRINT_XOR)
        self.assertEqual(struct.unpack("!H", raw[2:4])[0], len(raw) - 20)


class Stream(Conversation):
    def test_8489_6_2_2_messages_may_be_split_at_any_byte(self):
        wire = self.wire("tcp")
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = stun(BINDING, attribute(SOFTWARE, b"a few bytes more"))
        for cut in range(1, len(message)):
            wire.write(message[:cut])
            wire.write(message[cut:])
            self.assertEqual(wire.read()[8:20], message[8:20])

    def test_8489_6_2_2_several_messages_share_a_segment(self):
        wire = self.wire("tcp")
        requests = [stun(BINDING) for _ in range(20)]
        wire.write(b"".join(requests))
        self.assertEqual([wire.read()[8:20] for _ in requests], [r[8:20] for r in requests])

    def test_8489_6_2_2_the_connection_stays_open_after_answers(self):
        wire = self.wire("tcp")
        self.assertEqual(wire.ask(stun(BINDING)).cls, SUCCESS)
        self.assert_error(wire.ask(stun(ALLOCATE, UDP_TRANSPORT)), 401)
        self.assertEqual(wire.ask(stun(BINDING)).cls, SUCCESS)

    def test_8489_6_2_2_the_server_opens_no_connection_to_a_client(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            wire = self.wire(source=listener.getsockname())
            self.assertEqual(wire.ask(stun(BINDING)).cls, SUCCESS)
            self.assert_error(wire.ask(stun(ALLOCATE, UDP_TRANSPORT)), 401)
            listener.setblocking(False)
            with self.assertRaises(BlockingIOError):
                listener.accept()


class SeveralAddresses(Conversation):
    IPS = ("127.0.0.1", "127.0.0.2", "::1")

    def test_8489_6_3_1_2_answers_leave_from_the_address_that_was_asked(self):
        for ip in self.IPS:
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as plain:
                plain.settimeout(3)
                plain.sendto(stun(BINDING), (ip, self.server.port))
                self.assertEqual(plain.recvfrom(2048)[1][:2], (ip, self.server.port))

    def test_8489_14_2_ipv6_addresses_are_xored_with_cookie_and_transaction(self):
        wire = self.wire(ip="::1")
        answer = wire.ask(stun(BINDING))
        value = answer.get(XOR_MAPPED_ADDRESS)
        self.assertEqual((value[1], len(value)), (2, 20))
        self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), wire.local)
