"""Seeds of the whole relay, for seeds.py: steps as relay_script.cc reads them."""

from stun_seeds import stun

RAW, REQUEST, CHANNEL, PEER, TIME, GONE, REVOKE = 0, 1, 3, 4, 5, 6, 7
CONNECTED, CONNECTS, FLOWS = 8, 9, 10
UDP, UDP6, TCP, TLS = range(4)
ALLOCATE, REFRESH, SEND, PERMIT, BIND, CONNECT, CONNECTION_BIND = 3, 4, 6, 8, 9, 10, 11
OPEN, INDICATION, FINGERPRINT, BY_TOKEN = 0x20, 0x10, 0x40, 0x80


def raw(client, packet):
    return bytes([RAW, client, len(packet)]) + packet


def request(client, method, *attributes):
    return bytes([REQUEST, client, method, 7, len(attributes)]) + b"".join(attributes)


def transport(protocol=None):
    return bytes([0, 0]) if protocol is None else bytes([0, 1, protocol])


def peer(index):
    return bytes([1, index])


def number(offset):
    return bytes([2, offset])


def lifetime(units):
    return bytes([3, units])


def data(payload):
    return bytes([4, len(payload)]) + payload


def ticket(which):
    return bytes([10, which])


def connection(offset):
    return bytes([11, offset])


def by_token(client, method, *attributes, age=0, units=40, changed=0xFF, sha256=False):
    how = 2 if sha256 else 0
    return request(client, BY_TOKEN | method, *attributes) + bytes([how, age, units, changed])


def by_its_key(client, method, *attributes):
    return request(client, BY_TOKEN | method, *attributes) + bytes([1])


def channel(client, size, *twists):
    count = b"" if client in (TCP, TLS) else bytes([len(twists) - 1])
    return bytes([CHANNEL, client]) + count + bytes([size, *twists])


def from_peer(index, relay, segment, total):
    return bytes([PEER, index, relay, segment, total])


def allocated(client):
    """The first is refused and brings the nonce, the second is granted."""
    return 2 * request(client, ALLOCATE, transport())


def stories_of_connections():
    for_tcp = 2 * request(TCP, ALLOCATE, transport(6))
    opened = for_tcp + request(TCP, CONNECT, peer(0)) + bytes([CONNECTED, 0, 1])
    joined = opened + 2 * request(TLS, CONNECTION_BIND, connection(0))
    yield "connects", joined + bytes([FLOWS, 0, 8, FLOWS, 0, 255, FLOWS, 0, 0])
    yield "connects_in_vain", for_tcp + request(TCP, CONNECT, peer(0)) + \
        request(TCP, CONNECT, peer(0)) + bytes([CONNECTED, 0, 0]) + \
        b"".join(request(TCP, CONNECT, peer(i)) for i in range(10))
    yield "connects_for_too_long", for_tcp + request(TCP, CONNECT, peer(0)) + bytes([TIME, 10])
    yield "connection_bound_by_nobody", opened + bytes([TIME, 10]) + \
        2 * request(TLS, CONNECTION_BIND, connection(0))
    yield "connection_bound_in_vain", opened + request(TCP, CONNECTION_BIND, connection(0)) + \
        2 * request(TLS, CONNECTION_BIND, connection(1)) + \
        request(TLS, CONNECTION_BIND, connection(2)) + request(UDP, CONNECTION_BIND, connection(0))
    yield "peer_connects", for_tcp + request(TCP, PERMIT, peer(0)) + \
        bytes([CONNECTS, 0, 0, CONNECTS, 1, 0, CONNECTS, 2, 0]) + \
        2 * request(TLS, CONNECTION_BIND, connection(0)) + bytes([FLOWS, 0, 7])
    yield "connects_to_each_other", for_tcp + 2 * request(TLS, ALLOCATE, transport(6)) + \
        request(TCP, CONNECT, peer(129)) + request(TLS, PERMIT, peer(130)) + \
        bytes([CONNECTS, 130, 1, CONNECTED, 0, 1, CONNECTED, 1, 1])
    yield "connected_client_is_gone", joined + request(TCP, CONNECT, peer(2)) + bytes([GONE, TCP])
    yield "tcp_without_datagrams", for_tcp + request(TCP, PERMIT, peer(0)) + \
        request(TCP, BIND, number(1), peer(0)) + from_peer(0, 0, 10, 35) + \
        request(TCP, SEND | INDICATION | OPEN, peer(0), data(b"x")) + \
        2 * request(TLS, ALLOCATE, transport(6), bytes([6])) + request(UDP, ALLOCATE, transport(6))


def stories_of_tokens():
    asked = request(UDP, ALLOCATE | OPEN, transport())
    made = asked + by_token(UDP, ALLOCATE, transport())
    yield "token", made + by_its_key(UDP, PERMIT, peer(0)) + \
        by_token(UDP, REFRESH, lifetime(40), sha256=True) + bytes([TIME, 200])
    yield "token_ends", made + bytes([TIME, 160]) + by_its_key(UDP, REFRESH) + bytes([TIME, 5])
    yield "token_refused", asked + by_token(UDP, ALLOCATE, transport(), changed=20) + \
        by_token(UDP, ALLOCATE, transport(), changed=1) + by_its_key(UDP, ALLOCATE, transport()) + \
        by_token(UDP, ALLOCATE, transport(), age=100, units=1)
    yield "token_of_another", made + request(UDP, PERMIT, peer(0)) + allocated(TCP) + \
        by_token(TCP, REFRESH, lifetime(0))


