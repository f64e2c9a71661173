"""The relay on a host that the world knows under other addresses, in networks of its own."""

import http.server
import json
import os
import socket
import socketserver
import subprocess
import threading
import unittest

from namespaces import Network
from server import BINARY, EXIT_CANNOT_LISTEN, Server
from tcpturn import TcpTurnClient
from test_call import CALL
from turnclient import Refused, TurnClient

USER, PASSWORD = "alice", "correct horse"
PUBLIC, PRIVATE = "192.0.2.10", "10.0.0.2"
PUBLIC_6 = "2001:db8:9::2"


def client(server, net, host, transport="udp", ip=PUBLIC):
    port = server.tls_port if transport == "tls" else server.port
    return TurnClient((ip, port), transport, username=USER, password=PASSWORD,
                      make_socket=net.socket_maker(host))


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class BehindOneToOneNat(unittest.TestCase):
    """As in a cloud: the host has 10.0.0.2, a router gives it 192.0.2.10, and there is no hairpin:
    what the host sends to 192.0.2.10 does not come back to it.

        ann 198.51.100.2 --+
                           router (192.0.2.10 <-> 10.0.0.2) -- server 10.0.0.2
        bob 203.0.113.2 ---+
    """

    @classmethod
    def setUpClass(cls):
        net = cls.net = cls.enterClassContext(Network())
        net.host("router", forwards=True)
        for name, address, gateway in (("server", PRIVATE, "10.0.0.1"),
                                       ("ann", "198.51.100.2", "198.51.100.1"),
                                       ("bob", "203.0.113.2", "203.0.113.1")):
            net.host(name)
            net.wire(name, "router", address + "/24", gateway + "/24")
            net.default_route(name, gateway)
        nat = ("iptables", "-t", "nat", "-A")
        net.on("router", *nat, "PREROUTING", "-i", "to-ann", "-d", PUBLIC, "-j", "DNAT",
               "--to-destination", PRIVATE)
        net.on("router", *nat, "PREROUTING", "-i", "to-bob", "-d", PUBLIC, "-j", "DNAT",
               "--to-destination", PRIVATE)
        net.on("router", *nat, "POSTROUTING", "-s", PRIVATE, "-j", "SNAT", "--to-source", PUBLIC)
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--external-ip", f"{PUBLIC}/{PRIVATE}",
            "--relay-ip", PRIVATE, "--workers", "2", ips=[PRIVATE], tls=True,
            prefix=net.prefix("server")))

    def test_the_relayed_address_is_the_external_one(self):
        with client(self.server, self.net, "ann") as ann:
            self.assertEqual(ann.allocate()[0], PUBLIC)
            self.assertEqual(ann.mapped[0], "198.51.100.2")

    def test_two_clients_reach_each_other_by_their_external_relayed_addresses(self):
        for one in ("udp", "tcp", "tls"):
            for other in ("udp", "tcp"):
                with self.subTest(one=one, other=other), \
                        client(self.server, self.net, "ann", one) as ann, \
                        client(self.server, self.net, "bob", other) as bob:
                    self.meet(ann, bob)

    def meet(self, ann, bob):
        ann.allocate()
        bob.allocate()
        for install in ("permit", "bind_channel"):
            getattr(ann, install)(bob.relayed)
            getattr(bob, install)(ann.relayed)
            for number in range(20):
                ann.send(bob.relayed, b"to bob %d" % number)
                self.assertEqual(bob.receive(), (ann.relayed, b"to bob %d" % number))
                bob.send(ann.relayed, b"to ann %d" % number)
                self.assertEqual(ann.receive(), (bob.relayed, b"to ann %d" % number))

    def test_the_echo_returns_media_from_the_external_address(self):
        relay = ("--ice-server", f"turn:{PUBLIC}:{self.server.port}", "--username", USER,
                 "--credential", PASSWORD)
        for policy, path in (("all", "host, host"), ("relay", "relay, host")):
            with self.subTest(policy=policy):
                done = subprocess.run(
                    [*self.net.prefix("ann"), CALL, "--server",
                     f"http://{PUBLIC}:{self.server.port}", "--join", "echo", "--policy", policy,
                     "--duration", "2s", "--json", *relay],
                    stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False,
                    timeout=90)
                self.assertEqual(done.returncode, 0, done.stdout[:2000] + done.stderr)
                (call,) = json.loads(done.stdout)["calls"]
                self.assertEqual(call["path"], path)
                self.assertEqual({stream["kind"] for stream in call["streams"]},
                                 {"audio", "video"})
                for stream in call["streams"]:
                    self.assertGreater(stream["received"], 20)
                    self.assertEqual(stream["corrupt"] + stream["misrouted"], 0)

    def test_a_peer_outside_is_reached_from_the_external_address(self):
        # 198.51.100.0/24 is a documentation prefix, which is no place for peers unless allowed.
        with Server("--user", f"{USER}:{PASSWORD}", "--external-ip", f"{PUBLIC}/{PRIVATE}",
                    "--relay-ip", PRIVATE, "--allowed-peer-ip", "198.51.100.0/24", ips=[PRIVATE],
                    port=13478, prefix=self.net.prefix("server")) as server, \
                client(server, self.net, "bob") as bob, \
                self.net.socket_maker("ann")(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("198.51.100.2", 0))
            peer.settimeout(5)
            bob.allocate()
            bob.permit(peer.getsockname())
            bob.send(peer.getsockname(), b"hello")
            self.assertEqual(peer.recvfrom(100), (b"hello", bob.relayed))
            peer.sendto(b"and back", bob.relayed)
            self.assertEqual(bob.receive(), (peer.getsockname(), b"and back"))

    def test_the_server_itself_is_no_peer(self):
        with client(self.server, self.net, "ann") as ann, \
                self.net.socket_maker("server")(socket.AF_INET, socket.SOCK_DGRAM) as inside:
            inside.bind((PRIVATE, 0))
            inside.settimeout(0.5)
            port = inside.getsockname()[1]
            ann.allocate()
            for ip in (PUBLIC, PRIVATE):
                try:
                    ann.permit((ip, port))
                except Refused as refusal:
                    self.assertEqual(refusal.code, 403)
                ann.send((ip, port), b"knock")
            with self.assertRaises(TimeoutError):
                inside.recv(100)


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class FoundByAsking(unittest.TestCase):
    """--external-ip auto: a 1:1 NAT for each family, and another Turnpike outside as STUN server.

        ann 198.51.100.2, 2001:db8:a::2 --+
                                          router -- server 10.0.0.2, fd00::2
        bob 203.0.113.2, 2001:db8:b::2 ---+         (192.0.2.10, 2001:db8:9::2 outside)
    """

    @classmethod
    def setUpClass(cls):
        net = cls.net = cls.enterClassContext(Network())
        net.host("router", forwards=True)
        for name, address, gateway, six in (
                ("server", PRIVATE, "10.0.0.1", "fd00::"),
                ("ann", "198.51.100.2", "198.51.100.1", "2001:db8:a::"),
                ("bob", "203.0.113.2", "203.0.113.1", "2001:db8:b::")):
            net.host(name)
            net.wire(name, "router", address + "/24", gateway + "/24")
            net.default_route(name, gateway)
            net.address(name, "to-router", six + "2/64")
            net.address("router", "to-" + name, six + "1/64")
            net.default_route(name, six + "1")
        for tables, inside, outside in (("iptables", PRIVATE, PUBLIC),
                                        ("ip6tables", "fd00::2", PUBLIC_6)):
            nat = (tables, "-t", "nat", "-A")
            for name in ("ann", "bob"):
                net.on("router", *nat, "PREROUTING", "-i", "to-" + name, "-d", outside, "-j",
                       "DNAT", "--to-destination", inside)
            net.on("router", *nat, "POSTROUTING", "-s", inside, "-j", "SNAT", "--to-source",
                   outside)
        cls.enterClassContext(Server(ips=["198.51.100.2", "2001:db8:a::2"], port=3478,
                                     prefix=net.prefix("ann")))

    def start(self, *options, **more):
        return Server("--user", f"{USER}:{PASSWORD}", *options, ips=more.pop("ips", []), port=3478,
                      prefix=self.net.prefix("server"), **more)

    def test_relayed_addresses_are_the_ones_that_the_stun_server_saw(self):
        with self.start("--external-ip", "auto:198.51.100.2", "--external-ip",
                        "auto:[2001:db8:a::2]:3478", "--workers", "2") as server:
            for line in (f"{PRIVATE} is seen as {PUBLIC}, says the STUN server 198.51.100.2:3478",
                         f"fd00::2 is seen as {PUBLIC_6}, says the STUN server "
                         "[2001:db8:a::2]:3478"):
                self.assertIn(line, server.log())
            self.assertIn(f"{PRIVATE} (seen as {PUBLIC})  fd00::2 (seen as {PUBLIC_6})",
                          server.banner())
            self.assertIn(f"turn:{PUBLIC}:3478", server.banner())
            for ip, family in ((PUBLIC, 1), (PUBLIC_6, 2)):
                for one, other in (("udp", "udp"), ("udp", "tcp"), ("tcp", "udp")):
                    with self.subTest(ip=ip, one=one, other=other), \
                            client(server, self.net, "ann", one, ip) as ann, \
                            client(server, self.net, "bob", other, ip) as bob:
                        self.assertEqual(ann.allocate(family)[0], ip)
                        self.assertEqual(bob.allocate(family)[0], ip)
                        ann.permit(bob.relayed)
                        bob.permit(ann.relayed)
                        ann.send(bob.relayed, b"to bob")
                        self.assertEqual(bob.receive(), (ann.relayed, b"to bob"))
                        bob.send(ann.relayed, b"to ann")
                        self.assertEqual(ann.receive(), (bob.relayed, b"to ann"))

    def test_a_peer_outside_is_reached_from_what_was_found_and_answers_to_it(self):
        with self.start("--external-ip", "auto:198.51.100.2", "--external-ip",
                        "auto:2001:db8:a::2", "--allowed-peer-ip", "198.51.100.2",
                        "--allowed-peer-ip", "2001:db8:a::2") as server:
            for ip, family, peer_ip in ((PUBLIC, 1, "198.51.100.2"),
                                        (PUBLIC_6, 2, "2001:db8:a::2")):
                kind = socket.AF_INET if family == 1 else socket.AF_INET6
                with self.subTest(ip=ip), client(server, self.net, "bob", "udp", ip) as bob, \
                        self.net.socket_maker("ann")(kind, socket.SOCK_DGRAM) as peer:
                    peer.bind((peer_ip, 0))
                    peer.settimeout(5)
                    bob.allocate(family)
                    bob.permit(peer.getsockname()[:2])
                    bob.send(peer.getsockname()[:2], b"hello")
                    data, source = peer.recvfrom(100)
                    self.assertEqual((data, source[:2]), (b"hello", bob.relayed))
                    peer.sendto(b"and back", bob.relayed)
                    self.assertEqual(bob.receive(), (peer.getsockname()[:2], b"and back"))

    def test_tcp_relays_are_behind_the_same_nat(self):
        with self.start("--external-ip", "auto:198.51.100.2", "--external-ip",
                        "auto:2001:db8:a::2", "--tcp-relay", "--allowed-peer-ip", "198.51.100.2",
                        "--workers", "2") as server, \
                TcpTurnClient((PUBLIC, server.port), "tcp", username=USER, password=PASSWORD,
                              make_socket=self.net.socket_maker("bob")) as bob, \
                self.net.inside("ann"), socket.create_server(("198.51.100.2", 0)) as listener:
            listener.settimeout(5)
            self.assertEqual(bob.allocate_tcp()[0], PUBLIC)
            # Outward: the peer sees the external address.
            connection = bob.connect(listener.getsockname())
            peer, source = listener.accept()
            self.assertEqual(source, bob.relayed)
            with self.net.inside("bob"):
                self.assert_carries(bob.bind(connection), peer)
            # Inward: the peer dials it.
            bob.permit(("198.51.100.2", 9))
            peer = socket.create_connection(bob.relayed, 5)
            source, connection = bob.attempt()
            self.assertEqual(source, peer.getsockname())
            with self.net.inside("bob"):
                self.assert_carries(bob.bind(connection), peer)

    def assert_carries(self, data, peer):
        with peer:
            data.send(b"out")
            self.assertEqual(peer.recv(3, socket.MSG_WAITALL), b"out")
            peer.sendall(b"and back")
            self.assertEqual(data.read_exactly(8), b"and back")
        data.close()

    def test_the_second_server_is_asked_when_the_first_refuses(self):
        # Nothing listens on port 9 there: ICMP says so at once.
        with self.start("--external-ip", "auto:198.51.100.2:9", "--external-ip",
                        "auto:198.51.100.2", ips=[PRIVATE]) as server, \
                client(server, self.net, "ann") as ann:
            self.assertEqual(ann.allocate(1)[0], PUBLIC)

    def test_a_server_that_nobody_outside_could_use_says_why_and_ends(self):
        for wish, reason in (("auto", "Name a STUN server outside"),
                             ("auto:198.51.100.2:9", "198.51.100.2:9: it cannot be reached"),
                             ("auto:203.0.113.2", "203.0.113.2:3478: it cannot be reached"),
                             ("auto:203.0.113.99", "203.0.113.99:3478: "),
                             ("auto:2001:db8:a::2", "it has no IPv4 address")):
            with self.subTest(wish):
                done = subprocess.run(
                    [*self.net.prefix("server"), BINARY, "--listening-ip", PRIVATE, "--relay-ip",
                     PRIVATE, "--external-ip", wish, "--static-auth-secret", "x", "--api-key", "y"],
                    capture_output=True, text=True, timeout=60, check=False,
                    stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, EXIT_CANNOT_LISTEN, done.stderr)
                self.assertIn(reason, done.stderr)
                self.assertIn(f"pass --external-ip PUBLIC/{PRIVATE}", done.stderr)

    def test_without_auto_the_log_says_what_to_pass(self):
        with self.start(ips=[PRIVATE]) as server:
            self.assertIn(f"--external-ip PUBLIC/{PRIVATE}, or --external-ip auto to ask",
                          server.log())

    def test_a_public_address_of_an_interface_needs_no_question(self):
        with Server("--user", f"{USER}:{PASSWORD}", "--external-ip", "auto", ips=["203.0.113.2"],
                    port=13478, prefix=self.net.prefix("bob")) as server:
            self.assertIn("203.0.113.2 is a public address of this machine, announced as it is",
                          server.log())


