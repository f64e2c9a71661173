"""Part M of the checklist: TLS and DTLS listeners."""

import os
import select
import socket
import ssl
import struct
import subprocess
import time
import warnings

from conversation import ANSWER_SECONDS, Conversation, stun
from turnclient import BINDING, SUCCESS, XOR_MAPPED_ADDRESS, Message

HANDSHAKE, CLIENT_HELLO, SERVER_HELLO, HELLO_VERIFY = 22, 1, 2, 3
SUITES = (0xC02B, 0xC02F, 0xC02C, 0xC030)
# Old or weak, as OpenSSL calls them; those that this machine's OpenSSL has are tried.
WEAK = ("NULL-SHA256", "ADH-AES128-SHA", "RC4-SHA", "DES-CBC3-SHA", "AES128-SHA",
        "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-NULL-SHA", "ECDHE-ECDSA-AES128-SHA256", "AECDH-AES128-SHA",
        "PSK-AES128-CBC-SHA")


def context_of(version=None, ciphers=None, alpn=None):
    context = ssl._create_unverified_context()
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    if version is not None:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Tls(Conversation):
    TLS = True

    def secure(self, context, address=None):
        plain = socket.create_connection(address or self.server.tls_address, ANSWER_SECONDS)
        self.addCleanup(plain.close)
        secured = context.wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secured.close)
        return secured

    def assert_refused(self, context, what):
        with self.subTest(what):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.secure(context)

    def test_9325_3_1_1_tls_1_2_and_1_3_are_spoken(self):
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                              (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            with self.subTest(name):
                wire = self.secure(context_of(version))
                self.assertEqual(wire.version(), name)
                wire.sendall(stun(BINDING))
                self.assertEqual(Message.decode(wire.recv(2000)).cls, SUCCESS)

    def test_8996_2_tls_1_0_and_1_1_are_refused(self):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            self.assert_refused(context_of(version), version.name)

    def test_9325_4_1_weak_ciphers_are_refused(self):
        tried = 0
        for cipher in WEAK:
            try:
                context = context_of(ssl.TLSVersion.TLSv1_2, f"{cipher}:@SECLEVEL=0")
            except ssl.SSLError:
                continue  # this machine does not have it
            tried += 1
            self.assert_refused(context, cipher)
        self.assertGreater(tried, 3)

    def test_9325_3_3_there_is_no_compression(self):
        self.assertIsNone(self.secure(context_of(ssl.TLSVersion.TLSv1_2)).compression())

    def test_9325_3_5_renegotiation_is_refused(self):
        host, port = self.server.tls_address
        client = subprocess.Popen(
            ["openssl", "s_client", "-tls1_2", "-connect", f"{host}:{port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.stdin.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)

        def read_until(*words):
            said, end = b"", time.monotonic() + 10
            while not any(word in said for word in words):
                left = end - time.monotonic()
                self.assertGreater(left, 0, said)
                if select.select([client.stdout], [], [], left)[0]:
                    more = os.read(client.stdout.fileno(), 65536)
                    if not more:
                        break
                    said += more
            return said
        self.assertIn(b"Extended master secret", read_until(b"Extended master secret"))
        client.stdin.write(b"R\n")
        said = read_until(b"no renegotiation", b"verify return", b"error:")
        self.assertIn(b"no renegotiation", said)

    def test_7443_3_alpn_names_of_ours_are_chosen(self):
        for name in ("stun.turn", "stun.nat-discovery"):
            with self.subTest(name):
                wire = self.secure(context_of(alpn=["h2", name]))
                self.assertEqual(wire.selected_alpn_protocol(), name)
                wire.sendall(stun(BINDING))
                self.assertEqual(Message.decode(wire.recv(2000)).cls, SUCCESS)

    def test_7443_3_unknown_alpn_names_are_never_claimed(self):
        wire = self.secure(context_of(alpn=["h2", "stun", "stun.turn2"]))
        self.assertIsNone(wire.selected_alpn_protocol())
        wire.sendall(stun(BINDING))
        self.assertEqual(Message.decode(wire.recv(2000)).cls, SUCCESS)

    def test_7443_3_who_said_stun_turn_gets_no_web_page(self):
        wire = self.secure(context_of(alpn=["stun.turn"]))
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            self.assertEqual(wire.recv(2000), b"")
        except ConnectionError:
            pass

    def test_8446_5_1_a_message_may_straddle_records(self):
        wire = self.secure(context_of())
        first, second = stun(BINDING), stun(BINDING)
        for byte in first + second:
            wire.sendall(bytes([byte]))
        self.assertEqual(self.transactions(wire, 2), [first[8:20], second[8:20]])

    def test_8446_5_1_a_record_may_hold_two_messages(self):
        wire = self.secure(context_of())
        first, second = stun(BINDING), stun(BINDING)
        wire.sendall(first + second)
        self.assertEqual(self.transactions(wire, 2), [first[8:20], second[8:20]])

    def transactions(self, wire, count):
        """The transactions of the next answers."""
        got, found = b"", []
        while len(found) < count:
            more = wire.recv(2000)
            self.assertTrue(more, "the connection has ended")
            got += more
            while len(got) >= 20 and len(got) >= (size := 20 + struct.unpack_from("!H", got, 2)[0]):
                found.append(got[8:20])
                got = got[size:]
        return found


def client_hello(cookie=b"", random=None, sequence=0):
    """A DTLS 1.2 ClientHello in a record of its own."""
    suites = b"".join(struct.pack("!H", suite) for suite in SUITES)
    groups = struct.pack("!HHHHH", 10, 6, 4, 29, 23)
    algorithms = struct.pack("!HHHHH", 13, 6, 4, 0x0403, 0x0804)
    extensions = groups + algorithms
    body = (b"\xfe\xfd" + (random or os.urandom(32)) + b"\0" + bytes([len(cookie)]) + cookie
            + struct.pack("!H", len(suites)) + suites + b"\x01\x00"
            + struct.pack("!H", len(extensions)) + extensions)
    length = struct.pack("!I", len(body))[1:]
    message = (bytes([CLIENT_HELLO]) + length + struct.pack("!H", sequence) + bytes(3) + length
               + body)
    return struct.pack("!BHHIHH", HANDSHAKE, 0xFEFD, 0, 0, sequence, len(message)) + message


def handshake_of(datagram):
    """The type of the handshake message with which a datagram begins."""
    return datagram[13] if datagram and datagram[0] == HANDSHAKE else None


def cookie_of(datagram):
    return datagram[28:28 + datagram[27]]


class Dtls(Conversation):
    TLS = True
    OPTIONS = ("--dtls",)

    def dtls_wire(self, address=None):
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(wire.close)
        wire.settimeout(ANSWER_SECONDS)
        wire.connect(address or self.server.tls_address)
        return wire

    def test_6347_4_2_1_the_first_answer_is_a_cookie_and_no_longer_than_the_question(self):
        for address in (self.server.tls_address, self.server.address):
            with self.subTest(address):
                wire, hello = self.dtls_wire(address), client_hello()
                wire.send(hello)
                answer = wire.recv(2000)
                self.assertEqual(handshake_of(answer), HELLO_VERIFY)
                self.assertGreaterEqual(len(cookie_of(answer)), 16)
                self.assertLessEqual(len(answer), len(hello))
                wire.settimeout(0.3)
                with self.assertRaises(TimeoutError):
                    wire.recv(2000)

    def test_6347_4_2_1_a_returned_cookie_begins_the_handshake(self):
        wire, random = self.dtls_wire(), os.urandom(32)
        wire.send(client_hello(random=random))
        wire.send(client_hello(cookie_of(wire.recv(2000)), random, 1))
        self.assertEqual(handshake_of(wire.recv(2000)), SERVER_HELLO)

    def test_6347_4_2_1_a_cookie_of_another_address_begins_nothing(self):
        one, other, random = self.dtls_wire(), self.dtls_wire(), os.urandom(32)
        one.send(client_hello(random=random))
        cookie = cookie_of(one.recv(2000))
        other.send(client_hello(cookie, random, 1))
        answer = other.recv(2000)
        self.assertEqual(handshake_of(answer), HELLO_VERIFY)
        self.assertNotEqual(cookie_of(answer), cookie)

    def test_6347_4_2_1_a_made_up_cookie_begins_nothing(self):
        wire = self.dtls_wire()
        wire.send(client_hello(bytes(16), sequence=1))
        self.assertEqual(handshake_of(wire.recv(2000)), HELLO_VERIFY)

    def test_7350_4_dtls_1_2_carries_stun(self):
        host, port = self.server.tls_address
        request = stun(BINDING)
        client = subprocess.Popen(
            ["openssl", "s_client", "-dtls1_2", "-quiet", "-connect", f"{host}:{port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        try:
            client.stdin.write(request)
            self.assertTrue(select.select([client.stdout], [], [], 10)[0])
            answer = Message.decode(os.read(client.stdout.fileno(), 2000))
        finally:
            client.kill()
            client.wait()
            client.stdin.close()
            client.stdout.close()
        self.assertEqual((answer.cls, answer.transaction), (SUCCESS, request[8:20]))
        self.assertEqual(answer.address(XOR_MAPPED_ADDRESS)[0], "127.0.0.1")

    def test_7350_4_dtls_1_0_is_refused(self):
        host, port = self.server.tls_address
        run = subprocess.run(
            ["openssl", "s_client", "-dtls1", "-cipher", "ALL:@SECLEVEL=0", "-connect",
             f"{host}:{port}"], input="", capture_output=True, text=True, timeout=20, check=False)
        self.assertRegex(run.stdout + run.stderr, r"alert protocol version|Cipher is \(NONE\)")
