"""turnpike-signal-load against the release binary: a short run of each kind, and nothing is lost.

SIGNAL_LOAD names the generator; without it, it is the one beside the server's binary.
"""

import json
import os
import subprocess
import unittest

from server import BINARY, Server, free_port

LOAD = os.environ.get("SIGNAL_LOAD",
                      os.path.join(os.path.dirname(BINARY), "turnpike-signal-load"))
DIALECTS = {"native": 1, "plain": 1, "socketio5": 1, "socketio4": 1, "scaledrone": 2}


def load(*options):
    """(exit code, what it found)."""
    done = subprocess.run([LOAD, *options, "--json", "-"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          timeout=60)
    if done.returncode > 1:
        raise AssertionError(done.stderr)
    return done.returncode, json.loads(done.stdout)


class SignalLoad(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server())
        self.url = "ws://%s:%d" % self.server.address

    def run_load(self, mode, *options):
        return load(mode, "--url", self.url, "--pid", str(self.server.process.pid), *options)

    def test_no_message_is_lost_in_any_dialect(self):
        for dialect, copies in DIALECTS.items():
            with self.subTest(dialect=dialect):
                code, found = self.run_load("relay", "--dialect", dialect, "--clients", "20",
                                            "--rate", "400", "--seconds", "0.5", "--warm-up", "0.1")
                self.assertEqual(code, 0, found)
                self.assertGreaterEqual(found["sent"], 240)
                self.assertEqual(found["delivered"], found["sent"] * copies)
                self.assertEqual(found["damaged"] + found["disordered"] + found["missing"], 0)
                self.assertGreater(found["latency_us"]["p50"], 0)
                self.assertGreater(found["server"]["cpu_seconds"], 0)

    def test_a_client_over_the_servers_pace_is_told_of_as_missing(self):
        # Two clients may send 200 messages at once and 50 a second after that.
        code, found = self.run_load("relay", "--clients", "2", "--rate", "2000", "--seconds", "1",
                                    "--warm-up", "0")
        self.assertEqual(code, 1)
        self.assertGreater(found["missing"], 0)
        self.assertEqual(found["damaged"], 0)

    def test_idle_and_joining_clients_are_counted(self):
        code, found = self.run_load("idle", "--clients", "200", "--seconds", "0.2")
        self.assertEqual((code, found["ready"]), (0, 200))
        code, found = self.run_load("join", "--dialect", "socketio5", "--clients", "100")
        self.assertEqual((code, found["ready"]), (0, 100))
        self.assertGreater(found["joins_per_second"], 0)

    def test_a_server_that_is_not_there_is_no_success(self):
        code, found = load("relay", "--url", f"ws://127.0.0.1:{free_port()}", "--clients", "2")
        self.assertEqual(code, 1)
        self.assertIn("cannot connect", found["first_loss"])


class CommandLine(unittest.TestCase):
    def test_mistakes_are_one_sentence_and_code_2(self):
        for options in (("--url", "wss://localhost"), ("relay", "--clients", "3"), ("idle",),
                        ("relay", "--pid", "999999999")):
            with self.subTest(options=options):
                done = subprocess.run([LOAD, *options], stdin=subprocess.DEVNULL, text=True,
                                      capture_output=True, check=False, timeout=20)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
