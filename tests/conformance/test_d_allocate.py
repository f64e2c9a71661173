"""Parts D and E of the checklist: Allocate and Refresh (RFC 8656 sections 7 and 8)."""

import os
import socket
import struct
import time

from conversation import PASSWORD, USER, Conversation, error_of, stun
from server import Server
from turnclient import (ALLOCATE, ERROR, EVEN_PORT, LIFETIME, REFRESH, REQUEST,
                        REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, SUCCESS, XOR_MAPPED_ADDRESS,
                        XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, Message, Refused, read_xor_address,
                        xor_address)

DONT_FRAGMENT, RESERVATION_TOKEN = 0x001A, 0x0022
ADDITIONAL_ADDRESS_FAMILY, ADDRESS_ERROR_CODE = 0x8000, 0x8001
IPV4, IPV6 = bytes([1, 0, 0, 0]), bytes([2, 0, 0, 0])
UDP, RESERVE = bytes([17, 0, 0, 0]), bytes([0x80])


def allocation(*attributes, transport=UDP):
    message = Message(ALLOCATE, REQUEST)
    if transport is not None:
        message.add(REQUESTED_TRANSPORT, transport)
    for kind, value in attributes:
        message.add(kind, value)
    return message


def relayed(answer):
    return [read_xor_address(value, answer.transaction)
            for kind, value in answer.attributes if kind == XOR_RELAYED_ADDRESS]


def seconds(answer):
    return struct.unpack("!I", answer.get(LIFETIME))[0]


def lifetime(value):
    return LIFETIME, struct.pack("!I", value)


class Requests(Conversation):
    """What the tests of both parts do."""

    def code(self, client, message):
        """The error that this request gets; None for a success."""
        try:
            client.authenticated(message)
        except Refused as refusal:
            return refusal.code
        return None

    def assert_refused(self, code, *attributes, transport=UDP):
        self.assertEqual(self.code(self.client(), allocation(*attributes, transport=transport)),
                         code)

    def refresh(self, client, *attributes):
        message = Message(REFRESH, REQUEST)
        for kind, value in attributes:
            message.add(kind, value)
        return client.authenticated(message)

    def signed(self, client, message):
        """The bytes of a request with the client's credentials."""
        client.binding()
        if client.key is None:
            self.code(client, Message(REFRESH, REQUEST))
        message.add(0x0006, client.username.encode())
        message.add(0x0014, client.realm).add(0x0015, client.nonce)
        return message.encode(client.key)

    def exchange(self, client, data):
        client.write(data)
        return client.read(time.monotonic() + 3)


