"""--check-config and --print-config on the real binary, what is made from the table of options
(manual page, completion), and options of transports and the process on a running server."""

import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

from server import BINARY, Server, certificate, free_port
from test_command_line import binding_answer

SHARE = os.path.join(os.path.dirname(BINARY), "share")


def run(*options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}
    return subprocess.run([BINARY, *options], text=True, capture_output=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL, env=environment)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class CheckConfig(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def chain(self, organization, days=90):
        """A certificate that an authority of that name signed, behind an intermediate one."""
        subject = f"/O={organization}/CN=Root"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "400", "-subj", subject, "-keyout", self.path("ca.key"), "-out",
                self.path("ca.pem"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", "/CN=turn.example.org", "-keyout", self.path("key.pem"), "-out",
                self.path("request"))
        openssl("x509", "-req", "-in", self.path("request"), "-CA", self.path("ca.pem"), "-CAkey",
                self.path("ca.key"), "-CAcreateserial", "-days", str(days), "-out",
                self.path("leaf.pem"))
        with open(self.path("leaf.pem"), encoding="ascii") as leaf, \
                open(self.path("ca.pem"), encoding="ascii") as authority:
            self.write("full.pem", leaf.read() + authority.read())
        return self.path("full.pem"), self.path("key.pem")

    def write(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content)
        return self.path(name)

    def checked(self, code, *options):
        done = run("--check-config", "--listening-ip", "127.0.0.1", "--state-dir",
                   self.path("state"), *options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertFalse(os.path.exists(self.path("state")), "it writes nothing")
        return done.stdout + done.stderr

    def test_a_good_configuration(self):
        self.assertIn("the configuration can be served: 0 errors", self.checked(0))

    def test_ports_in_use_do_not_matter_because_none_is_opened(self):
        with Server() as server:
            self.checked(0, "--listening-port", str(server.port))

    def test_a_mistake_in_the_options(self):
        self.assertIn("did you mean", self.checked(2, "--relm", "a"))

    def test_what_would_not_start(self):
        self.assertRegex(self.checked(2, "--relay-ip", "127.0.0.1", "--external-ip", "2001:db8::1"),
                         r"error .*--external-ip")
        self.assertIn("No such file", self.checked(2, "--static", self.path("none")))

    def test_a_log_file_that_cannot_be(self):
        self.assertRegex(self.checked(0, "--log-file", self.path("none/log")),
                         r"warning +--log-file .*No such file")
        self.assertNotIn("--log-file", self.checked(0, "--log-file", self.path("log")))

    def test_a_key_that_does_not_fit(self):
        cert, _ = certificate(self.folder)
        os.mkdir(self.path("other"))
        _, key = certificate(self.path("other"))
        self.assertRegex(self.checked(2, "--cert", cert, "--pkey", key), r"error .*key")

    def test_a_certificate_signed_by_itself_that_ends_soon(self):
        cert, key = certificate(self.folder)
        words = self.checked(0, "--cert", cert, "--pkey", key)
        self.assertRegex(words, r"warning .*expires on .* in \d days")
        self.assertRegex(words, r"warning .*signed by itself")

    def test_a_certificate_that_ended(self):
        cert, key = self.chain("Example Authority", days=-1)
        self.assertRegex(self.checked(2, "--cert", cert, "--pkey", key), r"error .*expired on")

    def test_a_chain_names_its_issuer(self):
        cert, key = self.chain("Example Authority")
        words = self.checked(0, "--cert", cert, "--pkey", key)
        self.assertIn("Example Authority, Root", words)
        self.assertRegex(words, r"ok .*valid until")
        self.assertNotIn("libwebrtc", words)

    def test_a_chain_that_native_apps_refuse(self):
        cert, key = self.chain("Internet Security Research Group")
        self.assertRegex(self.checked(0, "--cert", cert, "--pkey", key), r"warning .*libwebrtc")

    def test_a_chain_in_the_wrong_order_and_one_that_is_not_whole(self):
        _, key = self.chain("Example Authority")
        self.assertRegex(self.checked(0, "--cert", self.path("leaf.pem"), "--pkey", key),
                         r"warning .*fullchain\.pem")
        with open(self.path("leaf.pem"), encoding="ascii") as leaf:
            twice = self.write("twice.pem", 2 * leaf.read())
        self.assertRegex(self.checked(2, "--cert", twice, "--pkey", key), r"error .*in order")


class WhatIsMadeFromTheTable(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(os.path.join(SHARE, "turnpike.8")):
            self.skipTest("not built: cmake --build ... --target turnpike_pages")

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_the_manual_page_is_clean(self):
        page = os.path.join(SHARE, "turnpike.8")
        done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-P-c", page], text=True,
                              capture_output=True, timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        for words in ("--listening-port PORT", "SYNOPSIS", "EXIT STATUS"):
            plain = re.sub(r".\x08", "", done.stdout)
            self.assertIn(words, re.sub("[\u2010\u2212]", "-", plain))

    def test_bash_completes_names_and_files(self):
        script = (f". {SHARE}/turnpike.bash; COMP_WORDS=(turnpike --listening-p); COMP_CWORD=1; "
                  "_turnpike; echo \"${COMPREPLY[@]}\"; COMP_WORDS=(turnpike --cert /etc/pass); "
                  "COMP_CWORD=2; _turnpike; echo \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-euc", script], text=True, capture_output=True, timeout=60,
                              check=True)
        names, files = done.stdout.splitlines()
        self.assertEqual(names, "--listening-port")
        self.assertIn("/etc/passwd", files)

    def test_bash_completes_commands_and_their_options(self):
        script = (f". {SHARE}/turnpike.bash; COMP_WORDS=(turnpike cred); COMP_CWORD=1; "
                  "_turnpike; echo \"${COMPREPLY[@]}\"; COMP_WORDS=(turnpike credentials --tt); "
                  "COMP_CWORD=2; _turnpike; echo \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-euc", script], text=True, capture_output=True, timeout=60,
                              check=True)
        self.assertEqual(done.stdout.splitlines(), ["credentials", "--ttl"])

    @unittest.skipUnless(shutil.which("zsh"), "needs zsh")
    def test_zsh_understands_its_file(self):
        subprocess.run(["zsh", "-n", os.path.join(SHARE, "_turnpike")], check=True, timeout=60)


def refuses_tcp(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return False
    except ConnectionRefusedError:
        return True


def speaks_tls(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            with context.wrap_socket(plain):
                return True
    except OSError:
        return False


def udp_is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Transports(unittest.TestCase):
    def test_all_of_them_without_a_word(self):
        with Server(tls=True) as server:
            self.assertTrue(binding_answer(server.port))
            self.assertFalse(udp_is_free(server.port))
            self.assertFalse(refuses_tcp(server.port))
            self.assertTrue(speaks_tls(server.port) and speaks_tls(server.tls_port))

    def test_no_udp(self):
        with Server("--no-udp") as server:
            self.assertTrue(udp_is_free(server.port))
            self.assertFalse(refuses_tcp(server.port))
        self.assertNotIn("transport=udp", server.banner())

    def test_no_tcp(self):
        with Server("--no-tcp", tls=True) as server:
            self.assertTrue(binding_answer(server.port))
            self.assertTrue(refuses_tcp(server.port))
            self.assertTrue(speaks_tls(server.tls_port))
        self.assertNotIn("?transport=tcp", server.banner())

    def test_no_tls(self):
        with Server("--no-tls", tls=True) as server:
            self.assertTrue(binding_answer(server.port))
            self.assertTrue(refuses_tcp(server.tls_port))
            self.assertFalse(speaks_tls(server.port))
        self.assertNotIn("turns:", server.banner())


class Process(unittest.TestCase):
    def test_a_pidfile_holds_the_number_and_goes(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            path = os.path.join(folder, "pid")
            with Server("--pidfile", path) as server:
                with open(path, encoding="ascii") as file:
                    self.assertEqual(file.read(), f"{server.process.pid}\n")
            self.assertFalse(os.path.exists(path))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_becomes_whom_it_is_told(self):
        user = pwd.getpwnam("daemon")
        with Server("--proc-user", "daemon", "--proc-group", "nogroup") as server:
            with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
                status = dict(line.split(":", 1) for line in file)
        self.assertEqual(set(status["Uid"].split()), {str(user.pw_uid)})
        self.assertNotIn(str(user.pw_gid), status["Gid"].split())

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_user_that_is_not_there(self):
        done = run("--proc-user", "no-such-user", "--listening-ip", "127.0.0.1",
                   "--listening-port", str(free_port()), "--state-dir", "/tmp/turnpike-none")
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn("--proc-user no-such-user", done.stderr)
        shutil.rmtree("/tmp/turnpike-none", ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
