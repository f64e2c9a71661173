"""Parts F and G of the checklist: permissions, Send, Data and channels (RFC 8656 9 to 12)."""

import os
import struct
import time

from conversation import Conversation, stun
from turnclient import (BINDING, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, DATA, DATA_VALUE,
                        INDICATION, REQUEST, SEND, XOR_PEER_ADDRESS, Message, Refused, xor_address)

FORBIDDEN = ("10.1.2.3", 9)
UNKNOWN_REQUIRED, UNKNOWN_OPTIONAL = 0x7777, 0xF777


def channel_data(number, data, length=None, padding=b""):
    return struct.pack("!HH", number, len(data) if length is None else length) + data + padding


class Installs(Conversation):
    OPTIONS = ("--relay-ip", "127.0.0.1")

    def allocated(self, transport="udp"):
        client = self.client(transport)
        client.allocate()
        return client

    def code(self, client, message):
        try:
            client.authenticated(message)
        except Refused as refusal:
            return refusal.code
        return None

    def permission(self, *peers):
        message = Message(CREATE_PERMISSION, REQUEST)
        for peer in peers:
            message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        return message

    def binding(self, number, peer):
        message = Message(CHANNEL_BIND, REQUEST)
        if number is not None:
            message.add(CHANNEL_NUMBER, struct.pack("!HH", number, 0))
        if peer is not None:
            message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        return message

    def indication(self, peer, data, *more):
        message = Message(SEND, INDICATION)
        if peer is not None:
            message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        if data is not None:
            message.add(DATA_VALUE, data)
        for kind, value in more:
            message.add(kind, value)
        return message.encode()

    def assert_nothing_for(self, peer, client, permitted):
        """What the client sent before has not reached the peer: what it sends now is first."""
        client.send(permitted.getsockname(), b"fence")
        self.assertEqual(permitted.recvfrom(100)[0], b"fence")
        peer.setblocking(False)
        self.assertRaises(BlockingIOError, peer.recvfrom, 100)
        peer.settimeout(3)


