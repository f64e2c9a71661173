"""SIGUSR1 on the running server: nobody new is let in, who is there stays, and the server ends by
itself with 0 when the last one has gone or the time is over."""

import signal
import socket
import time
import unittest
import urllib.error
import urllib.request

from operating import SECONDS, Operated
from server import Server, free_port
from test_metrics import get, samples
from turnclient import TurnClient
from websocket import Closed, WebSocket

OPTIONS = ["--user", "alice:secret", "--realm", "example.org", "--relay-ip", "127.0.0.1",
           "--allowed-peer-ip", "127.0.0.1", "--api-key", "a-key-for-back-ends"]


class Drain(Operated, unittest.TestCase):
    def start(self, *options, workers=2, **more):
        """A server that may end by itself."""
        self.metrics = free_port()
        server = Server(*OPTIONS, "--workers", str(workers), "--prometheus-port",
                        str(self.metrics), *options, **more)
        server.__enter__()
        self.addCleanup(server.clean)
        self.server = server
        return server

    def client(self, transport="udp"):
        address = self.server.tls_address if transport == "tls" else self.server.address
        client = TurnClient(address, transport, username="alice", password="secret")
        self.addCleanup(client.close)
        return client

    def web_socket(self, path="/ws"):
        web_socket = WebSocket(self.server.address, path)
        self.addCleanup(web_socket.close)
        return web_socket

    def drain(self):
        """Returns when everybody knows."""
        self.server.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + SECONDS
        while self.status("/readyz") != 503 or not self.refuses():
            self.assertLess(time.monotonic(), end, self.server.log())
            time.sleep(0.02)

    def status(self, path, port=None, **headers):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.server.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return refusal.code

    def assert_ends(self, code=0):
        self.assertEqual(self.server.process.wait(SECONDS), code)
        self.server.join()

    def test_an_idle_server_ends_at_once(self):
        self.start()
        self.server.process.send_signal(signal.SIGUSR1)
        self.assert_ends()
        self.assertIn("nobody is left", self.server.log())

    def test_allocations_are_kept_and_the_last_one_ends_the_server(self):
        self.start(tls=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(SECONDS)
            clients = [self.client(transport) for transport in ("udp", "tcp", "tls", "udp")]
            for client in clients:
                client.allocate()
            self.drain()
            for client in clients:
                client.refresh()
                client.permit(peer.getsockname())
                client.bind_channel(peer.getsockname())
                client.send(peer.getsockname(), b"still here")
                self.assertEqual(peer.recvfrom(100), (b"still here", client.relayed))
                peer.sendto(b"so am I", client.relayed)
                self.assertEqual(client.receive()[1], b"so am I")
        for client in clients[1:]:
            client.refresh(0)
        self.assertEqual(samples(get(self.metrics, "/metrics"))["turnpike_draining"], 1)
        self.assertEqual(self.status("/readyz", self.metrics), 503)
        self.assertEqual(self.status("/healthz"), 200)
        self.assertIsNone(self.server.process.poll(), self.server.log())
        clients[0].refresh(0)
        self.assert_ends()

    def test_a_room_goes_on_until_the_last_member_leaves(self):
        self.start("--drain-deadline", "500")
        ann, bob = self.web_socket(), self.web_socket()
        for member in (ann, bob):
            member.say(type="join", room="demo")
            member.hear("joined")
        self.drain()
        for member in (ann, bob):
            self.assertLessEqual(member.hear("draining")["endsIn"], 500)
        late = self.web_socket()
        late.say(type="join", room="demo", id=1)
        self.assertEqual(late.hear("error")["code"], "draining")
        late.close()
        with self.assertRaises(Closed) as closed:
            self.web_socket("/y-webrtc").text()
        self.assertEqual(closed.exception.code, 1013)
        self.assertEqual(self.status("/api/ice", Authorization="Bearer a-key-for-back-ends"), 503)
        ann.say(type="send", data="still here")
        self.assertEqual(bob.hear("message")["data"], "still here")
        for member in (ann, bob):
            self.assertIsNone(self.server.process.poll(), self.server.log())
            member.say(type="leave")
        self.assert_ends()

    def test_the_deadline_ends_it_whoever_is_there(self):
        self.start("--drain-deadline", "1", workers=1)
        self.client().allocate()
        ann = self.web_socket()
        ann.say(type="join", room="demo")
        ann.hear("joined")
        self.server.process.send_signal(signal.SIGUSR1)
        ann.hear("draining")
        with self.assertRaises(Closed) as closed:
            ann.text()
        self.assertEqual(closed.exception.code, 1001)
        self.assert_ends()
        self.assertIn("allocations left: 1, signaling clients left: 1", self.server.log())

    def test_sigterm_ends_a_server_that_drains(self):
        self.start()
        self.client().allocate()
        self.drain()
        self.assertEqual(self.server.stop(), 0)

    def test_systemd_is_told(self):
        systemd, path = self.systemd()
        self.start(env={"NOTIFY_SOCKET": path})
        client = self.client()
        client.allocate()
        self.assertTrue(systemd.recv(500).startswith(b"READY=1\n"))
        self.server.process.send_signal(signal.SIGUSR1)
        self.assertEqual(
            systemd.recv(500),
            b"STATUS=draining: allocations left: 1, signaling clients left: 0")
        client.refresh(0)
        self.assertEqual(systemd.recv(500), b"STOPPING=1")
        self.assert_ends()


if __name__ == "__main__":
    unittest.main()
