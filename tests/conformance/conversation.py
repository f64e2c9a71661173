"""What conformance tests are written with: a server for each class, and sockets to it."""

import os
import socket
import ssl
import struct
import time
import unittest

from server import Server
from turnclient import (BINDING, COOKIE, ERROR, ERROR_CODE, REQUEST, Message, Refused, TurnClient,
                        connect_from_new_port, first_message)

USER, PASSWORD, REALM_NAME = "alice", "correct horse", "example.org"
ANSWER_SECONDS = 3.0


def attribute(kind, value):
    """An attribute as bytes, padded with zeros."""
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def stun(kind, body=b"", transaction=None, *, length=None, cookie=COOKIE):
    """A STUN message as bytes; `kind` is class and method, `length` may lie."""
    size = len(body) if length is None else length
    return struct.pack("!HHI", kind, size, cookie) + (transaction or os.urandom(12)) + body


def error_of(message):
    """The code of an error response; None for any other message."""
    value = message.get(ERROR_CODE)
    return None if value is None or message.cls != ERROR else value[2] * 100 + value[3]


class Wire:
    """A socket to the server. On a stream, messages are told apart by their own length."""

    def __init__(self, address, transport="udp", *, source=None, alpn=None):
        self.transport, self.pending = transport, b""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        if transport == "udp" and not source:
            self.socket = connect_from_new_port(lambda: socket.socket(family, kind), address)
            self.socket.settimeout(ANSWER_SECONDS)
            return
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(ANSWER_SECONDS)
        if source:
            self.socket.bind(source)
        self.socket.connect(address)
        if transport == "tls":
            context = ssl._create_unverified_context()
            if alpn:
                context.set_alpn_protocols(alpn)
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    @property
    def local(self):
        return self.socket.getsockname()[:2]

    def close(self):
        self.socket.close()

    def write(self, data):
        if self.transport == "udp":
            self.socket.send(data)
        else:
            self.socket.sendall(data)

    def read(self, seconds=ANSWER_SECONDS):
        """The next message as bytes; None when none comes; b"" when a stream has ended."""
        end = time.monotonic() + seconds
        while True:
            if self.transport != "udp":
                message, self.pending = first_message(self.pending)
                if message is not None:
                    return message
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                return None
            except ConnectionResetError:
                return b""
            if self.transport == "udp" or not data:
                return data
            self.pending += data

    def ask(self, data, key=None):
        """Sends, and answers the response to it, decoded; raises when none comes."""
        self.write(data)
        answer = self.read()
        if not answer:
            raise AssertionError("no answer to " + data[:40].hex())
        return Message.decode(answer, key)


class Conversation(unittest.TestCase):
    """One server for the class, with one user. One worker, so that packets keep their order,
    unless the class is about several."""

    OPTIONS = ()
    IPS = ("127.0.0.1",)
    TLS = False
    WORKERS = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = ["--workers", str(cls.WORKERS), "--user", f"{USER}:{PASSWORD}",
                   "--realm", REALM_NAME, "--allowed-peer-ip", "127.0.0.0/8", *cls.OPTIONS]
        cls.server = Server(*options, ips=cls.IPS, tls=cls.TLS)
        cls.enterClassContext(cls.server)

    def wire(self, transport="udp", ip=None, **more):
        port = self.server.tls_port if transport == "tls" else self.server.port
        wire = Wire((ip or self.IPS[0], port), transport, **more)
        self.addCleanup(wire.close)
        return wire

    def client(self, transport="udp", username=USER, password=PASSWORD, server=None, **more):
        address = self.server.tls_address if transport == "tls" else self.server.address
        address = server or address
        client = TurnClient(address, transport, username=username, password=password, **more)
        self.addCleanup(self.let_go, client)
        return client

    @staticmethod
    def let_go(client):
        """Ends its allocation as well: the next test may get the same port from the kernel."""
        try:
            if client.key is not None:
                client.refresh(0)
        except (Refused, OSError, ValueError):
            pass
        client.close()

    def peer(self, ip="127.0.0.1"):
        """A UDP socket that plays the peer."""
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        peer = socket.socket(family, socket.SOCK_DGRAM)
        peer.bind((ip, 0))
        peer.settimeout(ANSWER_SECONDS)
        self.addCleanup(peer.close)
        return peer

    # --- what is asserted

    def assert_error(self, message, code):
        self.assertEqual(error_of(message), code)

    def assert_dropped(self, wire, data):
        """Nothing answers `data`: a Binding request sent behind it is answered first."""
        fence = stun(BINDING | REQUEST)
        wire.write(data)
        wire.write(fence)
        answer = wire.read()
        self.assertTrue(answer, "not even the Binding request behind it was answered")
        self.assertEqual(answer[8:20], fence[8:20], "answered: " + answer[:40].hex())
