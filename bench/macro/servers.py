"""Starts and ends the servers that bench/macro/compare compares, each pinned to one CPU."""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

from network import Loopback

USER = PASSWORD = "load"
START_SECONDS, STOP_SECONDS = 15, 10
BINDING = bytes.fromhex("000100002112a442") + b"compare-bind"

TURNPIKE = ("{build}/turnpike --state-dir {folder}/state --listening-ip {ip} "
            "--listening-port {port} --tls-listening-port {tls_port} --cert {cert} --pkey {key} "
            "--relay-ip {relay_ip} --user {user}:{password} --allowed-peer-ip {allowed} "
            "--unauthorized-ratelimit-rps 0 --user-quota 0 --workers {workers} {dtls}")
COTURN = ("turnserver -n --listening-ip {ip} --listening-port {port} --tls-listening-port "
          "{tls_port} --cert {cert} --pkey {key} --relay-ip {relay_ip} --relay-threads {workers} "
          "--lt-cred-mech --user {user}:{password} --realm compare --allow-loopback-peers "
          "--no-cli {no_dtls} --userdb {folder}/turndb --pidfile {folder}/pid "
          "--no-stdout-log --simple-log --log-file /dev/null")
FLOOR = "{build}/%s --listen {ip}:{port} --relay-ip {relay_ip}"

COMMANDS = {
    "turnpike": TURNPIKE,
    "coturn": COTURN,
    "floor-recvmmsg": FLOOR % "floor_recvmmsg",
    "floor-gso": FLOOR % "floor_gso",
}


def free_port(ip=Loopback.listen_ip):
    """A port below those that the kernel hands out and that servers relay from."""
    for port in range(20000, 30000):
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as candidate:
                    candidate.bind((ip, port))
        except OSError:
            continue
        return port
    raise SystemExit("no free port from 20000 to 29999")


def make_certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


class Server:
    """A server while a with statement lasts; every run has a fresh one."""

    def __init__(self, name, command, build, certificate, cpu=None, network=None, workers=1,
                 dtls=False):
        self.name, self.command, self.build, self.cpu = name, command, build, cpu
        self.network = network or Loopback()
        self.workers = workers
        self.dtls = dtls
        self.cert, self.key = certificate
        self.folder = self.process = None
        with self.network.at_server():
            self.port = free_port(self.network.listen_ip)

    @property
    def is_floor(self):
        return self.name.startswith("floor-")

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-compare-")
        net = self.network
        words = [word.format(build=self.build, folder=self.folder, ip=net.listen_ip,
                             port=self.port, tls_port=self.port + 10000, relay_ip=net.relay_ip,
                             allowed=net.allowed, cert=self.cert, key=self.key, user=USER,
                             password=PASSWORD, workers=self.workers,
                             dtls="--dtls" if self.dtls else "",
                             no_dtls="" if self.dtls else "--no-dtls")
                 for word in shlex.split(self.command)]
        words = [word for word in words if word]
        pinned = [] if self.cpu is None else ["taskset", "-c", str(self.cpu)]
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(net.for_server(pinned + words), cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_ready(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with self.network.at_load():
                if self.answers():
                    return
            time.sleep(0.02)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            raise SystemExit(f"{self.name} did not start:\n{log.read()[-2000:]}")

    def answers(self):
        try:
            if self.is_floor:  # knows no STUN
                socket.create_connection((self.network.listen_ip, self.port), 1).close()
                return True
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.connect((self.network.listen_ip, self.port))
                udp.settimeout(0.2)
                udp.send(BINDING)
                return len(udp.recv(1500)) >= 20
        except OSError:
            return False

    def thread_times(self):
        """Thread -> seconds on a CPU since it began."""
        times = {}
        folder = f"/proc/{self.process.pid}/task"
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/schedstat", encoding="ascii") as text:
                times[thread] = int(text.read().split()[0]) * 1e-9
        return times

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_):
        self.stop()
