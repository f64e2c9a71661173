"""A TLS client that writes records of its own after the handshake: what no TLS library lets anybody
say, such as a hundred ClientHellos or KeyUpdates in a row. OpenSSL does the handshake; its key log
tells the keys."""

import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
CLIENT_HELLO, KEY_UPDATE = 1, 24
NOT_REQUESTED, REQUESTED = 0, 1
HEADER = 5


def prf(digest, secret, label, seed, size):
    """RFC 5246 section 5."""
    seed, made, link = label + seed, b"", label + seed
    while len(made) < size:
        link = hmac.digest(secret, link, digest)
        made += hmac.digest(secret, link + seed, digest)
    return made[:size]


def expand_label(digest, secret, label, size):
    """RFC 8446 section 7.1, for what fits into one block and has no context."""
    label = b"tls13 " + label
    info = struct.pack("!HB", size, len(label)) + label + b"\0"
    return hmac.digest(secret, info + b"\1", digest)[:size]


def records(data):
    """The whole records of some bytes."""
    while len(data) >= HEADER and len(data) >= HEADER + (size := int.from_bytes(data[3:5], "big")):
        yield data[:HEADER + size]
        data = data[HEADER + size:]


class Client:
    """After the handshake send() writes records; the other direction is not decrypted."""

    def __init__(self, address, version, seconds=15):
        with tempfile.TemporaryDirectory(prefix="turnpike-keys-") as folder:
            context = ssl._create_unverified_context()
            context.minimum_version = context.maximum_version = version
            context.set_ciphers("ECDHE+AESGCM")
            context.keylog_filename = os.path.join(folder, "keys")
            self.said, self.heard = b"", b""
            self.socket = socket.create_connection(address, seconds)
            self.shake_hands(context)
            with open(context.keylog_filename, encoding="ascii") as log:
                lines = [line.split() for line in log if not line.startswith("#")]
        self.secrets = {name: bytes.fromhex(secret) for name, _, secret in lines}
        cipher = self.machine.cipher()[0]
        self.digest = hashlib.sha384 if cipher.endswith("SHA384") else hashlib.sha256
        self.key_size = 32 if "256" in cipher.replace("SHA256", "") else 16
        self.modern = version == ssl.TLSVersion.TLSv1_3
        if self.modern:
            self.use_secret(self.secrets["CLIENT_TRAFFIC_SECRET_0"])
        else:
            self.use_master_secret(self.secrets["CLIENT_RANDOM"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def shake_hands(self, context):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.machine = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            finished = False
            with contextlib.suppress(ssl.SSLWantReadError):
                self.machine.do_handshake()
                finished = True
            more = outgoing.read()
            self.said += more
            self.socket.sendall(more)
            if finished:
                return
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError("the server ended the handshake")
            self.heard += data
            incoming.write(data)

    def use_master_secret(self, master):
        """RFC 5246 section 6.3 and RFC 5288: no MAC keys, two keys, two salts of four bytes. The
        first record under these keys was Finished."""
        hello_random = slice(HEADER + 6, HEADER + 38)
        seed = self.heard[hello_random] + self.said[hello_random]
        block = prf(self.digest, master, b"key expansion", seed, 2 * self.key_size + 8)
        self.key, self.salt = block[:self.key_size], block[2 * self.key_size:][:4]
        self.number = 1

    def use_secret(self, secret):
        """RFC 8446 section 7.3."""
        self.secret = secret
        self.key = expand_label(self.digest, secret, b"key", self.key_size)
        self.salt = expand_label(self.digest, secret, b"iv", 12)
        self.number = 0

    def sealed(self, kind, content):
        """One record."""
        number = self.number.to_bytes(8, "big")
        self.number += 1
        if not self.modern:
            more = number + struct.pack("!BHH", kind, 0x0303, len(content))
            sealed = number + AESGCM(self.key).encrypt(self.salt + number, content, more)
            return struct.pack("!BHH", kind, 0x0303, len(sealed)) + sealed
        header = struct.pack("!BHH", APPLICATION_DATA, 0x0303, len(content) + 17)
        nonce = bytes(a ^ b for a, b in zip(self.salt, bytes(4) + number))
        return header + AESGCM(self.key).encrypt(nonce, content + bytes([kind]), header)

    def new_hello(self):
        """A ClientHello, which is all that a new handshake begins with; TLS 1.2."""
        body = b"\3\3" + os.urandom(32) + b"\0" + b"\0\2\xc0\x2f" + b"\1\0" + b"\0\0"
        return self.sealed(HANDSHAKE, bytes([CLIENT_HELLO]) + len(body).to_bytes(3, "big") + body)

    def key_update(self, wish):
        """RFC 8446 section 4.6.3: what follows it is under the next key."""
        record = self.sealed(HANDSHAKE, bytes([KEY_UPDATE, 0, 0, 1, wish]))
        self.use_secret(expand_label(self.digest, self.secret, b"traffic upd",
                                     self.digest().digest_size))
        return record

    def said_until_end(self):
        """What the server still said; it must end the connection."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while more := self.socket.recv(65536):
                data += more
        return list(records(data))
