"""Plays conversations to a TURN server and tells its answers in words that can be compared.

What differs from run to run (ports, nonces, transactions) is told by what it is, not by its value.
"""

import hashlib
import hmac
import os
import re
import socket
import struct
import zlib

from conversation import PASSWORD, REALM_NAME, USER, attribute, error_of, stun
from turnclient import (ALLOCATE, BINDING, CHANNEL_BIND, CHANNEL_NUMBER, COOKIE,
                        CREATE_PERMISSION, DATA_VALUE, ERROR, EVEN_PORT, FINGERPRINT, INDICATION,
                        LIFETIME, MESSAGE_INTEGRITY, NONCE, REALM, REFRESH,
                        REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, SEND, SUCCESS, USERNAME,
                        XOR_PEER_ADDRESS, Message, read_xor_address, xor_address)

SECOND_USER, SECOND_PASSWORD = "bob", "battery staple"
ADDITIONAL, TOKEN, DONT_FRAGMENT, MOBILITY_TICKET = 0x8000, 0x0022, 0x001A, 0x8030
SECONDS, LATE_SECONDS = 2.0, 0.3
METHODS = {"binding": BINDING, "allocate": ALLOCATE, "refresh": REFRESH,
           "create-permission": CREATE_PERMISSION, "channel-bind": CHANNEL_BIND, "send": SEND,
           "connect": 0x00A, "connection-bind": 0x00B, "unknown-method": 0x0EF}
NAMES = {0x0001: "MAPPED-ADDRESS", 0x0006: "USERNAME", 0x0008: "MESSAGE-INTEGRITY",
         0x000A: "UNKNOWN-ATTRIBUTES", 0x000D: "LIFETIME", 0x0012: "XOR-PEER-ADDRESS",
         0x0013: "DATA", 0x0014: "REALM", 0x0015: "NONCE", 0x0016: "XOR-RELAYED-ADDRESS",
         0x0020: "XOR-MAPPED-ADDRESS", 0x0022: "RESERVATION-TOKEN", 0x001C: "MI-SHA256",
         0x8001: "ADDRESS-ERROR-CODE", 0x8002: "PASSWORD-ALGORITHMS", 0x8022: "SOFTWARE",
         0x8023: "ALTERNATE-SERVER", 0x8028: "FINGERPRINT", 0x802B: "RESPONSE-ORIGIN",
         0x802C: "OTHER-ADDRESS", 0x802E: "THIRD-PARTY-AUTHORIZATION", 0x8030: "MOBILITY-TICKET"}


def read_conversations(folder):
    """[(name, [line, ...])] of every .txt file but differences.txt, in order."""
    found = []
    for file_name in sorted(os.listdir(folder)):
        if not file_name.endswith(".txt") or file_name == "differences.txt":
            continue
        with open(os.path.join(folder, file_name), encoding="utf-8") as file:
            for line in file:
                line = line.partition("#")[0].strip()
                if line.startswith("["):
                    found.append((line.strip("[]"), []))
                elif line:
                    found[-1][1].append(line)
    return found


