"""What the tests of floods are made of: a crowd that sends from any address, a caller whose call
goes on meanwhile, and what the server holds."""

import contextlib
import resource
import select
import socket
import struct
import time

from server import SANITIZED
from test_metrics import get, samples
from turnclient import Refused, TurnClient

IP_PKTINFO = 8  # linux/in.h; Python names it from 3.14 on
HEADERS = 28    # of IPv4 and UDP, which count when traffic is compared
SECONDS = 15


def addresses(first, count):
    """`count` addresses from `first` on."""
    start = struct.unpack("!I", socket.inet_aton(first))[0]
    return [socket.inet_ntoa(struct.pack("!I", start + i)) for i in range(count)]


class Crowd:
    """One UDP socket that sends from any address of this host, of which 127.0.0.0/8 has sixteen
    million, and hears what comes back to each."""

    BATCH = 64

    def __init__(self, server, udp=None):
        self.server = server
        self.udp = udp or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("0.0.0.0", 0))
        self.udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.udp.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.udp.close()

    def send(self, packet, source):
        where = struct.pack("=I4s4s", 0, socket.inet_aton(source), bytes(4))
        with contextlib.suppress(BlockingIOError):
            self.udp.sendmsg([packet], [(socket.IPPROTO_IP, IP_PKTINFO, where)], 0, self.server)

    def heard(self, seconds=0.0):
        """What has come, waiting so long for the first of it: [(packet, address it came to)]."""
        found = []
        if seconds and not select.select([self.udp], [], [], seconds)[0]:
            return found
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, more, _, sender = self.udp.recvmsg(65536, 64)
                if sender == self.server:
                    found.append((packet, socket.inet_ntoa(more[0][2][8:12])))
        return found

    def ask(self, packets, seconds=30):
        """Sends (packet, source) pairs, a batch at a time, so that no buffer overflows and each is
        looked at; answers (packet, answer or None, source) for each. An answer that was expected
        and has not come within the time is None."""
        for start in range(0, len(packets), self.BATCH):
            batch = packets[start:start + self.BATCH]
            for packet, source in batch:
                self.send(packet, source)
            sources, answers = {source for _, source in batch}, {}
            end = time.monotonic() + seconds
            while len(answers) < len(batch) and (left := end - time.monotonic()) > 0:
                for answer, source in self.heard(left):
                    if source not in sources:
                        continue  # said again to one who asked before
                    if source in answers:
                        raise AssertionError(f"{source} was answered twice")
                    answers[source] = answer
            yield from ((packet, answers.get(source), source) for packet, source in batch)


class Call:
    """A client with an allocation whose peer returns what it hears. say() does one round trip, and
    sends again what a full buffer swallowed, as the media of a call would go on."""

    TRIES = 20

    def __init__(self, server, transport="udp", peer_ip="127.0.0.1", make_socket=None, **user):
        self.client = TurnClient(server, transport, timeout=SECONDS, make_socket=make_socket,
                                 **user)
        make = make_socket or socket.socket
        self.peer = make(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind((peer_ip, 0))
        self.peer.settimeout(0.5)
        self.relayed = self.client.allocate()
        self.client.bind_channel(self.peer.getsockname())
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Refused, OSError):  # or what failed here fails others, too
            self.client.refresh(0)
        self.client.close()
        self.peer.close()

    def say(self):
        self.number += 1
        words = struct.pack("!Q", self.number) * 20
        for _ in range(self.TRIES):
            self.client.send(self.peer.getsockname(), words)
            if not self.reaches_peer(words):
                continue
            self.peer.sendto(words, self.relayed)
            while (got := self.client.receive(0.5)) is not None:
                if got[1] == words:
                    return
        raise AssertionError(f"message {self.number} of the call was lost {self.TRIES} times")

    def reaches_peer(self, words):
        try:
            while self.peer.recvfrom(2000)[0] != words:
                pass
        except TimeoutError:
            return False
        return True

    def end(self, test):
        """It has been the same allocation all the time, and ends as one."""
        test.assertEqual(self.client.refresh(600), 600)
        self.say()
        self.client.refresh(0)


class Holdings:
    """What the server holds: its memory, and what its metrics say."""

    def __init__(self, server, metrics_port):
        self.pid, self.port = server.process.pid, metrics_port

    def memory(self):
        """Anonymous resident memory in bytes: pages of the program's file come and go. Nothing can
        be said of it with a sanitizer's heap."""
        if SANITIZED:
            return 0
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["RssAnon"].split()[0]) * 1024

    def metrics(self):
        return samples(get(self.port, "/metrics"))

    def value(self, name):
        return self.metrics()[name]


def comes_to_be(question, wanted, seconds=60):
    end = time.monotonic() + seconds
    while (answer := question()) != wanted:
        if time.monotonic() > end:
            raise AssertionError(f"still {answer} instead of {wanted}")
        time.sleep(0.02)


def all_files():
    """Lets this process open as many files as it may; answers how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Ends:
    """Which of many connections the server has ended."""

    def __init__(self):
        self.poll = select.epoll()
        self.open = {}

    def add(self, connection):
        connection.setblocking(False)
        self.open[connection.fileno()] = connection
        self.poll.register(connection.fileno(), select.EPOLLIN | select.EPOLLRDHUP)

    def look(self, seconds=0.0):
        """Reads what there is; answers how many are still open."""
        for fd, _ in self.poll.poll(seconds):
            connection, gone = self.open[fd], False
            with contextlib.suppress(BlockingIOError):
                try:
                    gone = connection.recv(65536) == b""
                except OSError as error:
                    gone = not isinstance(error, BlockingIOError)
            if gone:
                self.poll.unregister(fd)
                del self.open[fd]
                connection.close()
        return len(self.open)

    def close(self):
        for connection in self.open.values():
            connection.close()
        self.poll.close()
