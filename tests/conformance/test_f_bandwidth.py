"""The limits of bandwidth (RFC 8656 section 5), and lifetimes short enough to be seen."""

import os
import threading
import time

from conversation import Conversation
from test_h_tcp_relay import TcpConversation
from turnclient import Refused

RATE = 100_000  # bytes a second
SIZE = 1000


class Relays(Conversation):
    def pair(self, transport="udp"):
        client, peer = self.client(transport), self.peer()
        client.allocate()
        client.bind_channel(peer.getsockname())
        return client, peer

    def drain(self, peer, seconds=0.3):
        count = 0
        peer.settimeout(seconds)
        try:
            while peer.recvfrom(2000):
                count += 1
        except TimeoutError:
            peer.settimeout(3)
        return count

    def offer(self, send, peers, seconds, rate):
        """Sends datagrams of SIZE bytes evenly; answers how many, and how many arrived."""
        began, sent, got = time.monotonic(), 0, 0
        while (past := time.monotonic() - began) < seconds:
            while sent < past * rate / SIZE:
                send(bytes(SIZE))
                sent += 1
            got += sum(self.drain(peer, 0.001) for peer in peers)
        return sent, got + sum(self.drain(peer) for peer in peers)

    def assert_cut(self, got, seconds, rate):
        # Half a second's worth may come ahead.
        least, most = 0.8 * seconds * rate / SIZE, 1.1 * (seconds + 0.5) * rate / SIZE
        self.assertTrue(least <= got <= most, f"{got} is not in {least}..{most}")


class OneAllocation(Relays):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--max-bps", str(RATE))

    def test_8656_5_what_exceeds_an_allocations_bandwidth_is_dropped(self):
        client, peer = self.pair()
        sent, got = self.offer(lambda data: client.send(peer.getsockname(), data), [peer], 2,
                               4 * RATE)
        self.assertLess(got, sent)
        self.assert_cut(got, 2, RATE)

    def test_8656_5_it_is_dropped_and_not_queued(self):
        client, peer = self.pair()
        for _ in range(400):
            client.send(peer.getsockname(), bytes(SIZE))
        self.drain(peer)
        time.sleep(1)
        self.assertEqual(self.drain(peer), 0)
        client.send(peer.getsockname(), b"and then it goes on")
        self.assertEqual(peer.recvfrom(100)[0], b"and then it goes on")

    def test_8656_5_each_direction_and_each_allocation_has_its_own(self):
        client, peer = self.pair()
        other, its_peer = self.pair()
        for _ in range(400):
            client.send(peer.getsockname(), bytes(SIZE))
        peer.sendto(b"back", client.relayed)
        self.assertEqual(client.receive(), (peer.getsockname(), b"back"))
        other.send(its_peer.getsockname(), b"mine")
        self.assertEqual(its_peer.recvfrom(100)[0], b"mine")
        self.drain(peer)
        for _ in range(400):
            peer.sendto(bytes(SIZE), client.relayed)
        got = 0
        while client.receive(0.3):
            got += 1
        self.assertLess(got, 200)

    def test_8656_5_the_largest_datagram_passes(self):
        client, peer = self.pair()
        client.send(peer.getsockname(), bytes(60000))
        self.assertEqual(len(peer.recvfrom(65536)[0]), 60000)


class WholeServer(Relays):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--bps-capacity", str(RATE))
    WORKERS = 2

    def test_8656_5_all_allocations_together_have_a_limit(self):
        pairs = [self.pair() for _ in range(4)]

        def send(data):
            for client, peer in pairs:
                client.send(peer.getsockname(), data)
        _, got = self.offer(send, [peer for _, peer in pairs], 2, RATE)
        self.assert_cut(got, 2, RATE)


