"""Load balancers in front of the server: the PROXY protocol, versions 1 and 2, before STUN, TLS and
HTTP."""

import ipaddress
import socket
import ssl
import struct
import unittest

from server import Server, free_port
from turnclient import BINDING, REQUEST, XOR_MAPPED_ADDRESS, Message, TurnClient

USER, PASSWORD = "alice", "correct horse"
CLIENT, OTHER = ("192.0.2.1", 50000), ("2001:db8::1", 50001)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SECONDS = 5


def line(client):
    family = "TCP6" if ":" in client[0] else "TCP4"
    here = "2001:db8::99" if family == "TCP6" else "203.0.113.10"
    return f"PROXY {family} {client[0]} {here} {client[1]} 3478\r\n".encode()


def frame(client=None, more=b""):
    """Version 2; without a client it is the balancer's own connection (LOCAL)."""
    if client is None:
        return SIGNATURE + b"\x20\0" + struct.pack("!H", len(more)) + more
    ip = ipaddress.ip_address(client[0])
    family = b"\x11" if ip.version == 4 else b"\x21"
    body = ip.packed + bytes(len(ip.packed)) + struct.pack("!HH", client[1], 3478) + more
    return SIGNATURE + b"\x21" + family + struct.pack("!H", len(body)) + body


class Proxied(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1",
            "--tcp-proxy-port", str(cls.port), "--trusted-proxy", "127.0.0.1", tls=True))

    def connect(self, source="127.0.0.1"):
        wire = socket.create_connection(("127.0.0.1", self.port), SECONDS,
                                        source_address=(source, 0))
        self.addCleanup(wire.close)
        return wire

    def mapped(self, wire):
        """What the server calls the client."""
        wire.sendall(Message(BINDING, REQUEST).encode())
        answer = Message.decode(wire.recv(2000))
        return answer.address(XOR_MAPPED_ADDRESS)

    def is_closed(self, wire):
        try:
            return wire.recv(2000) == b""
        except ConnectionError:
            return True

    def test_the_client_is_the_one_in_the_header(self):
        for header, client in ((line(CLIENT), CLIENT), (frame(CLIENT), CLIENT),
                               (line(OTHER), OTHER), (frame(OTHER), OTHER),
                               (frame(CLIENT, b"\x04\0\x04abcd"), CLIENT)):
            with self.subTest(header):
                wire = self.connect()
                wire.sendall(header)
                self.assertEqual(self.mapped(wire), client)

    def test_the_balancers_own_connections_keep_their_address(self):
        for header in (frame(), b"PROXY UNKNOWN\r\n"):
            with self.subTest(header):
                wire = self.connect()
                wire.sendall(header)
                self.assertEqual(self.mapped(wire), wire.getsockname())

    def test_tls_behind_the_header(self):
        for header in (line(CLIENT), frame(CLIENT)):
            wire = self.connect()
            wire.sendall(header)
            secured = ssl._create_unverified_context().wrap_socket(wire)
            self.addCleanup(secured.close)
            self.assertEqual(self.mapped(secured), CLIENT)

    def test_http_behind_the_header(self):
        wire = self.connect()
        wire.sendall(frame(CLIENT) + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(wire.recv(2000).startswith(b"HTTP/1.1 200 "))

    def test_an_allocation_behind_the_header(self):
        with TurnClient(("127.0.0.1", self.port), "tcp", username=USER,
                        password=PASSWORD) as client:
            client.socket.sendall(frame(CLIENT))
            client.allocate()
            self.assertEqual(client.mapped, CLIENT)

    def test_wrong_headers_are_closed(self):
        for header in (Message(BINDING, REQUEST).encode(), b"GET / HTTP/1.1\r\n\r\n",
                       b"PROXY TCP4 nobody nowhere 1 2\r\n", SIGNATURE + b"\x31\x11\0\x0c"):
            with self.subTest(header):
                wire = self.connect()
                wire.sendall(header)
                self.assertTrue(self.is_closed(wire))

    def test_strangers_are_closed_whatever_they_say(self):
        wire = self.connect("127.0.0.2")
        try:
            wire.sendall(frame(CLIENT))
        except ConnectionError:
            return
        self.assertTrue(self.is_closed(wire))

    def test_other_ports_know_no_such_header(self):
        wire = socket.create_connection(self.server.address, SECONDS)
        self.addCleanup(wire.close)
        wire.sendall(frame(CLIENT))
        self.assertTrue(self.is_closed(wire))

    def test_the_banner_names_the_port(self):
        self.assertRegex(self.server.banner(), rf"PROXY +127\.0\.0\.1:{self.port}\n")


if __name__ == "__main__":
    unittest.main()
