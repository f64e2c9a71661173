"""Part B of the checklist: clients of RFC 3489, and what else is by option in the message layer."""

import os
import socket
import struct

from conversation import Conversation, attribute, stun
from credentials import (ALTERNATE_DOMAIN, ALTERNATE_SERVER, MESSAGE_INTEGRITY_SHA256,
                         UDP_TRANSPORT, is_signed, key_of, modern, request, SHA256)
from test_dtls import DtlsPipe
from turnclient import (ALLOCATE, BINDING, ERROR, ERROR_CODE, INDICATION, NONCE, REFRESH, SOFTWARE,
                        SUCCESS, Message)

MAPPED_ADDRESS, RESPONSE_ADDRESS, UNKNOWN_ATTRIBUTES = 0x0001, 0x0002, 0x000A


def classic(kind, body=b""):
    return struct.pack("!HH", kind, len(body)) + b"\x99" + os.urandom(15) + body


def attributes_of(raw):
    found, offset = {}, 20
    while offset < len(raw):
        kind, size = struct.unpack_from("!HH", raw, offset)
        found[kind] = raw[offset + 4:offset + 4 + size]
        offset += 4 + size + -size % 4
    return found


class Classic(Conversation):
    OPTIONS = ("--stun-backward-compatibility",)

    def ask(self, wire, message):
        wire.write(message)
        raw = wire.read()
        self.assertEqual(raw[4:20], message[4:20], "the 128 bits of the transaction")
        return struct.unpack("!H", raw[:2])[0], attributes_of(raw)

    def test_8489_11_a_request_without_cookie_gets_mapped_address(self):
        wire = self.wire()
        kind, found = self.ask(wire, classic(BINDING))
        self.assertEqual((kind, list(found)), (BINDING | SUCCESS, [MAPPED_ADDRESS]))
        family, port = struct.unpack_from("!BH", found[MAPPED_ADDRESS], 1)
        host = socket.inet_ntoa(found[MAPPED_ADDRESS][4:])
        self.assertEqual((family, (host, port)), (1, wire.local))

    def test_5389_12_2_response_address_is_never_followed(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
            victim.bind(("127.0.0.1", 0))
            value = struct.pack("!BBH", 0, 1, victim.getsockname()[1]) + bytes([127, 0, 0, 1])
            wire = self.wire()
            for message in (classic(BINDING, attribute(RESPONSE_ADDRESS, value)),
                            stun(BINDING, attribute(RESPONSE_ADDRESS, value))):
                _, found = self.ask(wire, message)
                self.assertEqual(found[ERROR_CODE][2:4], bytes([4, 20]))
                self.assertEqual(found[UNKNOWN_ATTRIBUTES], struct.pack("!H", RESPONSE_ADDRESS))
            victim.setblocking(False)
            with self.assertRaises(BlockingIOError):
                victim.recv(2048)

    def test_8656_5_turn_knows_no_classic_requests(self):
        wire = self.wire()
        for kind in (ALLOCATE, REFRESH, 0x0008, BINDING | INDICATION, BINDING | SUCCESS):
            self.assert_dropped(wire, classic(kind, UDP_TRANSPORT))


class ClassicByDefault(Conversation):
    def test_8489_11_a_request_without_cookie_is_dropped_by_default(self):
        self.assert_dropped(self.wire(), classic(BINDING))


class ClassicOverDtls(Conversation):
    OPTIONS = ("--stun-backward-compatibility", "--dtls")
    TLS = True

    def test_8489_11_over_dtls_a_request_without_cookie_is_500(self):
        with DtlsPipe(self.server.tls_address) as pipe:
            question = classic(BINDING)
            pipe.send(question)
            raw = pipe.recv()
            self.assertEqual(raw[4:20], question[4:20], "the 128 bits of the transaction")
            self.assertEqual(struct.unpack("!H", raw[:2])[0], BINDING | ERROR)
            self.assertEqual(attributes_of(raw)[ERROR_CODE][2:4], bytes([5, 0]))
            pipe.send(classic(BINDING | INDICATION))
            # What is written in haste would share a record with it.
            self.assertIsNone(pipe.recv(0.3), "nothing answers an indication")
            fence = stun(BINDING)
            pipe.send(fence)
            raw = pipe.recv()
            self.assertEqual(raw[4:20], fence[4:20], "the session goes on")


class Software(Conversation):
    def test_8489_14_14_software_names_the_server_and_no_version(self):
        for message in (stun(BINDING), stun(ALLOCATE, UDP_TRANSPORT + attribute(SOFTWARE, b"c"))):
            self.assertEqual(self.wire().ask(message).get(SOFTWARE), b"Turnpike")


class NoSoftware(Conversation):
    OPTIONS = ("--no-software-attribute",)

    def test_8489_16_1_2_software_can_be_hidden(self):
        for message in (stun(BINDING), stun(ALLOCATE, UDP_TRANSPORT + attribute(SOFTWARE, b"c"))):
            self.assertIsNone(self.wire().ask(message).get(SOFTWARE))


class Alternate(Conversation):
    IPS = ("127.0.0.1", "::1")
    TLS = True
    OPTIONS = ("--alternate-server", "192.0.2.7:3479/turn2.example.org",
               "--alternate-server", "[2001:db8::7]:3480")

    def redirect(self, transport, ip):
        wire = self.wire(transport, ip)
        nonce = wire.ask(stun(ALLOCATE, UDP_TRANSPORT)).get(NONCE)
        wire.write(modern(nonce))
        raw = wire.read()
        message = Message.decode(raw)
        self.assert_error(message, 300)
        self.assertTrue(is_signed(raw, key_of(algorithm=SHA256), MESSAGE_INTEGRITY_SHA256))
        return message, [value for kind, value in message.attributes if kind == ALTERNATE_SERVER]

    def test_8489_14_8_300_needs_credentials_and_is_signed(self):
        wire = self.wire()
        self.assert_error(wire.ask(stun(ALLOCATE, UDP_TRANSPORT)), 401)
        nonce = wire.ask(stun(ALLOCATE, UDP_TRANSPORT)).get(NONCE)
        wrong = request(nonce, key=key_of(password="wrong"))
        self.assert_error(wire.ask(wrong), 401)
        self.redirect("udp", "127.0.0.1")
        self.assertEqual(self.wire().ask(stun(BINDING)).cls, SUCCESS)

    def test_8489_10_the_alternate_of_the_clients_family_comes_first(self):
        _, over4 = self.redirect("udp", "127.0.0.1")
        _, over6 = self.redirect("udp", "::1")
        v4 = struct.pack("!BBH", 0, 1, 3479) + bytes([192, 0, 2, 7])
        v6 = struct.pack("!BBH", 0, 2, 3480) + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
        self.assertEqual((over4, over6), ([v4, v6], [v6, v4]))

    def test_8489_10_over_tls_the_alternate_is_named(self):
        self.assertIsNone(self.redirect("tcp", "127.0.0.1")[0].get(ALTERNATE_DOMAIN))
        message, _ = self.redirect("tls", "127.0.0.1")
        self.assertEqual(message.get(ALTERNATE_DOMAIN), b"turn2.example.org")