def stories():
    a_relay, b_relay = 129, 130  # peers that are relays of ours
    pair = allocated(UDP) + allocated(TCP)
    yield "binding", raw(UDP, stun(0x0001)) + raw(TCP, stun(0x0001))
    yield "refused", request(UDP, ALLOCATE | OPEN, transport())
    for name, client in (("udp", UDP), ("udp6", UDP6), ("tcp", TCP), ("tls", TLS)):
        yield "allocate_" + name, allocated(client)
        yield "send_" + name, allocated(client) + request(client, PERMIT, peer(0), peer(2)) + \
            request(client, SEND | INDICATION | OPEN, peer(0), data(b"payload")) + \
            from_peer(0, 0, 10, 35) + from_peer(4, 0, 10, 35)
        yield "channel_" + name, allocated(client) + request(client, BIND, number(1), peer(0)) + \
            channel(client, 12, 0) + channel(client, 12, 0x41) + from_peer(0, 0, 20, 100)
    yield "train", allocated(UDP) + request(UDP, BIND, number(1), peer(0)) + \
        request(UDP, BIND, number(2), peer(1)) + channel(UDP, 30, 0, 0, 1, 0) + \
        channel(UDP, 8, 0, 0, 0, 0) + channel(UDP, 8, 0, 0x48, 2, 3)
    yield "refresh", allocated(UDP) + request(UDP, REFRESH, lifetime(40)) + bytes([TIME, 100]) + \
        request(UDP, REFRESH, lifetime(0)) + allocated(UDP)
    yield "expire", allocated(UDP) + request(UDP, BIND, number(1), peer(0)) + \
        bytes([TIME, 80, TIME, 80, TIME, 255])
    yield "stale_nonce", allocated(UDP) + bytes([TIME, 170]) + request(UDP, PERMIT, peer(0)) * 2
    yield "gone", pair + bytes([GONE, TCP, GONE, UDP, GONE, TLS])
    yield "revoke", pair + bytes([REVOKE, 60]) + allocated(UDP) + bytes([TIME, 30]) + allocated(UDP)
    yield "each_other", pair + request(UDP, PERMIT, peer(a_relay)) + \
        request(TCP, PERMIT, peer(a_relay)) + request(UDP, BIND, number(1), peer(b_relay)) + \
        request(UDP, BIND, number(2), peer(a_relay)) + channel(UDP, 20, 0, 0) + \
        request(UDP, SEND | INDICATION | OPEN, peer(a_relay), data(b"x")) + channel(UDP, 20, 1)
    yield "forbidden", allocated(UDP) + b"".join(request(UDP, PERMIT, peer(i)) for i in range(10))
    yield "rebind", allocated(UDP) + request(UDP, BIND, number(1), peer(0)) * 2 + \
        request(UDP, BIND, number(1), peer(1)) + request(UDP, BIND, number(2), peer(0)) + \
        request(UDP, BIND, number(0), peer(2))
    yield "odd_attributes", allocated(UDP) + \
        request(UDP, ALLOCATE | FINGERPRINT, transport(), bytes([5, 1]), bytes([6]),
                bytes([7, 1, 0x80]), bytes([12, 0x7F, 0xFF, 2, 1, 1]))
    yield "quota", b"".join(allocated(client) for client in range(4)) * 2
    mobile = 2 * request(UDP, ALLOCATE, transport(), ticket(0)) + \
        request(UDP, BIND, number(1), peer(0))
    for name, client in (("udp6", UDP6), ("tcp", TCP)):
        yield "moves_" + name, mobile + 2 * request(client, REFRESH, ticket(1), lifetime(40)) + \
            from_peer(0, 0, 10, 35) + channel(client, 12, 0) + from_peer(0, 0, 10, 35) + \
            request(UDP, REFRESH, ticket(1), lifetime(40)) + channel(UDP, 12, 0) + \
            bytes([TIME, 20, GONE, client, TIME, 255])
    yield "moves_in_vain", mobile + 2 * request(TLS, REFRESH, ticket(3) + b"\5") + \
        allocated(TCP) + request(TCP, REFRESH, ticket(1)) + request(UDP, REFRESH, ticket(1)) + \
        request(TLS, REFRESH, ticket(0)) + request(UDP, REFRESH, lifetime(0))
    pair_of_ports = 2 * request(UDP, ALLOCATE, transport(), bytes([7, 1, 0x80]))
    yield "claimed", pair_of_ports + 2 * request(TCP, ALLOCATE, transport(), bytes([8, 0])) + \
        request(TLS, ALLOCATE, transport(), bytes([8, 0]))
    yield "promised_in_vain", pair_of_ports + bytes([TIME, 10]) + \
        2 * request(TCP, ALLOCATE, transport(), bytes([8, 0])) + bytes([REVOKE, 0])
    yield "two_families", 2 * request(UDP, ALLOCATE, transport(), bytes([9])) + \
        request(UDP, PERMIT, peer(0), peer(3)) + request(UDP, REFRESH, bytes([5, 1]), lifetime(0))
    yield from stories_of_connections()
    yield from stories_of_tokens()
    yield "garbage", raw(UDP, b"\x80" * 30) + raw(UDP6, b"\0\1") + \
        raw(TCP, b"GET / HTTP/1.1\r\n\r\n")