class Permissions(Installs):
    def test_8656_10_2_create_permission_and_its_errors(self):
        peer = ("127.0.0.1", 9)
        self.assertEqual(self.code(self.client(), self.permission(peer)), 437)
        client = self.allocated()
        self.assertEqual(self.code(client, self.permission()), 400)
        malformed = Message(CREATE_PERMISSION, REQUEST).add(XOR_PEER_ADDRESS, bytes(7))
        self.assertEqual(self.code(client, malformed), 400)
        self.assertEqual(self.code(client, self.permission(("::1", 9))), 443)
        self.assertEqual(self.code(client, self.permission(FORBIDDEN)), 403)
        self.assertIsNone(self.code(client, self.permission(peer, ("127.0.0.2", 9))))

    def test_8656_10_2_a_refused_request_installs_nothing(self):
        client, peer = self.allocated(), self.peer("127.0.0.2")
        self.assertEqual(self.code(client, self.permission(peer.getsockname(), FORBIDDEN)), 403)
        client.send(peer.getsockname(), b"no")
        other = self.peer()
        client.permit(other.getsockname())
        self.assert_nothing_for(peer, client, other)

    def test_8656_9_a_permission_is_for_an_address_with_all_ports(self):
        client, peers = self.allocated(), [self.peer(), self.peer()]
        client.permit(("127.0.0.1", 1))
        for peer in peers:
            client.send(peer.getsockname(), b"to any port")
            self.assertEqual(peer.recvfrom(100)[0], b"to any port")
            peer.sendto(b"from any port", client.relayed)
            self.assertEqual(client.receive(), (peer.getsockname(), b"from any port"))

    def test_8656_9_a_permission_is_of_one_allocation(self):
        one, other, peer = self.allocated(), self.allocated(), self.peer()
        one.permit(peer.getsockname())
        other.permit(("127.0.0.2", 9))
        other.send(peer.getsockname(), b"no")
        self.assert_nothing_for(peer, one, self.peer())
        peer.sendto(b"no", other.relayed)
        self.assertIsNone(other.receive(0.2))

    def test_8656_11_2_what_send_lacks_drops_it(self):
        client, peer, other = self.allocated(), self.peer(), self.peer("127.0.0.2")
        name = peer.getsockname()
        client.permit(name)
        for wrong in (self.indication(other.getsockname(), b"no permission"),
                      self.indication(name, None), self.indication(None, b"no peer"),
                      self.indication(name, b"unknown", (UNKNOWN_REQUIRED, b"")),
                      self.indication((name[0], 0), b"no port")):
            client.write(wrong)
        stranger = self.wire()
        self.assert_dropped(stranger, self.indication(name, b"no allocation"))
        self.assert_nothing_for(other, client, peer)
        client.write(self.indication(name, b"known", (UNKNOWN_OPTIONAL, b"")))
        self.assertEqual(peer.recvfrom(100)[0], b"known")
        self.assertIsNone(client.receive(0.1))

    def test_8656_11_2_empty_data_is_an_empty_datagram(self):
        client, peer = self.allocated(), self.peer()
        client.permit(peer.getsockname())
        client.send(peer.getsockname(), b"")
        self.assertEqual(peer.recvfrom(100)[0], b"")
        peer.sendto(b"", client.relayed)
        self.assertEqual(client.receive(), (peer.getsockname(), b""))

    def test_8656_11_2_datagrams_leave_from_the_relayed_address_unchanged(self):
        client, peer = self.allocated(), self.peer()
        client.permit(peer.getsockname())
        for size in (1, 2, 3, 4, 5, 1200, 1472, 8000, 60000):
            data = os.urandom(size)
            client.send(peer.getsockname(), data)
            self.assertEqual(peer.recvfrom(65536), (data, client.relayed))

    def test_8656_11_3_data_without_permission_is_dropped(self):
        client, peer, stranger = self.allocated(), self.peer(), self.peer("127.0.0.2")
        client.permit(peer.getsockname())
        stranger.sendto(b"no", client.relayed)
        peer.sendto(b"yes", client.relayed)
        self.assertEqual(client.receive(), (peer.getsockname(), b"yes"))
        self.assertIsNone(client.receive(0.1))

    def test_8656_11_3_a_data_indication_names_source_and_payload(self):
        client, peer = self.allocated(), self.peer()
        client.permit(("127.0.0.1", 9))
        for size in (1, 2, 3, 4, 1001, 8000):
            data = os.urandom(size)
            peer.sendto(data, client.relayed)
            message = Message.decode(client.read(time.monotonic() + 3))
            self.assertEqual((message.cls, message.method), (INDICATION, DATA))
            self.assertEqual(message.address(XOR_PEER_ADDRESS), peer.getsockname())
            self.assertEqual(message.get(DATA_VALUE), data)
            self.assertEqual([kind for kind, _ in message.attributes],
                             [XOR_PEER_ADDRESS, DATA_VALUE])

    def test_8656_11_3_stun_from_a_peer_is_payload(self):
        client, peer = self.allocated(), self.peer()
        client.permit(peer.getsockname())
        request = stun(BINDING | REQUEST)
        peer.sendto(request, client.relayed)
        self.assertEqual(client.receive(), (peer.getsockname(), request))
        peer.settimeout(0.2)
        self.assertRaises(TimeoutError, peer.recvfrom, 100)

    def test_8656_11_4_a_data_indication_from_a_client_is_ignored(self):
        client, peer = self.allocated(), self.peer()
        client.permit(peer.getsockname())
        message = Message(DATA, INDICATION)
        message.add(XOR_PEER_ADDRESS, xor_address(peer.getsockname(), message.transaction))
        client.write(message.add(DATA_VALUE, b"no").encode())
        self.assert_nothing_for(self.peer(), client, peer)
        self.assertIsNone(client.receive(0.1))


