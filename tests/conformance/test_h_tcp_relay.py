"""Part H of the checklist: TCP allocations (RFC 6062), over TCP and TLS."""

import os
import socket
import struct
import threading
import time

from conversation import ANSWER_SECONDS, PASSWORD, USER, Conversation, stun
from tcpturn import (CONNECTION_BIND, CONNECTION_ID, TCP, TcpTurnClient, UDP, reset_on_close)
from turnclient import (ALLOCATE, BINDING, DONT_FRAGMENT, EVEN_PORT, REQUEST,
                        REQUESTED_TRANSPORT, RESERVATION_TOKEN, Message, Refused, TurnClient)

LOOPBACK = "127.0.0.1"


class TcpConversation(Conversation):
    OPTIONS = ("--tcp-relay", "--user", "bob:hush")

    def tcp_client(self, transport="tcp", allocated=True, **more):
        address = self.server.tls_address if transport == "tls" else self.server.address
        client = TcpTurnClient(address, transport, username=more.pop("username", USER),
                               password=more.pop("password", PASSWORD), **more)
        self.addCleanup(client.close)
        if allocated:
            client.allocate_tcp()
        return client

    def listener(self, backlog=16):
        listener = socket.create_server((LOOPBACK, 0), backlog=backlog)
        listener.settimeout(ANSWER_SECONDS)
        self.addCleanup(listener.close)
        return listener

    def accept(self, listener):
        peer, address = listener.accept()
        peer.settimeout(ANSWER_SECONDS)
        self.addCleanup(peer.close)
        return peer, address

    def bound(self, client, listener, **more):
        """A data connection and the peer at its other end."""
        connection = client.connect(listener.getsockname())
        peer, _ = self.accept(listener)
        data = client.bind(connection, **more)
        self.addCleanup(data.close)
        return data, peer

    def dial(self, relayed):
        """A peer that connects to the relayed address."""
        peer = socket.create_connection(relayed, timeout=ANSWER_SECONDS,
                                        source_address=(LOOPBACK, 0))
        self.addCleanup(peer.close)
        return peer

    def assert_refused(self, code, call, *arguments, **more):
        with self.assertRaises(Refused) as refusal:
            call(*arguments, **more)
        self.assertEqual(refusal.exception.code, code)

    def assert_closed(self, peer, seconds=ANSWER_SECONDS):
        peer.settimeout(seconds)
        try:
            self.assertEqual(peer.recv(1), b"")
        except ConnectionResetError:
            pass


class Allocate(TcpConversation):
    def test_6062_5_1_tcp_asked_over_udp_is_400(self):
        client = TcpTurnClient(self.server.address, "udp", username=USER, password=PASSWORD)
        self.addCleanup(client.close)
        self.assert_refused(400, client.allocate_tcp)

    def test_6062_5_1_what_is_about_datagrams_is_400(self):
        for attribute in ((DONT_FRAGMENT, b""), (EVEN_PORT, b"\0"), (RESERVATION_TOKEN, bytes(8))):
            client = self.tcp_client(allocated=False)
            self.assert_refused(400, client.allocate_tcp, attribute)

    def test_6062_5_1_an_unknown_protocol_is_442(self):
        client = self.tcp_client(allocated=False)
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([132, 0, 0, 0]))
        self.assert_refused(442, client.authenticated, message)

    def test_6062_5_1_datagrams_can_be_relayed_as_before(self):
        client = self.tcp_client(allocated=False)
        client.authenticated(Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, UDP))


class SwitchedOff(Conversation):
    def test_6062_5_1_without_the_option_tcp_is_442(self):
        client = self.client("tcp")
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, TCP)
        with self.assertRaises(Refused) as refusal:
            client.authenticated(message)
        self.assertEqual(refusal.exception.code, 442)


