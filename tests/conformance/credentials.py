"""Requests with the long-term credential as tests want them: any part may be another or missing."""

import hashlib
import hmac
import os
import struct

from conversation import PASSWORD, REALM_NAME, USER, attribute, stun
from turnclient import (ALLOCATE, MESSAGE_INTEGRITY, NONCE, REALM, REQUESTED_TRANSPORT, USERNAME)

MESSAGE_INTEGRITY_SHA256, PASSWORD_ALGORITHM, USERHASH = 0x001C, 0x001D, 0x001E
PASSWORD_ALGORITHMS, ALTERNATE_DOMAIN, ALTERNATE_SERVER = 0x8002, 0x8003, 0x8023
UDP_TRANSPORT = attribute(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
MD5, SHA256 = bytes([0, 1, 0, 0]), bytes([0, 2, 0, 0])
OFFERED = SHA256 + MD5


def key_of(user=USER, realm=REALM_NAME, password=PASSWORD, algorithm=MD5):
    hashing = hashlib.sha256 if algorithm == SHA256 else hashlib.md5
    text = b":".join(part if isinstance(part, bytes) else part.encode()
                     for part in (user, realm, password))
    return hashing(text).digest()


def userhash(user=USER, realm=REALM_NAME):
    return hashlib.sha256(f"{user}:{realm}".encode()).digest()


def sign(message, key, attribute_type=MESSAGE_INTEGRITY):
    """The message with an integrity attribute behind it."""
    hashing, size = ((hashlib.sha1, 20) if attribute_type == MESSAGE_INTEGRITY
                     else (hashlib.sha256, 32))
    head = message[:2] + struct.pack("!H", len(message) - 20 + 4 + size) + message[4:]
    return head + attribute(attribute_type, hmac.new(key, head, hashing).digest())


def is_signed(raw, key, attribute_type=MESSAGE_INTEGRITY):
    """Whether the integrity attribute of an answer is there and right."""
    offset = 20
    while offset < len(raw):
        kind, size = struct.unpack_from("!HH", raw, offset)
        if kind == attribute_type:
            again = sign(raw[:offset], key, attribute_type)
            return again[offset:] == raw[offset:offset + 4 + size]
        offset += 4 + size + -size % 4
    return False


def request(nonce, *, method=ALLOCATE, user=USER, realm=REALM_NAME, key=None, body=UDP_TRANSPORT,
            hashed=None, algorithm=None, algorithms=None, integrity=MESSAGE_INTEGRITY,
            transaction=None):
    """A signed request. None leaves an attribute out; `key` None is the right one."""
    if user is not None:
        body += attribute(USERNAME, user if isinstance(user, bytes) else user.encode())
    if hashed is not None:
        body += attribute(USERHASH, hashed)
    if realm is not None:
        body += attribute(REALM, realm.encode())
    if nonce is not None:
        body += attribute(NONCE, nonce)
    if algorithm is not None:
        body += attribute(PASSWORD_ALGORITHM, algorithm)
    if algorithms is not None:
        body += attribute(PASSWORD_ALGORITHMS, algorithms)
    if key is None:
        key = key_of(user or USER, realm or REALM_NAME, algorithm=algorithm or MD5)
    return sign(stun(method, body, transaction or os.urandom(12)), key, integrity)


def modern(nonce, *, algorithm=SHA256, algorithms=OFFERED, **more):
    """A request as RFC 8489 has it: the choice of an algorithm, signed with SHA-256."""
    more.setdefault("integrity", MESSAGE_INTEGRITY_SHA256)
    return request(nonce, algorithm=algorithm, algorithms=algorithms, **more)
