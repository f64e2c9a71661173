"""Starts the server for a test, on free loopback ports with a state directory of its own.

TURNPIKE_BINARY names the binary; without it, it is the release preset's.
"""

import codecs
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("TURNPIKE_BINARY", os.path.join(ROOT, "build/release/turnpike"))

# Whether it has sanitizers: it is slower then, and keeps what was freed for a while.
SANITIZED = bool(os.environ.get("SANITIZED"))

START_SECONDS = 20
STOP_SECONDS = 10
EXIT_CANNOT_LISTEN = 3
READY = re.compile(r"\bready\s*$", re.MULTILINE)


def free_port(ip="127.0.0.1"):
    """A port that neither UDP nor TCP uses on this address just now."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as tcp:
            tcp.bind((ip, 0))
            port = tcp.getsockname()[1]
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((ip, port))
                    return port
                except OSError:
                    continue


def certificate(folder, host="localhost"):
    """A self-signed certificate: (certificate file, key file)."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext",
         f"subjectAltName=DNS:{host},IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


class Server:
    """A running server; use it in a with statement, which also judges how it ends. tls: True for a
    certificate made here, anything else that is true for one that the options name."""

    def __init__(self, *options, ips=("127.0.0.1",), port=None, tls=False, prefix=(), env=None):
        self.options, self.ips, self.fixed_port = list(options), list(ips), port
        self.tls, self.prefix, self.env = tls, list(prefix), env
        self.folder = self.process = self.port = self.tls_port = None
        self.killed = False
        self.errors, self.output, self.reader = [], [], None
        self.ready = threading.Event()

    @property
    def address(self):
        return self.ips[0], self.port

    @property
    def tls_address(self):
        return self.ips[0], self.tls_port

    def log(self):
        return "".join(self.errors)

    def banner(self):
        return "".join(self.output)

    # --- starting

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        try:
            for _ in range(3):
                if self.start():
                    return self
                # Another test took the port between our look and the server's bind.
                if self.process.returncode != EXIT_CANNOT_LISTEN or self.fixed_port is not None:
                    break
            raise AssertionError(f"the server did not start ({self.process.returncode}):\n"
                                 + self.log())
        except BaseException:
            self.clean()
            raise

    def command(self):
        command = self.prefix + [BINARY, "--state-dir", os.path.join(self.folder, "state")]
        for ip in self.ips:
            command += ["--listening-ip", ip]
        if not any(str(option).startswith("--prometheus-port") for option in self.options):
            command += ["--prometheus-port", "0"]
        command += ["--listening-port", str(self.port), "--tls-listening-port", str(self.tls_port)]
        if self.tls is True:
            cert, key = certificate(self.folder)
            command += ["--cert", cert, "--pkey", key]
        return command + self.options

    def start(self):
        local = self.ips and all(ip.startswith("127.") or ip == "::1" for ip in self.ips)
        # Elsewhere the server has a network of its own, where no port is taken.
        self.port = self.fixed_port or (free_port(self.ips[0]) if local else 3478)
        self.tls_port = 0
        if self.tls:
            self.tls_port = free_port(self.ips[0]) if local else 5349
        self.errors, self.output = [], []
        self.ready.clear()
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **(self.env or {})})
        self.reader = threading.Thread(target=self.collect, daemon=True)
        self.reader.start()
        end = time.monotonic() + START_SECONDS
        while not self.ready.wait(0.02):
            if self.process.poll() is not None:
                self.join()
                return False
            if time.monotonic() > end:
                raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.log()}")
        return True

    def collect(self):
        """Both pipes in one thread, standard error first: what was printed before the word "ready"
        is in banner() when ready is said."""
        pipes = [(pipe, codecs.getincrementaldecoder("utf-8")("replace"), text) for pipe, text in
                 ((self.process.stderr, self.errors), (self.process.stdout, self.output))]
        for pipe, _, _ in pipes:
            os.set_blocking(pipe.fileno(), False)
        while pipes:
            select.select([pipe for pipe, _, _ in pipes], [], [])
            pipes = [one for one in pipes if self.take(*one)]
            if not self.ready.is_set() and READY.search(self.log()):
                self.ready.set()

    @staticmethod
    def take(pipe, decoder, text):
        """What is in the pipe just now; False when it has ended."""
        while True:
            try:
                data = os.read(pipe.fileno(), 65536)
            except BlockingIOError:
                return True
            text.append(decoder.decode(data, final=not data))
            if not data:
                return False

    # --- stopping

    def join(self):
        self.reader.join(STOP_SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()

    def stop(self):
        """SIGTERM; answers the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "killed: SIGTERM did not end it"
        self.join()
        return code

    def kill(self):
        """As the kernel does when memory runs out. Whoever asks for it expects no orderly end."""
        self.process.kill()
        self.process.wait()
        self.killed = True

    def clean(self):
        if self.process is not None and self.process.returncode is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, kind, *_):
        ended_early = self.process.poll()
        code = self.stop()
        self.clean()
        if kind is None and not self.killed:
            if ended_early is not None:
                raise AssertionError(f"the server ended by itself with {code}:\n{self.log()}")
            if code != 0:
                raise AssertionError(f"the server ended with {code}:\n{self.log()}")
        elif kind is not None:
            print("--- the server's log:\n" + self.log())
