"""Where the log of a running server goes and what stands in it: text and JSON, files that are
rotated, full disks, the journal, syslog, a line for each allocation, and no secret anywhere."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from server import BINARY, Server
from turnclient import Refused, TurnClient

USER, PASSWORD = "alice", "correct-horse-battery-staple"
SECRET = "a-secret-that-nobody-guesses-0123456789"
API_KEY = "a-key-of-the-back-end-0123456789abcdef"
TOKEN = "a-token-for-metrics-0123456789abcdef"
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) .+$")
WAIT = 20


def content(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def wait_for(words, source):
    """What `source` says, once the words are in it."""
    end = time.monotonic() + WAIT
    while True:
        text = source()
        if words in text:
            return text
        if time.monotonic() > end:
            raise AssertionError(f"no {words!r} in:\n{text}")
        time.sleep(0.02)


def converse(server, seconds=600):
    """One allocation with traffic in both directions, released by the client."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(WAIT)
        with TurnClient(server.address, username=USER, password=PASSWORD) as client:
            relayed = client.allocate(lifetime=seconds)
            client.permit(peer.getsockname())
            client.send(peer.getsockname(), b"12345")
            data, back = peer.recvfrom(2048)
            assert data == b"12345", data
            peer.sendto(b"1234567", back)
            client.receive(WAIT)
            client.refresh(0)
            return relayed


