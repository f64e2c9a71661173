"""The program's own armour: how it was compiled and linked, what of its secrets others may read
while it runs and when it dies, and that it needs no more of the kernel than its unit lets it."""

import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import server as servers
from flooding import SECONDS, Call
from server import BINARY, ROOT, Server, certificate
from tcpturn import TcpTurnClient
from test_dtls import DtlsPipe
from turnclient import BINDING, REQUEST, SUCCESS, Message, TurnClient
from websocket import WebSocket

UNIT = os.path.join(ROOT, "tools/packaging/turnpike.service")
CONFINED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confined.py")
NOBODY = 65534
SECRET = "a-secret-that-only-the-server-knows"
X86 = platform.machine() == "x86_64"


def output_of(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True,
                          stdin=subprocess.DEVNULL, timeout=120).stdout


@unittest.skipUnless(shutil.which("readelf"), "needs binutils")
class Binary(unittest.TestCase):
    def test_it_is_loaded_anywhere_and_bound_at_once(self):
        self.assertRegex(output_of("readelf", "-hW", BINARY), r"Type: +DYN")
        dynamic = output_of("readelf", "-dW", BINARY)
        self.assertRegex(dynamic, r"FLAGS_1.*\bNOW\b.*\bPIE\b|FLAGS_1.*\bPIE\b.*\bNOW\b")
        for unwanted in ("TEXTREL", "RPATH", "RUNPATH"):
            self.assertNotIn(unwanted, dynamic)

    def test_nothing_is_both_writable_and_executable(self):
        segments = re.findall(r"^ +(\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3}) ",
                              output_of("readelf", "-lW", BINARY), re.M)
        flags = dict(segments)
        self.assertEqual(flags["GNU_STACK"], "RW ")
        self.assertIn("GNU_RELRO", flags)  # with NOW the whole table of functions is in it
        for kind, flag in segments:
            self.assertFalse("W" in flag and "E" in flag, f"{kind} {flag}")

    def test_stacks_and_buffers_are_watched(self):
        symbols = output_of("readelf", "-W", "--dyn-syms", BINARY)
        self.assertIn("__stack_chk_fail", symbols)
        self.assertRegex(symbols, r"__(memcpy|snprintf|vsnprintf|memset)_chk")

    @unittest.skipUnless(X86 and shutil.which("objdump"), "only on x86-64")
    def test_indirect_jumps_have_landing_places(self):
        """-fcf-protection. Debian's start-up files have none, so the linker cannot mark the whole
        program; our own functions are ready."""
        code = output_of("objdump", "-d", "--no-show-raw-insn", "--disassemble=main", BINARY)
        self.assertRegex(code, r"<main>:\n +\w+:\s+endbr64")

    def test_every_source_is_compiled_with_it(self):
        path = os.path.join(os.path.dirname(BINARY), "compile_commands.json")
        if not os.path.exists(path):
            self.skipTest("not in a build folder")
        with open(path, encoding="utf-8") as file:
            commands = [entry["command"] for entry in json.load(file)]
        wanted = ["-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=2",
                  "-fPI", *(["-fcf-protection"] if X86 else [])]
        for command in commands:
            for flag in wanted:
                self.assertIn(f" {flag}", command)


@unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
class Secrets(unittest.TestCase):
    def running(self, *prefix):
        return Server("--user", f"alice:{SECRET}-in-arguments", prefix=prefix,
                      env={"TURNPIKE_STATIC_AUTH_SECRET": f"{SECRET}-in-environment",
                           "TURNPIKE_API_KEY": f"{SECRET}-in-environment-too"})

    def uid_of(self, process):
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^Uid:\s+(\d+)", status.read(), re.M).group(1))

    def test_other_processes_of_its_user_may_not_look_into_it(self):
        with self.running() as server:
            user = self.uid_of(server.process)
            self.assertNotEqual(user, 0)
            for name in ("environ", "mem", "maps", "fd/0", "exe", "auxv", "stack"):
                look = subprocess.run(["cat", f"/proc/{server.process.pid}/{name}"], user=user,
                                      group=user, extra_groups=[], capture_output=True,
                                      check=False, timeout=30)
                self.assertNotEqual(look.returncode, 0, name)
                self.assertEqual(look.stdout, b"", name)

    def test_everybody_may_read_its_arguments_and_finds_no_secret(self):
        with self.running() as server:
            look = subprocess.run(["cat", f"/proc/{server.process.pid}/cmdline"], user=NOBODY,
                                  capture_output=True, check=True, timeout=30)
            self.assertIn(b"--user", look.stdout)
            self.assertNotIn(SECRET.encode(), look.stdout)
            self.assertNotIn(SECRET, server.log() + server.banner())

    def test_it_leaves_no_core_behind(self):
        with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
            if not re.match(r"[^/|]", file.read()):
                self.skipTest("cores do not go into the folder of the process here")
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            prefix = ["prlimit", "--core=unlimited", "env", "-C", folder]
            # What anybody else leaves, who dies like that.
            control = subprocess.Popen([*prefix, "sleep", "60"], stdin=subprocess.DEVNULL)
            while not self.has_become(control.pid, "sleep"):
                pass
            control.send_signal(signal.SIGABRT)
            control.wait(SECONDS)
            if not os.listdir(folder):
                self.skipTest("nobody leaves cores here")
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            with self.running(*prefix) as server:
                server.process.send_signal(signal.SIGABRT)
                self.assertEqual(server.process.wait(SECONDS), -signal.SIGABRT)
                server.killed = True
            self.assertEqual(os.listdir(folder), [])

    @staticmethod
    def has_become(pid, name):
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip() == name


