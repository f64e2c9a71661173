"""turnpike-load against the release binary and against coturn: every mode for a moment, and nothing
may be corrupt, duplicated, misrouted or failed; and one short run of bench/macro/compare.

LOAD_BINARY names the load generator (beside it turnpike and the floors); without it, they are built
with the release preset."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from server import ROOT, Server, free_port

sys.path.insert(0, os.path.join(ROOT, "bench/macro"))

import cells  # noqa: E402
import network  # noqa: E402
import results  # noqa: E402
import servers  # noqa: E402

USER = PASSWORD = "load"
SECONDS = "1"
TIMEOUT = 60
PROGRAMS = ("turnpike-load", "floor_recvmmsg", "floor_gso")
LOAD = os.environ.get("LOAD_BINARY")
COUNTS = ("corrupt", "duplicated", "misrouted", "failed")


def setUpModule():
    global LOAD
    if LOAD:
        return
    build = os.path.join(ROOT, "build/release")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--target", *PROGRAMS], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL)
    LOAD = os.path.join(build, "turnpike-load")


def run(*arguments):
    return subprocess.run([LOAD, *arguments], text=True, capture_output=True, timeout=TIMEOUT,
                          check=False, stdin=subprocess.DEVNULL)


class Loaded(unittest.TestCase):
    """What every mode must show, whoever the server is."""

    def load(self, port, *arguments, pid=0):
        done = run(*arguments, "--server", f"127.0.0.1:{port}", "--user", USER, "--password",
                   PASSWORD, "--server-pid", str(pid), "--seconds", SECONDS, "--warm-up", "0.1",
                   "--json")
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        result = json.loads(done.stdout)
        for count in COUNTS:
            self.assertEqual(result[count], 0, result)
        return result

    def relays(self, port, *arguments, pid=0):
        result = self.load(port, "relay", "--allocations", "10", *arguments, pid=pid)
        self.assertGreater(result["measured"], 100, result)
        self.assertGreater(result["delivered"]["up"], 0)
        if "--short-cut" not in arguments:
            self.assertGreater(result["delivered"]["down"], 0)
        self.assertLess(result["loss"], 0.5, result)
        self.assertGreater(result["latency_us"]["p50"], 0)
        return result


class AgainstTurnpike(Loaded):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(
            "--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.2", "--allowed-peer-ip",
            "127.0.0.0/8", "--unauthorized-ratelimit-rps", "0", "--user-quota", "0", tls=True))

    def loads(self, *arguments):
        return self.load(self.server.port, *arguments, pid=self.server.process.pid)

    def test_binding(self):
        result = self.loads("binding", "--clients", "4")
        self.assertGreater(result["measured"], 100)
        self.assertGreater(result["server_cpu_us_each"], 0)

    def test_setup(self):
        result = self.loads("setup", "--client-ip", "127.0.16.1", "--client-ips", "50")
        self.assertGreater(result["measured"], 10)

    def test_setup_over_streams(self):
        for transport in ("tcp", "tls"):
            with self.subTest(transport=transport):
                result = self.loads("setup", "--transport", transport, "--concurrency", "4")
                self.assertGreater(result["measured"], 5)

    def test_relay(self):
        for arguments in ((), ("--framing", "indication"), ("--short-cut",),
                          ("--pace", "2000"), ("--size", "1200", "--burst", "8"),
                          ("--size", "1197", "--burst", "16", "--trains"),
                          ("--directions", "both", "--idle-beside", "50"),
                          ("--transport", "tcp", "--size", "161"),
                          ("--transport", "tls", "--size", "1200"),
                          ("--transport", "tls", "--framing", "indication", "--size", "33")):
            with self.subTest(arguments=arguments):
                result = self.relays(self.server.port, *arguments, pid=self.server.process.pid)
                self.assertGreater(result["server_cpu_us_each"], 0)

    def test_one_direction_only(self):
        up = self.loads("relay", "--allocations", "2", "--directions", "up")
        self.assertGreater(up["delivered"]["up"], 0)
        self.assertEqual(up["sent"]["down"], 0)
        down = self.loads("relay", "--allocations", "2", "--directions", "down")
        self.assertGreater(down["delivered"]["down"], 0)
        self.assertEqual(down["sent"]["up"], 0)

    def test_idle(self):
        result = self.loads("idle", "--allocations", "300")
        self.assertEqual(result["held"], 300)
        self.assertIsNotNone(result["server_memory_per_allocation"])

    def test_the_table_and_the_progress_are_readable(self):
        done = run("relay", "--server", f"127.0.0.1:{self.server.port}", "--seconds", SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"packets +\d+ a second")
        self.assertRegex(done.stdout, r"0 corrupt, 0 duplicated, 0 misrouted, 0 failed")
        self.assertRegex(done.stderr, r"\d\.\d of \d\.\d s  \d+ packets a second")

    def test_a_wrong_password_is_an_error(self):
        done = run("relay", "--server", f"127.0.0.1:{self.server.port}", "--password", "wrong")
        self.assertEqual(done.returncode, 3)
        self.assertIn("could not be allocated: error 401", done.stderr)


class AgainstCoturn(Loaded):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.server = cls.enterClassContext(servers.Server(
            "coturn", servers.COTURN, "", servers.make_certificate(folder)))

    def test_relay(self):
        for arguments in ((), ("--framing", "indication"), ("--transport", "tcp"),
                          ("--transport", "tls", "--size", "1200"), ("--pace", "2000")):
            with self.subTest(arguments=arguments):
                self.relays(self.server.port, *arguments, pid=self.server.process.pid)


class AgainstFloors(Loaded):
    def test_relay(self):
        for name in cells.FLOORS:
            command = servers.COMMANDS[name]
            with servers.Server(name, command, os.path.dirname(LOAD), ("", "")) as server:
                for arguments in ((), ("--burst", "8", "--trains"), ("--transport", "tcp")):
                    with self.subTest(name=name, arguments=arguments):
                        self.relays(server.port, "--floor", *arguments,
                                    pid=server.process.pid)


class Liar:
    """A floor in Python that does something wrong with every seventh packet to its peer."""

    def __init__(self, fault):
        self.fault, self.over = fault, False
        self.listener = self.socket("127.0.0.1")
        self.port = self.listener.getsockname()[1]
        self.relays, self.peers, self.count = {}, {}, 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    @staticmethod
    def socket(ip):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((ip, 0))
        made.settimeout(0.05)
        return made

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join(5)
        for made in [self.listener, *self.relays.values()]:
            made.close()

    def run(self):
        while not self.over:
            try:
                datagram, client = self.listener.recvfrom(2048)
            except TimeoutError:
                continue
            if datagram[:2] == b"\x7f\xff":
                self.greet(datagram, client)
            elif client in self.relays:
                self.relay(bytearray(datagram[4:]), client)

    def greet(self, datagram, client):
        if client not in self.relays:
            self.relays[client] = self.socket("127.0.0.2")
        self.peers[client] = (socket.inet_ntoa(datagram[4:8]),
                              int.from_bytes(datagram[8:10], "big"))
        ip, port = self.relays[client].getsockname()
        self.listener.sendto(datagram[:4] + socket.inet_aton(ip) + port.to_bytes(2, "big"), client)

    def relay(self, payload, client):
        self.count += 1
        relay, peer = self.relays[client], self.peers[client]
        if self.count % 7 == 0:
            if self.fault == "corrupt":
                payload[-1] ^= 1
            elif self.fault == "duplicated":
                relay.sendto(payload, peer)
            elif self.fault == "misrouted":
                relay = next(other for name, other in self.relays.items() if name != client)
            elif self.fault == "lost":
                return
        relay.sendto(payload, peer)


class AgainstLiars(unittest.TestCase):
    """The generator sees what is wrong: its zeros elsewhere mean something."""

    def faults_of(self, fault):
        for seconds in ("0.5", "2", "8"):  # until it was enough, also where others need the CPUs
            with Liar(fault) as liar:
                done = run("relay", "--floor", "--server", f"127.0.0.1:{liar.port}",
                           "--allocations", "2", "--directions", "up", "--pace", "1000",
                           "--seconds", seconds, "--json")
            result = json.loads(done.stdout)
            if result["measured"] > 50:
                break
        self.assertGreater(result["measured"], 50, result)
        return done.returncode, result

    def test_every_fault_is_counted_as_what_it_is(self):
        for fault in ("corrupt", "duplicated", "misrouted"):
            with self.subTest(fault=fault):
                code, result = self.faults_of(fault)
                self.assertEqual(code, 1)
                self.assertGreater(result[fault], 5, result)
                self.assertEqual(sum(result[count] for count in COUNTS), result[fault], result)

    def test_what_is_lost_is_no_fault_but_told(self):
        code, result = self.faults_of("lost")
        self.assertEqual(code, 0)
        self.assertGreater(result["loss"], 0.1)
        self.assertEqual(sum(result[count] for count in COUNTS), 0, result)

    def test_an_honest_floor_in_python_has_no_faults(self):
        code, result = self.faults_of("none")
        self.assertEqual(code, 0)
        self.assertEqual(sum(result[count] for count in COUNTS), 0, result)


class CommandLine(unittest.TestCase):
    def test_help_names_every_mode(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for mode in ("binding", "setup", "relay", "idle"):
            self.assertRegex(done.stdout, rf"(?m)^ +{mode} ")

    def test_mistakes_are_told(self):
        for arguments in ((), ("nonsense",), ("relay", "--size", "1"), ("relay", "--server", "x"),
                          ("relay", "--floor", "--short-cut"), ("binding", "--transport", "tcp")):
            with self.subTest(arguments=arguments):
                self.assertEqual(run(*arguments).returncode, 2)

    def test_nobody_there(self):
        done = run("binding", "--server", f"127.0.0.1:{free_port()}", "--seconds", "0.2",
                   "--warm-up", "0")
        self.assertEqual(done.returncode, 3)
        done = run("relay", "--transport", "tcp", "--server", f"127.0.0.1:{free_port()}")
        self.assertEqual(done.returncode, 3)


class Compare(unittest.TestCase):
    def compare(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            done = subprocess.run(
                [os.path.join(ROOT, "bench/macro/compare"), "--rounds", "1", "--seconds", "0.3",
                 "--warm-up", "0.1", "--unpinned", "--build", os.path.dirname(LOAD), "--out", out,
                 *arguments], text=True, capture_output=True, timeout=TIMEOUT, check=False,
                stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(out + ".json", encoding="utf-8") as file:
                document = json.load(file)
            with open(out + ".svg", encoding="utf-8") as file:
                picture = file.read()
        return done, document, picture

    def test_between_namespaces_where_they_can_be_made(self):
        _, document, _ = self.compare("--cells", "two-workers")
        self.assertEqual("veth" in document["network"], network.may_make_namespaces())
        rows = document["cells"]["two-workers"]["results"]
        self.assertEqual(set(rows), {"turnpike"})
        self.assertGreaterEqual(rows["turnpike"]["imbalance"], 1)
        self.assertLess(rows["turnpike"]["imbalance"], 1.9)  # one of two alone would be 2

    def test_one_cell_on_loopback(self):
        done, document, picture = self.compare("--loopback", "--cells", "160x100,binding")
        self.assertEqual(document["network"], "loopback")
        rows = document["cells"]["160x100"]["results"]
        self.assertEqual(set(rows), {"turnpike", "coturn", "floor-recvmmsg", "floor-gso"})
        self.assertEqual(set(document["cells"]["binding"]["results"]), {"turnpike", "coturn"})
        self.assertAlmostEqual(rows["coturn"]["to_coturn"], 1.0)
        self.assertIn("160 B, 100 allocations", picture)
        self.assertRegex(done.stdout, r"turnpike +\d+\.\d+")
        self.rounds_measured_apart_are_put_together(document)

    def rounds_measured_apart_are_put_together(self, document):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("1.json", "2.json")]
            for path in paths:
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(document, file)
            _, together, _ = self.compare("--merge", *paths)
        self.assertEqual((document["rounds"], together["rounds"]), (1, 2))
        for name, row in document["cells"]["160x100"]["results"].items():
            self.assertEqual(together["cells"]["160x100"]["results"][name]["median"],
                             row["median"])


class Ratios(unittest.TestCase):
    CELL = cells.BY_NAME["160x100"]

    @staticmethod
    def runs(*values):
        return [{"server_cpu_us_each": value, "per_second": 1, "loss": 0,
                 "latency_us": {"p99": 1}, "corrupt": 0, "duplicated": 0, "misrouted": 0,
                 "failed": 0} for value in values]

    def test_ratios_are_taken_within_a_round(self):
        rows = results.summary(self.CELL, {
            "turnpike": self.runs(1, 2, 30), "coturn": self.runs(2, 4, 60),
            "floor-gso": self.runs(2, 1, 30), "floor-recvmmsg": self.runs(1, 2, 30)}, {})
        self.assertEqual(rows["turnpike"]["median"], 2)
        self.assertEqual(rows["turnpike"]["to_coturn"], 0.5)
        self.assertEqual(rows["turnpike"]["to_floor"], 1)  # 1, 2 and 1
        self.assertTrue(rows["turnpike"]["steady"])
        self.assertTrue(results.is_noisy(self.CELL, rows))

    def test_steady_means_four_of_five_within_a_tenth(self):
        self.assertTrue(results.is_steady([1, 1.05, 0.95, 1, 3]))
        self.assertFalse(results.is_steady([1, 1.05, 0.95, 0.5, 3]))

    def test_goals_are_judged(self):
        self.assertEqual([results.judged(value, (0.7, 0.5)) for value in (0.4, 0.6, 0.8, None)],
                         ["aim", "must", "missed", ""])

    def test_a_cell_is_compared_with_its_own_other(self):
        cell = cells.BY_NAME["beside-idle"]
        rows = results.summary(cell, {"turnpike": self.runs(2, 3)}, {"turnpike": self.runs(1, 2)})
        self.assertEqual(rows["turnpike"]["to_own"], 1.75)
        self.assertIn(("to own", 1.75, (1.05, 1.01), "missed"),
                      results.verdicts(cell, rows["turnpike"]))

    def test_growth_is_what_exceeds_the_floor(self):
        few = {"turnpike": {"median": 2}, "floor-gso": {"median": 1},
               "floor-recvmmsg": {"median": 2}}
        many = {"turnpike": {"median": 3}, "floor-gso": {"median": 1.5},
                "floor-recvmmsg": {"median": 1.25}}
        self.assertAlmostEqual(results.growth({"160x1": few, "160x1000": many}), 25)
        self.assertIsNone(results.growth({"160x1": few}))

    def test_what_is_wrong_is_counted(self):
        runs = self.runs(1, 1)
        runs[0]["corrupt"], runs[1]["misrouted"] = 2, 3
        self.assertEqual(results.summary(self.CELL, {"turnpike": runs}, {})["turnpike"]["wrong"],
                         5)


if __name__ == "__main__":
    unittest.main()
