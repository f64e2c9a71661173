"""Part J of the checklist: clients whose address changes (RFC 8016), over UDP, TCP and TLS."""

import struct

from conversation import PASSWORD, USER, Conversation
from test_dtls import DtlsPipe, PipeSocket
from turnclient import (ALLOCATE, LIFETIME, NONCE, REALM, REFRESH, REQUEST, REQUESTED_TRANSPORT,
                        USERNAME, XOR_RELAYED_ADDRESS, Message, Refused, TurnClient)

MOBILITY_TICKET = 0x8030
UDP = bytes([17, 0, 0, 0])
CHANNEL = 0x4000


class MobileConversation(Conversation):
    OPTIONS = ("--mobility", "--user", "bob:hush")

    def traveller(self, transport="udp", username=USER, password=PASSWORD):
        if transport == "dtls":
            pipe = DtlsPipe(self.server.tls_address)
            self.addCleanup(pipe.close)
            client = TurnClient(self.server.address, username=username, password=password)
            client.socket.close()
            client.socket = PipeSocket(pipe)
            return client
        address = self.server.tls_address if transport == "tls" else self.server.address
        client = TurnClient(address, transport, username=username, password=password)
        self.addCleanup(client.close)
        return client

    def allocated(self, transport="udp"):
        """A client with a ticket and a channel to a peer; the peer."""
        client, peer = self.traveller(transport), self.peer()
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, UDP)
        answer = client.authenticated(message.add(MOBILITY_TICKET, b""))
        client.relayed = answer.address(XOR_RELAYED_ADDRESS)
        client.ticket = answer.get(MOBILITY_TICKET)
        client.bind_channel(peer.getsockname(), CHANNEL)
        return client, peer

    def moved(self, client, transport="udp"):
        """The same client on a new five-tuple, with its answer to the ticket."""
        there = self.traveller(transport)
        there.ticket = self.refresh(there, client.ticket).get(MOBILITY_TICKET)
        there.relayed = client.relayed
        there.channels, there.peers = dict(client.channels), dict(client.peers)
        return there

    @staticmethod
    def refresh(client, ticket, lifetime=None):
        message = Message(REFRESH, REQUEST)
        if lifetime is not None:
            message.add(LIFETIME, struct.pack("!I", lifetime))
        return client.authenticated(message.add(MOBILITY_TICKET, ticket))

    def assert_refused(self, code, call, *arguments, **more):
        with self.assertRaises(Refused) as refusal:
            call(*arguments, **more)
        self.assertEqual(refusal.exception.code, code)

    def assert_reaches_peer(self, client, peer):
        client.send(peer.getsockname(), b"out")
        data, source = peer.recvfrom(100)
        self.assertEqual((data, source), (b"out", client.relayed))

    def assert_peer_reaches(self, client, peer):
        peer.sendto(b"in", client.relayed)
        self.assertEqual(client.receive(), (peer.getsockname(), b"in"))


class Allocate(MobileConversation):
    def test_8016_3_1_2_an_empty_ticket_gets_a_ticket(self):
        client, _ = self.allocated()
        self.assertGreater(len(client.ticket), 16)

    def test_8016_3_1_2_who_does_not_ask_gets_none(self):
        client = self.traveller()
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, UDP)
        self.assertIsNone(client.authenticated(message).get(MOBILITY_TICKET))

    def test_8016_3_1_2_a_ticket_that_is_not_empty_is_400(self):
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, UDP)
        self.assert_refused(400, self.traveller().authenticated,
                            message.add(MOBILITY_TICKET, b"abcd"))


class SwitchedOff(Conversation):
    def test_8016_3_1_2_without_the_option_a_ticket_is_405(self):
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, UDP)
        with self.assertRaises(Refused) as refusal:
            self.client().authenticated(message.add(MOBILITY_TICKET, b""))
        self.assertEqual(refusal.exception.code, 405)