class ConfinedServer(Server):
    """As the unit runs it: never root, and a program, a certificate and a state directory that its
    user can reach."""

    def __init__(self, home, *options):
        cert, key = certificate(home)
        for name in (cert, key):
            os.chown(name, NOBODY, NOBODY)
        self.program = os.path.join(home, "turnpike")
        self.state = os.path.join(home, "state")
        shutil.copy(BINARY, self.program)
        os.chmod(self.program, 0o755)
        super().__init__("--cert", cert, "--pkey", key, *options, tls="its own",
                         prefix=[sys.executable, CONFINED, UNIT, str(NOBODY)])

    def command(self):
        command = super().command()
        command[command.index(BINARY)] = self.program
        command[command.index("--state-dir") + 1] = self.state
        return command


@unittest.skipUnless(os.geteuid() == 0 and X86 and shutil.which("systemd-analyze"),
                     "needs root, x86-64 and systemd-analyze")
class UnderTheUnitsFilter(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="turnpike-confined-")
        self.addCleanup(shutil.rmtree, self.home)
        os.chown(self.home, NOBODY, NOBODY)

    def confined(self, *command):
        return subprocess.run([sys.executable, CONFINED, UNIT, str(NOBODY), *command], text=True,
                              capture_output=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL, cwd="/").returncode

    def test_the_filter_ends_who_oversteps_it(self):
        python = ("/usr/bin/python3", "-c")
        self.assertEqual(self.confined(*python, "import socket; socket.socket()"), 0)
        for crime in ("import os; os.chown('/tmp', -1, -1)",
                      "import os; os.chroot('/')",
                      "import mmap; mmap.mmap(-1, 4096, prot=7)",
                      "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
                      "import ctypes; ctypes.CDLL(None).mount(0, 0, 0, 0, 0)"):
            with self.subTest(crime):
                self.assertEqual(self.confined(*python, crime), -signal.SIGSYS)

    def test_the_server_does_all_its_work_within_it(self):
        pages, admin = os.path.join(self.home, "pages"), os.path.join(self.home, "admin.sock")
        os.mkdir(pages)
        with open(os.path.join(pages, "hello.txt"), "w", encoding="ascii") as page:
            page.write("hello")
        log = os.path.join(self.home, "server.log")
        server = ConfinedServer(
            self.home, "--user", "alice:secret", "--realm", "example.org", "--dtls",
            "--tcp-relay", "--mobility", "--workers", "2", "--relay-ip", "127.0.0.1",
            "--allowed-peer-ip", "127.0.0.1", "--static", pages, "--admin-socket", admin,
            "--log-file", log, "--log-allocations", "--prometheus-port",
            str(servers.free_port()))
        with server:
            self.relay_everything(server)
            self.signal_and_browse(server)
            self.operate(server, admin)
            self.assertEqual(self.state_of(server), "2")  # a filter, and it is ours
        self.assertTrue(os.path.getsize(log) > 0)

    @staticmethod
    def state_of(server):
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
            return re.search(r"^Seccomp:\s+(\d)", status.read(), re.M).group(1)

    def relay_everything(self, server):
        for transport, address in (("udp", server.address), ("tcp", server.address),
                                   ("tls", server.tls_address)):
            with Call(address, transport, username="alice", password="secret") as call:
                for _ in range(20):
                    call.say()
        with DtlsPipe(server.tls_address) as pipe:
            pipe.send(Message(BINDING, REQUEST).encode())
            self.assertEqual(Message.decode(pipe.recv(SECONDS)).cls, SUCCESS)
        with TcpTurnClient(server.address, "tcp", username="alice", password="secret") as client, \
                socket.create_server(("127.0.0.1", 0)) as peer:
            client.allocate_tcp()
            data = client.bind(client.connect(peer.getsockname()))
            self.addCleanup(data.client.close)
            with peer.accept()[0] as other:
                data.send(b"across")
                self.assertEqual(other.recv(100), b"across")

    def signal_and_browse(self, server):
        base = f"http://127.0.0.1:{server.port}"
        for path in ("/", "/hello.txt", "/healthz", "/readyz"):
            with urllib.request.urlopen(base + path, timeout=SECONDS) as answer:
                self.assertEqual(answer.status, 200)
        for tls, address in ((False, server.address), (True, server.tls_address)):
            with WebSocket(address, tls=tls) as guest:
                guest.say(type="join", room="demo")
                guest.hear("joined")

    def operate(self, server, admin):
        for words in (["info"], ["sessions"], ["rooms"], ["reload"]):
            output_of(BINARY, "ctl", "--socket", admin, *words)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            server.process.send_signal(number)
            with TurnClient(server.address) as client:
                client.binding()


if __name__ == "__main__":
    unittest.main()
