"""`turnpike doctor` on ports that are free, taken and served, on certificates of all kinds, and
that what it says can be read by people and by programs."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

from server import BINARY, Server, certificate, free_port

SECRET = "a-secret-that-nobody-guesses-0123456789"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Doctor(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_doctor(self, *options, env=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}
        done = subprocess.run([BINARY, "doctor", "--state-dir", self.path("state"), *options],
                              text=True, capture_output=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL, env={**environment, **(env or {})})
        self.assertFalse(os.path.exists(self.path("state")), "it makes nothing")
        return done

    def examined(self, *options, env=None):
        """(exit code, findings) of a machine on whose loopback address the server would be."""
        done = self.run_doctor("--json", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1",
                               *options, env=env)
        self.assertEqual(done.stderr, "")
        report = json.loads(done.stdout)
        findings = report["findings"]
        problems = [one for one in findings if one["state"] == "problem"]
        self.assertEqual(report["healthy"], not problems)
        self.assertEqual(report["problems"], len(problems))
        self.assertEqual(done.returncode, 1 if problems else 0, problems)
        return done.returncode, findings

    def about(self, check, findings, state=None):
        found = [one for one in findings if one["check"] == check and state in (None, one["state"])]
        self.assertTrue(found, f"nothing {state or ''} about {check} in {findings}")
        return found

    # --- ports

    def test_free_ports_are_no_problem(self):
        code, findings = self.examined("--listening-port", str(free_port()))
        self.assertEqual(code, 0)
        for one in self.about("ports", findings):
            self.assertEqual(one["state"], "ok")
            self.assertIn("free", one["sentence"])

    def test_ports_of_a_running_server_answer(self):
        with Server(tls=True) as server:
            cert, key = (os.path.join(server.folder, name) for name in ("cert.pem", "key.pem"))
            _, findings = self.examined(
                "--listening-port", str(server.port), "--tls-listening-port", str(server.tls_port),
                "--cert", cert, "--pkey", key, "--public-host", "localhost")
            states = {one["sentence"].split()[0]: one for one in self.about("ports", findings)}
            self.assertEqual(set(states), {"UDP", "TCP", "TLS"})
            for one in states.values():
                self.assertEqual(one["state"], "ok")
                self.assertRegex(one["sentence"], "answers|listens")
            served = [one for one in self.about("certificate", findings)
                      if "sends this certificate" in one["sentence"]]
            self.assertEqual(len(served), 1)

    def test_a_port_that_somebody_else_has_is_a_problem_with_its_command(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            code, findings = self.examined("--listening-port", str(port), "--no-tcp")
            self.assertEqual(code, 1)
            one, = self.about("ports", findings, "problem")
            self.assertIn("another program", one["sentence"])
            self.assertEqual(one["remedy"], f"ss -lnpu 'sport = :{port}'")

    def test_a_tcp_port_that_somebody_else_has(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
            other.bind(("127.0.0.1", 0))
            other.listen(0)
            port = other.getsockname()[1]
            _, findings = self.examined("--listening-port", str(port), "--no-udp")
            self.assertIn("ss -lnpt", self.about("ports", findings, "problem")[0]["remedy"])

    def test_an_address_that_is_not_here(self):
        done = self.run_doctor("--json", "--listening-ip", "198.51.100.7", "--relay-ip",
                               "127.0.0.1")
        findings = json.loads(done.stdout)["findings"]
        self.assertIn("not an address of this machine",
                      self.about("ports", findings, "problem")[0]["sentence"])

    # --- addresses

    def test_a_private_address_that_clients_are_told(self):
        code, findings = self.examined("--listening-port", str(free_port()), "--external-ip",
                                       "10.9.8.7")
        self.assertEqual(code, 1)
        one, = self.about("external address", findings, "problem")
        self.assertIn("10.9.8.7", one["sentence"])
        self.assertIn("--external-ip", one["remedy"])

    def test_a_name_that_leads_nowhere(self):
        code, findings = self.examined("--listening-port", str(free_port()), "--public-host",
                                       "no-such-host.invalid")
        self.assertEqual(code, 1)
        self.assertIn("record", self.about("public host", findings, "problem")[0]["remedy"])

    # --- certificates

    def with_certificate(self, cert, key, host="localhost"):
        return self.examined("--listening-port", str(free_port()), "--tls-listening-port",
                             str(free_port()), "--cert", cert, "--pkey", key, "--public-host", host)

    def test_a_certificate_signed_by_itself(self):
        _, findings = self.with_certificate(*certificate(self.folder))
        warned = self.about("certificate", findings, "warning")
        self.assertTrue(any("does not trust it" in one["sentence"] for one in warned))
        self.assertTrue(all(one.get("remedy") for one in warned), warned)

    def test_a_certificate_for_dtls_alone(self):
        cert, key = certificate(self.folder)
        _, findings = self.examined("--listening-port", str(free_port()), "--tls-listening-port",
                                    str(free_port()), "--cert", cert, "--pkey", key, "--no-tls",
                                    "--dtls")
        noted, = self.about("certificate", findings, "note")
        self.assertIn("DTLS alone", noted["sentence"])
        self.assertIn("--no-tls", noted["remedy"])
        warned = self.about("certificate", findings, "warning")
        self.assertTrue(any("does not trust it" in one["sentence"] for one in warned))

    def test_a_certificate_for_another_name(self):
        code, findings = self.with_certificate(*certificate(self.folder, "turn.example.org"))
        self.assertEqual(code, 1)
        one, = self.about("certificate", findings, "problem")
        self.assertEqual(one["remedy"], "--public-host turn.example.org")

    def chain(self, *order):
        """A root, an intermediate and a server's certificate; what is in the file, by name."""
        root, middle, leaf = (self.path(name) for name in ("root", "middle", "leaf"))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *curve, "-days", "400", "-subj", "/CN=Root", "-keyout",
                root + ".key", "-out", root)
        for name, signer, extension in ((middle, root, "basicConstraints=critical,CA:TRUE"),
                                        (leaf, middle, "subjectAltName=DNS:localhost")):
            with open(name + ".ext", "w", encoding="ascii") as file:
                file.write(extension + "\n")
            openssl("req", *curve, "-subj", "/CN=" + os.path.basename(name), "-keyout",
                    name + ".key", "-out", name + ".request")
            openssl("x509", "-req", "-in", name + ".request", "-CA", signer, "-CAkey",
                    signer + ".key", "-CAcreateserial", "-days", "90", "-extfile", name + ".ext",
                    "-out", name)
        with open(self.path("full.pem"), "w", encoding="ascii") as file:
            for name in order:
                with open(self.path(name), encoding="ascii") as part:
                    file.write(part.read())
        return self.path("full.pem"), leaf + ".key"

    def trusted(self, *order):
        """What a machine says that knows the root."""
        cert, key = self.chain(*order)
        return self.examined("--listening-port", str(free_port()), "--tls-listening-port", "0",
                             "--cert", cert, "--pkey", key, "--public-host", "localhost",
                             env={"SSL_CERT_FILE": self.path("root")})

    def test_a_whole_chain_is_trusted(self):
        code, findings = self.trusted("leaf", "middle")
        self.assertEqual(code, 0)
        self.assertTrue(any("leads to an authority" in one["sentence"]
                            for one in self.about("certificate", findings, "ok")))

    def test_a_chain_without_its_middle_is_not(self):
        _, findings = self.trusted("leaf")
        warned = self.about("certificate", findings, "warning")
        self.assertTrue(any("fullchain.pem" in one["remedy"] and "trust" in one["sentence"]
                            for one in warned), warned)

    def test_a_server_that_sends_an_older_certificate(self):
        with Server(tls=True) as server:
            os.mkdir(self.path("new"))
            cert, key = certificate(self.path("new"))
            code, findings = self.examined(
                "--listening-port", str(server.port), "--tls-listening-port", str(server.tls_port),
                "--cert", cert, "--pkey", key, "--public-host", "localhost")
            self.assertEqual(code, 1)
            one, = self.about("certificate", findings, "problem")
            self.assertIn("another certificate", one["sentence"])

    # --- the rest

    def test_the_machine_itself(self):
        _, findings = self.examined("--listening-port", str(free_port()))
        for check in ("receive buffer", "send buffer", "open files", "clock"):
            self.about(check, findings)
        for one in findings:
            if one["state"] in ("warning", "problem"):
                self.assertTrue(one.get("remedy"), one)

    def test_few_open_files(self):
        done = subprocess.run(
            ["sh", "-c", 'ulimit -n 1000; exec "$@"', "sh", BINARY, "doctor", "--listening-ip",
             "127.0.0.1", "--state-dir", self.path("state"), "--listening-port",
             str(free_port())], text=True, capture_output=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL)
        self.assertRegex(done.stdout, r"warning  open files: 1000 files")
        self.assertRegex(done.stdout, r"\n +-> .*LimitNOFILE")

    def test_a_configuration_that_cannot_be_read_is_a_finding(self):
        done = self.run_doctor("--json", "--relm", "x", "--static-auth-secret", SECRET)
        self.assertEqual(done.returncode, 1)
        findings = json.loads(done.stdout)["findings"]
        self.assertIn("did you mean", self.about("configuration", findings)[0]["sentence"])
        self.assertNotIn(SECRET, done.stdout + done.stderr)

    def test_text_for_people(self):
        done = self.run_doctor("--listening-ip", "127.0.0.1", "--listening-port", str(free_port()))
        self.assertRegex(done.stdout, r"(?m)^ok       ports: UDP 127\.0\.0\.1:\d+: free")
        self.assertRegex(done.stdout, r"\n\d+ problems?, \d+ warnings?\n$")


if __name__ == "__main__":
    unittest.main()
