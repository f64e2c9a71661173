"""Several certificates: a client gets the one for the name it asks for, over TLS, DTLS and HTTPS;
each is renewed by itself; doctor, --check-config, --print-config and metrics know all of them."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from server import BINARY, Server, certificate, free_port
from test_dtls import DtlsPipe
from test_metrics import get, samples
from websocket import WebSocket

SECONDS = 20
NAMES = ("one.example", "*.two.example", "a.two.example")
# Who asks for what, and whose certificate comes.
ASKED = {"one.example": 0, "b.two.example": 1, "a.two.example": 2, "ONE.example": 0,
         "c.b.two.example": 0, "elsewhere.example": 0, None: 0}
EXPIRY = "turnpike_tls_certificate_expiry_timestamp_seconds"


def serial(pem):
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, check=True,
                          capture_output=True, timeout=SECONDS).stdout


class Certificates(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-certificates-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)  # the server may have given root up
        self.pairs = []
        for number, name in enumerate(NAMES):
            place = os.path.join(self.folder, str(number))
            os.mkdir(place)
            self.pairs.append(self.make(place, name))

    def make(self, place, name):
        pair = certificate(place, name)
        for path in pair:
            os.chmod(path, 0o644)
        return pair

    def replace(self, number, names=("cert.pem", "key.pem")):
        """Another pair takes the place of the one before; or one file of it alone."""
        made = tempfile.mkdtemp(dir=self.folder)
        self.make(made, NAMES[number])
        for name in names:
            os.rename(os.path.join(made, name), os.path.join(self.folder, str(number), name))
        return made

    def options(self, count=3):
        pairs = self.pairs[:count]
        return [text for cert, key in pairs for text in ("--cert", cert, "--pkey", key)]

    def start(self, *options, env=None):
        self.metrics = free_port()
        self.server = self.enterContext(
            Server("--workers", "2", "--prometheus-port", str(self.metrics), "--dtls",
                   *options, tls="by options", env=env))

    def shown(self, name, address, datagrams=False):
        if datagrams:
            said = subprocess.run(
                ["openssl", "s_client", "-dtls1_2", "-connect", f"{address[0]}:{address[1]}",
                 *(["-servername", name] if name else ["-noservername"])],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
            return serial(said.stdout)
        context = ssl._create_unverified_context()
        with socket.create_connection(address, timeout=SECONDS) as plain, \
                context.wrap_socket(plain, server_hostname=name) as secure:
            return serial(ssl.DER_cert_to_PEM_cert(secure.getpeercert(True)).encode())

    def files(self):
        found = []
        for cert, _ in self.pairs:
            with open(cert, "rb") as file:
                found.append(serial(file.read()))
        return found

    def says(self, text):
        end = time.monotonic() + SECONDS
        while text not in self.server.log():
            self.assertLess(time.monotonic(), end, self.server.log())
            time.sleep(0.02)

    def page(self, name, address):
        """GET /healthz as a browser does that trusts only the certificates here."""
        context = ssl.create_default_context(cafile=self.pairs[ASKED[name]][0])
        with socket.create_connection(address, timeout=SECONDS) as plain, \
                context.wrap_socket(plain, server_hostname=name) as secure:
            secure.sendall(f"GET /healthz HTTP/1.1\r\nHost: {name}\r\n"
                           "Connection: close\r\n\r\n".encode())
            answer = b""
            while more := secure.recv(65536):
                answer += more
        return answer

    # --- choosing

    def test_a_client_gets_the_certificate_for_the_name_it_asks_for(self):
        self.start(*self.options())
        expected = self.files()
        for address in (self.server.tls_address, self.server.address):
            for name, number in ASKED.items():
                for datagrams in (False, True):
                    with self.subTest(name=name, port=address[1], datagrams=datagrams):
                        self.assertEqual(self.shown(name, address, datagrams), expected[number])

    def test_pages_are_for_every_name(self):
        self.start(*self.options())
        for name in ("one.example", "b.two.example", "a.two.example"):
            self.assertIn(b"200 OK", self.page(name, self.server.tls_address))

    def test_lists_in_variables_and_in_a_file(self):
        certs, keys = zip(*self.pairs)
        self.start(env={"TURNPIKE_CERT": ",".join(certs), "TURNPIKE_PKEY": ",".join(keys)})
        self.assertEqual(self.shown("a.two.example", self.server.tls_address), self.files()[2])
        path = os.path.join(self.folder, "turnpike.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"cert": certs, "pkey": keys}, file)
        self.start("--config", path)
        self.assertEqual(self.shown("b.two.example", self.server.tls_address), self.files()[1])

    # --- renewing

    def live(self, name):
        """Connections that must go on: a room over HTTPS, a DTLS session."""
        room = WebSocket(self.server.tls_address, tls=True)
        self.addCleanup(room.close)
        room.say(type="join", room="demo")
        room.hear("joined")
        pipe = DtlsPipe(self.server.tls_address, "-servername", name)
        self.addCleanup(pipe.close)

        def go_on():
            room.say(type="ping", id=1)
            room.hear("pong")
            self.assertIsNone(pipe.process.poll())
        return go_on

    def all_shown(self):
        """By name: over TLS from several workers, and over DTLS."""
        found = []
        for name in ("one.example", "b.two.example", "a.two.example"):
            seen = {self.shown(name, self.server.tls_address) for _ in range(4)}
            seen.add(self.shown(name, self.server.tls_address, datagrams=True))
            found.append(seen)
        return found

    def comes_to_be(self, expected):
        end = time.monotonic() + SECONDS
        while (now := self.all_shown()) != [{one} for one in expected]:
            self.assertLess(time.monotonic(), end, (now, expected, self.server.log()))

    def test_one_of_them_is_replaced_on_disk(self):
        self.start(*self.options())
        before = self.files()
        go_on = self.live("b.two.example")
        self.replace(1)
        after = self.files()
        self.assertEqual([old == new for old, new in zip(before, after)], [True, False, True])
        self.comes_to_be(after)
        go_on()
        self.says(f"the certificate {self.pairs[1][0]} is another one")
        self.assertNotIn(f"the certificate {self.pairs[0][0]} is another", self.server.log())

    def test_sigusr2_and_sighup_take_every_one(self):
        self.start(*self.options())
        for number, order in enumerate((signal.SIGUSR2, signal.SIGHUP)):
            self.replace(number)
            self.replace(2)
            self.server.process.send_signal(order)
            self.comes_to_be(self.files())

    def test_one_that_is_broken_does_not_keep_another_from_being_renewed(self):
        self.start(*self.options())
        first = self.files()[0]
        made = self.replace(0, ["cert.pem"])  # without its key
        self.replace(2)
        self.comes_to_be([first, *self.files()[1:]])
        self.says("the certificate stays the one before: the key " + self.pairs[0][1])
        os.rename(os.path.join(made, "key.pem"), self.pairs[0][1])
        self.comes_to_be(self.files())

    # --- telling

    def test_the_metrics_have_each_end(self):
        self.start(*self.options())
        found = samples(get(self.metrics, "/metrics"))
        ends = {name: value for name, value in found.items() if name.startswith(EXPIRY)}
        self.assertEqual(set(ends), {f'{EXPIRY}{{name="{name}"}}' for name in NAMES})
        for end in ends.values():
            self.assertAlmostEqual(float(end), time.time() + 2 * 86400, delta=600)

    def run_turnpike(self, *arguments):
        done = subprocess.run([BINARY, *arguments, "--state-dir", os.path.join(self.folder, "s")],
                              text=True, capture_output=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def test_check_config_judges_every_one(self):
        cert, key = self.pairs[1]
        subprocess.run(["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out",
                        cert + ".old"], check=True, capture_output=True, timeout=SECONDS)
        os.rename(cert + ".old", cert)
        code, words = self.run_turnpike("--check-config", *self.options())
        self.assertEqual(code, 2, words)
        for cert, _ in self.pairs:
            self.assertIn(f"--pkey belongs to --cert {cert}", words)
        self.assertRegex(words, rf"error +--cert {self.pairs[1][0]} expired")
        self.assertNotRegex(words, rf"error +--cert {self.pairs[2][0]}")

    def test_a_missing_key_and_a_hidden_certificate_are_said(self):
        code, words = self.run_turnpike("--check-config", *self.options(2), "--cert", "more.pem")
        self.assertEqual(code, 2)
        self.assertIn("--cert is given 3 times, --pkey 2: expected a key for each", words)
        code, words = self.run_turnpike("--check-config", *self.options(1), *self.options(1))
        self.assertEqual(code, 0, words)
        self.assertIn(f"no client gets the certificate {self.pairs[0][0]}", words)

    def test_print_config_has_lists(self):
        code, words = self.run_turnpike("--print-config", *self.options(2))
        self.assertEqual(code, 0)
        text = "\n".join(line for line in words.splitlines() if not line.strip().startswith("//"))
        printed = json.loads(text)
        self.assertEqual(printed["cert"], [cert for cert, _ in self.pairs[:2]])
        self.assertEqual(printed["pkey"], [key for _, key in self.pairs[:2]])

    def test_doctor_asks_the_running_server_for_each(self):
        self.start(*self.options())
        asked = ["doctor", "--json", "--listening-ip", "127.0.0.1", "--listening-port",
                 str(self.server.port), "--tls-listening-port", str(self.server.tls_port),
                 "--public-host", "one.example"]
        _, words = self.run_turnpike(*asked, *self.options())
        sentences = [one["sentence"] for one in json.loads(words)["findings"]
                     if one["check"] == "certificate"]
        for cert, _ in self.pairs:
            self.assertIn(f"--cert {cert}: the server that runs here sends this certificate",
                          sentences)
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        pairs = [self.pairs[0], self.make(other, NAMES[1])]
        _, words = self.run_turnpike(
            *asked, *[text for cert, key in pairs for text in ("--cert", cert, "--pkey", key)])
        problems = [one["sentence"] for one in json.loads(words)["findings"]
                    if one["check"] == "certificate" and one["state"] == "problem"]
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(f"sends another certificate than the one in {pairs[1][0]}", problems[0])


if __name__ == "__main__":
    unittest.main()