class Connect(TcpConversation):
    OPTIONS = (*TcpConversation.OPTIONS, "--allowed-tcp-peer-port", "79-80")

    def test_6062_5_2_connect_leaves_from_the_relayed_address(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        self.assertEqual(len(connection), 4)
        _, source = self.accept(listener)
        self.assertEqual(source, client.relayed)

    def test_6062_5_2_several_connections_share_the_relayed_address(self):
        client = self.tcp_client()
        for _ in range(5):
            listener = self.listener()
            data, peer = self.bound(client, listener)
            self.assertEqual(peer.getpeername(), client.relayed)
            data.send(b"ping")
            self.assertEqual(peer.recv(4), b"ping")

    def test_6062_5_2_the_same_peer_again_is_446(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        self.assert_refused(446, client.connect, listener.getsockname())
        data = client.bind(connection)
        self.addCleanup(data.close)
        self.assert_refused(446, client.connect, listener.getsockname())

    def test_6062_5_2_the_same_peer_is_446_while_it_is_being_connected(self):
        client, silent = self.tcp_client(), self.silent_listener()
        client.authenticated(Message(4, REQUEST))  # the nonce is known from here on
        first = client.connect_message(silent)
        packet = self.proved(client, first)
        client.write(packet)
        self.assert_refused(446, client.connect, silent)

    def test_6062_5_2_a_peer_that_refuses_is_447_and_may_be_tried_again(self):
        client, listener = self.tcp_client(), self.listener()
        nobody = listener.getsockname()
        listener.close()
        self.assert_refused(447, client.connect, nobody)
        self.assert_refused(447, client.connect, nobody)

    def test_6062_5_2_connect_without_peer_is_400(self):
        self.assert_refused(400, self.tcp_client().authenticated, Message(0xA, REQUEST))

    def test_6062_5_2_connect_to_a_forbidden_peer_is_403(self):
        client = self.tcp_client()
        for peer in (("169.254.169.254", 8080), ("10.1.2.3", 8080), ("224.0.0.1", 8080)):
            self.assert_refused(403, client.connect, peer)

    def test_ours_ports_below_1024_are_403_unless_allowed(self):
        client = self.tcp_client()
        for port in (22, 78, 81, 443, 1023):
            self.assert_refused(403, client.connect, (LOOPBACK, port))
        self.assert_refused(447, client.connect, (LOOPBACK, 79))

    def test_6062_5_2_connect_without_allocation_is_437(self):
        client = self.tcp_client(allocated=False)
        self.assert_refused(437, client.connect, (LOOPBACK, 8080))

    def test_8656_5_connect_with_another_users_credentials_is_441(self):
        client = self.tcp_client()
        client.username, client.password, client.key = "bob", "hush", None
        self.assert_refused(441, client.connect, (LOOPBACK, 8080))

    def silent_listener(self):
        """Where SYNs get no answer: the queue of connections is full."""
        listener = self.listener(backlog=0)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            self.addCleanup(filler.close)
        return listener.getsockname()

    @staticmethod
    def proved(client, message):
        message.add(0x0006, client.username.encode()).add(0x0014, client.realm)
        return message.add(0x0015, client.nonce).encode(client.key)


class ConnectionBind(TcpConversation):
    TLS = True

    def test_6062_5_4_without_a_known_unused_id_is_400_and_the_answer_arrives(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        self.assert_refused(400, client.bind, None)
        self.assert_refused(400, client.bind, bytes(b ^ 1 for b in connection))
        self.addCleanup(client.bind(connection).close)
        self.assert_refused(400, client.bind, connection)

    def test_6062_5_4_over_udp_is_400(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        self.assert_refused(400, client.bind, connection, transport="udp")

    def test_6062_4_3_another_user_is_refused(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        self.assert_refused(441, client.bind, connection, username="bob", password="hush")
        self.assert_refused(401, client.bind, connection, password="wrong")
        self.addCleanup(client.bind(connection).close)

    def test_6062_5_4_after_it_the_stream_is_raw(self):
        client, listener = self.tcp_client(), self.listener()
        data, peer = self.bound(client, listener)
        noise = stun(BINDING) + b"GET / HTTP/1.1\r\n\r\n" + os.urandom(1000)
        data.send(noise)
        self.assertEqual(read(peer, len(noise)), noise)
        peer.sendall(noise)
        self.assertEqual(data.read_exactly(len(noise)), noise)

    def test_6062_5_4_what_the_peer_sent_early_arrives(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        peer, _ = self.accept(listener)
        peer.sendall(b"early" * 1000)
        peer.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        data = client.bind(connection)
        self.addCleanup(data.close)
        self.assertEqual(data.read_to_end(), b"early" * 1000)

    def test_6062_5_4_what_the_client_sends_behind_the_request_is_carried(self):
        client, listener = self.tcp_client(), self.listener()
        connection = client.connect(listener.getsockname())
        peer, _ = self.accept(listener)
        data = TurnClient(self.server.address, "tcp", username=USER, password=PASSWORD)
        self.addCleanup(data.close)
        try:
            data.authenticated(Message(CONNECTION_BIND, REQUEST).add(CONNECTION_ID, bytes(4)))
        except Refused:
            pass  # realm and nonce are known now
        message = Message(CONNECTION_BIND, REQUEST).add(CONNECTION_ID, connection)
        data.write(Connect.proved(data, message) + b"in the same segment")
        self.assertEqual(read(peer, 19), b"in the same segment")

    def test_6062_4_3_control_and_data_connections_may_be_tls(self):
        client, listener = self.tcp_client("tls"), self.listener()
        for transport, server in (("tls", self.server.tls_address), ("tcp", self.server.address)):
            listener = self.listener()
            data, peer = self.bound(client, listener, transport=transport, server=server)
            payload = os.urandom(300_000)
            sender = threading.Thread(target=peer.sendall, args=(payload,))
            sender.start()
            self.assertEqual(data.read_exactly(len(payload)), payload)
            sender.join()
            data.send(b"thanks")
            self.assertEqual(read(peer, 6), b"thanks")


class IncomingPeers(TcpConversation):
    def test_6062_5_3_a_peer_without_permission_is_closed_at_once(self):
        client = self.tcp_client()
        self.assert_closed(self.dial(client.relayed))
        self.assertIsNone(client.attempt(0.2))

    def test_6062_5_3_a_permitted_peer_is_announced_and_bound(self):
        client = self.tcp_client()
        client.permit((LOOPBACK, 9))
        peer = self.dial(client.relayed)
        announced, connection = client.attempt()
        self.assertEqual(announced, peer.getsockname())
        self.assertEqual(len(connection), 4)
        peer.sendall(b"before")
        data = client.bind(connection)
        self.addCleanup(data.close)
        self.assertEqual(data.read_exactly(6), b"before")
        data.send(b"after")
        self.assertEqual(read(peer, 5), b"after")

    def test_6062_5_2_two_clients_of_this_server_reach_each_other(self):
        one, two = self.tcp_client(), self.tcp_client(username="bob", password="hush")
        two.permit(one.relayed)
        connection = one.connect(two.relayed)
        announced, other = two.attempt()
        self.assertEqual(announced, one.relayed)
        left, right = one.bind(connection), two.bind(other)
        self.addCleanup(left.close)
        self.addCleanup(right.close)
        left.send(b"across")
        self.assertEqual(right.read_exactly(6), b"across")

    def test_6062_5_3_unbound_for_thirty_seconds_both_kinds_are_closed(self):
        client, listener = self.tcp_client(), self.listener()
        client.permit((LOOPBACK, 9))
        incoming = self.dial(client.relayed)
        _, attempt = client.attempt()
        connection = client.connect(listener.getsockname())
        outgoing, _ = self.accept(listener)
        began = time.monotonic()
        self.assert_closed(incoming, 40)
        self.assertGreater(time.monotonic() - began, 28)
        self.assert_closed(outgoing, 10)
        self.assert_refused(400, client.bind, attempt)
        self.assert_refused(400, client.bind, connection)


class Endings(TcpConversation):
    def test_6062_5_5_when_the_peer_closes_the_client_is_closed_after_its_bytes(self):
        data, peer = self.bound(self.tcp_client(), self.listener())
        sender = threading.Thread(target=lambda: (peer.sendall(bytes(2_000_000)), peer.close()))
        sender.start()
        time.sleep(0.3)
        self.assertEqual(len(data.read_to_end()), 2_000_000)
        sender.join()

    def test_6062_5_5_when_the_client_closes_the_peer_is_closed_after_its_bytes(self):
        data, peer = self.bound(self.tcp_client(), self.listener())
        data.send(b"last words")
        data.close()
        self.assertEqual(read(peer, 10), b"last words")
        self.assert_closed(peer)

    def test_6062_5_5_one_direction_may_end_first(self):
        data, peer = self.bound(self.tcp_client(), self.listener())
        data.send(b"question")
        data.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(read(peer, 8), b"question")
        self.assert_closed(peer)
        peer.sendall(b"answer")
        peer.close()
        self.assertEqual(data.read_to_end(), b"answer")

    def test_6062_5_5_a_reset_closes_the_other_side(self):
        data, peer = self.bound(self.tcp_client(), self.listener())
        reset_on_close(peer)
        peer.close()
        self.assert_closed(data.socket)

    def test_6062_5_5_the_end_of_the_allocation_closes_all(self):
        endings = (lambda client: client.refresh(0), lambda client: client.socket.close())
        for end in endings:
            client = self.tcp_client()
            client.permit((LOOPBACK, 9))
            data, peer = self.bound(client, self.listener())
            pending = self.dial(client.relayed)
            client.attempt()
            end(client)
            self.assert_closed(data.socket)
            self.assert_closed(peer)
            self.assert_closed(pending)
            with self.assertRaises(OSError):
                socket.create_connection(client.relayed, timeout=1)

    def test_6062_5_5_a_closed_peer_may_be_connected_again(self):
        client, listener = self.tcp_client(), self.listener()
        data, peer = self.bound(client, listener)
        reset_on_close(peer)
        peer.close()
        self.assert_closed(data.socket)
        data.close()
        data, peer = self.bound(client, listener)
        data.send(b"again")
        self.assertEqual(read(peer, 5), b"again")


class BackPressure(TcpConversation):
    SIZE = 100 * 1024 * 1024

    def test_6062_5_2_a_hundred_megabytes_pass_a_slow_reader_in_bounded_memory(self):
        client = self.tcp_client()
        data, peer = self.bound(client, self.listener())
        before = self.resident()
        block = os.urandom(1 << 20)
        progress = [0]

        def send():
            for _ in range(self.SIZE // len(block)):
                peer.sendall(block)
                progress[0] += len(block)
            peer.close()
        sender = threading.Thread(target=send)
        peer.settimeout(60)
        sender.start()
        time.sleep(0.5)
        stopped_at = progress[0]
        time.sleep(0.5)
        self.assertEqual(progress[0], stopped_at, "the sender is not held back")
        self.assertLess(stopped_at, 24 << 20)
        most, read_bytes = 0, 0
        while read_bytes < self.SIZE:
            piece = data.read_exactly(min(1 << 20, self.SIZE - read_bytes), 30)
            self.assertEqual(piece, block[:len(piece)])
            read_bytes += len(piece)
            most = max(most, self.resident())
        sender.join()
        self.assertEqual(data.read_to_end(), b"")
        self.assertLess(most - before, 8 << 20)

    def resident(self):
        with open(f"/proc/{self.server.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class TwoWorkers(TcpConversation):
    """Data connections are accepted by either worker and belong to one."""

    WORKERS = 2
    TLS = True

    def test_6062_5_4_a_connection_bind_finds_its_worker(self):
        for transport in ("tcp", "tls"):
            client = self.tcp_client(transport)
            for _ in range(12):
                data, peer = self.bound(client, self.listener())
                data.send(b"x" * 5000)
                self.assertEqual(read(peer, 5000), b"x" * 5000)
                peer.sendall(b"y" * 5000)
                self.assertEqual(data.read_exactly(5000), b"y" * 5000)

    def test_6062_5_4_an_id_that_no_worker_knows_is_400(self):
        client = self.tcp_client()
        for number in range(8):
            self.assert_refused(400, client.bind, struct.pack("!I", number))


def read(peer, size):
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise ConnectionError(f"ended after {len(data)} of {size} bytes")
        data += part
    return data
