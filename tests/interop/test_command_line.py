"""The command line that scripts and operators rely on, against the real binary: exit codes, one
clear sentence for every refusal, secrets out of sight, `ready`, signals."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from server import BINARY, Server, certificate, free_port

USAGE, CANNOT_LISTEN, CERTIFICATE, STATE = 2, 3, 4, 5


def environment(**variables):
    """Ours without what the test run itself is configured by."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}
    return {**plain, **variables}


class Refusal(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def run_to_end(self, *options, env=None, state=None):
        command = [BINARY, *options]
        if state is not False:
            command += ["--state-dir", state or self.path("state")]
        return subprocess.run(command, env=environment(**(env or {})), text=True,
                              capture_output=True, timeout=30, check=False,
                              stdin=subprocess.DEVNULL)

    def assert_refused(self, code, says, *options, **how):
        """Ends with `code` and one sentence that has all of `says`."""
        run = self.run_to_end(*options, **how)
        self.assertEqual(run.returncode, code, run.stderr)
        # Notices are information; what stopped it is the last line.
        lines = [line for line in run.stderr.splitlines() if " info " not in line]
        self.assertEqual(len(lines), 1, run.stderr)
        for part in says:
            self.assertIn(part, lines[0])
        self.assertNotIn("ready", run.stderr)
        self.assertEqual(run.stdout, "")
        return lines[0]

    def on_loopback(self, port):
        return ("--listening-ip", "127.0.0.1", "--listening-port", str(port),
                "--tls-listening-port", "0")


class UsageRefusal(Refusal):
    def test_an_unknown_option_names_the_nearest(self):
        self.assert_refused(USAGE, ["--listenin-port", "did you mean --listening-port?"],
                            "--listenin-port", "3478")

    def test_an_unknown_variable_names_the_nearest(self):
        self.assert_refused(USAGE, ["TURNPIKE_RELM", "did you mean TURNPIKE_REALM?"],
                            env={"TURNPIKE_RELM": "example.org"})

    def test_an_unknown_key_names_the_nearest(self):
        file = self.write("c.json", '{"user-quote": 3} // typing mistake')
        self.assert_refused(USAGE, ['"user-quote"', file, '"user-quota"'], "--config", file)

    def test_values_name_the_option_and_what_is_expected(self):
        for option, value, expected in (
                ("--denied-peer-ip", "10.0.0.0/33", "0 to 32"),
                ("--listening-port", "99999", "0 to 65535"),
                ("--workers", "many", "number"),
                ("--relay-ip", "nowhere", "IP address"),
                ("--external-ip", "1.2.3.4/5", "PUBLIC/PRIVATE"),
                ("--config", self.path("none.json"), "No such file")):
            with self.subTest(option):
                self.assert_refused(USAGE, [value, expected], option, value)

    def test_a_secret_is_not_repeated(self):
        sentence = self.assert_refused(USAGE, ["--user", "NAME:PASSWORD"], "--user", "opensesame")
        self.assertNotIn("opensesame", sentence)

    def test_a_single_value_given_twice(self):
        self.assert_refused(USAGE, ["--realm a", "--realm b"], "--realm", "a", "--realm", "b")

    def test_a_static_folder_that_is_not_there(self):
        self.assert_refused(USAGE, [self.path("none")], "--static", self.path("none"),
                            *self.on_loopback(free_port()))


class HelpAndVersion(Refusal):
    def test_help_lists_the_options_on_standard_output(self):
        run = self.run_to_end("--help", state=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for option in ("--listening-port", "--static-auth-secret-file", "--open-rooms"):
            self.assertIn(option, run.stdout)
        self.assertLessEqual(max(map(len, run.stdout.splitlines())), 100)

    def test_version_is_one_line(self):
        run = self.run_to_end("--version", state=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertRegex(run.stdout, r"^turnpike \d+\.\d+\.\d+\n$")


class ListenRefusal(Refusal):
    def test_a_udp_port_in_use(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            self.assert_refused(CANNOT_LISTEN, [f"127.0.0.1:{port}", "in use"],
                                *self.on_loopback(port))

    def test_a_tcp_port_in_use(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assert_refused(CANNOT_LISTEN, [f"127.0.0.1:{port}", "in use"],
                                *self.on_loopback(port))

    def test_a_second_instance_does_not_share_the_port(self):
        for workers in ("1", "2"):
            with Server("--workers", workers) as first:
                self.assert_refused(CANNOT_LISTEN, [f"127.0.0.1:{first.port}", "in use"],
                                    "--workers", workers, *self.on_loopback(first.port))

    def test_an_address_of_another_machine(self):
        self.assert_refused(CANNOT_LISTEN, ["203.0.113.77"], "--listening-ip", "203.0.113.77",
                            "--listening-port", str(free_port()))

    def test_a_relay_address_of_another_machine(self):
        self.assert_refused(CANNOT_LISTEN, ["203.0.113.77", "--relay-ip"],
                            "--relay-ip", "203.0.113.77", *self.on_loopback(free_port()))


class CertificateRefusal(Refusal):
    def refused(self, says, cert, key):
        self.assert_refused(CERTIFICATE, says, "--cert", cert, "--pkey", key,
                            *self.on_loopback(free_port()))

    def test_a_certificate_that_is_not_there(self):
        _, key = certificate(self.folder)
        self.refused([self.path("none.pem")], self.path("none.pem"), key)

    def test_a_certificate_that_is_no_certificate(self):
        _, key = certificate(self.folder)
        garbage = self.write("garbage.pem", "garbage\n")
        self.refused([garbage], garbage, key)

    def test_a_key_that_belongs_to_another_certificate(self):
        cert, _ = certificate(self.folder)
        os.mkdir(self.path("other"))
        _, other_key = certificate(self.path("other"))
        self.refused([other_key], cert, other_key)


class StateRefusal(Refusal):
    def test_a_secret_that_others_may_read(self):
        os.mkdir(self.path("state"), 0o700)
        secret = self.write("state/secret", "x" * 43 + "\n", 0o644)
        self.assert_refused(STATE, [secret, "chmod 600"])

    def test_a_directory_that_cannot_be_made(self):
        file = self.write("file", "")
        self.assert_refused(STATE, [file, "--state-dir"], state=os.path.join(file, "state"))


def binding_answer(port):
    """Whether the server answers a STUN Binding request (RFC 8489 section 5)."""
    request = struct.pack("!HHI12s", 0x0001, 0, 0x2112A442, os.urandom(12))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(request, ("127.0.0.1", port))
        answer = client.recv(1500)
    return answer[:2] == b"\x01\x01" and answer[8:20] == request[8:20]


def labelled(banner, label):
    return re.search(rf"^{label} +(\S.*)$", banner, re.MULTILINE).group(1)


def ice_servers(banner):
    """The JSON between the line that announces it and the next empty line."""
    after = banner[banner.index("\niceServers"):].split("\n", 2)[2]
    return json.loads(after.split("\n\n", 1)[0])


class Running(unittest.TestCase):
    def test_pages_that_the_user_of_the_server_may_not_read_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "js", "main.js")
            os.mkdir(os.path.dirname(page))
            with open(page, "w", encoding="ascii") as file:
                file.write("page")
            for path, mode in ((folder, 0o755), (os.path.dirname(page), 0o755), (page, 0o000)):
                os.chmod(path, mode)
            with Server("--static", folder) as server:
                url = f"http://127.0.0.1:{server.port}/js/main.js"
                with self.assertRaisesRegex(urllib.error.HTTPError, "404"):
                    urllib.request.urlopen(url, timeout=10)
            self.assertRegex(server.log(), rf"--static: user \S+ may not read {page}, .*"
                                           rf"chmod -R a\+rX '{folder}'")
            os.chmod(page, 0o644)
            with Server("--static", folder) as server:
                url = f"http://127.0.0.1:{server.port}/js/main.js"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    self.assertEqual(answer.read(), b"page")
            self.assertNotIn("--static", server.log())

    def test_secrets_in_arguments_are_overwritten(self):
        with Server("--static-auth-secret", "topsecret", "--user=alice:wonderland",
                    "--api-key", "opensesame", "--realm", "example.org") as server:
            with open(f"/proc/{server.process.pid}/cmdline", "rb") as file:
                line = file.read()
            for secret in (b"topsecret", b"wonderland", b"opensesame", b"alice"):
                self.assertNotIn(secret, line)
            self.assertIn(b"example.org", line)
            self.assertIn(b"--static-auth-secret", line)

    def test_no_secret_is_logged_or_printed(self):
        with Server("--static-auth-secret", "topsecret", "--user=alice:wonderland",
                    "--api-key", "opensesame") as server:
            self.assertTrue(binding_answer(server.port))
        for secret in ("topsecret", "wonderland", "opensesame"):
            self.assertNotIn(secret, server.log() + server.banner())

    def test_secrets_come_from_the_environment_too(self):
        with Server(env={"TURNPIKE_API_KEY": "opensesame",
                         "TURNPIKE_STATIC_AUTH_SECRET": "topsecret"}) as server:
            self.assertTrue(binding_answer(server.port))
            self.assertFalse(os.path.exists(os.path.join(server.folder, "state")))

    def test_one_ready_line_comes_when_it_answers(self):
        with Server() as server:
            self.assertTrue(binding_answer(server.port))
            self.assertEqual(len(re.findall(r"\bready$", server.log(), re.MULTILINE)), 1)

    def test_sigterm_and_sigint_end_with_zero(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = Server()
            try:
                server.__enter__()
                server.process.send_signal(number)
                self.assertEqual(server.process.wait(10), 0)
                server.join()
            finally:
                server.clean()

    def test_other_signals_do_not_end_it(self):
        with Server() as server:
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGPIPE):
                server.process.send_signal(number)
                self.assertTrue(binding_answer(server.port))

    def test_generated_secrets_are_private_and_stay(self):
        state = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, state)
        secrets = []
        for _ in range(2):
            with StateServer(state):
                for name in ("secret", "api-key"):
                    path = os.path.join(state, name)
                    self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
                    with open(path, encoding="ascii") as file:
                        secrets.append(file.read())
        self.assertEqual(secrets[:2], secrets[2:])
        self.assertNotEqual(secrets[0], secrets[1])
        self.assertRegex(secrets[0], r"^[A-Za-z0-9_-]{43}\n$")

    def test_the_banner_has_what_is_pasted_and_clicked(self):
        with Server() as server:
            self.assertTrue(binding_answer(server.port))
        banner, port = server.banner(), server.port
        self.assertEqual(labelled(banner, "UDP"), f"127.0.0.1:{port}")
        self.assertEqual(labelled(banner, "TCP"), f"127.0.0.1:{port}")
        base = f"http://127.0.0.1:{port}"
        self.assertRegex(labelled(banner, "call room"), rf"^{base}/call/[a-z0-9-]+#k=\S+$")
        self.assertRegex(labelled(banner, "echo room"), rf"^{base}/call/echo#k=\S+$")
        self.assertRegex(labelled(banner, "start page"), rf"^{base}/#k=\S+$")
        urls = [url for entry in ice_servers(banner) for url in entry["urls"]]
        self.assertEqual(urls, [f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}?transport=udp",
                                f"turn:127.0.0.1:{port}?transport=tcp"])
        self.assertTrue(any("credential" in entry for entry in ice_servers(banner)))
        self.assertNotIn("\x1b", banner)
        self.assertNotIn("WARNING", banner)

    def test_tls_urls_come_with_a_certificate_for_the_public_host(self):
        with Server("--public-host", "localhost", tls=True) as server:
            self.assertTrue(binding_answer(server.port))
        urls = [url for entry in ice_servers(server.banner()) for url in entry["urls"]]
        self.assertIn(f"turns:localhost:{server.tls_port}?transport=tcp", urls)
        self.assertIn(f"https://localhost:{server.tls_port}/call/",
                      labelled(server.banner(), "call room"))

    def test_open_rooms_are_loud(self):
        with Server("--open-rooms") as server:
            self.assertTrue(binding_answer(server.port))
        self.assertIn("WARNING: --open-rooms", server.banner())

    def test_open_files_are_raised_to_the_hard_limit(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with Server() as server:
            with open(f"/proc/{server.process.pid}/limits", encoding="ascii") as file:
                limits = re.search(r"^Max open files +(\d+) +(\d+)", file.read(), re.MULTILINE)
            self.assertEqual(limits.group(1), limits.group(2))
            self.assertEqual(int(limits.group(2)), hard)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_is_given_up(self):
        with Server() as server:
            with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
                status = dict(line.split(":", 1) for line in file)
            self.assertNotIn("0", status["Uid"].split() + status["Gid"].split())
            self.assertEqual(status["Groups"].split(), [])
            self.assertEqual(int(status["CapEff"], 16), 0)
            self.assertEqual(int(status["CapPrm"], 16), 0)


class StateServer(Server):
    """A server whose state directory outlives it."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def command(self):
        command = super().command()
        command[command.index("--state-dir") + 1] = self.state
        return command


if __name__ == "__main__":
    unittest.main()
