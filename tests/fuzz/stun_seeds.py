"""Seeds of STUN and ChannelData, for seeds.py."""

import hashlib
import hmac
import struct
import zlib

COOKIE = struct.pack("!I", 0x2112A442)


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def stun(kind, *attributes, key=None, fingerprint=False):
    body = b"".join(attributes)

    def head(length):
        return struct.pack("!HH", kind, length) + COOKIE + b"transaction!"
    if key:
        digest = hmac.new(key, head(len(body) + 24) + body, hashlib.sha1).digest()
        body += attribute(0x0008, digest)
    if fingerprint:
        crc = zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E
        body += attribute(0x8028, struct.pack("!I", crc))
    return head(len(body)) + body


XOR_PORT = struct.pack("!H", 9 ^ 0x2112)
XOR_V4 = bytes([0, 1]) + XOR_PORT + bytes([8 ^ 0x21, 8 ^ 0x12, 8 ^ 0xA4, 8 ^ 0x42])
XOR_V6 = bytes([0, 2]) + XOR_PORT + bytes(range(16))
KEY = b"sixteen byte key"


def stun_messages():
    yield "binding", stun(0x0001)
    yield "binding_fingerprint", stun(0x0001, attribute(0x8022, b"x"), fingerprint=True)
    yield "binding_integrity", stun(0x0001, attribute(0x0006, b"user"), key=KEY, fingerprint=True)
    yield "binding_success", stun(0x0101, attribute(0x0020, XOR_V4), attribute(0x0001, XOR_V4))
    yield "ice_check", stun(0x0001, attribute(0x0006, b"a:b"), attribute(0x0024, bytes(4)),
                            attribute(0x802A, bytes(8)), attribute(0x0025, b""), key=KEY)
    yield "allocate", stun(0x0003, attribute(0x0019, b"\x11\0\0\0"), attribute(0x0017, b"\1\0\0\0"),
                           attribute(0x000D, b"\0\0\2\x58"), attribute(0x001A, b""))
    yield "allocate_success", stun(0x0103, attribute(0x0016, XOR_V6), attribute(0x0020, XOR_V4),
                                   attribute(0x000D, b"\0\0\2\x58"), key=KEY)
    yield "unauthorized", stun(0x0113, attribute(0x0009, b"\0\0\4\1Unauthorized"),
                               attribute(0x0014, b"realm"), attribute(0x0015, b"obMatJos2AAAA" * 2))
    yield "unknown_attribute", stun(0x0111, attribute(0x0009, b"\0\0\4\x14Unknown"),
                                    attribute(0x000A, b"\x7f\xff\x7f\xfe\x7f\xfd"))
    yield "create_permission", stun(0x0008, attribute(0x0012, XOR_V4), attribute(0x0012, XOR_V6))
    yield "channel_bind", stun(0x0009, attribute(0x000C, b"\x40\0\0\0"), attribute(0x0012, XOR_V4))
    yield "send", stun(0x0016, attribute(0x0012, XOR_V4), attribute(0x0013, b"payload"))
    yield "data", stun(0x0017, attribute(0x0012, XOR_V6), attribute(0x0013, b""))
    yield "many", stun(0x0001, *[attribute(0x8100 + i, b"") for i in range(32)])
    yield "overrun", stun(0x0001, b"\x80\x22\x00\x10abcd")
    yield "sha256", stun(0x0001, attribute(0x001E, bytes(32)), attribute(0x001D, b"\0\2\0\0"),
                         attribute(0x001C, bytes(32)))


def channel_data(number, payload):
    return struct.pack("!HH", number, len(payload)) + payload + bytes(-len(payload) % 4)


def streams():
    messages = dict(stun_messages())
    yield "one", b"\x00" + messages["binding"]
    yield "several", b"\x07" + messages["allocate"] + messages["send"] + messages["channel_bind"]
    yield "channels", b"\x03" + b"".join(channel_data(0x4000 + i, bytes(i)) for i in range(9))
    yield "mixed", b"\x21" + channel_data(0x4001, b"abc") + messages["data"] + \
        channel_data(0x4FFF, b"")
    yield "unfinished", b"\x09" + messages["allocate"] + channel_data(0x4001, bytes(900))[:500]
    yield "then_garbage", b"\x00" + messages["binding"] + b"GET / HTTP/1.1\r\n\r\n"
    yield "no_cookie", b"\x00" + bytes(24)
    yield "odd_length", b"\x05" + b"\0\1\0\3" + COOKIE + bytes(20)
