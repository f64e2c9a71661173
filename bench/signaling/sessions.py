"""Socket.IO sessions that the load generator does not speak: on polling, or upgraded from it to a
WebSocket. Each joins a tutorial room of two, then waits. Plain blocking sockets, one by one."""

import base64
import os
import re
import socket

HANDSHAKE = ("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n")
PATH = "/socket.io/?EIO=4&transport="


class Session:
    """One client, in its room."""

    def __init__(self, port, room):
        self.port = port
        self.polling = self.connect()
        opened = self.get(PATH + "polling")
        self.sid = re.search(r'"sid":"([^"]+)"', opened).group(1)
        self.path = PATH + "polling&sid=" + self.sid
        self.post("40")
        self.get(self.path)
        self.post(f'42["join","{room}"]')
        if "joined" not in self.get(self.path):
            raise RuntimeError("a session did not get into its room")
        self.socket = None

    def connect(self):
        one = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one

    def request(self, head, body=""):
        self.polling.sendall((head + f"Host: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
                              "Content-Type: text/plain\r\n\r\n" + body).encode())

    def answer(self):
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.receive(self.polling)
        head, body = got.split(b"\r\n\r\n", 1)
        size = re.search(rb"content-length: *(\d+)", head.lower())
        while size and len(body) < int(size.group(1)):
            body += self.receive(self.polling)
        return body.decode()

    @staticmethod
    def receive(one):
        got = one.recv(65536)
        if not got:
            raise RuntimeError("the server closed a session")
        return got

    def get(self, path):
        self.request(f"GET {path} HTTP/1.1\r\n")
        return self.answer()

    def post(self, body):
        self.request(f"POST {self.path} HTTP/1.1\r\n", body)
        if self.answer() != "ok":
            raise RuntimeError("a POST was not taken")

    def poll(self):
        """A GET that the server holds."""
        self.request(f"GET {self.path} HTTP/1.1\r\n")

    def upgrade(self):
        self.socket = self.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        path = PATH + "websocket&sid=" + self.sid
        self.socket.sendall(HANDSHAKE.format(path=path, key=key).encode())
        while b"\r\n\r\n" not in self.receive(self.socket):
            pass
        self.say("2probe")
        if b"3probe" not in self.receive(self.socket):
            raise RuntimeError("a probe was not answered")
        self.say("5")
        self.polling.close()

    def say(self, text):
        mask = os.urandom(4)
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text.encode()))
        self.socket.sendall(bytes([0x81, 0x80 | len(data)]) + mask + data)

    def close(self):
        for one in (self.polling, self.socket):
            if one is not None:
                one.close()


def open_sessions(port, count, wait, rooms="room"):
    """`wait` is polling or upgraded; `rooms` begins the names of the rooms."""
    sessions = []
    for number in range(count):
        session = Session(port, f"{rooms}{number // 2}")
        session.poll() if wait == "polling" else session.upgrade()
        sessions.append(session)
    return sessions
