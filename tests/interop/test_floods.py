"""Floods on loopback, counted and bounded, while somebody else's call goes on: a server keeps
nothing for strangers, answers each source a bounded number of times, and ends what never gets
anywhere. Nothing here is about speed; bench/macro/flood measures that."""

import base64
import contextlib
import os
import socket
import ssl
import time
import unittest

from flooding import (HEADERS, SECONDS, Call, Crowd, Ends, Holdings, addresses, all_files,
                      comes_to_be)
from server import Server, free_port
from test_dtls import DtlsPipe
from test_m_tls import HELLO_VERIFY, SERVER_HELLO, client_hello, cookie_of, handshake_of
from turnclient import (ALLOCATE, BINDING, ERROR_CODE, INDICATION, NONCE, REALM, REQUEST,
                        REQUESTED_TRANSPORT, SUCCESS, USERNAME, Message, TurnClient)
from websocket import PING, PONG, WebSocket

USER, PASSWORD = "alice", "correct horse"
KNOWN, STRANGERS = 4000, 40000
NO_GROWTH = 512 * 1024  # of memory: thirteen bytes a stranger are pages here and there


def code_of(answer):
    value = Message.decode(answer).get(ERROR_CODE)
    return value[2] * 100 + value[3]


def bare_allocate(_):
    return Message(ALLOCATE, REQUEST).encode()


def binding(_):
    return Message(BINDING, REQUEST).encode()


def forged(_):
    """A whole Allocate, signed with some key, with a nonce that nobody gave."""
    message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
    message.add(USERNAME, USER.encode()).add(REALM, b"example.org")
    message.add(NONCE, b"obMatJos2AAAA" + os.urandom(12).hex().encode())
    return message.encode(os.urandom(16))


class Flooded(unittest.TestCase):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        if cls is Flooded:
            raise unittest.SkipTest("what the others share")
        port = free_port()
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--realm", "example.org", "--relay-ip", "127.0.0.1",
            "--allowed-peer-ip", "127.0.0.1", "--dtls", "--workers", "1",
            "--prometheus-port", str(port), *cls.OPTIONS, tls=True))
        cls.holdings = Holdings(cls.server, port)

    def call(self, transport="udp"):
        address = self.server.tls_address if transport == "tls" else self.server.address
        return self.enterContext(Call(address, transport, username=USER, password=PASSWORD))

    def crowd(self, address=None):
        return self.enterContext(Crowd(address or self.server.address))