class Player:
    """One conversation with one server."""

    def __init__(self, server):
        self.server = server
        self.sockets, self.peers = {}, {}
        self.nonce, self.realm = b"unasked", REALM_NAME.encode()
        self.token, self.transaction, self.relayed = bytes(8), None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [*self.sockets.values(), *self.peers.values()]:
            one.close()

    def play(self, lines):
        """What the server answered to each line, in words."""
        return [self.step(line) for line in lines]

    def step(self, line):
        verb, *words = line.split()
        if verb in ("A", "B"):
            return self.peer_step(verb, words)
        if verb == "hears":
            return self.describe(self.read(self.client("1")))
        options = dict(word.partition("=")[::2] for word in words)
        client = self.client(options.get("from", "1"))
        client.send(self.compose(verb, words, options))
        return self.fenced(client)

    # --- sockets

    def client(self, number):
        if number not in self.sockets:
            self.sockets[number] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets[number].connect(self.server)
        return self.sockets[number]

    def peer(self, name):
        if name not in self.peers:
            self.peers[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.peers[name].bind(("127.0.0.1", 0))
        return self.peers[name]

    @staticmethod
    def read(one, seconds=SECONDS):
        one.settimeout(seconds)
        try:
            return one.recv(65536)
        except (TimeoutError, ConnectionRefusedError):
            return None

    def fenced(self, client):
        """The answer to what was just sent. A Binding request behind it tells that none will come;
        coturn may answer that one first, so an answer has a moment longer."""
        fence = stun(BINDING)
        client.send(fence)
        while (packet := self.read(client)) is not None and packet[8:20] != fence[8:20]:
            if packet[8:20] == self.transaction or packet[0] >= 0x40:
                self.read(client)  # the answer to the fence
                return self.describe(packet)
        packet = self.read(client, LATE_SECONDS)
        return self.describe(packet)

    def peer_step(self, name, words):
        peer = self.peer(name)
        if words[0] == "says":
            if not self.relayed:
                return "no relayed address"
            peer.sendto(" ".join(words[1:]).encode(), self.relayed[0])
            return "sent"
        peer.settimeout(SECONDS)
        try:
            data, source = peer.recvfrom(65536)
        except TimeoutError:
            return "nothing"
        where = "the relayed address" if source in self.relayed else "elsewhere"
        return f"{data!r} from {where}"

    # --- what is sent

    def compose(self, verb, words, options):
        data = options.get("data", "").encode()
        if verb == "raw":
            message = bytes.fromhex(words[0])
            self.transaction = message[8:20]
            return message
        if verb == "channel-data":
            return struct.pack("!HH", int(options["channel"], 16), len(data)) + data
        if "again" not in options:
            self.transaction = os.urandom(12)
        method = METHODS[verb]
        kind = method & 0xF | (method & 0x70) << 1 | (method & 0xF80) << 2
        kind |= INDICATION if verb == "send" else 0
        body = b"".join(self.attribute_of(word, data) for word in words)
        key = None
        if "auth" in options:
            name, key = self.credential(options["auth"])
            realm = b"elsewhere" if options.get("realm") == "other" else self.realm
            nonce = b"stale" + self.nonce if options.get("nonce") == "stale" else self.nonce
            body += attribute(USERNAME, name.encode()) + attribute(REALM, realm)
            body += attribute(NONCE, nonce)
        message = stun(kind, body, self.transaction)
        if key is not None:
            head = message[:2] + struct.pack("!H", len(body) + 24) + message[4:]
            message = head + attribute(MESSAGE_INTEGRITY,
                                       hmac.new(key, head, hashlib.sha1).digest())
        if "fingerprint" in options:
            head = message[:2] + struct.pack("!H", len(message) - 20 + 8) + message[4:]
            message = head + attribute(FINGERPRINT,
                                       struct.pack("!I", zlib.crc32(head) ^ 0x5354554E))
        return message

    @staticmethod
    def credential(whose):
        name, password = {"": (USER, PASSWORD), "wrong": (USER, "not " + PASSWORD),
                          "bob": (SECOND_USER, SECOND_PASSWORD),
                          "nobody": ("nobody", PASSWORD)}[whose]
        return name, hashlib.md5(f"{name}:{REALM_NAME}:{password}".encode()).digest()

    def attribute_of(self, word, data):
        name, _, value = word.partition("=")
        if name == "transport":
            return attribute(REQUESTED_TRANSPORT, bytes([int(value), 0, 0, 0]))
        if name == "lifetime":
            return attribute(LIFETIME, struct.pack("!I", int(value)))
        if name in ("family", "additional"):
            kind = REQUESTED_ADDRESS_FAMILY if name == "family" else ADDITIONAL
            return attribute(kind, bytes([int(value), 0, 0, 0]))
        if name == "even":
            return attribute(EVEN_PORT, bytes([0x80 if value == "R" else 0]))
        if name == "token":
            return attribute(TOKEN, self.token if value == "last" else bytes.fromhex(value))
        if name == "channel":
            return attribute(CHANNEL_NUMBER, struct.pack("!HH", int(value, 16), 0))
        if name == "peer":
            return attribute(XOR_PEER_ADDRESS, xor_address(self.address(value), self.transaction))
        if name == "attribute":
            kind, _, content = value.partition(":")
            return attribute(int(kind, 16), bytes.fromhex(content))
        return {"df": attribute(DONT_FRAGMENT, b""), "mobility": attribute(MOBILITY_TICKET, b""),
                "data": attribute(DATA_VALUE, data)}.get(name, b"")

    def address(self, text):
        if text in ("A", "B"):
            return self.peer(text).getsockname()
        if text == "relayed":
            return self.relayed[0]
        ip, _, port = text.rpartition(":")
        return ip.strip("[]"), int(port)

    # --- what is answered

    def describe(self, packet):
        if packet is None:
            return "nothing"
        if packet[0] >= 0x40:
            number, size = struct.unpack_from("!HH", packet)
            return f"ChannelData {number:04x} {packet[4:4 + size]!r}"
        if packet[4:8] != struct.pack("!I", COOKIE):
            return "an answer of RFC 3489"
        message = Message.decode(packet)
        self.remember(message)
        if message.cls == ERROR:
            what = f"{error_of(message)}"
        else:
            what = {SUCCESS: "success", INDICATION: "indication"}.get(message.cls, "request")
        rest = sorted(filter(None, (self.tell(kind, value, message)
                                    for kind, value in message.attributes)))
        return " ".join([what, *rest])

    def remember(self, message):
        self.nonce = message.get(NONCE) or self.nonce
        self.token = message.get(TOKEN) or self.token
        if message.method == ALLOCATE and message.cls == SUCCESS:
            self.relayed = [read_xor_address(value, message.transaction)
                            for kind, value in message.attributes if kind == 0x0016]

    def tell(self, kind, value, message):
        if kind == 0x0009:
            return ""
        name = NAMES.get(kind, f"{kind:04x}")
        if kind == LIFETIME:
            return f"{name}={struct.unpack('!I', value)[0]}"
        if kind == 0x000A:
            return name + "=" + ",".join(re.findall("....", value.hex()))
        if kind == 0x0016:
            return f"{name}({'IPv6' if value[1] == 2 else 'IPv4'})"
        if kind == 0x8001:
            return f"{name}={value[2] * 100 + value[3]}"
        if kind == DATA_VALUE:
            return f"{name}={value!r}"
        return name
