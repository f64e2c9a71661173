"""Rows of part F that need a network: ICMP, DF, DSCP and ECN (RFC 8656 sections 11.5, 14 to 16).

    client 10.0.1.2 -- server 10.0.1.1 10.0.2.1 -- router 10.0.2.2 10.0.3.1 -- peer 10.0.3.2
           fd00:1::2          fd00:1::1 fd00:2::1          fd00:2::2 fd00:3::1         fd00:3::2

The wire between router and peer carries packets of at most 1400 bytes.
"""

import os
import socket
import struct
import time
import unittest

from conversation import PASSWORD, USER
from namespaces import Network
from server import Server
from turnclient import (DATA, DATA_VALUE, INDICATION, SEND, XOR_PEER_ADDRESS, Message, TurnClient,
                        xor_address)

DONT_FRAGMENT, ICMP = 0x001A, 0x8004
SMALL_MTU = 1400
EXPEDITED, ECT0 = 0xB8, 0x02  # DSCP EF; ECN-capable
ETH_P_IP, DF = 0x0800, 0x4000
FAMILIES = ((4, "10.0.1.1", "10.0.3.2"), (6, "fd00:1::1", "fd00:3::2"))


def family_of(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def set_traffic_class(one, value):
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value)


def receive_with_class(one):
    """The next datagram and the traffic class it came with."""
    data, items, _, _ = one.recvmsg(65536, 256)
    for level, kind, value in items:
        if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
            return data, value[0]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_TCLASS):
            return data, struct.unpack("i", value)[0]
    return data, None


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class AcrossARouter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        net = cls.net = cls.enterClassContext(Network())
        for name in ("client", "peer"):
            net.host(name)
        for name in ("server", "router"):
            net.host(name, forwards=True)
            net.on(name, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        for number, one, other in ((1, "server", "client"), (2, "server", "router"),
                                   (3, "router", "peer")):
            net.wire(one, other, f"10.0.{number}.1/24", f"10.0.{number}.2/24")
            net.address(one, f"to-{other}", f"fd00:{number}::1/64")
            net.address(other, f"to-{one}", f"fd00:{number}::2/64")
        for one, other in (("router", "peer"), ("peer", "router")):
            net.on(one, "ip", "link", "set", f"to-{other}", "mtu", str(SMALL_MTU))
        for host, number, end in (("client", 1, 1), ("server", 2, 2), ("router", 2, 1),
                                  ("peer", 3, 1)):
            net.on(host, "ip", "route", "add", "default", "via", f"10.0.{number}.{end}")
            net.on(host, "ip", "-6", "route", "add", "default", "via", f"fd00:{number}::{end}")
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--relay-ip", "10.0.2.1", "--relay-ip", "fd00:2::1",
            "--allowed-peer-ip", "10.0.0.0/8", "--allowed-peer-ip", "fd00::/8", "--workers", "1",
            ips=["10.0.1.1", "fd00:1::1"], prefix=net.prefix("server")))

    def client(self, version=4, transport="udp", ip="10.0.1.1"):
        client = TurnClient((ip, self.server.port), transport, username=USER, password=PASSWORD,
                            make_socket=self.net.socket_maker("client"))
        self.addCleanup(client.close)
        client.allocate(family=1 if version == 4 else 2)
        return client

    def peer(self, ip):
        with self.net.inside("peer"):
            peer = socket.socket(family_of(ip), socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.bind((ip, 0))
        peer.settimeout(3)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        if peer.family == socket.AF_INET6:
            peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        return peer

    def send(self, client, peer, data, *more):
        message = Message(SEND, INDICATION)
        message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))
        message.add(DATA_VALUE, data)
        for kind in more:
            message.add(kind, b"")
        client.write(message.encode())

    def lost(self, client, seconds=3.0):
        """The next word of a lost datagram: peer, ICMP type, code and MTU; None when none comes."""
        packet = client.read(time.monotonic() + seconds)
        if packet is None:
            return None
        message = Message.decode(packet)
        self.assertEqual((message.method, message.cls), (DATA, INDICATION))
        self.assertIsNone(message.get(DATA_VALUE))
        reserved, kind, code, mtu = struct.unpack("!HBBI", message.get(ICMP))
        self.assertEqual(reserved, 0)
        return message.address(XOR_PEER_ADDRESS), kind, code, mtu

    def test_8656_11_5_a_closed_port_is_told(self):
        for version, _, ip in FAMILIES:
            with self.subTest(version=version):
                client, closed = self.client(version), (ip, 9)
                client.permit(closed)
                self.send(client, closed, b"anybody?")
                unreachable = (3, 3) if version == 4 else (1, 4)
                self.assertEqual(self.lost(client), (closed, *unreachable, 0))
                peer = self.peer(ip)
                self.send(client, peer.getsockname()[:2], b"still")
                self.assertEqual(peer.recvfrom(100)[0], b"still")

    def test_8656_11_5_also_to_a_client_with_a_channel_on_tcp(self):
        client, closed = self.client(4, "tcp"), ("10.0.3.2", 9)
        client.bind_channel(closed)
        client.send(closed, b"anybody?")
        self.assertEqual(self.lost(client), (closed, 3, 3, 0))

    def test_8656_11_5_a_flood_of_errors_is_told_a_few_times(self):
        client, closed = self.client(), ("10.0.3.2", 9)
        with self.net.inside("peer"):
            with open("/proc/sys/net/ipv4/icmp_ratemask", "w", encoding="ascii") as mask:
                mask.write("0")
        client.permit(closed)
        for _ in range(20):
            for _ in range(20):
                self.send(client, closed, b"anybody?")
            time.sleep(0.01)
        told = 0
        while self.lost(client, 0.3) is not None:
            told += 1
        self.assertTrue(1 <= told <= 30, told)

    def test_8656_14_dont_fragment_in_send_is_honoured(self):
        client, peer = self.client(), self.peer("10.0.3.2")
        name = peer.getsockname()
        client.permit(name)
        with self.net.inside("peer"):
            frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.addCleanup(frames.close)
        frames.settimeout(3)
        for data, more, flag in ((b"whole", (DONT_FRAGMENT,), DF), (b"any", (), 0)):
            self.send(client, name, data, *more)
            self.assertEqual(peer.recvfrom(2000)[0], data)
            self.assertEqual(self.flags_of(frames, data), flag)
        too_big = os.urandom(SMALL_MTU)
        self.send(client, name, too_big, DONT_FRAGMENT)
        self.assertEqual(self.lost(client), (name, 3, 4, SMALL_MTU))
        self.send(client, name, too_big)
        self.assertEqual(peer.recvfrom(2000)[0], too_big)
        self.send(client, name, os.urandom(1473), DONT_FRAGMENT)  # too big for our own wire
        self.assertEqual(self.lost(client)[:3], (name, 3, 4))
        self.send(client, name, b"whole", DONT_FRAGMENT)
        self.assertEqual(peer.recvfrom(2000)[0], b"whole")

    def flags_of(self, frames, data):
        while True:
            packet = frames.recv(2000)
            if packet.endswith(data):
                return struct.unpack("!H", packet[6:8])[0] & DF

    def test_8656_11_5_too_big_for_an_ipv6_path_is_told(self):
        client, peer = self.client(6), self.peer("fd00:3::2")
        name = peer.getsockname()[:2]
        client.permit(name)
        data = os.urandom(SMALL_MTU)
        self.send(client, name, data)
        self.assertEqual(self.lost(client), (name, 2, 0, SMALL_MTU))
        self.send(client, name, data)
        self.assertEqual(peer.recvfrom(2000)[0], data)

    def test_8656_14_traffic_class_is_copied_between_udp_and_udp(self):
        for version, server, ip in FAMILIES:
            client, peer = self.client(version, ip=server), self.peer(ip)
            name = peer.getsockname()[:2]
            client.permit(name)
            if version == 4:
                client.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            else:
                client.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
            for bind in (False, True):
                if bind:
                    client.bind_channel(name)
                for value in (0, EXPEDITED, EXPEDITED | ECT0, ECT0, 0):
                    with self.subTest(version=version, bind=bind, value=value):
                        set_traffic_class(client.socket, value)
                        client.send(name, b"out")
                        self.assertEqual(receive_with_class(peer), (b"out", value))
                        set_traffic_class(peer, value)
                        peer.sendto(b"in", client.relayed)
                        client.socket.settimeout(3)
                        self.assertEqual(receive_with_class(client.socket)[1], value)

    def test_8656_14_between_families_too(self):
        for server, ip in (("10.0.1.1", "fd00:3::2"), ("fd00:1::1", "10.0.3.2")):
            client, peer = self.client(6 if ":" in ip else 4, ip=server), self.peer(ip)
            client.permit(peer.getsockname()[:2])
            set_traffic_class(client.socket, EXPEDITED | ECT0)
            client.send(peer.getsockname()[:2], b"out")
            self.assertEqual(receive_with_class(peer), (b"out", EXPEDITED | ECT0))

    def test_8656_16_from_tcp_it_is_not_ect(self):
        client, peer = self.client(4, "tcp"), self.peer("10.0.3.2")
        set_traffic_class(client.socket, EXPEDITED | ECT0)
        client.permit(peer.getsockname())
        client.send(peer.getsockname(), b"out")
        data, value = receive_with_class(peer)
        self.assertEqual((data, value & 3), (b"out", 0))