class Metadata(http.server.BaseHTTPRequestHandler):
    """A cloud's metadata service, of which `served` says what it answers to what."""

    served = {}

    def answer(self):
        wanted, header, body = self.served.get((self.command, self.path), (None, None, None))
        good = body is not None and (wanted is None or self.headers.get(wanted) == header)
        self.send_response(200 if good else 404)
        self.end_headers()
        self.wfile.write(body if good else b"no such thing")

    do_GET = do_PUT = answer

    def log_message(self, *_):
        pass


class MetadataServer(http.server.ThreadingHTTPServer):
    def server_bind(self):
        """As HTTPServer's, but without asking DNS, which nobody serves in these networks."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class ToldByTheCloud(unittest.TestCase):
    """--external-ip auto: the clouds' metadata services as their manuals describe them, on an
    address that only the host itself reaches."""

    CLOUDS = {
        "Amazon EC2": ("169.254.169.254", {
            ("PUT", "/latest/api/token"):
                ("X-aws-ec2-metadata-token-ttl-seconds", "60", b"dG9rZW4="),
            ("GET", "/latest/meta-data/public-ipv4"):
                ("X-aws-ec2-metadata-token", "dG9rZW4=", PUBLIC.encode())}),
        "Google Cloud": ("169.254.169.254", {
            ("GET", "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/"
                    "external-ip"): ("Metadata-Flavor", "Google", PUBLIC.encode() + b"\n")}),
        "Azure": ("169.254.169.254", {
            ("GET", "/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress"
                    "?api-version=2021-02-01&format=text"):
                ("Metadata", "true", PUBLIC.encode())}),
        "Alibaba Cloud": ("100.100.100.200", {
            ("PUT", "/latest/api/token"):
                ("X-aliyun-ecs-metadata-token-ttl-seconds", "60", b"dG9rZW4="),
            ("GET", "/latest/meta-data/eipv4"):
                ("X-aliyun-ecs-metadata-token", "dG9rZW4=", PUBLIC.encode())}),
        "Tencent Cloud": ("169.254.0.23", {
            ("GET", "/latest/meta-data/public-ipv4"): (None, None, PUBLIC.encode())}),
    }

    @staticmethod
    def connect(net):
        net.host("server")
        net.host("router")
        net.wire("server", "router", PRIVATE + "/24", "10.0.0.1/24")
        net.default_route("server", "10.0.0.1")

    def serve(self, net, ip, served):
        net.address("server", "lo", ip + "/32")
        with net.inside("server"):
            handler = type("Handler", (Metadata,), {"served": served})
            service = MetadataServer((ip, 80), handler)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        self.addCleanup(service.server_close)
        self.addCleanup(service.shutdown)

    def run_server(self, net):
        return Server("--user", f"{USER}:{PASSWORD}", "--external-ip", "auto", ips=[PRIVATE],
                      port=3478, prefix=net.prefix("server"))

    def test_the_public_address_is_what_it_says(self):
        for cloud, (ip, served) in self.CLOUDS.items():
            with self.subTest(cloud), Network() as net:
                self.connect(net)
                self.serve(net, ip, served)
                with self.run_server(net) as server:
                    self.assertIn(f"{PRIVATE} is seen as {PUBLIC}, says the metadata service of "
                                  f"this cloud ({cloud})", server.log())
                self.assertIn(f"{PRIVATE} (seen as {PUBLIC})", server.banner())

    def test_nonsense_is_not_believed(self):
        for body in (b"", b"<html>sign in</html>", b"10.9.9.9", b"0.0.0.0", b"2001:db8::1",
                     b"192.0.2.10 192.0.2.11", b"x" * 100_000):
            with self.subTest(body[:20]), Network() as net:
                self.connect(net)
                self.serve(net, "169.254.169.254", {
                    ("GET", "/latest/meta-data/public-ipv4"): (None, None, body)})
                with self.assertRaisesRegex(AssertionError, "Name a STUN server outside"), \
                        self.run_server(net):
                    pass


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class SeveralAddresses(unittest.TestCase):
    """With no address given the server listens on all of them, and answers from the one asked."""

    def test_answers_leave_from_the_address_that_was_asked(self):
        addresses = ("10.7.0.1", "10.7.0.2", "10.7.9.1", "fd07::1", "fd07::2")
        with Network() as net:
            net.host("server")
            net.host("asker")
            net.wire("server", "asker", "10.7.0.1/24", "10.7.0.9/24")
            device = "to-asker"
            net.address("server", device, "10.7.0.2/24")
            net.address("server", device, "10.7.9.1/32")
            net.address("server", device, "fd07::1/64")
            net.address("server", device, "fd07::2/64")
            net.address("asker", "to-server", "fd07::9/64")
            net.on("asker", "ip", "route", "add", "10.7.9.1/32", "via", "10.7.0.1")
            net.default_route("server", "10.7.0.9")
            with Server("--user", f"{USER}:{PASSWORD}", ips=[], port=3478,
                        prefix=net.prefix("server")) as server:
                for ip in addresses:
                    for transport in ("udp", "tcp"):
                        # Connected: an answer from any other address would not be delivered.
                        with self.subTest(ip=ip, transport=transport), \
                                client(server, net, "asker", transport, ip) as asker:
                            mapped = asker.binding()
                            self.assertEqual(mapped[0], "fd07::9" if ":" in ip else "10.7.0.9")
                            asker.allocate()


if __name__ == "__main__":
    unittest.main()
