#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into tests/corpus/: small inputs that reach every part of a
target, from which libFuzzer goes on. Run it again after changing what an input means; files that
other runs have found (crash-...) stay.

    python3 tests/fuzz/seeds.py
"""

import base64
import os
import re
import struct
import sys

from relay_seeds import stories
from stun_seeds import attribute, streams, stun, stun_messages

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# --- HTTP and WebSocket

def http_heads():
    def head(*lines, body=b"", cut=b"\x05"):
        return cut + "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    host = "Host: turn.example.org:3478"
    yield "get", head("GET / HTTP/1.1", host)
    yield "query", head("GET /api/ice?key=k%20%2b1&ttl=60 HTTP/1.1", host, "Accept: */*")
    yield "bearer", head("GET /api/ice HTTP/1.1", host, "Authorization: Bearer abc")
    yield "post", head("POST /api/ice HTTP/1.1", host, "Content-Type: application/json",
                       "Content-Length: 10", body=b'{"ttl":60}')
    yield "chunked", head("POST /api/ice HTTP/1.1", host, "Transfer-Encoding: chunked",
                          body=b"4\r\n{\"a\"\r\n3;x=y\r\n:1}\r\n0\r\n\r\n", cut=b"\x00")
    yield "expect", head("POST / HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 1",
                         body=b"x")
    yield "websocket", head("GET /ws HTTP/1.1", host, "Upgrade: websocket",
                            "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13",
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                            "Origin: https://app.example.org")
    yield "pipelined", b"\x03" + 2 * (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
                                      b"HEAD /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    yield "http_1_0", head("GET / HTTP/1.0")
    yield "options", head("OPTIONS * HTTP/1.1", host)
    yield "no_host", head("GET / HTTP/1.1")
    yield "two_hosts", head("GET / HTTP/1.1", "Host: a", "Host: b")
    yield "two_lengths", head("POST / HTTP/1.1", host, "Content-Length: 1", "Content-Length: 1",
                              body=b"x")
    yield "length_and_chunked", head("POST / HTTP/1.1", host, "Content-Length: 5",
                                     "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    yield "folded", head("GET / HTTP/1.1", host, "X: a\r\n b")
    yield "bare_lf", b"\x00GET / HTTP/1.1\nHost: x\n\n"
    yield "not_http", b"\x00\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    yield "no_version", b"\x05GET / \r\n\r\n" + b"7" * 18
    yield "long_target", head("GET /" + "a" * 3000 + " HTTP/1.1", host)


def frame(opcode, payload=b"", final=True, mask=b"mask", length=None):
    size = len(payload)
    first = bytes([(0x80 if final else 0) | opcode])
    bit = 0x80 if mask else 0
    if length == 64 or size > 0xFFFF:
        head = first + bytes([bit | 127]) + struct.pack("!Q", size)
    elif length == 16 or size > 125:
        head = first + bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head = first + bytes([bit | size])
    if not mask:
        return head + payload
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def websocket_frames():
    text, binary, close, ping, pong = 1, 2, 8, 9, 10
    join = '{"type":"join","room":"démo","name":"安"}'.encode()
    yield "text", b"\x00" + frame(text, join)
    yield "empty", b"\x00" + frame(text) + frame(binary) + frame(ping) + frame(pong)
    yield "binary", b"\x11" + frame(binary, bytes(range(200)))
    yield "fragments", b"\x05" + frame(text, join[:20], final=False) + frame(ping, b"?") + \
        frame(0, join[20:40], final=False) + frame(0, join[40:])
    yield "close", b"\x00" + frame(close, struct.pack("!H", 1000) + b"bye")
    yield "close_empty", b"\x00" + frame(close)
    yield "close_bad_code", b"\x00" + frame(close, struct.pack("!H", 1005))
    yield "close_one_byte", b"\x00" + frame(close, b"\x03")
    yield "unmasked", b"\x00" + frame(text, b"hello", mask=b"")
    yield "reserved_bit", b"\x00" + bytes([0xC1]) + frame(text, b"hello")[1:]
    yield "reserved_opcode", b"\x00" + frame(3, b"hello")
    yield "long_control", b"\x00" + frame(ping, bytes(126))
    yield "fragmented_control", b"\x00" + frame(ping, b"x", final=False)
    yield "stray_continuation", b"\x00" + frame(0, b"x")
    yield "nested", b"\x00" + frame(text, b"a", final=False) + frame(text, b"b")
    yield "not_utf8", b"\x00" + frame(text, b"\xc0\xaf")
    yield "cut_utf8", b"\x00" + frame(text, b"\xe5\xae", final=False) + frame(0, b"\x89")
    yield "long_form", b"\x00" + frame(text, b"hello", length=16)
    yield "longest_form", b"\x00" + frame(text, b"hello", length=64)
    yield "largest", b"\x40" + frame(binary, bytes(512))
    yield "too_large", b"\x40" + frame(binary, bytes(513))


# --- Engine.IO

def engineio_payloads():
    text3, binary3, text4, frame_, json_text, form = (bytes([i]) for i in range(6))
    yield "three_text", text3 + b"6:4hello10:b4AQIDBA==1:2"
    yield "three_units", text3 + "5:4\u00e9\u20ac\U0001f6001:6".encode()
    yield "three_json", text3 + '15:42["name","h\u00e9"]'.encode()
    yield "three_half", text3 + "2:4\U0001f600".encode()
    yield "three_length", text3 + b"99999999:4"
    yield "three_bytes", binary3 + b"\0\6\xff4hello\1\5\xff\4\1\2\3\4"
    yield "three_bytes_text", binary3 + "\0\4".encode() + b"\xff" + "4\u20ac".encode()
    yield "three_bytes_long", binary3 + b"\0\1\2\1\xff4" + b"x" * 120
    yield "four", text4 + b"4hello\x1e2\x1ebAQIDBA==\x1e6"
    yield "four_empty", text4 + b"4\x1e\x1e4"
    yield "frame_text", frame_ + b"4hello"
    yield "frame_base64", frame_ + b"b4AQIDBA=="
    yield "frame_bytes", frame_ + b"\4\1\2\3\4"
    yield "escape", json_text + '2/r\u00e9,["a\\\"\u00e9","\U0001f600\u2028"]'.encode()
    yield "form", form + b"d=4a%5Cnb%5C%5Cnc+d&e=f"


def engineio_sessions():
    three, sid, jsonp = 1, 0x40, 0x20

    def get(how, mood=0):
        return bytes([mood, how])

    def post(how, body, mood=4, content=1):
        return bytes([0x10 | mood, how, content, len(body)]) + body

    def socket(how, mood=0):
        return bytes([0x20 | mood, how])

    def say(which, body, mood=4):
        return bytes([0x30 | mood, which, len(body)]) + body

    def time(quarters):
        return bytes([0x60, quarters])
    for name, version in (("three", three), ("four", 0)):
        yield name + "_poll", get(version) + get(version | sid) + get(version | sid) + time(80)
        body = b"4:4abc4:4def" if version else b"4abcdef"
        yield name + "_post", get(version) + post(version | sid, body) + get(version | sid)
        yield name + "_jsonp", get(version | jsonp) + post(version | sid | jsonp, b"d=4abc") + \
            get(version | sid | jsonp)
        yield name + "_socket", socket(version) + say(0, b"4abc") + bytes([0x44, 0, 4]) + b"\4abc"
        yield name + "_upgrade", get(version) + get(version | sid) + socket(version | sid) + \
            say(0, b"2probe") + bytes([0x70, 0]) + get(version | sid) + bytes([0x72, 0]) + \
            say(0, b"5") + say(0, b"4abc") + socket(version | sid) + bytes([0x71, 0])
        yield name + "_beat", socket(version) + get(version) + time(80) + time(60) + time(60)
    yield "bytes", get(three) + post(three | sid, b"\0\3\xff4ab\1\3\xff\4ab", content=0) + \
        get(three | sid)
    yield "close", get(0) + get(sid) + post(sid, b"1\x1e6") + get(sid)
    yield "server_close", get(0, 2) + get(0) + bytes([0x71, 1]) + get(sid | 2) + bytes([0x51, 2])
    yield "queue", get(0) + b"".join(bytes([0x70, 0]) for _ in range(70)) + get(sid)
    yield "lost", get(0) + get(sid) + bytes([0x50, 1]) + socket(0) + bytes([0x50, 2])
    yield "full", get(0) * 9 + socket(0) * 2


# The first byte decides the protocol: even is 5.
def socketio_packets():
    packets = {
        "connect": "0", "connect_auth": '0/chat,{"token":"x","pid":"p","offset":"o"}',
        "connect_query": "0/chat?token=x", "disconnect": "1/chat,",
        "event": '2["message",1,{"a":[]}]',
        "event_ack": '2/chat,17["a",null]', "event_number": "2[7]", "ack": '30[1,"2"]',
        "error": '4{"message":"x"}', "reserved": '2["disconnect"]',
        "binary": '52-["a",{"_placeholder":true,"num":0},{"num":1,"_placeholder":true}]',
        "binary_lie": '51-["a",{"\\u005fplaceholder":true,"num":1}]', "binary_ack": '61-/c,3[[]]',
        "deep": '2["a",' + "[" * 62 + "]" * 62 + "]", "escapes": '2["\\ud83d\\ude00","\\ud800"]',
    }
    for name, text in packets.items():
        yield name, b"\0" + text.encode()
        yield name + "_4", b"\1" + text.encode()


# The first byte decides the dialect, and whether rooms want the password "open".
def dialect_conversations():
    room = '"room":"observable-1"'
    drone = [
        "+0v3/websocket", "+1v3/websocket?token=open", '0{"type":"handshake","channel":"c",'
        '"version":2,"client_data":{"n":1},"callback":0}', '1{"type":"handshake","channel":"c",'
        '"callback":0}', '0{"type":"authenticate","token":"open","callback":1}',
        "0{\"type\":\"subscribe\",%s,\"callback\":1}" % room,
        "1{\"type\":\"subscribe\",%s,\"history_count\":9,\"callback\":1}" % room,
        "0{\"type\":\"publish\",%s,\"message\":{\"sdp\":[]}}" % room,
        "1{\"type\":\"unsubscribe\",%s}" % room, "-0", "1garbage",
    ]
    peers = [
        "+0peerjs?key=peerjs&id=a&token=open&version=1", "+1peerjs?key=peerjs&id=b&token=open",
        '0{"type":"OFFER","src":"x","dst":"b","payload":{"sdp":1}}', '1{"type":"HEARTBEAT"}',
        '1{"type":"CANDIDATE","dst":"nobody","payload":null}', ">6",
        "+2peerjs?key=peerjs&id=a&token=open", '2{"type":"LEAVE","dst":"b"}', "-1", ">9",
    ]
    notes = [
        "+0y-webrtc?token=open", "+1y-webrtc?token=open",
        '0{"type":"subscribe","topics":["a","b"]}', '1{"type":"subscribe","topics":["a"]}',
        '0{"type":"publish","topic":"a","data":"x","clients":7}', '1{"type":"ping"}',
        '0{"type":"unsubscribe","topics":["a"]}', "-1",
    ]
    plain = ["+0?token=open", "+1?room=x&token=open", "+2?room=x", '1{"event":"_offer"}', "2x",
             "-1"]
    for mood, (name, lines) in enumerate(
            {"scaledrone": drone, "peerjs": peers, "y_webrtc": notes, "plain": plain}.items()):
        script = "\n".join(lines).encode()
        yield name, bytes([mood]) + script
        yield name + "_token", bytes([mood + 4]) + script


# Verbs of tests/fuzz/signaling_service.cc. The first byte chooses the settings.
def service_step(verb, client, content=b"", number=None):
    return bytes([verb, client, len(content) if number is None else number]) + content


def service_stories():
    raw, upgrade, say, any_frame, hang_up, time, slow, file, kick, operate, connect = \
        0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11

    def enter(client, more=b""):
        return service_step(upgrade, client, b"ws") + \
            service_step(say, client, b'{"type":"join","room":"a","name":"n"' + more + b"}")

    def resume(client, whose, received=b"1"):
        return service_step(upgrade, client, b"ws") + service_step(
            say, client, b'{"type":"resume","session":"\1%c","received":%s}' % (whose, received))
    two = enter(0) + enter(1)
    invited = enter(0, b',"invitation":"\3"') + enter(1, b',"token":"open"')
    talk = service_step(say, 0, b'{"type":"send","data":{"candidate":1}}')
    aside = service_step(say, 1, b'{"type":"send","to":"\2\0","data":[]}')
    leave = service_step(say, 1, b'{"type":"leave"}')
    for mood in (0, 1, 4):
        start = bytes([mood])
        yield f"talk_{mood}", start + two + talk + aside + leave + talk
        yield f"invited_{mood}", start + invited + service_step(say, 0, b'{"type":"ice"}') + leave
        yield f"resume_{mood}", start + invited + service_step(hang_up, 0) + talk + aside + \
            service_step(time, 0, number=200) + resume(2, 0) + aside + resume(3, 0)
        yield f"lost_{mood}", start + two + service_step(hang_up, 0) + aside + \
            service_step(time, 0, number=255) * 3 + resume(0, 0)
    yield "kick", b"\1" + two + service_step(kick, 0) + service_step(time, 0, number=9) + aside
    yield "drain", b"\1" + two + service_step(operate, 0, number=255) + \
        service_step(time, 0, number=250) + service_step(hang_up, 0) + resume(0, 0) + enter(2)
    yield "renew", b"\0" + two + service_step(operate, 0, number=254) + aside
    yield "slow", b"\1" + two + service_step(slow, 0) + aside * 8 + service_step(slow, 0) + talk
    yield "pings", b"\0" + two + service_step(time, 0, number=250) + \
        service_step(any_frame, 0, b"\x8a12345678") + service_step(any_frame, 1, b"\x89x") + \
        service_step(any_frame, 0, b"\x88\3\xe8")
    yield "fragments", b"\0" + two + service_step(any_frame, 0, b'\1{"type":') + \
        service_step(any_frame, 0, b'\x80"ping"}')
    host = b" HTTP/1.1\r\nHost: t:3478\r\n"
    yield "pages", b"\2" + b"".join(
        service_step(raw, i, b"GET " + path + host + b"\r\n") for i, path in enumerate(
            (b"/", b"/call/a", b"/file", b"/healthz", b"/config.json", b"/nothing"))) + \
        service_step(file, 2, number=0)
    yield "challenge", b"\x22" + service_step(
        raw, 0, b"GET /.well-known/acme-challenge/abc" + host + b"\r\n") + \
        service_step(file, 0, number=0) + service_step(raw, 0, b"GET /a" + host + b"\r\nGET")
    yield "api", b"\0" + service_step(raw, 0, b"POST /api/ice" + host +
                                      b"Authorization: Bearer key\r\nContent-Length: 2\r\n\r\n{}")
    yield "proxy", b"\x08" + service_step(connect, 0, number=1) + service_step(
        raw, 0, b"GET /healthz" + host + b"X-Forwarded-For: 8.8.8.8\r\n\r\n") + enter(0)
    yield "polling", b"\0" + service_step(
        raw, 0, b"GET /socket.io/?EIO=4&transport=polling" + host + b"\r\n") + \
        service_step(time, 0, number=200)
    for path in (b"socket.io/?EIO=4&transport=websocket", b"peerjs?key=peerjs&id=a&token=t",
                 b"y-webrtc", b"v3/websocket", b"room"):
        name = path.split(b"?")[0].decode().strip("/").replace("/", "_").replace(".", "_")
        yield "dialect_" + name, b"\0" + service_step(upgrade, 0, path) + \
            service_step(upgrade, 1, path) + service_step(say, 0, b"40") + \
            service_step(say, 1, b'{"type":"subscribe","topics":["a"]}') + service_step(hang_up, 0)


# --- DTLS and PROXY headers

def dtls_record(kind, body, epoch=0, sequence=0):
    return struct.pack("!BHHIHH", kind, 0xFEFD, epoch, 0, sequence, len(body)) + body


def client_hello(cookie=b"", sequence=0):
    suites = struct.pack("!HH", 0xC02B, 0xC02F)
    extensions = struct.pack("!HHHHH", 10, 6, 4, 29, 23) + struct.pack("!HHHHH", 13, 6, 4, 0x0403,
                                                                       0x0804)
    body = (b"\xfe\xfd" + bytes(range(32)) + b"\0" + bytes([len(cookie)]) + cookie
            + struct.pack("!H", len(suites)) + suites + b"\1\0"
            + struct.pack("!H", len(extensions)) + extensions)
    size = struct.pack("!I", len(body))[1:]
    return dtls_record(22, b"\1" + size + struct.pack("!H", sequence) + bytes(3) + size + body,
                       sequence=sequence)


def dtls_datagrams():
    def script(who, *datagrams):
        return bytes([who]) + b"".join(struct.pack("!H", len(d)) + d for d in datagrams)
    key_exchange = dtls_record(22, b"\x10\0\0\x21\0\2\0\0\0\0\0\x21\x20" + bytes(range(32)),
                               sequence=2)
    change = dtls_record(20, b"\1", sequence=3)
    yield "hello", script(0, client_hello())
    yield "hello_cookie", script(0, client_hello(), client_hello(bytes(16), 1))
    yield "alert", script(0, dtls_record(21, b"\2\x28"))
    yield "key_exchange", script(1, key_exchange, change, dtls_record(22, bytes(40), 1))
    yield "key_exchange_twice", script(1, key_exchange, key_exchange, change)
    yield "second_hello", script(1, client_hello(), dtls_record(21, b"\1\0"))
    yield "data_early", script(1, dtls_record(23, b"data", 1))


def http_responses():
    def response(*lines, body=b"", cut=b"\x05"):
        return cut + "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    yield "sized", response("HTTP/1.1 200 OK", "Content-Length: 2", body=b"{}")
    yield "open_ended", response("HTTP/1.1 200 ", "Content-Type: text/plain", body=b"body")
    yield "chunked", response("HTTP/1.1 200 OK", "Transfer-Encoding: chunked",
                              body=b"4\r\n{\"a\"\r\n3;x=y\r\n:1}\r\n0\r\n\r\n", cut=b"\x00")
    yield "interim", b"\x03HTTP/1.1 100 Continue\r\n\r\n" + \
        response("HTTP/1.1 404 Not Found", "Content-Length: 0", cut=b"")
    yield "close", response("HTTP/1.0 503 Later", "Connection: close", "Content-Length: 3",
                            body=b"abc")
    yield "two_lengths", response("HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 1")
    yield "large", response("HTTP/1.1 200 OK", "Content-Length: 301")
    yield "no_content", response("HTTP/1.1 204 No Content")


def proxy_headers():
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    v4, v6 = bytes([192, 0, 2, 1, 203, 0, 113, 10, 195, 80, 13, 150]), bytes(36)
    yield "line4", b"\0PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478\r\n"
    yield "line6", b"\7PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 65535\r\n"
    yield "unknown", b"\7PROXY UNKNOWN\r\nrest"
    yield "binary4", b"\0" + signature + b"\x21\x11\0\x0c" + v4
    yield "binary6_more", b"\7" + signature + b"\x21\x21\0\x2b" + v6 + b"\4\0\4abcd"
    yield "local", b"\0" + signature + b"\x20\0\0\0"


def room_tokens():
    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")
    claims = {
        "room": b'{"room":"demo"}',
        "rooms": b'{"room":["demo","team-*","*"],"sub":"Ada","exp":1800000000.5,"nbf":1}',
        "expired": b'{"room":"demo","exp":1}',
        "twice": b'{"room":"demo","room":"*"}',
        "escaped": b'{"room":"\\ud83d\\ude00\\u0000","exp":1e400}',
        "deep": b'{"room":' + b"[" * 40 + b"]" * 40 + b"}",
    }
    for name, content in claims.items():
        yield name, b"\1" + content
    for name, head in (("hs256", b'{"alg":"HS256"}'), ("none", b'{"alg":"none"}'),
                       ("es256", b'{"alg":"ES256","typ":"JWT"}'),
                       ("critical", b'{"crit":["b64"]}')):
        yield "token_" + name, b"\0" + b".".join(map(part, (head, claims["room"], bytes(32))))
    yield "password", b"\0open sesame"


# --- media above ICE

def descriptions():
    with open(os.path.join(ROOT, "tests/vectors/sdp.h"), encoding="utf-8") as file:
        offers = re.findall(r'k(\w+)Offer = R"sdp\((.*?)\)sdp"', file.read(), re.S)
    for name, offer in offers:
        yield "offer_" + name.lower(), offer.encode()


def rtp_and_rtcp_packets():
    rtp = struct.pack("!BBHIII", 0xB1, 0xEF, 7, 8, 9, 10)
    yield "rtp", rtp + struct.pack("!HH", 0xBEDE, 2) + b"\x10\x7f\x00\x31ab\0\0" + b"hi\0\2"
    yield "rtp_two_byte", rtp + struct.pack("!HH", 0x1000, 1) + b"\x05\x01a\0" + b"hi\0\2"
    block = struct.pack("!IIIIII", 9, 0x80FFFFFE, 70000, 3, 4, 5)

    def rtcp(count, kind, body):
        return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
    reports = rtcp(1, 200, struct.pack("!IQIII", 1, 2, 3, 4, 5) + block)
    reports += rtcp(1, 201, b"ssrc" + block)
    feedback = [rtcp(1, 205, b"fromtome" + b"\0\1\xf0\0"), rtcp(15, 205, b"fromtome" + bytes(8)),
                rtcp(1, 206, b"fromtome"), rtcp(4, 206, b"frommeeh" + b"ssrc\1\0\0\0"),
                rtcp(15, 206, b"from\0\0\0\0REMB\1\x0c\xff\xffssrc")]
    rest = rtcp(1, 202, b"ssrc\1\4name\0\0") + rtcp(1, 203, b"ssrc")
    yield "rtcp", reports + rest + b"".join(feedback)


def channel_messages():
    yield "ack", b"\2"
    for kind in (0, 1, 2, 0x80, 0x81, 0x82):
        parameter = 5 if kind % 4 else 0
        head = struct.pack("!BBHIHH", 3, kind, 256, parameter, 4, 2)
        yield f"open_{kind}", head + b"chatv1"


def echo_steps(*steps):
    return b"".join(struct.pack("!BBH", ord(operation), number, len(content)) + content
                    for operation, number, content in steps)


def echo_stories():
    candidate = b'{"candidate":{"candidate":"candidate:1 1 udp 1 203.0.113.9 4000 typ host"}}'
    yield "connects", echo_steps(
        ("J", 0, b""), ("O", 0, b""), ("M", 0, candidate), ("C", 0, b""), ("T", 1, b""),
        ("D", 0, client_hello()), ("D", 0, b"\x80\x6f" + bytes(30)), ("T", 8, b""), ("O", 0, b""),
        ("C", 6, b"\x80\x29" + bytes(8)), ("G", 0, b""))
    everybody = [[(operation, i, b"") for i in range(6)] for operation in "JOC"]
    yield "crowd", echo_steps(*sum(everybody, []), ("T", 200, b""), ("J", 0, b""))
    yield "words", echo_steps(
        ("J", 1, b""), ("M", 1, b'{"description":{"type":"offer","sdp":"v=0"}}'),
        ("M", 1, b'{"description":{"type":"answer","sdp":""}}'), ("M", 1, b'{"candidate":{}}'),
        ("M", 1, b'{"candidate":{"candidate":"candidate:?"}}'), ("M", 1, b"[1]"), ("M", 1, b"{}"))
    yield "strangers", echo_steps(("D", 0, stun(0x0001, attribute(0x0006, b"who:abcd"))),
                                  ("D", 1, client_hello()), ("D", 2, b"\x80" + bytes(20)),
                                  ("D", 3, b""), ("T", 4, b""))


CANDIDATES = (b"candidate:1 1 udp 2130706431 192.0.2.3 5001 typ host",
              b"a=candidate:2 1 UDP 1694498815 192.0.2.4 5002 typ srflx raddr 10.0.0.1 rport 9",
              b"candidate:3 1 udp 16777215 192.0.2.5 5000 typ relay raddr 0.0.0.0 rport 0 "
              b"generation 0 ufrag abcd network-cost 10",
              b"candidate:4 2 udp 1 ::1 5000 typ prflx",
              b"candidate:5 1 tcp 1 192.0.2.1 9 typ host tcptype active",
              b"candidate:6 1 udp 1 4c9a6d6e-3f7a.local 5000 typ host",
              b"candidate:7 1 udp 99999999999 192.0.2.1 70000 typ wrong", b"candidate:",
              b"turns:turn.example.org:5349?transport=tcp", b"stun:[2001:db8::1]:3478",
              b"turn:192.0.2.1?transport=udp", b"turn:x:0?transport=sctp", b"stun:h?transport=udp")


def ice_stories():
    """Steps of tests/fuzz/ice_agent.cc."""
    def told(text):
        return b"\4" + bytes([len(text)]) + text

    def local(kind=0, base=0):
        return b"\5" + bytes([kind, 1, 255, 255, 7, base])

    def check(how, address=3):
        tie = b"" if how & (4 | 8 | 16) else bytes(8)
        return b"\1" + bytes([how]) + (b"" if how & 2 else bytes(4)) + tie + \
            bytes([address]) + b"\0"

    def answer(how=0, which=0):
        more = b"" if how & 3 else b"\1"
        return b"\2" + bytes([which, how]) + more + (b"\3" if how & 8 else b"")
    begin, wait, say = b"\6\0", b"\7\x08", b"\x08\3\x80ab"
    peers = b"".join(map(told, CANDIDATES))
    for mood in range(4):
        role = 1 if mood & 1 else 33  # the other side has the other role
        yield f"connects_{mood}", bytes([mood]) + local() + begin + told(CANDIDATES[0]) + wait + \
            answer() + wait + check(role & 32 | 1) + wait + answer() + wait + say + \
            check(role & 32 | 65) + (wait + answer()) * 6 + say + b"\7\xff" * 9 + say
    yield "candidates", b"\0" + local() + local(1, 1) + local(3, 2) + peers + begin + wait * 9
    yield "checks_first", b"\1" + local() + check(33) + check(97, 4) + begin + wait * 9
    yield "conflict", b"\0" + local() + begin + check(33 | 8) + check(33 | 16) + check(1) + \
        told(CANDIDATES[0]) + wait + answer(1) + wait + answer(1) + wait
    yield "refused", b"\0" + local() + begin + told(CANDIDATES[0]) + wait + answer(17) + wait + \
        told(CANDIDATES[1]) + wait + answer(33, 1) + wait + answer(8) + answer(4) + answer(2)
    yield "strangers", b"\0" + local() + begin + check(128 | 33) + check(32) + check(2 | 33) + \
        check(4 | 33) + b"\0\3\x14" + stun(0x0001) + b"\0" + b"\0\3\4ab"
    yield "restart", b"\0" + local() + begin + told(CANDIDATES[0]) + wait + answer() + wait + \
        answer() + b"\x09\0" + begin + told(CANDIDATES[0]) + wait + answer() + wait + say
    yield "lite_peer", b"\1" + local() + b"\6\1" + told(CANDIDATES[0]) + (wait + answer()) * 4
    yield "crowd", b"\0" + b"".join(local(0, i % 3) for i in range(40)) + begin + \
        b"".join(check(33, i) for i in range(128)) + wait * 20


TARGETS = {"sdp": descriptions, "echo_endpoint": echo_stories,
           "ice_agent": ice_stories,
           "rtp_and_rtcp": rtp_and_rtcp_packets, "dcep": channel_messages,
           "stun_message": stun_messages, "dtls_listener": dtls_datagrams,
           "proxy_header": proxy_headers, "stream_framer": streams, "http_head": http_heads,
           "http_response": http_responses, "websocket_frames": websocket_frames,
           "turn_server": stories, "engineio_payload": engineio_payloads,
           "engineio_session": engineio_sessions, "socketio_packet": socketio_packets,
           "dialect_sockets": dialect_conversations, "room_tokens": room_tokens,
           "signaling_service": service_stories}


def main():
    for target, seeds in TARGETS.items():
        folder = os.path.join(ROOT, "tests/corpus", target)
        os.makedirs(folder, exist_ok=True)
        for name, content in seeds():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