class OfTcpData(TcpConversation):
    """Bytes of data connections (RFC 6062) are never dropped: who sends too much is slowed down."""

    RATE = 200_000
    SIZE = 500_000
    # What may pass at once: half a second's worth, and what was read beyond it, once a direction.
    AHEAD = RATE // 2 + 64 * 1024

    def pour(self, *pairs):
        """Sends SIZE bytes from the first to the second socket of each pair; how long it took."""
        contents = [os.urandom(self.SIZE) for _ in pairs]
        got = [b""] * len(pairs)

        def read(index, target):
            target.settimeout(60)
            while len(got[index]) < self.SIZE:
                if not (part := target.recv(65536)):
                    break
                got[index] += part
        began = time.monotonic()
        threads = [threading.Thread(target=pair[0].sendall, args=(content,), daemon=True)
                   for pair, content in zip(pairs, contents)]
        threads += [threading.Thread(target=read, args=(index, pair[1]), daemon=True)
                    for index, pair in enumerate(pairs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual([hash(one) for one in got], [hash(one) for one in contents])
        return time.monotonic() - began

    def connection(self, client=None):
        data, peer = self.bound(client or self.tcp_client(), self.listener())
        data.socket.settimeout(60)
        peer.settimeout(60)
        return data.socket, peer

    def assert_took(self, seconds, size, ahead=AHEAD):
        """Not less than the rate allows, with generous room above for a machine that is busy."""
        least = (size - ahead) / self.RATE
        self.assertTrue(0.95 * least <= seconds <= least + 8, f"{seconds:.1f} s, {least:.1f} least")


class TcpOfOneAllocation(OfTcpData):
    OPTIONS = TcpConversation.OPTIONS + ("--max-bps", str(OfTcpData.RATE))

    def test_6062_5_4_the_client_is_slowed_down_and_nothing_is_lost(self):
        client, peer = self.connection()
        self.assert_took(self.pour((client, peer)), self.SIZE)

    def test_6062_5_4_and_so_is_the_peer(self):
        client, peer = self.connection()
        self.assert_took(self.pour((peer, client)), self.SIZE)

    def test_6062_5_4_both_connections_of_an_allocation_share_what_it_has(self):
        owner = self.tcp_client()
        one, two = self.connection(owner), self.connection(owner)
        # Each may have been read once before the other's share was known.
        self.assert_took(self.pour(one, two), 2 * self.SIZE, self.AHEAD + 64 * 1024)

    def test_6062_5_4_the_directions_and_other_allocations_have_their_own(self):
        one, two = self.connection(), self.connection()
        self.assert_took(self.pour(one, two, one[::-1]), self.SIZE)


class TcpOfTheWholeServer(OfTcpData):
    OPTIONS = TcpConversation.OPTIONS + ("--bps-capacity", str(OfTcpData.RATE))
    WORKERS = 2

    def test_6062_5_4_all_connections_together_have_a_limit(self):
        pairs = [self.connection() for _ in range(3)]
        self.assert_took(self.pour(*pairs), 3 * self.SIZE, self.AHEAD + 3 * 64 * 1024)


class ShortLives(Conversation):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--max-allocate-lifetime", "4", "--permission-lifetime",
               "1", "--channel-lifetime", "2")

    def test_8656_6_data_does_not_prolong_an_allocation(self):
        client, peer = self.client(), self.peer()
        client.allocate()
        began = time.monotonic()
        client.bind_channel(peer.getsockname())
        while time.monotonic() < began + 4.5:
            client.send(peer.getsockname(), b"busy")
            time.sleep(0.1)
        with self.assertRaises(Refused) as refused:
            client.refresh()
        self.assertEqual(refused.exception.code, 437)

    def test_8656_9_data_does_not_prolong_a_permission(self):
        client, peer = self.client(), self.peer()
        client.allocate()
        client.permit(peer.getsockname())
        began, arrived = time.monotonic(), 0.0
        peer.settimeout(0.05)
        while time.monotonic() < began + 1.6:
            client.send(peer.getsockname(), b"busy")
            try:
                peer.recvfrom(100)
                arrived = time.monotonic() - began
            except TimeoutError:
                pass
        self.assertTrue(0.8 < arrived < 1.3, arrived)

    def test_8656_12_a_channel_outlives_its_permission_and_then_ends(self):
        client, peer, other = self.client(), self.peer(), self.peer()
        client.allocate()
        client.bind_channel(peer.getsockname(), 0x4000)
        with self.assertRaises(Refused) as refused:
            client.bind_channel(other.getsockname(), 0x4000)
        self.assertEqual(refused.exception.code, 400)
        time.sleep(1.3)
        peer.sendto(b"the permission is over", client.relayed)
        self.assertIsNone(client.receive(0.2))
        client.send(peer.getsockname(), b"the channel is not")
        self.assertEqual(peer.recvfrom(100)[0], b"the channel is not")
        time.sleep(0.8)
        del client.channels[peer.getsockname()]
        client.bind_channel(other.getsockname(), 0x4000)
        client.send(other.getsockname(), b"bound anew")
        self.assertEqual(other.recvfrom(100)[0], b"bound anew")
