"""Network namespaces made and removed by a test (root only): hosts, wires between them, NAT."""

import contextlib
import ctypes
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000  # <sched.h>


def run(*command):
    done = subprocess.run(command, text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextlib.contextmanager
def inside_network(namespace):
    """Sockets that this thread makes here belong for ever to the network whose file that is."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(namespace, "rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}", namespace)
        try:
            yield
        finally:
            if libc.setns(home.fileno(), CLONE_NEWNET) != 0:
                os._exit(1)  # never go on in the wrong network


class Network:
    """Hosts by short names; use it in a with statement."""

    def __init__(self):
        self.hosts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self.hosts:  # with a namespace its interfaces go
            subprocess.run(["ip", "netns", "del", self.full(host)], check=False,
                           stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def full(self, host):
        return f"tp{os.getpid()}-{host}"

    def host(self, name, forwards=False):
        run("ip", "netns", "add", self.full(name))
        self.hosts.append(name)
        self.on(name, "ip", "link", "set", "lo", "up")
        if forwards:
            self.on(name, "sysctl", "-qw", "net.ipv4.ip_forward=1",
                    "net.ipv6.conf.all.forwarding=1")
        return name

    def wire(self, one, other, one_address, other_address):
        """An Ethernet between two hosts, with an address ("10.0.0.1/24") at each end."""
        a, b = f"to-{other}", f"to-{one}"
        run("ip", "link", "add", a, "netns", self.full(one), "type", "veth", "peer", "name", b,
            "netns", self.full(other))
        for host, device, address in ((one, a, one_address), (other, b, other_address)):
            self.address(host, device, address)
            self.on(host, "ip", "link", "set", device, "up")

    def address(self, host, device, address):
        # nodad: an IPv6 address is usable at once.
        more = ("nodad",) if ":" in address else ()
        self.on(host, "ip", "address", "add", address, "dev", device, *more)

    def default_route(self, host, gateway):
        self.on(host, "ip", "-6" if ":" in gateway else "-4", "route", "add", "default", "via",
                gateway)

    def prefix(self, host):
        """What a command begins with to run there."""
        return ["ip", "netns", "exec", self.full(host)]

    def on(self, host, *command):
        run(*self.prefix(host), *command)

    def inside(self, host):
        return inside_network(f"/run/netns/{self.full(host)}")

    def socket_maker(self, host):
        def make(family, kind):
            with self.inside(host):
                return socket.socket(family, kind)
        return make
