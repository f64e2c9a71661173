"""coturn's turnutils_natdiscovery (RFC 5780) against a server with two addresses, from a host
without a NAT and from one behind a NAT."""

import os
import subprocess
import unittest

from namespaces import Network
from server import Server

ONE, OTHER = "192.0.2.10", "192.0.2.11"


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class NatDiscovery(unittest.TestCase):
    """
        near 198.51.100.2 ------------- router ---- server 192.0.2.10 and 192.0.2.11
        far 10.0.0.2 --- nat (masquerades) --+
    """

    @classmethod
    def setUpClass(cls):
        net = cls.net = cls.enterClassContext(Network())
        net.host("router", forwards=True)
        net.host("nat", forwards=True)
        for host in ("server", "near", "far"):
            net.host(host)
        net.wire("server", "router", ONE + "/24", "192.0.2.1/24")
        net.address("server", "to-router", OTHER + "/24")
        net.default_route("server", "192.0.2.1")
        net.wire("near", "router", "198.51.100.2/24", "198.51.100.1/24")
        net.default_route("near", "198.51.100.1")
        net.wire("nat", "router", "203.0.113.2/24", "203.0.113.1/24")
        net.default_route("nat", "203.0.113.1")
        net.wire("far", "nat", "10.0.0.2/24", "10.0.0.1/24")
        net.default_route("far", "10.0.0.1")
        net.on("nat", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "to-router", "-j",
               "MASQUERADE")
        cls.server = cls.enterClassContext(Server("--rfc5780", "--workers", "2", ips=[ONE, OTHER],
                                                  prefix=net.prefix("server")))

    def discover(self, host, local, *options):
        run = subprocess.run(
            [*self.net.prefix(host), "turnutils_natdiscovery", "-L", local, *options, ONE],
            text=True, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        return run.stdout + run.stderr

    def test_a_host_without_nat(self):
        words = self.discover("near", "198.51.100.2", "-m", "-f")
        self.assertRegex(words, r"No NAT! \(Endpoint")
        self.assertRegex(words, "Endpoint Independent Filtering")

    def test_a_host_behind_a_nat(self):
        words = self.discover("far", "10.0.0.2", "-m", "-f")
        self.assertRegex(words, "NAT with Endpoint Independent Mapping")
        self.assertRegex(words, "Address and Port Dependent Filtering")

    def test_padded(self):
        words = self.discover("near", "198.51.100.2", "-m", "-P")
        self.assertRegex(words, r"No NAT! \(Endpoint")


if __name__ == "__main__":
    unittest.main()
