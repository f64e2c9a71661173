"""A small WebSocket client for tests (RFC 6455), standard library only: whole text messages, no
extensions."""

import base64
import json
import os
import socket
import ssl
import struct

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Closed(Exception):
    """A close frame; code is None when the connection just ended."""

    def __init__(self, code, reason=""):
        super().__init__(f"{code} {reason}")
        self.code = code


class WebSocket:
    def __init__(self, address, path="/ws", tls=False, timeout=10, source=None):
        self.socket = socket.create_connection(address, timeout, source and (source, 0))
        try:
            if tls:
                context = ssl._create_unverified_context()
                self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
            key = base64.b64encode(os.urandom(16)).decode()
            self.socket.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                "\r\n".encode())
            self.stream = self.socket.makefile("rb")
            self.status = int(self.stream.readline().split()[1])
            while self.stream.readline().strip():
                pass
            if self.status != 101:
                raise Closed(self.status, "refused")
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.stream.close()  # the connection lives as long as either of them
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def frame(self, opcode, payload):
        mask = os.urandom(4)
        size = len(payload)
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack(
            "!BBH", 0x80 | opcode, 0x80 | 126, size)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def say(self, **message):
        self.frame(TEXT, json.dumps(message).encode())

    def text(self):
        """The next text message."""
        while True:
            head = self.stream.read(2)
            if len(head) < 2:
                raise Closed(None)
            opcode, size = head[0] & 15, head[1]
            if size == 126:
                size = struct.unpack("!H", self.stream.read(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self.stream.read(8))[0]
            payload = self.stream.read(size)
            if opcode == TEXT:
                return payload.decode()
            if opcode == PING:
                self.frame(PONG, payload)
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())

    def hear(self, kind=None):
        """The next message of this type; what comes before it is not of interest."""
        while True:
            message = json.loads(self.text())
            if kind in (None, message["type"]):
                return message
