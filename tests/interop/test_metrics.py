"""/metrics, /healthz and /readyz on the running server: as promtool judges them, and as a real
Prometheus scrapes and computes with them."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from operating import Operated
from server import Server, free_port
from turnclient import Refused, TurnClient

TOKEN = "a-token-for-prometheus"
OPTIONS = ["--user", "alice:secret", "--realm", "example.org", "--relay-ip", "127.0.0.1",
           "--allowed-peer-ip", "127.0.0.1"]


def get(port, path, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def samples(text):
    """{'name{labels}': value}"""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def client(server, password="secret"):
    return TurnClient(server.address, username="alice", password=password)


class Metrics(unittest.TestCase):
    def start(self, *options, port=None):
        self.port = port or free_port()
        return self.enterContext(
            Server(*OPTIONS, "--prometheus-port", str(self.port), *options))

    def read(self):
        return samples(get(self.port, "/metrics"))

    def test_they_count_what_happens(self):
        server = self.start()
        before = self.read()
        udp = '{transport="udp",family="4"}'
        with client(server) as alice, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            relayed = alice.allocate()
            alice.permit(peer.getsockname())
            alice.send(peer.getsockname(), b"hello")
            self.assertEqual(peer.recvfrom(100)[0], b"hello")
            peer.sendto(b"welcome", relayed)
            alice.receive(5)
            during = self.read()
            alice.refresh(0)
        after = self.read()
        self.assertEqual(during["turnpike_turn_allocations" + udp], 1)
        self.assertEqual(during["turnpike_turn_relay_ports_used"], 1)
        self.assertEqual(after["turnpike_turn_allocations" + udp], 0)
        self.assertEqual(after["turnpike_turn_allocations_created_total" + udp], 1)

        def grown(name):
            return after[name] - before.get(name, 0)
        self.assertEqual(grown('turnpike_turn_relay_bytes_total{side="client",direction="in"}'), 5)
        self.assertEqual(grown('turnpike_turn_relay_bytes_total{side="client",direction="out"}'), 7)
        self.assertEqual(
            grown('turnpike_stun_responses_total{method="allocate",code="success"}'), 1)
        self.assertEqual(grown('turnpike_stun_responses_total{method="allocate",code="401"}'), 1)
        self.assertEqual(
            grown('turnpike_stun_requests_total{transport="udp",method="create_permission"}'), 1)

    def test_wrong_passwords_show(self):
        server = self.start()
        with client(server, "wrong") as alice, self.assertRaises(Refused):
            alice.allocate()
        self.assertGreaterEqual(
            self.read()['turnpike_stun_responses_total{method="allocate",code="401"}'], 2)
        failures = {reason: self.read()[f'turnpike_auth_failures_total{{reason="{reason}"}}']
                    for reason in ("unknown_user", "bad_integrity", "expired", "revoked",
                                   "stale_nonce")}
        self.assertEqual(failures.pop("bad_integrity"), 1)
        self.assertEqual(set(failures.values()), {0})

    def test_the_time_that_an_allocation_lived_shows_at_its_end(self):
        server = self.start()
        name = "turnpike_turn_allocation_duration_seconds"
        with client(server) as alice:
            alice.allocate()
            self.assertEqual(self.read()[name + "_count"], 0)
            alice.refresh(0)
        counted = self.read()
        self.assertEqual(counted[name + "_count"], 1)
        self.assertEqual(counted[name + '_bucket{le="+Inf"}'], 1)
        self.assertGreater(counted[name + "_sum"], 0)

    def test_every_worker_is_summed(self):
        server = self.start("--workers", "2")
        clients = [self.enterContext(client(server)) for _ in range(12)]
        for one in clients:
            one.allocate()
        counted = self.read()
        self.assertEqual(counted['turnpike_turn_allocations{transport="udp",family="4"}'], 12)
        each = [counted[f'turnpike_turn_worker_allocations{{worker="{i}"}}'] for i in range(2)]
        self.assertEqual(sum(each), 12)

    def test_promtool_finds_nothing_to_say(self):
        self.start()
        run = subprocess.run(["promtool", "check", "metrics"], input=get(self.port, "/metrics"),
                             capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))

    def test_dashboards_for_coturn_find_their_names(self):
        server = self.start()
        with client(server) as alice:
            alice.binding()
            alice.allocate()
            counted = samples(get(self.port, "/metrics?compat=coturn"))
        self.assertEqual(counted['turn_total_allocations{type="UDP"}'], 1)
        self.assertEqual(counted["stun_binding_request"], 1)
        self.assertIn("turn_total_traffic_peer_sentb", counted)

    def test_a_token_is_asked_for_metrics_and_not_for_health(self):
        self.start("--prometheus-token", TOKEN)
        self.assertIn("turnpike_ready 1", get(self.port, "/metrics", TOKEN))
        for token in (None, "wrong", TOKEN + "x"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                get(self.port, "/metrics", token)
            self.assertEqual(refused.exception.code, 401)
        self.assertEqual(get(self.port, "/readyz"), "ok\n")

    def test_health_is_told_on_every_http_port(self):
        server = self.start()
        for port in (self.port, server.port):
            for path in ("/healthz", "/readyz"):
                self.assertEqual(get(port, path), "ok\n")
        with self.assertRaises(urllib.error.HTTPError) as missing:
            get(server.port, "/metrics")
        self.assertEqual(missing.exception.code, 404, "never on a port that clients know")

    def test_prometheus_scrapes_it(self):
        server = self.start("--prometheus-token", TOKEN)
        folder = tempfile.mkdtemp(prefix="turnpike-prometheus-")
        self.addCleanup(shutil.rmtree, folder)
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                  "scrape_configs": [{"job_name": "turnpike",
                                      "authorization": {"credentials": TOKEN},
                                      "static_configs": [
                                          {"targets": [f"127.0.0.1:{self.port}"]}]}]}
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="ascii") as file:
            json.dump(config, file)  # which is YAML, too
        port = free_port()
        with open(os.path.join(folder, "log"), "wb") as log, subprocess.Popen(
                ["prometheus", f"--config.file={path}", f"--web.listen-address=127.0.0.1:{port}",
                 f"--storage.tsdb.path={folder}/data"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log) as prometheus:
            try:
                with client(server) as alice:
                    alice.allocate()
                    value = self.asked(port, "sum(turnpike_turn_allocations)")
                self.assertEqual(value, 1)
                self.assertEqual(self.asked(port, 'up{job="turnpike"}'), 1)
            finally:
                prometheus.terminate()
                prometheus.wait(20)

    @staticmethod
    def asked(port, query):
        """What Prometheus computes, as soon as that is 1; else what it was at the end."""
        value = None
        for _ in range(300):
            try:
                text = get(port, "/api/v1/query?query=" + urllib.parse.quote(query))
                result = json.loads(text)["data"]["result"]
                value = float(result[0]["value"][1]) if result else None
            except (urllib.error.URLError, ConnectionError):
                pass
            if value == 1:
                break
            time.sleep(0.1)
        return value

    def test_the_default_port_may_be_taken(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            server = Server(*OPTIONS, "--prometheus-port", str(port))
            with self.assertRaises(AssertionError) as refused, server:
                pass
            self.assertIn(str(port), str(refused.exception), "what was asked for must be had")


class Dashboard(unittest.TestCase):
    """/stats without a browser; tests/browser has the page."""

    def events(self, url, headers, enough):
        """What `hello` said, and the rows, [(id, row)], until enough(hello, row)."""
        request = urllib.request.Request(url + "/stats/events", headers=headers)
        hello, rows, identity = None, [], None
        with urllib.request.urlopen(request, timeout=30) as stream:
            self.assertEqual(stream.headers["Content-Type"], "text/event-stream")
            for line in stream:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    identity = value
                elif name == "data" and hello is None:
                    hello = json.loads(value)
                elif name == "data":
                    rows.append((identity, json.loads(value)))
                    if enough(hello, rows[-1][1]):
                        return hello, rows
        self.fail("the stream ended")

    def test_rows_are_what_the_metrics_say_and_go_on_where_a_reader_stopped(self):
        port = free_port()
        server = self.enterContext(
            Server(*OPTIONS, "--prometheus-port", str(port), "--workers", "2"))
        with client(server) as alice:
            alice.allocate()
            url = f"http://127.0.0.1:{port}"

            def shows_alice(hello, row):
                return row[1 + hello["names"].index("allocations")] == 1
            hello, rows = self.events(url, {}, shows_alice)
            self.assertEqual(len(hello["names"]) + 2, len(rows[0][1]))
            self.assertEqual(sum(allocations for _, allocations in rows[-1][1][-1]), 1)
            # Only what was not seen comes again.
            _, again = self.events(url, {}, shows_alice)
            self.assertEqual(again, rows)
            first = rows[0][0]
            _, missed = self.events(url, {"Last-Event-ID": first}, lambda _, row: True)
            self.assertNotEqual(missed[0][0], first)

    def test_it_is_on_the_ports_of_clients_only_when_asked_for(self):
        port = free_port()
        token = {"Authorization": f"Bearer {TOKEN}"}
        for options, status in (((), 404), (("--public-stats",), 401)):
            with Server(*OPTIONS, "--prometheus-port", str(port), "--prometheus-token", TOKEN,
                        *options) as server:
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    get(server.port, "/stats/events")
                self.assertEqual(refused.exception.code, status)
                if options:
                    url = f"http://127.0.0.1:{server.port}"
                    self.assertEqual(len(self.events(url, token, lambda *_: True)[1]), 1)


class Unit(Operated, unittest.TestCase):
    def test_systemd_finds_little_to_attack(self):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
        run = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
             os.path.join(root, "tools/packaging/turnpike.service")],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stdout[-2000:] + run.stderr)
        self.assertIn("OK", run.stdout)

    def test_systemd_is_told_how_the_server_is(self):
        systemd, path = self.systemd()
        # The watchdog's time is for any process when no pid is named.
        with Server(*OPTIONS, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000"}):
            self.assertTrue(systemd.recv(500).startswith(b"READY=1\n"))
            for _ in range(2):
                self.assertEqual(systemd.recv(500), b"WATCHDOG=1")
        heard = systemd.recv(500)
        while heard == b"WATCHDOG=1":
            heard = systemd.recv(500)
        self.assertEqual(heard, b"STOPPING=1")


if __name__ == "__main__":
    unittest.main()