class Logs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        os.chmod(self.folder, 0o777)  # for whom root becomes
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = os.path.join(self.folder, "log")

    def relaying(self, *options, **more):
        return Server("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1",
                      "--allowed-peer-ip", "127.0.0.1", *options, **more)

    # --- where to

    def test_a_file_takes_every_line_and_standard_error_none(self):
        with Server("--log-file", self.file) as server:
            pass
        lines = content(self.file).splitlines()
        self.assertTrue(any("stopped:" in line for line in lines), lines)
        for line in lines:
            self.assertRegex(line, LINE)
        self.assertEqual(server.log(), "ready\n")

    def test_sighup_goes_on_in_a_new_file(self):
        with Server("--log-file", self.file) as server:
            wait_for(" info ", lambda: content(self.file))
            os.rename(self.file, self.file + ".1")
            server.process.send_signal(signal.SIGHUP)
            wait_for("reloaded", lambda: content(self.file))
        self.assertIn("stopped:", content(self.file))
        self.assertNotIn("stopped:", content(self.file + ".1"))

    def test_rotation_without_a_signal_is_noticed(self):
        with Server("--log-file", self.file) as server:
            os.rename(self.file, self.file + ".1")

            def poke():
                server.process.send_signal(signal.SIGUSR2)  # logs a line
                return content(self.file)
            wait_for("no certificate to renew", poke)

    def test_a_full_disk_is_told_once_and_stops_nothing(self):
        with self.relaying("--log-file", "/dev/full") as server:
            converse(server)
            for _ in range(3):
                server.process.send_signal(signal.SIGUSR2)
            converse(server)
        self.assertEqual(server.log().count("/dev/full"), 1, server.log())
        self.assertIn("No space left on device", server.log())

    def test_a_folder_that_vanishes_is_told_once_and_stops_nothing(self):
        logs = os.path.join(self.folder, "logs")
        os.mkdir(logs)
        os.chmod(logs, 0o777)
        with self.relaying("--log-file", os.path.join(logs, "log")) as server:
            os.rename(logs, logs + ".gone")

            def poke():
                server.process.send_signal(signal.SIGUSR2)
                return server.log()
            wait_for("No such file or directory", poke)
            converse(server)
        self.assertEqual(server.log().count("No such file"), 1, server.log())

    def test_a_file_that_cannot_be_opened_stops_nothing(self):
        with self.relaying("--log-file", os.path.join(self.folder, "none", "log")) as server:
            converse(server)
        self.assertEqual(server.log().count("No such file"), 1, server.log())

    def test_what_stops_the_start_is_on_standard_error_too(self):
        with Server() as server:
            done = subprocess.run(
                [BINARY, "--listening-ip", "127.0.0.1", "--listening-port", str(server.port),
                 "--state-dir", os.path.join(self.folder, "state"), "--prometheus-port", "0",
                 "--log-file", self.file], text=True, capture_output=True, timeout=60, check=False,
                stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, r"^turnpike: .*in use")
        self.assertRegex(content(self.file), r" error .*in use")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_the_file_belongs_to_whom_root_becomes(self):
        with Server("--log-file", self.file, "--proc-user", "daemon"):
            self.assertNotEqual(os.stat(self.file).st_uid, 0)

    def test_the_journal_gets_priorities_and_no_time_of_ours(self):
        path = os.path.join(self.folder, "journal")
        with open(path, "w", encoding="utf-8") as stream:
            # systemd names the stream that the journal reads; here that is a file.
            status = os.fstat(stream.fileno())
            process = subprocess.Popen(
                [BINARY, "--state-dir", os.path.join(self.folder, "state"), "--listening-ip",
                 "127.0.0.1", "--listening-port", "0", "--prometheus-port", "0"],
                env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream)
            try:
                wait_for("ready", lambda: content(path))
            finally:
                process.terminate()
                process.wait(WAIT)
        lines = [line for line in content(path).splitlines() if line != "ready"]
        self.assertIn("stopped:", lines[-1])
        for line in lines:
            self.assertRegex(line, r"^<[3-7]>[^\d]")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root and unshare")
    def test_syslog(self):
        path = os.path.join(self.folder, "devlog")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(path)
            os.chmod(path, 0o666)
            log.settimeout(WAIT)
            # A /dev of the server's own, in which /dev/log leads to this test.
            script = f'mount -t tmpfs none /dev && ln -s {path} /dev/log && exec "$@"'
            with Server("--syslog", prefix=["unshare", "--mount", "sh", "-c", script, "sh"]):
                pass
            # daemon is 3: 3 * 8 + info (6).
            datagrams = []
            while not datagrams or b"stopped:" not in datagrams[-1]:
                datagrams.append(log.recv(65536))
        for datagram in datagrams:
            self.assertRegex(datagram.decode(), r"^<(30|28|27)>.* turnpike\[\d+\]: \S")

    # --- what

    def test_json_is_one_object_a_line(self):
        with self.relaying("--log-format", "json", "--log-file", self.file,
                           "--log-allocations") as server:
            converse(server)
            wait_for("allocation_ended", lambda: content(self.file))
        lines = [json.loads(line) for line in content(self.file).splitlines()]
        for line in lines:
            self.assertIn(line["level"], ("info", "warning", "error"))
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertTrue(line["message"])
        ended, = [line for line in lines if line.get("event") == "allocation_ended"]
        self.assertEqual(ended["user"], USER)
        self.assertEqual(ended["transport"], "udp")
        self.assertRegex(ended["client"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual((ended["packets_to_peers"], ended["bytes_to_peers"]), (1, 5))
        self.assertEqual((ended["packets_to_client"], ended["bytes_to_client"]), (1, 7))
        self.assertGreaterEqual(ended["seconds"], 0)
        self.assertLess(ended["seconds"], WAIT)
        self.assertEqual(ended["reason"], "released by the client")

    def test_a_line_for_each_allocation_only_when_asked_for(self):
        with self.relaying("--log-allocations") as server:
            ip, port = converse(server)[:2]
            wait_for("allocation ended", server.log)
            with TurnClient(server.address, username=USER, password=PASSWORD) as client:
                client.allocate()
        line, last = [line for line in server.log().splitlines() if "allocation ended" in line]
        self.assertRegex(line, rf" info allocation ended event=allocation_ended user={USER} "
                               rf"client=127\.0\.0\.1:\d+ transport=udp relayed={ip}:{port} ")
        self.assertIn('reason="server shutting down"', last)
        with self.relaying() as silent:
            converse(silent)
        self.assertNotIn("allocation ended", silent.log())

    def test_the_level(self):
        with Server("--log-level", "error") as server:
            pass
        self.assertEqual(server.log(), "ready\n")
        with self.relaying("--log-level", "debug") as server:
            converse(server)
        self.assertRegex(server.log(), r" debug allocation ")

    def test_addresses_are_cut_when_asked_for(self):
        if os.geteuid() != 0 or shutil.which("ip") is None:
            self.skipTest("needs root and ip")
        # Loopback says nothing: the server gets an address of documentation, in a network of its
        # own.
        script = 'ip link set lo up && ip address add 192.0.2.77/32 dev lo && exec "$@"'
        logs = {}
        for option in ("--log-redact-addresses", "--log-redact-addresses=false"):
            with Server(option, ips=["192.0.2.77"], port=3478,
                        prefix=["unshare", "--net", "sh", "-c", script, "sh"]) as server:
                pass
            logs[option] = server.log()
        self.assertIn("192.0.2.77", logs["--log-redact-addresses=false"])
        self.assertNotIn("192.0.2.77", logs["--log-redact-addresses"])
        self.assertIn("192.0.2.x", logs["--log-redact-addresses"])

    # --- what never

    def test_no_secret_is_in_the_log_of_a_whole_conversation(self):
        for name in ("text", "json"):
            with self.subTest(name):
                path = self.file + name
                with self.relaying("--log-level", "debug", "--log-allocations", "--log-format",
                                   name, "--log-file", path, "--static-auth-secret", SECRET,
                                   "--api-key", API_KEY, "--prometheus-token", TOKEN) as server:
                    converse(server)
                    with self.assertRaises(Refused):
                        with TurnClient(server.address, username=USER,
                                        password="wrong-" + PASSWORD) as client:
                            client.allocate()
                    self.ask_for_credentials(server)
                    server.process.send_signal(signal.SIGHUP)
                    server.process.send_signal(signal.SIGUSR2)
                    wait_for("no certificate to renew", lambda path=path: content(path))
                everything = content(path) + server.log()
                self.assertIn("allocation ended", everything)
                for secret in (PASSWORD, SECRET, API_KEY, TOKEN, *self.minted):
                    self.assertNotIn(secret, everything)

    def ask_for_credentials(self, server):
        """By HTTP, and relays with what it gets."""
        with socket.create_connection(server.address, WAIT) as web:
            web.sendall(f"GET /api/ice?key={API_KEY} HTTP/1.1\r\nHost: localhost\r\n"
                        "Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: web.recv(65536), b"")).decode()
        minted = json.loads(answer[answer.index("\r\n\r\n"):])["iceServers"][1]
        self.minted = [minted["credential"]]
        with TurnClient(server.address, username=minted["username"],
                        password=minted["credential"]) as client:
            client.allocate()


if __name__ == "__main__":
    unittest.main()