class Allocate(Requests):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--user-quota", "0")

    def test_8656_7_2_success_tells_relayed_address_lifetime_and_mapped_address(self):
        client = self.client()
        answer = client.authenticated(allocation())
        self.assertTrue(answer.proved)
        self.assertEqual(relayed(answer)[0][0], "127.0.0.1")
        self.assertEqual(seconds(answer), 600)
        self.assertEqual(answer.address(XOR_MAPPED_ADDRESS), client.socket.getsockname())

    def test_8656_7_2_a_second_allocation_on_a_five_tuple_is_437(self):
        client = self.client()
        client.allocate()
        self.assertEqual(self.code(client, allocation()), 437)
        client.refresh(0)
        self.assertIsNone(self.code(client, allocation()))

    def test_8656_7_2_the_same_transaction_gets_the_same_success(self):
        client = self.client()
        request = self.signed(client, allocation(lifetime(1200), (EVEN_PORT, RESERVE)))
        first = self.exchange(client, request)
        self.assertEqual(Message.decode(first).cls, SUCCESS)
        self.assertEqual(self.exchange(client, request), first)
        self.assertEqual(self.exchange(client, request), first)

    def test_8656_7_2_requested_transport_is_needed_and_has_four_bytes(self):
        self.assert_refused(400, transport=None)
        self.assert_refused(400, transport=bytes([17]))

    def test_8656_7_2_a_transport_that_is_not_offered_is_442(self):
        for number in (0, 1, 132, 255):
            self.assert_refused(442, transport=bytes([number, 0, 0, 0]))

    def test_8656_18_reserved_bytes_are_ignored(self):
        client = self.client()
        client.authenticated(allocation((REQUESTED_ADDRESS_FAMILY, b"\x01\xff\xff\xff"),
                                        transport=b"\x11\xff\xff\xff"))
        peer = ("127.0.0.1", 9)
        message = Message(9, REQUEST).add(0x000C, struct.pack("!HH", 0x4000, 0xFFFF))
        message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        client.authenticated(message)
        self.refresh(client, (REQUESTED_ADDRESS_FAMILY, b"\x01\xff\xff\xff"))

    def test_8656_7_2_dont_fragment_is_accepted(self):
        self.assertIsNone(self.code(self.client(), allocation((DONT_FRAGMENT, b""))))

    def test_8656_7_2_a_token_stands_alone(self):
        token = (RESERVATION_TOKEN, bytes(8))
        self.assert_refused(400, token, (EVEN_PORT, bytes(1)))
        self.assert_refused(400, token, (REQUESTED_ADDRESS_FAMILY, IPV4))
        self.assert_refused(400, token, (ADDITIONAL_ADDRESS_FAMILY, IPV6))
        self.assert_refused(400, (RESERVATION_TOKEN, bytes(4)))

    def test_8656_7_2_a_token_that_nobody_gave_or_that_is_used_is_508(self):
        self.assert_refused(508, (RESERVATION_TOKEN, os.urandom(8)))
        answer = self.client().authenticated(allocation((EVEN_PORT, RESERVE)))
        token = (RESERVATION_TOKEN, answer.get(RESERVATION_TOKEN))
        self.assertIsNone(self.code(self.client(), allocation(token)))
        self.assert_refused(508, token)

    def test_8656_7_2_a_family_beside_the_additional_one_is_400(self):
        self.assert_refused(400, (REQUESTED_ADDRESS_FAMILY, IPV4),
                            (ADDITIONAL_ADDRESS_FAMILY, IPV6))

    def test_8656_7_2_a_family_that_is_not_offered_is_440(self):
        self.assert_refused(440, (REQUESTED_ADDRESS_FAMILY, IPV6))
        self.assert_refused(440, (REQUESTED_ADDRESS_FAMILY, bytes([3, 0, 0, 0])))

    def test_8656_7_2_reserving_beside_the_additional_family_is_400(self):
        self.assert_refused(400, (EVEN_PORT, RESERVE), (ADDITIONAL_ADDRESS_FAMILY, IPV6))

    def test_8656_7_2_even_port_is_even(self):
        for _ in range(10):
            answer = self.client().authenticated(allocation((EVEN_PORT, bytes(1))))
            self.assertEqual(relayed(answer)[0][1] % 2, 0)
            self.assertIsNone(answer.get(RESERVATION_TOKEN))

    def test_8656_7_2_the_next_port_is_held_for_who_brings_the_token(self):
        for _ in range(5):
            answer = self.client().authenticated(allocation((EVEN_PORT, RESERVE)))
            ip, port = relayed(answer)[0]
            token = answer.get(RESERVATION_TOKEN)
            self.assertEqual((port % 2, len(token)), (0, 8))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
                self.assertRaises(OSError, taken.bind, (ip, port + 1))
            other = self.client()
            claimed = other.authenticated(allocation((RESERVATION_TOKEN, token)))
            self.assertEqual(relayed(claimed), [(ip, port + 1)])

    def test_8656_7_2_reserved_ports_relay_like_any(self):
        answer = self.client().authenticated(allocation((EVEN_PORT, RESERVE)))
        client, peer = self.client(), self.peer()
        client.authenticated(allocation((RESERVATION_TOKEN, answer.get(RESERVATION_TOKEN))))
        client.permit(peer.getsockname())
        client.send(peer.getsockname(), b"out")
        data, source = peer.recvfrom(100)
        self.assertEqual((data, source[1]), (b"out", relayed(answer)[0][1] + 1))
        peer.sendto(b"in", source)
        self.assertEqual(client.receive(), (peer.getsockname(), b"in"))

    def test_8656_7_2_without_ipv6_relays_the_additional_family_is_440(self):
        client = self.client()
        request = self.signed(client, allocation((ADDITIONAL_ADDRESS_FAMILY, IPV6)))
        first = self.exchange(client, request)
        answer = Message.decode(first)
        self.assertEqual((answer.cls, len(relayed(answer))), (SUCCESS, 1))
        self.assertEqual(answer.get(ADDRESS_ERROR_CODE)[:4], bytes([2, 0, 4, 40]))
        self.assertEqual(self.exchange(client, request), first)

    def test_8656_7_2_relayed_ports_are_random_and_not_privileged(self):
        ports = [self.client().allocate()[1] for _ in range(30)]
        self.assertTrue(all(49152 <= port <= 65535 for port in ports))
        steps = {b - a for a, b in zip(ports, ports[1:])}
        self.assertGreater(len(steps), 20)

    def test_8656_6_no_two_allocations_share_an_address(self):
        addresses = [self.client().allocate() for _ in range(30)]
        self.assertEqual(len(set(addresses)), 30)

    def test_8656_7_2_lifetimes_are_between_the_default_and_an_hour(self):
        for asked, granted in ((0, 600), (1, 600), (600, 600), (601, 601), (3599, 3599),
                               (3600, 3600), (3601, 3600), (0xFFFFFFFF, 3600)):
            answer = self.client().authenticated(allocation(lifetime(asked)))
            self.assertEqual(seconds(answer), granted)

    def test_8656_18_2_a_malformed_lifetime_is_400(self):
        self.assert_refused(400, (LIFETIME, bytes(2)))
        self.assert_refused(400, (LIFETIME, bytes(8)))

    def test_8656_6_the_end_of_a_connection_ends_its_allocation(self):
        for transport in ("tcp", "tls") if self.TLS else ("tcp",):
            client = self.client(transport)
            ip, port = client.allocate()
            client.close()
            self.assert_becomes_free(ip, port)

    def assert_becomes_free(self, ip, port, patience=3.0):
        end = time.monotonic() + patience
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    return probe.bind((ip, port))
                except OSError:
                    if time.monotonic() > end:
                        raise
            time.sleep(0.02)


