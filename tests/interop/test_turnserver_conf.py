"""Moving from coturn: the files that people have are loaded, and one and the same file starts
Debian's coturn and this server, whose clients then relay with the same credentials."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from server import BINARY, Server, certificate, free_port
from test_turnutils import Peer

MESSAGES = 10
REALM, SECRET = "turn.example.org", "a-secret-of-the-north"
DEBIAN_FILE = "/etc/turnserver.conf"

# What guides and packages have people write; the values are of this test.
FILES = {
    "a Matrix home server": """
        use-auth-secret
        static-auth-secret={secret}
        realm={realm}
        no-tcp-relay
        denied-peer-ip=10.0.0.0-10.255.255.255
        denied-peer-ip=192.168.0.0-192.168.255.255
        denied-peer-ip=172.16.0.0-172.31.255.255
        no-multicast-peers
        denied-peer-ip=0.0.0.0-0.255.255.255
        denied-peer-ip=100.64.0.0-100.127.255.255
        denied-peer-ip=169.254.0.0-169.254.255.255
        denied-peer-ip=64:ff9b::-64:ff9b::ffff:ffff
        denied-peer-ip=2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
        denied-peer-ip=fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        allowed-peer-ip=10.0.0.1
        user-quota=12
        total-quota=1200
        cert={cert}
        pkey={pkey}
        no-tlsv1
        no-tlsv1_1
        """,
    "video calls of a file cloud": """
        listening-port=3478
        fingerprint
        use-auth-secret
        static-auth-secret={secret}
        realm={realm}
        total-quota=0
        bps-capacity=0
        stale-nonce
        no-multicast-peers
        """,
    "a meeting server's package": """
        use-auth-secret
        keep-address-family
        static-auth-secret={secret}
        realm={realm}
        cert={cert}
        pkey={pkey}
        no-multicast-peers
        no-cli
        no-loopback-peers
        no-tcp-relay
        no-tcp
        listening-port=3478
        tls-listening-port=5349
        no-tlsv1
        no-tlsv1_1
        cipher-list="ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
        denied-peer-ip=10.0.0.0-10.255.255.255
        syslog
        external-ip=203.0.113.10/10.0.0.4
        """,
    "a virtual classroom": """
        listening-port=3478
        tls-listening-port=443
        listening-ip=10.0.0.4
        relay-ip=10.0.0.4
        external-ip=203.0.113.10
        min-port=32769
        max-port=65535
        fingerprint
        lt-cred-mech
        use-auth-secret
        static-auth-secret={secret}
        realm={realm}
        cert={cert}
        pkey={pkey}
        cipher-list="ECDH+AESGCM:!aNULL"
        dh-file=/etc/turn/dhp.pem
        keep-address-family
        no-cli
        no-tlsv1
        no-tlsv1_1
        log-file=/var/log/turnserver/coturn.log
        simple-log
        no-rfc5780
        no-stun-backward-compatibility
        response-origin-only-with-rfc5780
        """,
    "a guide for cloud servers": """
        listening-port=3478
        listening-ip=10.0.0.4
        relay-ip=10.0.0.4
        external-ip=203.0.113.10/10.0.0.4
        min-port=49152
        max-port=65535
        realm={realm}
        lt-cred-mech
        user=test:123456
        fingerprint
        stale-nonce=600
        verbose
        simple-log
        no-cli
        cli-password=qwerty
        pidfile="/var/run/turnserver.pid"
        log-file=stdout
        """,
}


def run(*options, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}
    return subprocess.run([BINARY, *options], text=True, capture_output=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL, env=environment, **more)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        self.cert, self.pkey = certificate(self.folder, REALM)

    def write(self, content, name="turnserver.conf", mode=0o640):
        path = os.path.join(self.folder, name)
        lines = [line.strip() for line in content.format(
            secret=SECRET, realm=REALM, cert=self.cert, pkey=self.pkey).splitlines()]
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(path, mode)
        return path


def effective(text):
    """The JSON of --print-config without its comments."""
    return json.loads("\n".join(line for line in text.splitlines()
                                if not line.lstrip().startswith("//")))


class FilesThatPeopleHave(Folder):
    def test_each_is_loaded_and_checked(self):
        for name, content in FILES.items():
            with self.subTest(name):
                checked = run("--config", self.write(content), "--check-config")
                self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
                self.assertNotIn(SECRET, checked.stdout + checked.stderr)

    @unittest.skipUnless(os.path.exists(DEBIAN_FILE), "needs Debian's package coturn")
    def test_the_one_of_debian_is_loaded(self):
        checked = run("--config", DEBIAN_FILE, "--check-config")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertIn(" 0 errors, ", checked.stdout)

    @unittest.skipUnless(os.path.exists(DEBIAN_FILE), "needs Debian's package coturn")
    def test_every_key_that_debian_documents_is_known(self):
        with open(DEBIAN_FILE, encoding="utf-8") as file:
            keys = set(re.findall(r"^#?([a-zA-Z][\w-]+)(?:=\S.*)?$", file.read(), re.M))
        self.assertGreater(len(keys), 80)
        for key in sorted(keys):
            with self.subTest(key):
                checked = run("--config", self.write(key + "=\n"), "--check-config")
                self.assertNotIn("unknown key", checked.stderr)

    def test_the_values_arrive(self):
        printed = run("--config", self.write(FILES["a virtual classroom"]), "--print-config")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        config = effective(printed.stdout)
        self.assertEqual(config["tls-listening-port"], 443)
        self.assertEqual(config["min-port"], 32769)
        self.assertEqual(config["external-ip"], ["203.0.113.10"])
        self.assertEqual(config["user-quota"], 0)
        self.assertTrue(config["fingerprint"])
        self.assertNotIn(SECRET, printed.stdout)
        self.assertRegex(printed.stdout, r'// "static-auth-secret": 1 hidden')

    def test_what_is_printed_can_be_loaded(self):
        for name, content in FILES.items():
            with self.subTest(name):
                printed = run("--config", self.write(content), "--print-config")
                again = os.path.join(self.folder, "again.json")
                with open(again, "w", encoding="utf-8") as file:
                    file.write(printed.stdout)
                second = run("--config", again, "--print-config")
                self.assertEqual(second.returncode, 0, second.stderr)
                self.assertEqual(effective(second.stdout), effective(printed.stdout))


class FromFile(Server):
    """A server that is told everything by a file but where its state is."""

    def __init__(self, file, port):
        super().__init__(port=port)
        self.file = file

    def command(self):
        return [BINARY, "--state-dir", os.path.join(self.folder, "state"), "--config", self.file]


class Coturn:
    """Debian's turnserver on that file."""

    def __init__(self, file, port, folder):
        self.file, self.port, self.folder = file, port, folder

    def __enter__(self):
        self.process = subprocess.Popen(
            ["turnserver", "-c", self.file, "-b", os.path.join(self.folder, "turndb")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=self.folder)
        needle = f"0100007F:{self.port:04X}"
        for _ in range(1000):
            with open("/proc/net/udp", encoding="ascii") as table:
                if needle in table.read():
                    return self
            time.sleep(0.01)
        self.__exit__()
        raise AssertionError("coturn does not listen")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@unittest.skipUnless(shutil.which("turnserver") and shutil.which("turnutils_uclient"),
                     "needs Debian's package coturn")
class TheSameFile(Folder):
    COMMON = """
        listening-ip=127.0.0.1
        relay-ip=127.0.0.1
        listening-port={port}
        realm={realm}
        fingerprint
        allow-loopback-peers
        no-cli
        no-tls
        no-dtls
        log-file=stdout
        pidfile="{folder}/pid"
        # Of this server alone; coturn passes over it, and has always taken such numbers.
        rfc5766-channel-numbers
        """

    def lost(self, port, credential):
        command = ["turnutils_uclient", *credential, "-p", str(port), "-e", "127.0.0.1", "-r",
                   str(self.peer.port), "-n", str(MESSAGES), "-m", "2", "-c", "127.0.0.1"]
        done = subprocess.run(command, text=True, capture_output=True, timeout=90, check=False,
                              stdin=subprocess.DEVNULL)
        lost = re.findall(r"Total lost packets (\d+) ", done.stdout + done.stderr)
        self.assertTrue(lost, (done.stdout + done.stderr)[-2000:])
        return int(lost[-1])

    def relays_with_both(self, lines, credential):
        self.peer = self.enterContext(Peer())
        port = free_port()
        content = self.COMMON.replace("{port}", str(port)).replace("{folder}", self.folder) + lines
        file = self.write(content, mode=0o644)
        with Coturn(file, port, self.folder):
            self.assertEqual(self.lost(port, credential), 0, "coturn")
        with FromFile(file, port) as server:
            self.assertEqual(self.lost(port, credential), 0, server.log())
        self.assertIn("was read as coturn's turnserver.conf", server.log())

    def test_user_with_a_password(self):
        self.relays_with_both("lt-cred-mech\nuser=alice:correct horse", ("-u", "alice", "-w",
                                                                         "correct horse"))

    def test_user_with_a_key(self):
        key = hashlib.md5(f"alice:{REALM}:secret".encode()).hexdigest()
        self.relays_with_both(f"lt-cred-mech\nuser=alice:0x{key}", ("-u", "alice", "-w", "secret"))

    def test_shared_secret(self):
        self.relays_with_both("lt-cred-mech\nuse-auth-secret\nstatic-auth-secret={secret}",
                              ("-u", "bob", "-W", SECRET))

    def test_a_value_in_quotes_and_blanks_around_it(self):
        self.relays_with_both('use-auth-secret\nstatic-auth-secret  =  "two words"  ',
                              ("-u", "bob", "-W", "two words"))


if __name__ == "__main__":
    unittest.main()
