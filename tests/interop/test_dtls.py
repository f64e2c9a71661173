"""DTLS clients (RFC 7350): coturn's turnutils_uclient and OpenSSL's s_client."""

import os
import re
import select
import socket
import struct
import subprocess
import time
import unittest

from server import Server, free_port
from test_turnutils import MESSAGES, PASSWORD, USER, Peer
from turnclient import BINDING, REQUEST, SUCCESS, XOR_MAPPED_ADDRESS, Message, TurnClient

SECONDS = 10


class DtlsPipe:
    """`openssl s_client` as a datagram socket: what is written at once is one record."""

    def __init__(self, address, *options):
        host, port = address
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-connect",
             f"{host}:{port}", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)

    def send(self, data):
        self.process.stdin.write(data)

    def recv(self, seconds=SECONDS):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        return os.read(self.process.stdout.fileno(), 65536)

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Dtls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = cls.enterClassContext(Peer())
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1", "--dtls",
            "--rfc5766-channel-numbers", "--allowed-peer-ip", "127.0.0.1", tls=True))

    def relays(self, *options, port=None):
        command = ["turnutils_uclient", "-u", USER, "-w", PASSWORD, "-S",
                   "-p", str(port or self.server.tls_port), "-e", "127.0.0.1",
                   "-r", str(self.peer.port), "-n", str(MESSAGES), "-m", "2", "-c", *options,
                   "127.0.0.1"]
        run = subprocess.run(command, text=True, capture_output=True, timeout=90, check=False,
                             stdin=subprocess.DEVNULL)
        words = run.stdout + run.stderr
        counts = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)$", words, re.M)
        self.assertTrue(counts, words[-2000:])
        self.assertEqual(counts[-1], (str(2 * MESSAGES), str(2 * MESSAGES)), words[-2000:])

    def test_channels_on_the_tls_port(self):
        self.relays()

    def test_send_indications_on_the_tls_port(self):
        self.relays("-s")

    def test_channels_on_the_port_that_tells_apart(self):
        self.relays(port=self.server.port)

    def test_large_messages(self):
        self.relays("-l", "1200")

    def test_openssl_gets_its_address(self):
        for address in (self.server.address, self.server.tls_address):
            with self.subTest(address=address), DtlsPipe(address) as pipe:
                request = Message(BINDING, REQUEST)
                pipe.send(request.encode())
                answer = Message.decode(pipe.recv())
                self.assertEqual(answer.cls, SUCCESS)
                self.assertEqual(answer.transaction, request.transaction)
                self.assertEqual(answer.address(XOR_MAPPED_ADDRESS)[0], "127.0.0.1")

    def test_an_allocation_ends_with_its_session(self):
        with DtlsPipe(self.server.tls_address) as pipe, socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            client = TurnClient(self.server.address, "udp", username=USER, password=PASSWORD)
            client.socket.close()
            client.socket = PipeSocket(pipe)
            relayed = client.allocate()
            client.permit(peer.getsockname())
            peer.settimeout(SECONDS)
            peer.sendto(b"to the client", relayed)
            self.assertIn(b"to the client", pipe.recv())
            pipe.process.stdin.close()  # s_client says close_notify
            pipe.process.wait(SECONDS)
            peer.connect(relayed)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                try:
                    peer.send(b"anybody there?")
                    time.sleep(0.02)
                except ConnectionRefusedError:
                    break
            else:
                self.fail("the relayed address outlived the session")

    def test_the_tls_port_answers_nothing_but_dtls(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.connect(self.server.tls_address)
            wire.settimeout(0.5)
            wire.send(Message(BINDING, REQUEST).encode())
            with self.assertRaises(TimeoutError):
                wire.recv(2000)

    def test_plain_udp_goes_on_beside_it(self):
        with TurnClient(self.server.address) as client:
            self.assertEqual(client.binding(), client.socket.getsockname())


class PipeSocket:
    """What TurnClient wants of a UDP socket."""

    def __init__(self, pipe):
        self.pipe, self.seconds = pipe, SECONDS

    def settimeout(self, seconds):
        self.seconds = seconds

    def send(self, data):
        self.pipe.send(data)

    sendall = send

    def recv(self, _):
        data = self.pipe.recv(self.seconds)
        if data is None:
            raise TimeoutError
        return data

    def close(self):
        pass


class Options(unittest.TestCase):
    def test_dtls_is_off_without_the_option(self):
        with Server(tls=True) as server, socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM) as wire:
            self.assertNotIn("DTLS", server.banner())
            wire.settimeout(0.5)
            wire.connect(server.address)
            wire.send(b"\x16\xfe\xff" + bytes(60))
            with self.assertRaises(TimeoutError):
                wire.recv(2000)

    def test_dtls_wants_a_certificate(self):
        server = Server("--dtls")
        with self.assertRaisesRegex(AssertionError, "--dtls needs a certificate"), server:
            pass


if __name__ == "__main__":
    unittest.main()