class Refresh(MobileConversation):
    TLS = True

    def test_8016_3_2_2_a_new_five_tuple_gets_another_ticket(self):
        client, peer = self.allocated()
        there = self.moved(client)
        self.assertEqual(len(there.ticket), len(client.ticket))
        self.assertNotEqual(there.ticket, client.ticket)
        self.assert_reaches_peer(there, peer)
        self.assert_peer_reaches(there, peer)
        again = self.moved(there)
        self.assert_reaches_peer(again, peer)
        self.assert_peer_reaches(again, peer)

    def test_8016_3_2_2_between_transports(self):
        for old, new in (("udp", "tcp"), ("tcp", "tls"), ("tls", "udp"), ("tcp", "tcp")):
            client, peer = self.allocated(old)
            there = self.moved(client, new)
            self.assert_peer_reaches(client, peer)
            self.assert_reaches_peer(there, peer)
            self.assert_peer_reaches(there, peer)

    def test_8016_3_2_2_a_broken_connection_is_not_the_end(self):
        client, peer = self.allocated("tcp")
        client.socket.close()
        there = self.moved(client, "tcp")
        self.assert_peer_reaches(there, peer)
        self.assert_reaches_peer(there, peer)

    def test_8016_3_2_2_a_ticket_of_nothing_is_437(self):
        client, _ = self.allocated()
        client.refresh(0)
        self.assert_refused(437, self.refresh, self.traveller(), client.ticket)

    def test_8016_3_2_2_a_broken_ticket_is_400(self):
        self.allocated()
        for ticket in (b"", b"x", bytes(44), bytes(700)):
            self.assert_refused(400, self.refresh, self.traveller(), ticket)

    def test_8016_3_2_2_the_same_five_tuple_is_400(self):
        client, _ = self.allocated()
        self.assert_refused(400, self.refresh, client, client.ticket)
        there = self.moved(client)
        self.assert_refused(400, self.refresh, there, there.ticket)

    def test_8016_3_2_2_another_user_is_441(self):
        client, peer = self.allocated()
        self.assert_refused(441, self.refresh, self.traveller("udp", "bob", "hush"), client.ticket)
        self.assert_peer_reaches(client, peer)

    def test_8016_3_2_2_the_old_five_tuple_works_until_data_comes_from_the_new(self):
        client, peer = self.allocated()
        there = self.moved(client)
        self.assert_peer_reaches(client, peer)
        self.assert_reaches_peer(client, peer)
        there.permit(peer.getsockname())
        self.assert_peer_reaches(client, peer)
        self.assert_reaches_peer(there, peer)
        self.assert_peer_reaches(there, peer)
        self.assert_refused(437, client.refresh)

    def test_8016_3_2_2_the_old_ticket_serves_for_the_same_refresh_only(self):
        client, _ = self.allocated()
        there = self.traveller()
        self.assert_refused(437, there.refresh)  # realm and nonce are known now
        message = Message(REFRESH, REQUEST).add(MOBILITY_TICKET, client.ticket)
        message.add(USERNAME, USER.encode()).add(REALM, there.realm).add(NONCE, there.nonce)
        packet = message.encode(there.key)
        answers = []
        for _ in range(2):
            there.write(packet)
            answers.append(there.socket.recv(2000))
        self.assertEqual(answers[0], answers[1])
        self.assert_refused(400, self.refresh, there, client.ticket)
        self.assert_refused(400, self.refresh, self.traveller(), client.ticket)

    def test_8016_5_no_byte_of_a_ticket_can_be_changed(self):
        client, peer = self.allocated()
        thief = self.traveller()
        for index in range(len(client.ticket)):
            changed = bytearray(client.ticket)
            changed[index] ^= 1
            self.assert_refused(400, self.refresh, thief, bytes(changed))
        self.assert_peer_reaches(client, peer)

    def test_8016_5_tickets_have_nothing_in_common(self):
        tickets = [self.allocated()[0].ticket for _ in range(8)]
        for column in zip(*tickets):
            self.assertGreater(len(set(column)), 1)

    def test_8016_3_2_2_lifetime_zero_ends_the_allocation(self):
        client, _ = self.allocated()
        answer = self.refresh(self.traveller(), client.ticket, 0)
        self.assertEqual(answer.get(LIFETIME), bytes(4))
        self.assert_refused(437, client.refresh)


class Quota(MobileConversation):
    OPTIONS = (*MobileConversation.OPTIONS, "--user-quota", "1")

    def test_8016_3_2_2_a_move_neither_doubles_nor_loses_the_quota(self):
        for _ in range(3):
            client, peer = self.allocated()
            there = self.moved(client)
            self.assert_refused(486, self.traveller().allocate)
            self.assert_reaches_peer(there, peer)
            self.assert_refused(486, self.traveller().allocate)
            there.refresh(0)


class TwoWorkers(MobileConversation):
    """The kernel gives a new five-tuple to either worker."""

    OPTIONS = (*MobileConversation.OPTIONS, "--dtls")
    WORKERS = 2
    TLS = True

    def test_8016_3_2_2_a_client_may_arrive_at_another_worker(self):
        for transport in ("udp", "tcp", "tls", "dtls"):
            client, peer = self.allocated(transport)
            for _ in range(8):
                client = self.moved(client, transport)
                self.assert_reaches_peer(client, peer)
                self.assert_peer_reaches(client, peer)
                self.assertEqual(client.refresh(), 600)
            client.refresh(0)
            self.assert_refused(437, client.refresh)

    def test_8016_3_2_2_a_dtls_session_may_change_its_worker_more_than_once(self):
        """One session shows the tickets of several allocations, one after the other."""
        there = self.traveller("dtls")
        for transport in ("udp", "tcp", "dtls") * 2:
            client, peer = self.allocated(transport)
            ticket = self.refresh(there, client.ticket).get(MOBILITY_TICKET)
            self.assertTrue(ticket)
            there.relayed = client.relayed
            there.channels, there.peers = dict(client.channels), dict(client.peers)
            self.assert_reaches_peer(there, peer)
            self.assert_peer_reaches(there, peer)
            there.refresh(0)
