"""A small TURN client for tests (RFC 8489, RFC 8656): one allocation over UDP, TCP or TLS.

Blocking, one thread, standard library only, and written from the RFCs alone: it shares nothing with
the server it is pointed at. Wrong answers from the server raise.
"""

import base64
import hashlib
import hmac
import ipaddress
import os
import socket
import ssl
import struct
import time

COOKIE = 0x2112A442

BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
REQUEST, INDICATION, SUCCESS, ERROR = 0x000, 0x010, 0x100, 0x110

MAPPED_ADDRESS, USERNAME, MESSAGE_INTEGRITY, ERROR_CODE = 0x0001, 0x0006, 0x0008, 0x0009
CHANNEL_NUMBER, LIFETIME, XOR_PEER_ADDRESS, DATA_VALUE = 0x000C, 0x000D, 0x0012, 0x0013
REALM, NONCE, XOR_RELAYED_ADDRESS, REQUESTED_ADDRESS_FAMILY = 0x0014, 0x0015, 0x0016, 0x0017
EVEN_PORT, REQUESTED_TRANSPORT, XOR_MAPPED_ADDRESS = 0x0018, 0x0019, 0x0020
DONT_FRAGMENT, RESERVATION_TOKEN = 0x001A, 0x0022
SOFTWARE, FINGERPRINT = 0x8022, 0x8028