class Channels(Installs):
    def test_8656_12_2_numbers_are_those_of_rfc_8656(self):
        client = self.allocated()
        for number in (0x0000, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF):
            self.assertEqual(self.code(client, self.binding(number, ("127.0.0.1", 9))), 400)
        self.assertIsNone(self.code(client, self.binding(0x4000, ("127.0.0.1", 9))))
        self.assertIsNone(self.code(client, self.binding(0x4FFF, ("127.0.0.1", 10))))

    def test_8656_12_2_channel_bind_and_its_errors(self):
        peer = ("127.0.0.1", 9)
        self.assertEqual(self.code(self.client(), self.binding(0x4000, peer)), 437)
        client = self.allocated()
        self.assertEqual(self.code(client, self.binding(None, peer)), 400)
        self.assertEqual(self.code(client, self.binding(0x4000, None)), 400)
        short = self.binding(None, peer).add(CHANNEL_NUMBER, b"\x40\x00")
        self.assertEqual(self.code(client, short), 400)
        malformed = self.binding(0x4000, None).add(XOR_PEER_ADDRESS, bytes(5))
        self.assertEqual(self.code(client, malformed), 400)
        self.assertEqual(self.code(client, self.binding(0x4000, ("::1", 9))), 443)
        self.assertEqual(self.code(client, self.binding(0x4000, FORBIDDEN)), 403)

    def test_8656_12_2_neither_number_nor_peer_is_bound_twice(self):
        client, one, other = self.allocated(), ("127.0.0.1", 9), ("127.0.0.1", 10)
        self.assertIsNone(self.code(client, self.binding(0x4000, one)))
        self.assertEqual(self.code(client, self.binding(0x4000, other)), 400)
        self.assertEqual(self.code(client, self.binding(0x4001, one)), 400)
        self.assertIsNone(self.code(client, self.binding(0x4000, one)))
        self.assertIsNone(self.code(client, self.binding(0x4001, other)))

    def test_8656_12_5_channel_bind_permits_and_send_still_works(self):
        client, peer, neighbour = self.allocated(), self.peer(), self.peer()
        client.bind_channel(peer.getsockname())
        client.write(self.indication(peer.getsockname(), b"by Send"))
        self.assertEqual(peer.recvfrom(100), (b"by Send", client.relayed))
        client.send(neighbour.getsockname(), b"same address")
        self.assertEqual(neighbour.recvfrom(100)[0], b"same address")
        neighbour.sendto(b"and back", client.relayed)
        self.assertEqual(client.receive(), (neighbour.getsockname(), b"and back"))

    def test_8656_12_5_a_bound_peer_comes_as_channel_data(self):
        for transport in ("udp", "tcp"):
            client, peer = self.allocated(transport), self.peer()
            number = client.bind_channel(peer.getsockname())
            for size in (0, 1, 2, 3, 4, 1201):
                data = os.urandom(size)
                peer.sendto(data, client.relayed)
                packet = client.read(time.monotonic() + 3)
                self.assertEqual(packet[:4 + size], channel_data(number, data))

    def test_8656_12_6_length_rules_of_channel_data_on_udp(self):
        client, peer = self.allocated(), self.peer()
        number = client.bind_channel(peer.getsockname())
        client.write(channel_data(number, b"too short", length=10))
        client.write(channel_data(number, b"padded", padding=b"\xff\xff"))
        self.assertEqual(peer.recvfrom(100)[0], b"padded")
        client.write(channel_data(number, b"more", padding=bytes(9)))
        self.assertEqual(peer.recvfrom(100)[0], b"more")
        client.write(channel_data(number, b""))
        self.assertEqual(peer.recvfrom(100)[0], b"")

    def test_8656_12_6_a_number_that_is_not_bound_is_dropped(self):
        for transport in ("udp", "tcp"):
            client, peer = self.allocated(transport), self.peer()
            client.bind_channel(peer.getsockname(), 0x4000)
            for number in (0x4001, 0x4FFF):
                client.write(channel_data(number, b"none"))
            client.send(peer.getsockname(), b"bound")
            self.assertEqual(peer.recvfrom(100)[0], b"bound")
            self.assertEqual(client.refresh(), 600)

    def test_8656_12_5_channel_data_on_tcp_is_padded_both_ways(self):
        client, peer = self.allocated("tcp"), self.peer()
        number = client.bind_channel(peer.getsockname())
        burst = b"".join(channel_data(number, bytes(size), padding=bytes(-size % 4))
                         for size in range(9))
        client.write(burst)
        self.assertEqual([len(peer.recvfrom(100)[0]) for _ in range(9)], list(range(9)))
        for size in range(9):
            peer.sendto(bytes([size] * size), client.relayed)
        client.socket.settimeout(3)
        expected = sum(4 + size + -size % 4 for size in range(9))
        got = b""
        while len(got) < expected:
            got += client.socket.recv(4096)
        self.assertEqual(got, b"".join(
            channel_data(number, bytes([size] * size), padding=bytes(-size % 4))
            for size in range(9)))


class FewPeers(Installs):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--max-permissions", "2", "--max-channels", "1")

    def test_8656_10_2_more_permissions_than_there_may_be_are_508(self):
        client = self.allocated()
        peers = [(f"127.0.0.{n}", 9) for n in range(1, 4)]
        self.assertEqual(self.code(client, self.permission(*peers)), 508)
        self.assertIsNone(self.code(client, self.permission(*peers[:2])))
        self.assertEqual(self.code(client, self.permission(peers[2])), 508)
        self.assertIsNone(self.code(client, self.permission(peers[0])))

    def test_8656_12_2_more_channels_than_there_may_be_are_508(self):
        client = self.allocated()
        self.assertIsNone(self.code(client, self.binding(0x4000, ("127.0.0.1", 9))))
        self.assertEqual(self.code(client, self.binding(0x4001, ("127.0.0.1", 10))), 508)
        self.assertIsNone(self.code(client, self.binding(0x4000, ("127.0.0.1", 9))))


class OldChannelNumbers(Installs):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--rfc5766-channel-numbers")

    def test_8656_12_2_the_numbers_of_rfc_5766_by_option(self):
        client, peer = self.allocated(), self.peer()
        self.assertEqual(self.code(client, self.binding(0x8000, peer.getsockname())), 400)
        client.bind_channel(peer.getsockname(), 0x7FFF)
        client.send(peer.getsockname(), b"high")
        self.assertEqual(peer.recvfrom(100)[0], b"high")