class Refresh(Requests):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--user", "bob:hush")

    def test_8656_8_2_lifetimes_are_computed_as_for_allocate(self):
        client = self.client()
        client.allocate()
        for asked, granted in ((1, 600), (600, 600), (601, 601), (3600, 3600), (9999, 3600)):
            self.assertEqual(seconds(self.refresh(client, lifetime(asked))), granted)
        self.assertEqual(seconds(self.refresh(client)), 600)

    def test_8656_8_2_lifetime_zero_ends_the_allocation_at_once(self):
        client = self.client()
        ip, port = client.allocate()
        self.assertEqual(seconds(self.refresh(client, lifetime(0))), 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((ip, port))
        self.assertEqual(self.code(client, Message(REFRESH, REQUEST)), 437)
        self.assertIsNone(self.code(client, allocation()))

    def test_8656_5_refresh_without_allocation_is_437(self):
        self.assertEqual(self.code(self.client(), Message(REFRESH, REQUEST)), 437)

    def test_8656_8_2_another_family_is_443(self):
        client = self.client()
        client.allocate()
        for number in (2, 3):
            message = Message(REFRESH, REQUEST)
            message.add(REQUESTED_ADDRESS_FAMILY, bytes([number, 0, 0, 0]))
            self.assertEqual(self.code(client, message), 443)
        self.assertEqual(seconds(self.refresh(client, (REQUESTED_ADDRESS_FAMILY, IPV4))), 600)

    def test_8656_5_another_users_credentials_are_441(self):
        client, peer = self.client(), ("127.0.0.1", 9)
        client.allocate()
        client.username, client.password, client.key = "bob", "hush", None
        self.assertEqual(self.code(client, Message(REFRESH, REQUEST).add(*lifetime(0))), 441)
        for install in (client.permit, client.bind_channel):
            with self.assertRaises(Refused) as refused:
                install(peer)
            self.assertEqual(refused.exception.code, 441)
        client.username, client.password, client.key = USER, PASSWORD, None
        self.assertEqual(client.refresh(), 600)

    def test_8656_5_without_credentials_the_allocation_stays(self):
        client = self.client()
        client.allocate()
        answer = Message.decode(self.exchange(client, stun(REFRESH | REQUEST)))
        self.assertEqual((answer.cls, error_of(answer)), (ERROR, 401))
        self.assertEqual(client.refresh(), 600)


class BothFamilies(Requests):
    IPS = ("127.0.0.1", "::1")
    OPTIONS = ("--relay-ip", "127.0.0.1", "--relay-ip", "::1", "--allowed-peer-ip", "::1")

    def dual(self, client=None):
        client = client or self.client()
        answer = client.authenticated(allocation((ADDITIONAL_ADDRESS_FAMILY, IPV6)))
        return client, answer

    def test_8656_7_2_two_relayed_addresses(self):
        client, peers = self.client(), (self.peer(), self.peer("::1"))
        request = self.signed(client, allocation((ADDITIONAL_ADDRESS_FAMILY, IPV6)))
        first = self.exchange(client, request)
        answer = Message.decode(first, client.key)
        addresses = relayed(answer)
        self.assertEqual([ip for ip, _ in addresses], ["127.0.0.1", "::1"])
        self.assertIsNone(answer.get(ADDRESS_ERROR_CODE))
        self.assertEqual(self.exchange(client, request), first)
        for peer, address in zip(peers, addresses):
            name = peer.getsockname()[:2]
            client.permit(name)
            client.send(name, b"out")
            self.assertEqual(peer.recvfrom(100)[1][:2], address)
            client.bind_channel(name)
            client.send(name, b"out")
            self.assertEqual(peer.recvfrom(100)[1][:2], address)
            peer.sendto(b"in", address)
            self.assertEqual(client.receive(), (name, b"in"))

    def test_8656_7_2_the_additional_family_is_ipv6(self):
        self.assert_refused(400, (ADDITIONAL_ADDRESS_FAMILY, IPV4))
        self.assert_refused(400, (ADDITIONAL_ADDRESS_FAMILY, bytes([3, 0, 0, 0])))
        self.assert_refused(400, (ADDITIONAL_ADDRESS_FAMILY, bytes([2])))

    def test_8656_8_2_one_leg_is_ended_and_the_other_keeps_what_it_has(self):
        for gone, family, left in ((0, IPV4, 1), (1, IPV6, 0)):
            client, answer = self.dual()
            peers = (self.peer(), self.peer("::1"))
            for peer in peers:
                client.bind_channel(peer.getsockname()[:2])
            ended = self.refresh(client, (REQUESTED_ADDRESS_FAMILY, family), lifetime(0))
            self.assertEqual(seconds(ended), 0)
            message = Message(REFRESH, REQUEST).add(REQUESTED_ADDRESS_FAMILY, family)
            self.assertEqual(self.code(client, message), 443)
            with self.assertRaises(Refused) as refused:
                client.permit(peers[gone].getsockname()[:2])
            self.assertEqual(refused.exception.code, 443)
            with socket.socket(peers[gone].family, socket.SOCK_DGRAM) as probe:
                probe.bind(relayed(answer)[gone])
            client.send(peers[left].getsockname()[:2], b"still")
            self.assertEqual(peers[left].recvfrom(100)[1][:2], relayed(answer)[left])
            self.assertEqual(client.refresh(0), 0)
            self.assertEqual(self.code(client, Message(REFRESH, REQUEST)), 437)

    def test_8656_8_2_refresh_without_family_is_for_both(self):
        client, answer = self.dual()
        self.assertEqual(seconds(self.refresh(client, lifetime(1000))), 1000)
        self.refresh(client, lifetime(0))
        for family, address in zip((socket.AF_INET, socket.AF_INET6), relayed(answer)):
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind(address)

    def test_8656_7_2_without_a_family_clients_on_ipv6_get_ipv4(self):
        client = self.client(server=("::1", self.server.port))
        self.assertEqual(client.allocate()[0], "127.0.0.1")

    def test_6156_4_2_ipv6_relays_for_clients_of_either_family(self):
        for ip in self.IPS:
            client, peer = self.client(server=(ip, self.server.port)), self.peer("::1")
            self.assertEqual(client.allocate(family=2)[0], "::1")
            client.permit(peer.getsockname()[:2])
            client.send(peer.getsockname()[:2], b"six")
            self.assertEqual(peer.recvfrom(100), (b"six", (*client.relayed, 0, 0)))
            with self.assertRaises(Refused) as refused:
                client.permit(("127.0.0.1", 9))
            self.assertEqual(refused.exception.code, 443)

    def test_8656_21_4_teredo_and_6to4_peers_are_403(self):
        client = self.client()
        client.allocate(family=2)
        for ip in ("2001:0:1234::1", "2002:c000:204::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"):
            with self.assertRaises(Refused) as refused:
                client.permit((ip, 9))
            self.assertIn(refused.exception.code, (403, 443))


class Quotas(Requests):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--user-quota", "3", "--total-quota", "5",
               "--user", "bob:hush")

    def test_8656_7_2_a_users_quota_is_486_and_the_servers_508(self):
        mine = [self.client() for _ in range(3)]
        for client in mine:
            client.allocate()
        self.assert_refused(486)
        bobs = [self.client(username="bob", password="hush") for _ in range(3)]
        bobs[0].allocate()
        bobs[1].allocate()
        self.assertEqual(self.code(bobs[2], allocation()), 508)
        mine[0].refresh(0)
        self.assertIsNone(self.code(bobs[2], allocation()))
        for client in mine[1:] + bobs:
            client.refresh(0)
        self.assertIsNone(self.code(self.client(), allocation((EVEN_PORT, RESERVE))))
        self.assertIsNone(self.code(self.client(), allocation()))
        self.assert_refused(486)


