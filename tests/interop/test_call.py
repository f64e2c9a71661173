"""turnpike-call against the release binary: whole calls by every way, and what it says when they
fail. CALLER names the caller; without it, it is the one beside the server's binary.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree

from server import BINARY, Server, free_port

CALL = os.environ.get("CALLER", os.path.join(os.path.dirname(BINARY), "turnpike-call"))
KEY = "test-key-of-the-callers"
LIMIT = 90


def call(url, *options, key=KEY):
    """(exit code, the JSON that it printed)."""
    words = [CALL, "--server", url, "--json", *options]
    if key:
        words += ["--key", key]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          check=False, timeout=LIMIT)
    if done.returncode > 1:
        raise AssertionError(done.stderr)
    return done.returncode, json.loads(done.stdout)


class Calls(unittest.TestCase):
    def serve(self, *options, **more):
        self.server = self.enterContext(Server("--api-key", KEY, *options, **more))
        self.url = "http://%s:%d" % self.server.address

    def expect_good(self, code, found, calls, paths):
        total = found["total"]
        self.assertEqual((code, total["calls"], total["failed"]), (0, calls, 0), total)
        self.assertEqual(total["failures"], {})
        self.assertEqual(total["paths"], {paths: calls})
        self.assertEqual(total["corrupt"] + total["duplicated"], 0, total)
        self.assertLess(total["loss"], 0.05, total)
        self.assertGreater(total["mos"], 3.5, total)
        self.assertGreater(total["sent"], 0)
        for name in ("p50", "p90", "p95", "p99", "max"):
            self.assertGreater(total["setup_ms"][name], 0)
        self.assertGreaterEqual(total["jitter_ms"], 0)
        self.assertEqual(len(found["calls"]), calls)
        for one in found["calls"]:
            self.assertTrue(one["srtp"].startswith("SRTP_"), one)
            # Audio and video, to both sides.
            self.assertEqual(len(one["streams"]), 4)
            for stream in one["streams"]:
                self.assertGreater(stream["received"], 0, one)

    def test_two_calls_go_the_straight_way(self):
        self.serve()
        code, found = call(self.url, "--calls", "2", "--duration", "2s")
        self.expect_good(code, found, 2, "host, host")
        self.assertEqual(found["policy"], "all")

    def test_five_calls_go_by_relay_over_udp_and_tcp(self):
        self.serve()
        for transport in ("udp", "tcp"):
            with self.subTest(transport=transport):
                code, found = call(self.url, "--calls", "5", "--duration", "2s", "--policy",
                                   "relay", "--transport", transport)
                self.expect_good(code, found, 5, "relay, relay")

    def test_five_calls_go_by_relay_over_tls(self):
        self.serve("--user", "ann:secret", tls=True)
        code, found = call(self.url, "--calls", "5", "--duration", "2s", "--policy", "relay",
                           "--transport", "tls", "--ice-server",
                           "turns:127.0.0.1:%d" % self.server.tls_port, "--username", "ann",
                           "--credential", "secret", "--ca",
                           os.path.join(self.server.folder, "cert.pem"), key="")
        self.expect_good(code, found, 5, "relay, relay")

    def test_rooms_give_credentials_that_work_beside_static_users(self):
        """The relay asks for hashed names, and finds what rooms make up by the name only."""
        self.serve("--user", "ann:secret")
        code, found = call(self.url, "--calls", "2", "--duration", "1s", "--policy", "relay")
        self.expect_good(code, found, 2, "relay, relay")

    def test_one_process_drives_two_hundred_calls_at_once(self):
        self.serve()
        # Few packets a second, and long enough for all to meet, so that a slow machine can bear it.
        code, found = call(self.url, "--calls", "200", "--rate", "50/s", "--duration", "25s",
                           "--timeout", "60s", "--policy", "relay", "--video", "off", "--ptime",
                           "120")
        total = found["total"]
        self.assertEqual((code, total["calls"], total["failures"]), (0, 200, {}), total)
        self.assertEqual(total["paths"], {"relay, relay": 200})
        self.assertEqual(total["corrupt"] + total["duplicated"], 0, total)
        self.assertEqual(max(second["talking"] for second in found["timeline"]), 200)
        self.assertEqual(found["ptime_ms"], 120)
        for one in found["calls"]:
            self.assertEqual(len(one["streams"]), 2)
            for stream in one["streams"]:
                self.assertGreater(stream["received"], 50, one)
        self.assertGreater(max(second["busy"] for second in found["timeline"]), 0)
        self.assertGreater(max(second["late_ms"] for second in found["timeline"]), 0)

    def test_calls_by_socket_io(self):
        self.serve()
        for policy, paths in (("relay", "relay, relay"), ("all", "host, host")):
            with self.subTest(policy=policy):
                code, found = call(self.url, "--calls", "2", "--duration", "1s", "--signaling",
                                   "socketio", "--policy", policy)
                self.expect_good(code, found, 2, paths)
                self.assertEqual(found["signaling"], "socketio")

    def test_signaling_over_tls_wants_the_right_authority(self):
        self.serve(tls=True)
        url = "https://%s:%d" % self.server.tls_address
        authority = os.path.join(self.server.folder, "cert.pem")
        code, found = call(url, "--ca", authority, "--duration", "1s")
        self.expect_good(code, found, 1, "host, host")
        code, found = call(url, "--duration", "1s")
        self.assertEqual(code, 1)
        (cause,) = found["total"]["failures"]
        self.assertIn("certificate refused", cause)

    def test_servers_from_the_command_line_replace_those_of_the_room(self):
        self.serve("--user", "ann:secret")
        relay = "turn:127.0.0.1:%d" % self.server.port
        credential = ("--ice-server", relay, "--username", "ann", "--credential")
        options = ("--policy", "relay", "--duration", "1s")
        code, found = call(self.url, *options, *credential, "secret", key="")
        self.expect_good(code, found, 1, "relay, relay")
        code, found = call(self.url, *options, *credential, "guess", key="")
        self.assertEqual(code, 1)
        self.assertEqual(found["total"]["failures"], {"relay refuses: 401": 1})

    def test_a_wrong_key_fails_every_call_with_its_cause(self):
        self.serve()
        code, found = call(self.url, "--calls", "3", key="a-wrong-key-of-someone")
        total = found["total"]
        self.assertEqual((code, total["calls"], total["failed"]), (1, 3, 3))
        self.assertEqual(total["failures"], {"key refused: 401 unauthorized": 3})
        self.assertIsNone(total["setup_ms"])
        self.assertIsNone(total["mos"])

    def test_without_a_key_there_is_no_relay(self):
        self.serve()
        code, found = call(self.url, "--policy", "relay", key="")
        self.assertEqual(code, 1)
        self.assertEqual(found["total"]["failures"],
                         {"no relay by this transport in iceServers": 1})

    def test_a_server_that_is_not_there_is_told(self):
        code, found = call(f"http://127.0.0.1:{free_port()}", "--calls", "2")
        self.assertEqual(code, 1)
        (cause,) = found["total"]["failures"]
        self.assertIn("refused", cause)

    def test_a_server_that_dies_is_told_and_nothing_hangs(self):
        port = free_port()
        for transport in ("udp", "tcp"):
            with self.subTest(transport=transport):
                server = Server("--api-key", KEY, port=port)
                server.__enter__()
                self.addCleanup(server.clean)
                words = [CALL, "--server", f"http://127.0.0.1:{port}", "--key", KEY, "--json",
                         "--calls", "3", "--policy", "relay", "--transport", transport,
                         "--duration", "60s"]
                with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      text=True) as caller:
                    time.sleep(3)
                    server.process.kill()
                    began = time.monotonic()
                    output, _ = caller.communicate(timeout=LIMIT)
                    self.assertLess(time.monotonic() - began, 30)
                server.clean()
                total = json.loads(output)["total"]
                self.assertEqual((caller.returncode, total["failed"]), (1, 3), total)
                self.assertEqual(sum(total["failures"].values()), 3)
                for cause in total["failures"]:
                    self.assertRegex(cause, "media stopped|relay not reached")

    def test_interrupted_calls_hang_up_and_are_reported(self):
        self.serve()
        words = [CALL, "--server", self.url, "--key", KEY, "--json", "--duration", "60s"]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True) as caller:
            time.sleep(3)
            caller.send_signal(signal.SIGINT)
            output, _ = caller.communicate(timeout=LIMIT)
        self.assertEqual(caller.returncode, 0, output)
        self.assertEqual(json.loads(output)["total"]["calls"], 1)

    def test_two_guests_meet_in_a_room(self):
        self.serve()
        words = [CALL, "--server", self.url, "--key", KEY, "--json", "--join", "demo",
                 "--duration", "2s"]
        guests = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   text=True) for _ in range(2)]
        for guest in guests:
            with guest:
                output, _ = guest.communicate(timeout=LIMIT)
            self.assertEqual(guest.returncode, 0, output)
            (one,) = json.loads(output)["calls"]
            self.assertGreater(sum(s["received"] for s in one["partner"]), 50, one)

    def test_the_plot_is_a_picture(self):
        self.serve()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "plot.svg")
            code, _ = call(self.url, "--duration", "2s", "--video", "off", "--svg", path)
            self.assertEqual(code, 0)
            root = xml.etree.ElementTree.parse(path).getroot()
            self.assertTrue(root.tag.endswith("svg"))
            self.assertGreater(len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))), 3)


class Deaths(unittest.TestCase):
    """kill -9 under calls that are to be set up again, and another server in its place."""

    TRANSPORTS = ("udp", "tcp")
    CALLS = 5             # of each transport
    TALKED = 16000        # bytes to a client, which no set-up needs

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="turnpike-death-")
        self.addCleanup(shutil.rmtree, folder)
        self.admin, self.port = os.path.join(folder, "admin.sock"), free_port()

    def serve(self):
        return Server("--api-key", KEY, "--admin-socket", self.admin, port=self.port)

    def ctl(self, *words):
        run = subprocess.run([BINARY, "ctl", "--socket", self.admin, "--json", *words],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             check=False, timeout=LIMIT)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return json.loads(run.stdout)

    def everybody_talks(self):
        """Of each call two allocations."""
        wanted, end = 2 * self.CALLS * len(self.TRANSPORTS), time.monotonic() + LIMIT
        while True:
            sessions = self.ctl("sessions", "--limit", "1000")["allocations"]
            talk = sum(one["bytes_to_client"] > self.TALKED for one in sessions)
            if talk >= wanted:
                return
            self.assertLess(time.monotonic(), end, f"{talk} of {wanted} talk")
            time.sleep(0.1)

    def caller(self, transport, *options):
        words = [CALL, "--server", f"http://127.0.0.1:{self.port}", "--key", KEY, "--json",
                 "--calls", str(self.CALLS), "--policy", "relay", "--transport", transport,
                 "--video", "off", "--duration", "1h", *options]
        caller = self.enterContext(subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        self.addCleanup(caller.kill)
        return caller

    def test_every_call_comes_back_after_a_kill(self):
        with self.serve() as server:
            callers = [self.caller(transport, "--redial", "1000")
                       for transport in self.TRANSPORTS]
            self.everybody_talks()
            server.kill()
        with self.serve():
            self.everybody_talks()
            for caller in callers:
                caller.send_signal(signal.SIGINT)
            for caller in callers:
                output, _ = caller.communicate(timeout=LIMIT)
                total = json.loads(output)["total"]
                self.assertEqual(
                    (caller.returncode, total["calls"], total["failed"], total["redialled"],
                     total["recovered"]), (0, self.CALLS, 0, self.CALLS, self.CALLS), total)
                self.assertEqual(total["corrupt"] + total["duplicated"], 0, total)
            found = self.ctl("audit")
            self.assertEqual((found["allocations"], found["quota"]), (0, 0), found)

    def test_it_is_given_up_after_so_many_times_in_a_row(self):
        words = ["--server", f"http://127.0.0.1:{self.port}", "--key", KEY, "--redial", "2"]
        done = subprocess.run([CALL, *words, "--json"], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False, timeout=LIMIT)
        found = json.loads(done.stdout)
        total = found["total"]
        self.assertEqual((done.returncode, total["failed"], total["redialled"],
                          total["recovered"]), (1, 1, 1, 0))
        self.assertEqual([one["redials"] for one in found["calls"]], [2])


class CommandLine(unittest.TestCase):
    def test_mistakes_are_told_and_end_with_2(self):
        for options in ((), ("--server", "here"), ("--server", "http://127.0.0.1:1", "--rate", "x"),
                        ("--server", "http://no-such-host.invalid"),
                        ("--server", "http://127.0.0.1:1", "--ca", "/no/such/file")):
            with self.subTest(options=options):
                done = subprocess.run([CALL, *options], stdin=subprocess.DEVNULL, text=True,
                                      capture_output=True, check=False, timeout=LIMIT)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertTrue(done.stderr)

    def test_help_tells_of_units_and_exit_codes(self):
        done = subprocess.run([CALL, "--help"], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False, timeout=LIMIT)
        self.assertEqual(done.returncode, 0)
        for word in ("--server", "--policy", "20/s", "Exit codes", "G.107"):
            self.assertIn(word, done.stdout)


if __name__ == "__main__":
    unittest.main()