class Refused(Exception):
    """An error response."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code = code


def xor_address(address, transaction):
    ip = ipaddress.ip_address(address[0])
    mask = struct.pack("!I", COOKIE) + transaction
    family = 1 if ip.version == 4 else 2
    body = bytes(a ^ b for a, b in zip(ip.packed, mask))
    return struct.pack("!BBH", 0, family, address[1] ^ (COOKIE >> 16)) + body


def read_xor_address(value, transaction):
    _, family, port = struct.unpack_from("!BBH", value)
    mask = struct.pack("!I", COOKIE) + transaction
    size = 4 if family == 1 else 16
    if len(value) != 4 + size:
        raise ValueError(f"an address of family {family} in {len(value)} bytes")
    ip = ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask)))
    return str(ip), port ^ (COOKIE >> 16)


class Message:
    """A STUN message; attributes in order, as (type, value)."""

    def __init__(self, method, cls, transaction=None, attributes=()):
        self.method, self.cls = method, cls
        self.transaction = transaction or os.urandom(12)
        self.attributes = list(attributes)
        self.proved = False  # by MESSAGE-INTEGRITY, as decode() found it

    def add(self, attribute, value):
        self.attributes.append((attribute, value))
        return self

    def anew(self):
        """The same as another transaction (RFC 8489 section 6.1), without proof."""
        other = Message(self.method, self.cls)
        for attribute, value in self.attributes:
            if attribute == XOR_PEER_ADDRESS:
                # The part of an IPv6 address that the transaction masks; faults stay as they are.
                value = value[:8] + bytes(a ^ b ^ c for a, b, c in zip(
                    value[8:20], self.transaction, other.transaction)) + value[20:]
            other.add(attribute, value)
        return other

    def get(self, attribute):
        return next((v for a, v in self.attributes if a == attribute), None)

    def address(self, attribute):
        value = self.get(attribute)
        return None if value is None else read_xor_address(value, self.transaction)

    def encode(self, key=None):
        body = b"".join(struct.pack("!HH", a, len(v)) + v + bytes(-len(v) % 4)
                        for a, v in self.attributes)

        def head(length):
            return struct.pack("!HHI", self.cls | self.method, length, COOKIE) + self.transaction
        if key is not None:
            digest = hmac.new(key, head(len(body) + 24) + body, hashlib.sha1).digest()
            body += struct.pack("!HH", MESSAGE_INTEGRITY, 20) + digest
        return head(len(body)) + body

    @staticmethod
    def decode(data, key=None):
        kind, length, cookie = struct.unpack_from("!HHI", data)
        if kind & 0xC000 or cookie != COOKIE or length != len(data) - 20 or length % 4:
            raise ValueError("not a STUN message: " + data[:20].hex())
        message = Message(kind & ~0x110, kind & 0x110, data[8:20])
        offset, proved = 20, False
        while offset < len(data):
            attribute, size = struct.unpack_from("!HH", data, offset)
            value = data[offset + 4:offset + 4 + size]
            if len(value) != size:
                raise ValueError("an attribute runs past the message")
            if attribute == MESSAGE_INTEGRITY and key is not None:
                head = data[:2] + struct.pack("!H", offset + 24 - 20) + data[4:offset]
                if hmac.new(key, head, hashlib.sha1).digest() != value:
                    raise ValueError("MESSAGE-INTEGRITY does not match")
                proved = True
            message.attributes.append((attribute, value))
            offset += 4 + size + (-size % 4)
        message.proved = proved
        return message


def rest_credentials(secret, name, ttl=3600, now=None):
    """Username and password of the shared-secret scheme."""
    username = f"{int((now or time.time()) + ttl)}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


_ports_had = set()  # (server, local address) of every UDP client of this process
_ports_kept = []  # sockets that only keep the kernel from giving their port out once more


def connect_from_new_port(make, server):
    """A UDP socket whose five-tuple this process never had before: an allocation outlives a client
    that left without a word, and whoever comes from its port meets it (437)."""
    while True:
        made = make()
        try:
            made.connect(server)
            five_tuple = (server, made.getsockname()[:2])
        except BaseException:
            made.close()
            raise
        if five_tuple not in _ports_had:
            _ports_had.add(five_tuple)
            return made
        _ports_kept.append(made)


def first_message(stream):
    """(a STUN or ChannelData message that begins these bytes, those behind it); (None, all of them)
    when it is not whole yet."""
    if len(stream) < 4:
        return None, stream
    kind, length = struct.unpack_from("!HH", stream)
    size = 4 + length + (-length % 4) if kind & 0xC000 else 20 + length
    return (None, stream) if len(stream) < size else (stream[:size], stream[size:])


class TurnClient:
    """One connection to a server and at most one allocation on it."""

    def __init__(self, server, transport="udp", *, username=None, password=None, make_socket=None,
                 tls=None, timeout=5.0):
        self.server, self.transport, self.timeout = server, transport, timeout
        self.username, self.password = username, password
        self.realm = self.nonce = self.key = None
        self.relayed = self.mapped = None
        self.channels, self.peers = {}, {}  # peer -> number, number -> peer
        self.inbox, self.pending = [], b""
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        make = make_socket or socket.socket
        if transport == "udp":
            self.socket = connect_from_new_port(lambda: make(family, kind), server)
            self.socket.settimeout(timeout)
            return
        self.socket = make(family, kind)
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(server)
            if transport == "tls":
                context = tls or ssl._create_unverified_context()
                self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- requests

    def binding(self):
        """The address that the server saw."""
        return self.request(Message(BINDING, REQUEST)).address(XOR_MAPPED_ADDRESS)

    def allocate(self, family=None, lifetime=None, even_port=False):
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
        if family is not None:
            message.add(REQUESTED_ADDRESS_FAMILY, bytes([family, 0, 0, 0]))
        if lifetime is not None:
            message.add(LIFETIME, struct.pack("!I", lifetime))
        if even_port:
            message.add(EVEN_PORT, bytes([0]))
        answer = self.authenticated(message)
        self.relayed = answer.address(XOR_RELAYED_ADDRESS)
        self.mapped = answer.address(XOR_MAPPED_ADDRESS)
        return self.relayed

    def reserve(self):
        """An allocation whose next port is kept; answers the RESERVATION-TOKEN."""
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
        answer = self.authenticated(message.add(EVEN_PORT, bytes([0x80])))
        self.relayed = answer.address(XOR_RELAYED_ADDRESS)
        return answer.get(RESERVATION_TOKEN)

    def refresh(self, lifetime=600):
        message = Message(REFRESH, REQUEST).add(LIFETIME, struct.pack("!I", lifetime))
        return struct.unpack("!I", self.authenticated(message).get(LIFETIME))[0]

    def permit(self, *peers):
        message = Message(CREATE_PERMISSION, REQUEST)
        for peer in peers:
            message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        self.authenticated(message)

    def bind_channel(self, peer, number=None):
        number = number or self.channels.get(peer) or 0x4000 + len(self.channels)
        message = Message(CHANNEL_BIND, REQUEST)
        message.add(CHANNEL_NUMBER, struct.pack("!HH", number, 0))
        message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        self.authenticated(message)
        self.channels[peer], self.peers[number] = number, peer
        return number

    def authenticated(self, message):
        """With the long-term credential (RFC 8489 section 9.2); asks for realm and nonce first."""
        for _ in range(3):
            wanted = message.anew()
            if self.key is not None:
                wanted.add(USERNAME, self.username.encode())
                wanted.add(REALM, self.realm).add(NONCE, self.nonce)
            try:
                answer = self.request(wanted, self.key)
                if self.key is not None and not answer.proved:
                    raise ValueError("a success response without MESSAGE-INTEGRITY")
                return answer
            except Refused as refusal:
                fresh = refusal.code == 438 or (refusal.code == 401 and self.key is None)
                if not fresh or self.username is None:
                    raise
                self.realm, self.nonce = refusal.realm, refusal.nonce
                secret = b":".join((self.username.encode(), self.realm, self.password.encode()))
                self.key = hashlib.md5(secret).digest()
        raise ValueError("the server goes on refusing its own nonce")

    def request(self, message, key=None):
        packet = message.encode(key)
        end, pause = time.monotonic() + self.timeout, 0.25
        while True:
            self.write(packet)
            # Over a stream a request is sent once (RFC 8489 section 6.2.2).
            wait = pause if self.transport == "udp" else self.timeout
            answer = self.await_answer(message, key, min(end, time.monotonic() + wait))
            if answer is not None:
                break
            if time.monotonic() >= end:
                raise TimeoutError(f"no answer to method {message.method} from {self.server}")
            pause *= 2
        if answer.cls == ERROR:
            value = answer.get(ERROR_CODE)
            refusal = Refused(value[2] * 100 + value[3], value[4:].decode())
            refusal.realm, refusal.nonce = answer.get(REALM), answer.get(NONCE)
            raise refusal
        return answer

    def await_answer(self, message, key, end):
        while (packet := self.read(end)) is not None:
            if packet[0] >= 0x40:
                self.inbox.append(packet)
                continue
            answer = Message.decode(packet)
            if answer.transaction != message.transaction:
                self.inbox.append(packet)
            elif answer.method == message.method and answer.cls in (SUCCESS, ERROR):
                return Message.decode(packet, key if answer.cls == SUCCESS else None)
        return None

    # --- data

    def send(self, peer, data):
        """Through the peer's channel where there is one, else as a Send indication."""
        if peer in self.channels:
            packet = struct.pack("!HH", self.channels[peer], len(data)) + data
            if self.transport != "udp":
                packet += bytes(-len(data) % 4)
        else:
            message = Message(SEND, INDICATION)
            message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
            packet = message.add(DATA_VALUE, data).encode()
        self.write(packet)

    def receive(self, timeout=None):
        """The next datagram from a peer: (peer, bytes), or None when time is up."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while (packet := self.inbox.pop(0) if self.inbox else self.read(end)) is not None:
            if packet[0] >= 0x40:
                number, size = struct.unpack_from("!HH", packet)
                if len(packet) < 4 + size:
                    raise ValueError("ChannelData shorter than its length")
                return self.peers[number], packet[4:4 + size]
            message = Message.decode(packet)
            if message.method == DATA and message.cls == INDICATION:
                return message.address(XOR_PEER_ADDRESS), message.get(DATA_VALUE)
        return None

    # --- the wire

    def write(self, packet):
        if self.transport == "udp":
            self.socket.send(packet)
        else:
            self.socket.sendall(packet)

    def read(self, end):
        """One packet before the monotonic time `end`, or None."""
        while True:
            if self.transport != "udp":
                packet, self.pending = first_message(self.pending)
                if packet is not None:
                    return packet
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                return None
            if self.transport == "udp":
                return data
            if not data:
                raise ConnectionError("the server closed the connection")
            self.pending += data
