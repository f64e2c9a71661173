"""Where bench/macro/compare lets servers and generator meet: two network namespaces joined by a
veth pair, or loopback where the right to make them is missing.

The namespaces have addresses of the network that is set aside for benchmarks (RFC 2544 appendix
C.2.2), no way out, and end with the comparison, also with one that is terminated."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

from namespaces import inside_network  # of tests/interop


class Loopback:
    name = "loopback"
    listen_ip, relay_ip = "127.0.0.1", "127.0.0.2"
    client_ip, peer_ip, many_clients = "127.0.0.3", "127.0.0.4", "127.0.16.1"
    allowed = "127.0.0.0/8"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def for_server(self, command):
        return command

    def for_load(self, command):
        return command

    @contextlib.contextmanager
    def at_server(self):
        """Sockets made here are the server's neighbours: for looking for a free port."""
        yield

    @contextlib.contextmanager
    def at_load(self):
        yield


def ip(*arguments):
    done = subprocess.run(("ip", *arguments), text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Namespaces(Loopback):
    name = "veth between two network namespaces"
    listen_ip, relay_ip = "198.18.0.1", "198.18.0.2"
    client_ip, peer_ip, many_clients = "198.18.0.3", "198.18.0.4", "198.18.16.1"
    allowed = "198.18.0.0/15"

    def __init__(self):
        self.server, self.load = (f"turnpike-{os.getpid()}-{end}" for end in ("server", "load"))

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that __exit__ runs
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for namespace in (self.server, self.load):
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("link", "add", "wire", "netns", self.server, "type", "veth", "peer", "name", "wire",
           "netns", self.load)
        for namespace, addresses in ((self.server, (self.listen_ip, self.relay_ip)),
                                     (self.load, (self.client_ip, self.peer_ip))):
            for address in addresses:
                ip("-n", namespace, "address", "add", address + "/24", "dev", "wire")
            ip("-n", namespace, "link", "set", "wire", "up")
        # The many clients: every address of this range is the generator's.
        ip("-n", self.load, "route", "add", "local", "198.18.16.0/20", "dev", "lo")
        ip("-n", self.server, "route", "add", "198.18.16.0/20", "via", self.client_ip)

    def __exit__(self, *_):
        for namespace in (self.server, self.load):  # their ends of the wire go with them
            subprocess.run(("ip", "netns", "del", namespace), check=False,
                           stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def for_server(self, command):
        return ["ip", "netns", "exec", self.server, *command]

    def for_load(self, command):
        return ["ip", "netns", "exec", self.load, *command]

    def at_server(self):
        return inside_network(f"/run/netns/{self.server}")

    def at_load(self):
        return inside_network(f"/run/netns/{self.load}")


def may_make_namespaces():
    """By trying: root in a container may lack the capability."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with Namespaces():
            return True
    except OSError:
        return False
