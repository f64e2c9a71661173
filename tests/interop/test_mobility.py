"""A mobile client (RFC 8016) whose address changes for real, in networks of its own: its NAT
forgets it and gives it another port, and it goes from one network to another."""

import os
import socket
import time
import unittest

from namespaces import Network
from server import Server
from turnclient import (ALLOCATE, REFRESH, REQUEST, REQUESTED_TRANSPORT, XOR_RELAYED_ADDRESS,
                        Message, Refused, TurnClient)

USER, PASSWORD = "alice", "correct horse"
SERVER, PEER, HOME, OFFICE = "192.0.2.2", "203.0.113.2", "10.1.0.2", "10.2.0.2"
OUTSIDE = "192.0.2.1"
MOBILITY_TICKET = 0x8030


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class AcrossNetworks(unittest.TestCase):
    """
        client 10.1.0.2 (home) ---+
               10.2.0.2 (office) -+- router, NAT to 192.0.2.1 -- server 192.0.2.2
        peer 203.0.113.2 ---------+
    """

    @classmethod
    def setUpClass(cls):
        net = cls.net = cls.enterClassContext(Network())
        net.host("router", forwards=True)
        for name, address, gateway in (("server", SERVER, OUTSIDE), ("peer", PEER, "203.0.113.1"),
                                       ("home", HOME, "10.1.0.1"), ("office", OFFICE, "10.2.0.1")):
            net.host(name)
            net.wire(name, "router", address + "/24", gateway + "/24")
            net.default_route(name, gateway)
        for timeout in ("udp_timeout", "udp_timeout_stream"):
            net.on("router", "sysctl", "-qw", f"net.netfilter.nf_conntrack_{timeout}=1")
        cls.ports = None
        cls.translate(40000)
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--mobility", "--relay-ip", SERVER, "--workers", "2",
            "--allowed-peer-ip", PEER, ips=[SERVER], prefix=net.prefix("server")))

    @classmethod
    def translate(cls, first_port):
        """From now on the NAT gives new flows ports from `first_port` on."""
        def rule(action, ports):
            cls.net.on("router", "iptables", "-t", "nat", action, "POSTROUTING", "-o", "to-server",
                       "-p", "udp", "-s", "10.0.0.0/8", "-j", "SNAT", "--to-source",
                       f"{OUTSIDE}:{ports}")
        if cls.ports:
            rule("-D", cls.ports)
        cls.ports = f"{first_port}-{first_port + 99}"
        rule("-A", cls.ports)

    def setUp(self):
        with self.net.inside("peer"):
            self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind((PEER, 0))
        self.peer.settimeout(5)

    def client(self, host):
        client = TurnClient((SERVER, self.server.port), username=USER, password=PASSWORD,
                            make_socket=self.net.socket_maker(host))
        self.addCleanup(client.close)
        return client

    def allocated(self):
        client = self.client("home")
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
        answer = client.authenticated(message.add(MOBILITY_TICKET, b""))
        client.relayed, client.ticket = answer.address(XOR_RELAYED_ADDRESS), answer.get(0x8030)
        client.bind_channel(self.peer.getsockname())
        self.assert_talks(client)
        return client

    def show_ticket(self, client, ticket):
        message = Message(REFRESH, REQUEST).add(MOBILITY_TICKET, ticket)
        client.ticket = client.authenticated(message).get(MOBILITY_TICKET)

    def assert_talks(self, client):
        client.send(self.peer.getsockname(), b"out")
        self.assertEqual(self.peer.recvfrom(100), (b"out", client.relayed))
        self.peer.sendto(b"in", client.relayed)
        self.assertEqual(client.receive(), (self.peer.getsockname(), b"in"))

    def test_a_nat_that_forgets_is_survived(self):
        client = self.allocated()
        for first_port in (41000, 42000, 43000, 44000):
            before = client.binding()
            self.translate(first_port)
            time.sleep(2.5)  # the NAT keeps a silent flow for a second
            after = client.binding()
            self.assertNotEqual(after[1], before[1])
            with self.assertRaises(Refused) as refusal:
                client.refresh()
            self.assertEqual(refusal.exception.code, 437)
            self.show_ticket(client, client.ticket)
            self.assert_talks(client)

    def test_another_network_is_survived(self):
        home = self.allocated()
        office = self.client("office")
        self.show_ticket(office, home.ticket)
        office.relayed, office.channels, office.peers = home.relayed, home.channels, home.peers
        self.assert_talks(home)
        self.assert_talks(office)


if __name__ == "__main__":
    unittest.main()