class AddressQuota(Requests):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--address-quota", "2", "--user", "bob:hush")

    def test_8656_5_an_address_may_hold_so_many_whoever_asks(self):
        one, other = self.client(), self.client(username="bob", password="hush")
        one.allocate()
        other.allocate()
        third = self.client(username="bob", password="hush")
        self.assertEqual(self.code(third, allocation()), 486)
        one.refresh(0)
        self.assertIsNone(self.code(third, allocation()))


class OverConnections(Requests):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--user-quota", "0")
    TLS = True

    def test_8656_6_the_end_of_a_tls_connection_ends_its_allocation(self):
        Allocate.test_8656_6_the_end_of_a_connection_ends_its_allocation(self)

    assert_becomes_free = Allocate.assert_becomes_free


class SeveralWorkers(Requests):
    OPTIONS = ("--relay-ip", "127.0.0.1", "--user-quota", "0")
    WORKERS = 4

    def test_8656_7_2_a_token_works_on_every_worker(self):
        for _ in range(24):
            answer = self.client().authenticated(allocation((EVEN_PORT, RESERVE)))
            ip, port = relayed(answer)[0]
            token = (RESERVATION_TOKEN, answer.get(RESERVATION_TOKEN))
            claimed = self.client().authenticated(allocation(token))
            self.assertEqual(relayed(claimed), [(ip, port + 1)])


class FewPorts(Requests):
    """A range of four ports, so that pairs run out and what is free is seen."""

    def test_8656_7_2_reservations_do_not_leak(self):
        ports = ("--min-port", "52000", "--max-port", "52003")
        with Server("--workers", "1", "--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1",
                    *ports) as server:
            first, second = (self.client(server=server.address) for _ in range(2))
            before = time.monotonic()
            for client in (first, second):
                client.authenticated(allocation((EVEN_PORT, RESERVE)))
            after = time.monotonic()
            third = self.client(server=server.address)
            self.assertEqual(self.code(third, allocation()), 508)
            first.refresh(0)
            self.assertEqual(self.code(third, allocation((EVEN_PORT, RESERVE))), 508)
            time.sleep(max(0, before + 28 - time.monotonic()))
            answer = self.code(third, allocation((EVEN_PORT, RESERVE)))
            if time.monotonic() < before + 30:  # a machine that others use may be later than that
                self.assertEqual(answer, 508)
            time.sleep(max(0, after + 31.5 - time.monotonic()))
            if answer == 508:
                answer = self.code(third, allocation((EVEN_PORT, RESERVE)))
            self.assertIsNone(answer)