class Strangers(Flooded):
    """From many addresses, each of which sends one packet, as spoofing looks to a server."""

    def flood(self, crowd, packet_of, first, count, judge, between):
        for start in range(0, count, 1024):
            sources = addresses(first, count)[start:start + 1024]
            packets = [(packet_of(source), source) for source in sources]
            for packet, answer, source in crowd.ask(packets):
                self.assertIsNotNone(answer, f"{source} was not answered")
                judge(packet, answer)
            between()

    def leaves_nothing(self, packet_of, judge, address=None, strangers=STRANGERS):
        crowd = self.crowd(address)
        with self.call() as call:
            self.flood(crowd, packet_of, "127.16.0.1", KNOWN, judge, call.say)
            before = self.holdings.memory()
            self.flood(crowd, packet_of, "127.32.0.1", strangers, judge, call.say)
            self.assertLess(self.holdings.memory() - before, NO_GROWTH)
            now = self.holdings.metrics()
            self.assertEqual(now['turnpike_turn_allocations{transport="udp",family="4"}'], 1)
            self.assertEqual(now["turnpike_turn_relay_ports_used"], 1)
            call.end(self)

    def amplifies_threefold_at_most(self, packet, answer):
        self.assertLessEqual(len(answer) + HEADERS, 3 * (len(packet) + HEADERS))

    def test_allocates_from_many_addresses_leave_nothing(self):
        def judge(packet, answer):
            self.assertEqual(code_of(answer), 401)
            self.amplifies_threefold_at_most(packet, answer)
        self.leaves_nothing(bare_allocate, judge)

    def test_bindings_from_many_addresses_leave_nothing(self):
        def judge(packet, answer):
            self.assertEqual(Message.decode(answer).cls, SUCCESS)
            self.amplifies_threefold_at_most(packet, answer)
        self.leaves_nothing(binding, judge)

    def test_forged_credentials_from_many_addresses_leave_nothing(self):
        def judge(packet, answer):
            self.assertEqual(code_of(answer), 401)
            self.amplifies_threefold_at_most(packet, answer)
        self.leaves_nothing(forged, judge, strangers=STRANGERS // 2)

    def test_dtls_hellos_from_many_addresses_leave_nothing(self):
        def judge(packet, answer):
            self.assertEqual(handshake_of(answer), HELLO_VERIFY)
            self.assertLessEqual(len(answer), len(packet))
        begun = 'turnpike_dtls_sessions_total{result="begun"}'
        before = self.holdings.value(begun)
        self.leaves_nothing(lambda _: client_hello(), judge, self.server.tls_address,
                            STRANGERS // 2)
        self.assertEqual(self.holdings.value(begun), before)

    def test_dtls_handshakes_that_nobody_finishes_have_a_maximum(self):
        """These addresses are proved by their cookies, so something is kept, for 1024 at most."""
        crowd = self.crowd(self.server.tls_address)

        def begin(first, count):
            hellos = {source: os.urandom(32) for source in addresses(first, count)}
            asked = [(client_hello(random=random), source) for source, random in hellos.items()]
            seconds = [(client_hello(cookie_of(answer), hellos[source], 1), source)
                       for _, answer, source in crowd.ask(asked)]
            for packet, source in seconds:
                crowd.send(packet, source)
                self.assertTrue(self.is_greeted(crowd, source))

        with self.call() as call:
            for first in ("127.48.0.1", "127.49.0.1"):
                begin(first, 1100)  # now the table is full, and the heap has had its worst
            before = self.holdings.memory()
            begin("127.50.0.1", 1100)
            self.assertLess(self.holdings.memory() - before, 2 << 20)
            call.end(self)
        with DtlsPipe(self.server.tls_address) as pipe:
            pipe.send(binding(None))
            self.assertEqual(Message.decode(pipe.recv(SECONDS)).cls, SUCCESS)

    @staticmethod
    def is_greeted(crowd, source):
        while answers := crowd.heard(SECONDS):
            if any(handshake_of(answer) == SERVER_HELLO and to == source for answer, to in answers):
                return True
        return False

    def test_what_asks_for_nothing_is_never_answered(self):
        packets = [Message(BINDING, INDICATION).encode(), Message(ALLOCATE, SUCCESS).encode(),
                   bare_allocate(None)[:19], bare_allocate(None) + b"\0", bytes(20),
                   b"\x40\x00\x00\x04abcd", b"\x80" + bytes(40), b"GET / HTTP/1.1\r\n\r\n",
                   os.urandom(1200)[1:] + b"\xff", b"\x16\xfe\xfd" + os.urandom(60)]
        crowd = self.crowd()
        with self.call() as call:
            before = self.holdings.memory()
            for start in range(0, 4000, 400):
                for number, source in enumerate(addresses("127.64.0.1", 4000)[start:start + 400]):
                    crowd.send(packets[number % len(packets)], source)
                call.say()  # behind all of them on the same socket
            self.assertEqual(crowd.heard(), [])
            self.assertLess(self.holdings.memory() - before, NO_GROWTH)
            call.end(self)


class OnePrefix(Flooded):
    """One address asks without end."""

    RATE = 100
    OPTIONS = ("--unauthorized-ratelimit-rps", str(RATE))
    COUNT = 8000

    def flood(self, packets, source, call):
        """Answers what came back, and for how long it was asked for."""
        crowd, began, answers = self.crowd(), time.monotonic(), []
        for number in range(self.COUNT):
            crowd.send(packets[number % len(packets)], source)
            if number % 64 == 0:
                answers += crowd.heard()
            if number % 1000 == 0:
                call.say()
        call.say()  # whatever was taken of the flood has been answered
        answers += crowd.heard()
        return answers, time.monotonic() - began

    def is_bounded(self, answers, seconds):
        """A burst of two seconds' worth, then the rate."""
        self.assertGreaterEqual(len(answers), self.RATE)
        self.assertLessEqual(len(answers), self.RATE * (2 + seconds) + 1)

    def test_answers_to_strangers_are_counted_together(self):
        unknown = Message(0x0ff, REQUEST).encode()
        malformed = Message(BINDING, REQUEST, attributes=[(0x7fff, b"what")]).encode()
        packets = [bare_allocate(None), binding(None), forged(None), unknown, malformed]
        throttled = 'turnpike_stun_dropped_total{reason="ratelimit"}'
        with self.call() as call:
            before = self.holdings.value(throttled)
            answers, seconds = self.flood(packets, "127.9.9.9", call)
            self.is_bounded(answers, seconds)
            self.assertGreater(self.holdings.value(throttled), before)
            call.end(self)

    def test_who_holds_an_allocation_is_answered_beside_a_flood_from_its_own_address(self):
        with self.call() as call:
            answers, seconds = self.flood([bare_allocate(None)], "127.0.0.1", call)
            self.is_bounded(answers, seconds)
            call.end(self)

    def test_guessed_passwords_are_answered_at_a_rate_and_open_nothing(self):
        source, refused = "127.9.9.10", 'turnpike_auth_failures_total{reason="bad_integrity"}'
        crowd = self.crowd()
        [(_, challenge, _)] = crowd.ask([(bare_allocate(None), source)])
        nonce = Message.decode(challenge).get(NONCE)

        def guess(key):
            message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
            message.add(USERNAME, USER.encode()).add(REALM, b"example.org").add(NONCE, nonce)
            return message.encode(key)
        before, answers, began = self.holdings.value(refused), [], time.monotonic()
        with self.call() as call:
            for number in range(self.COUNT // 2):
                crowd.send(guess(os.urandom(16)), source)
                if number % 64 == 0:
                    answers += crowd.heard()
                if number % 500 == 0:
                    call.say()
            call.say()
            answers += crowd.heard()
            self.is_bounded(answers, time.monotonic() - began)
            self.assertEqual({code_of(answer) for answer, _ in answers}, {401})
            self.assertGreater(self.holdings.value(refused), before)
            ports = self.holdings.value("turnpike_turn_relay_ports_used")
            self.assertEqual(ports, 1)
            call.end(self)


def half_of(data):
    return data[:len(data) // 2]


def hello_of_tls():
    out = ssl.MemoryBIO()
    machine = ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), out,
                                                        server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        machine.do_handshake()
    return out.read()


UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nX-Slow: ")
POST = b"POST /api/ice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{"
CHUNKS = (b"POST /api/ice HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"4000\r\n{")


class Connections(Flooded):
    CROWD = 2300
    UNDECIDED = 2048

    def setUp(self):
        if all_files() < 3 * self.CROWD:
            self.skipTest("needs some thousand open files")
        self.ends = Ends()
        self.addCleanup(self.ends.close)

    def connect(self, port, first=b""):
        connection = socket.create_connection(("127.0.0.1", port), SECONDS)
        connection.sendall(first)
        self.ends.add(connection)
        return connection

    def descriptors(self):
        return self.holdings.value("process_open_fds")

    def descriptors_come_back_to(self, number):
        comes_to_be(lambda: self.descriptors() <= number, True)

    def test_silent_connections_make_room_and_end(self):
        crowded = 'turnpike_connections_closed_total{reason="crowded"}'
        late = 'turnpike_connections_closed_total{reason="late"}'
        descriptors, before = self.descriptors(), self.holdings.metrics()
        with self.call("tcp") as call:
            began = time.monotonic()
            for number in range(self.CROWD):
                self.connect(self.server.port)
                if number % 100 == 0:
                    call.say()
                    self.ends.look()
            with TurnClient(self.server.address, "tcp", timeout=SECONDS) as late_comer:
                self.assertEqual(late_comer.binding(), late_comer.socket.getsockname())
                in_time = time.monotonic() - began < 9  # before the first of them is late
            while self.ends.look(0.5):
                call.say()
            after = self.holdings.metrics()
            pushed_out = after[crowded] - before[crowded]
            if in_time:
                self.assertGreaterEqual(pushed_out, self.CROWD - self.UNDECIDED)
            self.assertEqual(pushed_out + after[late] - before[late], self.CROWD)
            call.end(self)
        self.descriptors_come_back_to(descriptors)

    def test_what_dribbles_in_gets_no_more_time_than_silence(self):
        stun, hello = bare_allocate(None), hello_of_tls()
        kinds = [(self.server.port, half_of(stun), b"\0"),
                 (self.server.port, b"\x40\0\x10\0" + bytes(40), b"\0"),
                 (self.server.port, b"GET / HTTP/1.1\r\nX-Slow: ", b"a"),
                 (self.server.port, UPGRADE, b"a"),
                 (self.server.port, POST, b" "),
                 (self.server.port, CHUNKS, b" "),
                 (self.server.port, b"\x16", hello[1:]),
                 (self.server.port, hello[:20], hello[20:]),
                 (self.server.tls_port, hello[:100], hello[100:]),
                 (self.server.tls_port, b"", hello)]
        descriptors = self.descriptors()
        with self.call("tls") as call:
            dribblers = []
            for port, first, rest in kinds * 40:
                dribblers.append((self.connect(port, first), rest))
            sent, end = 0, time.monotonic() + 300
            while self.ends.look(0.3):
                self.assertLess(time.monotonic(), end, f"{len(self.ends.open)} live on")
                for connection, rest in dribblers:
                    with contextlib.suppress(OSError):  # the server may have ended it
                        connection.send(rest[sent % len(rest):][:1])
                sent += 1
                call.say()
            call.end(self)
        self.descriptors_come_back_to(descriptors)

    def test_tls_handshakes_without_end_leave_nothing(self):
        hello = hello_of_tls()
        context, abandoned = ssl._create_unverified_context(), []

        def flood():
            for number in range(100):
                begun = socket.create_connection(self.server.tls_address, SECONDS)
                begun.sendall(hello)
                self.assertTrue(begun.recv(5))  # the server has done its part
                abandoned.append(begun)
                self.connect(self.server.tls_port, hello[:9] + os.urandom(len(hello) - 9))
                plain = socket.create_connection(self.server.tls_address, SECONDS)
                with context.wrap_socket(plain, server_hostname="localhost"):
                    pass  # the whole work of a handshake, for nothing
                if number % 30 == 0:
                    call.say()
            while self.ends.look(0.5):
                call.say()
            while abandoned:
                abandoned.pop().close()

        descriptors = self.descriptors()
        with self.call("tls") as call:
            for _ in range(2):
                flood()
            before = self.holdings.memory()
            flood()
            self.assertLess(self.holdings.memory() - before, 2 << 20)
            call.end(self)
        self.descriptors_come_back_to(descriptors)

    def test_pings_without_end_close_their_websocket(self):
        with self.call() as call, WebSocket(self.server.address) as guest:
            guest.say(type="join", room="beside")
            guest.hear("joined")
            for _ in range(10):
                began = time.monotonic()
                with WebSocket(self.server.address) as flooder:
                    with contextlib.suppress(OSError):  # closed while it goes on
                        for _ in range(500):
                            flooder.frame(PING, b"?")
                    pongs = self.pongs_until_closed(flooder)
                self.assertLessEqual(pongs, 64 + 10 * (time.monotonic() - began) + 1)
            guest.say(type="ping")
            guest.hear("pong")
            call.end(self)

    def test_compression_is_never_agreed_on(self):
        """So a message is never longer inside than on its way."""
        offer = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n"
                 b"Sec-WebSocket-Extensions: permessage-deflate, x-webkit-deflate-frame\r\n\r\n")
        with socket.create_connection(self.server.address, SECONDS) as connection:
            connection.sendall(offer)
            with connection.makefile("rb") as stream:
                head = []
                while line := stream.readline().strip():
                    head.append(line.lower())
                self.assertIn(b"101", head[0])
                self.assertFalse([line for line in head if b"sec-websocket-extensions" in line])
                # FIN, RSV1, text: what a compressed message would begin with.
                connection.sendall(b"\xc1\x85" + bytes(4) + b"hello")
                self.assertEqual(stream.read(4)[2:], (1002).to_bytes(2, "big"))

    def pongs_until_closed(self, flooder):
        pongs, size = 0, 0
        try:
            while head := flooder.stream.read(2):
                payload = flooder.stream.read(head[1])
                size += len(payload)
                if head[0] & 15 == PONG:
                    pongs += 1
                else:
                    self.assertEqual(payload[:2], (1008).to_bytes(2, "big"))
                    return pongs
        except ConnectionError:
            pass  # our last pings met a closed connection
        return pongs


if __name__ == "__main__":
    unittest.main()
