"""The unit under a real systemd, in a machine that is booted for it (booted.py): when the service
counts as started, how it is watched, reloaded, drained, stopped, restarted and confined, what it is
given as credentials and what it writes to the journal; the package's life there; and the recipes of
the documentation as they are printed.

TURNPIKE_BUILT names the build tree that is packaged; without it, it is the release preset's.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

from booted import SECONDS, BootedMachine
from packages import BUILT, ROOT, package
from turnclient import Refused, TurnClient, rest_credentials

UNIT = "turnpike.service"
CONFIG = "/etc/turnpike/turnpike.json"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"
SERVER = ("127.0.0.1", 3478)
RELAY = {"user": ["alice:secret"], "realm": "example.org", "relay-ip": ["127.0.0.1"],
         "allowed-peer-ip": ["127.0.0.1"]}


def fenced(page, heading, language):
    """The blocks of code in one language below a heading of a page of the documentation."""
    with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as file:
        text = file.read().split(f"\n{heading}\n")[1]
    section = re.split(r"^##+ ", text, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


class Booted(unittest.TestCase):
    machine = None

    def run_there(self, script, **more):
        return self.machine.run(script, **more)

    def shown(self, *names, unit=UNIT):
        """Properties of the service, as systemd has them."""
        lines = self.run_there(f"systemctl show {unit} " + " ".join(f"-p {n}" for n in names))
        found = dict(line.split("=", 1) for line in lines.splitlines())
        return found if len(names) > 1 else found[names[0]]

    def wait_for(self, condition, what):
        end = time.monotonic() + SECONDS
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                self.fail(f"{what}\n{self.shown('ActiveState', 'Result', 'MainPID')}\n"
                          + self.run_there(f"journalctl --unit {UNIT} --lines 60 -o cat"))
            time.sleep(0.05)

    def active(self):
        """Waits for a running service; answers its process."""
        def pid():
            shown = self.shown("ActiveState", "SubState", "MainPID")
            return shown["SubState"] == "running" and shown["MainPID"]
        return self.wait_for(pid, "the service does not run")

    def restart(self):
        since = self.now()
        told = self.run_there(f"systemctl restart {UNIT} && echo good", good=False)
        if told != "good\n":
            self.fail("\n".join([told, *(str(line["MESSAGE"]) for line in self.journal(since))]))

    def configure(self, options):
        self.run_there(f"cat >{CONFIG}", given=json.dumps(options))

    def drop_in(self, text):
        self.run_there(f"mkdir -p $(dirname {DROP_IN}); cat >{DROP_IN}; systemctl daemon-reload",
                       given=text)

    def journal(self, after=None):
        """Lines of the unit, of the server and of systemd about it, as objects."""
        told = self.run_there(f"journalctl --unit {UNIT} -o json --quiet "
                              + (f"--after-cursor '{after}'" if after else "--boot"))
        return [json.loads(line) for line in told.splitlines()]

    def now(self):
        """A place in the journal."""
        told = self.run_there("journalctl --lines 0 --show-cursor --quiet")
        return told.split("cursor: ")[1].strip()

    def said(self, pattern, after):
        """Waits for a line of the journal."""
        def found():
            return next((line for line in self.journal(after)
                         if re.search(pattern, str(line["MESSAGE"]))), None)
        return self.wait_for(found, f"nobody says {pattern}")

    def http(self, path, port=3478):
        """The status of the answer."""
        return int(self.run_there(
            "python3 -c 'import http.client as h; c = h.HTTPConnection(\"127.0.0.1\", "
            f"{port}, timeout={SECONDS}); c.request(\"GET\", \"{path}\");"
            "print(c.getresponse().status)'"))

    def client(self, user="alice", password="secret", server=SERVER, **more):
        with self.machine.network():
            client = TurnClient(server, username=user, password=password, timeout=20, **more)
        self.addCleanup(client.close)
        return client


def setUpModule():
    machine = Prepared.machine = BootedMachine(installed=package("1.0"))
    unittest.enterModuleContext(machine)
    Prepared.first = machine.run(
        f"systemctl show {UNIT} -p ActiveState -p SubState -p Type -p StatusText -p UnitFileState "
        "-p NRestarts -p WatchdogUSec")


class Prepared(Booted):
    """A machine that had the package before it was booted. Each test begins with a server that
    has just been started."""

    first = ""  # how it was after the boot

    def setUp(self):
        self.configure(RELAY)
        self.run_there(f"rm -f {DROP_IN}; systemctl daemon-reload")
        self.restart()
        self.since = self.now()


class Service(Prepared):
    def test_it_runs_after_a_boot_without_a_word_of_anybody(self):
        self.assertEqual(set(self.first.splitlines()), {
            "ActiveState=active", "SubState=running", "Type=notify", "StatusText=serving",
            "UnitFileState=enabled", "NRestarts=0", "WatchdogUSec=30s"})

    def test_the_start_is_done_when_the_server_is_ready_and_not_before(self):
        self.configure({**RELAY, "user": [], "static-auth-secret-file": ["/etc/turnpike/slow"]})
        self.run_there(f"systemctl stop {UNIT}; mkfifo /etc/turnpike/slow;"
                       "chgrp turnpike /etc/turnpike/slow; chmod 640 /etc/turnpike/slow")
        # The server waits for its secret: nobody has written it.
        states = self.run_there(
            f"systemctl start --no-block {UNIT}; exec 3>/etc/turnpike/slow;"
            f"systemctl show -p ActiveState -p SubState {UNIT};"
            "echo one-of-several >&3; exec 3>&-;"
            f"systemctl start {UNIT}; systemctl show -p ActiveState -p StatusText {UNIT};"
            "rm /etc/turnpike/slow")
        self.assertEqual(sorted(states.splitlines()[:2]),
                         ["ActiveState=activating", "SubState=start"])
        self.assertEqual(sorted(states.splitlines()[2:]),
                         ["ActiveState=active", "StatusText=serving"])

    def test_a_mistake_in_the_configuration_fails_the_start_once_and_is_told(self):
        self.configure({**RELAY, "relam": "example.org"})
        self.run_there(f"! systemctl restart {UNIT}")
        shown = self.shown("ActiveState", "Result", "ExecMainStatus", "NRestarts")
        self.assertEqual(shown, {"ActiveState": "failed", "Result": "exit-code",
                                 "ExecMainStatus": "2", "NRestarts": "0"})
        line = self.said("relam", self.since)
        self.assertIn("realm", line["MESSAGE"])
        self.configure(RELAY)
        self.restart()
        self.active()

    def test_a_server_that_hangs_is_ended_and_started_again_by_the_watchdog(self):
        self.drop_in("[Service]\nWatchdogSec=5\n")
        self.restart()
        self.assertEqual(self.shown("WatchdogUSec"), "5s")
        before = self.active()
        self.run_there(f"systemctl kill --signal=SIGSTOP --kill-whom=main {UNIT}")
        self.said("Watchdog timeout", self.since)
        self.wait_for(lambda: self.shown("NRestarts") != "0", "it is not started again")
        self.assertNotEqual(self.active(), before)
        self.assertEqual(self.http("/readyz"), 200)

    def test_a_server_that_was_killed_is_started_again(self):
        before = self.active()
        self.run_there(f"systemctl kill --signal=SIGKILL --kill-whom=main {UNIT}")
        self.wait_for(lambda: self.shown("NRestarts") == "1", "it is not started again")
        self.assertNotEqual(self.active(), before)
        self.client().allocate()

    def test_a_port_that_somebody_else_has_is_tried_for_until_it_is_free(self):
        """Systemd's own limit is five starts in ten seconds, and then none any more."""
        self.run_there(f"systemctl stop {UNIT}")
        self.drop_in("[Service]\nRestartSec=0\n")
        with self.machine.network():
            holder = socket.create_server(("", SERVER[1]))
        with holder:
            self.run_there(f"! systemctl start {UNIT}")
            self.wait_for(lambda: int(self.shown("NRestarts")) > 6, "it is given up")
        self.active()

    def test_reload_takes_a_new_configuration_and_lives_on(self):
        before = self.active()
        self.client().allocate()
        self.configure({**RELAY, "user": ["bob:other"]})
        self.run_there(f"systemctl reload {UNIT}")
        self.said("^reloaded", self.since)
        self.client("bob", "other").allocate()
        with self.assertRaises(Refused):
            self.client().allocate()
        self.wait_for(lambda: self.shown("ActiveState") == "active", "it reloads for ever")
        self.assertEqual(self.active(), before)

    def test_a_broken_configuration_is_not_taken_and_the_journal_says_why(self):
        before = self.active()
        self.run_there(f"cat >{CONFIG}", given='{"user": ["bob:other"], "relam": 1}')
        self.run_there(f"systemctl reload {UNIT}")
        line = self.said("^nothing is reloaded: .*relam", self.since)
        self.assertEqual(line["PRIORITY"], "3")
        self.client().allocate()
        self.wait_for(lambda: self.shown("ActiveState") == "active", "it reloads for ever")
        self.assertEqual(self.active(), before)

    def test_draining_as_documented_lets_who_is_there_stay_and_ends_well(self):
        (command,) = [line for block in fenced("operations.md", "## Draining", "sh")
                      for line in block.splitlines()]
        client = self.client()
        client.allocate()
        self.run_there(command)
        self.wait_for(lambda: self.shown("StatusText").startswith("draining: allocations left: 1,"),
                      "the status does not say who is left")
        self.assertEqual(self.http("/readyz"), 503)
        with self.assertRaisesRegex(Refused, "508"):
            self.client().allocate()
        client.refresh()
        self.assertEqual(self.shown("ActiveState"), "active")
        client.refresh(0)
        self.wait_for(lambda: self.shown("ActiveState") == "inactive", "it does not end")
        self.assertEqual(self.shown("Result", "ExecMainStatus", "NRestarts"),
                         {"Result": "success", "ExecMainStatus": "0", "NRestarts": "0"})

    def test_stop_is_graceful(self):
        self.client().allocate()
        self.run_there(f"systemctl stop {UNIT}")
        self.assertEqual(
            self.shown("ActiveState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts"),
            {"ActiveState": "inactive", "Result": "success", "ExecMainCode": "1",
             "ExecMainStatus": "0", "NRestarts": "0"})
        self.said("^stopped: ", self.since)

    def test_its_folders_are_its_own(self):
        listed = self.run_there("cd /; stat -L -c '%n %U %a' /var/lib/turnpike /var/log/turnpike "
                                "/run/turnpike /var/lib/turnpike/* /run/turnpike/turnpike.sock; "
                                "stat -c '%n %U %a' /var/lib/private /var/log/private")
        owned = {name: (owner, mode) for name, owner, mode in map(str.split, listed.splitlines())}
        self.assertEqual(owned["/var/log/turnpike"], ("turnpike", "750"))
        self.assertEqual(owned["/run/turnpike/turnpike.sock"], ("turnpike", "600"))
        self.assertEqual(owned["/var/lib/turnpike"], ("turnpike", "700"))
        for name in ("/var/lib/private", "/var/log/private"):
            self.assertEqual(owned[name], ("root", "700"))
        for name, (owner, mode) in owned.items():
            if name.startswith("/var/lib/turnpike/"):
                self.assertEqual((owner, mode), ("turnpike", "600"), name)

    def test_a_log_file_is_written_where_the_unit_makes_room_for_it(self):
        self.configure({**RELAY, "log-file": "/var/log/turnpike/turnpike.log"})
        self.restart()
        self.assertEqual(self.run_there("stat -L -c '%U %a' /var/log/turnpike/turnpike.log"),
                         "turnpike 600\n")
        self.run_there("mv /var/log/turnpike/turnpike.log /var/log/turnpike/turnpike.log.1")
        (rotate,) = re.findall(r"postrotate\n\s*(.*)\n",
                               self.run_there("cat /etc/logrotate.d/turnpike"))
        self.run_there(rotate)
        self.wait_for(lambda: "reloaded" in self.run_there(
            "cat /var/log/turnpike/turnpike.log", good=False), "no new file is begun")

    def test_ctl_finds_the_socket_that_the_unit_makes(self):
        self.assertRegex(self.run_there("turnpike ctl info"), "workers")
        self.assertIn("nothing is wrong", self.run_there("turnpike ctl audit"))

    def test_the_journal_knows_priorities_and_nothing_that_lets_anybody_in(self):
        self.configure({**RELAY, "open-rooms": True, "log-level": "debug",
                        "static-auth-secret": ["a-secret-of-back-ends"],
                        "api-key": ["a-key-of-somebody-s-back-end"], "turn-jwt": ["short"]})
        self.run_there(f"systemctl reload {UNIT}")
        self.assertEqual(self.said("^nothing is reloaded", self.since)["PRIORITY"], "3")
        self.configure({**RELAY, "log-level": "debug", "realm": "example.net",
                        "static-auth-secret": ["a-secret-of-back-ends"]})
        self.run_there(f"systemctl reload {UNIT}")
        self.assertEqual(self.said("^--realm has changed", self.since)["PRIORITY"],
                         "4")
        self.assertEqual(self.said("^reloaded", self.since)["PRIORITY"], "6")
        self.restart()
        self.client().allocate()
        self.run_there(f"systemctl stop {UNIT}")
        lines = [str(line["MESSAGE"]) for line in self.journal()]
        self.assertTrue([line for line in lines if re.match("UDP +127", line)])
        key = self.run_there("cat /var/lib/turnpike/api-key").strip()
        for word in ("a-secret-of-back-ends", "a-key-of", "#k=", '"credential"', ":secret", key):
            self.assertNotIn(word, "\n".join(lines))
        for line in lines:
            self.assertNotRegex(line, r"^<\d>|^\d{4}-\d\d-\d\dT")


class Confined(Prepared):
    """What the running process may do. A probe runs as a command of the very unit, under all that
    the unit says."""

    PROBE = r"""
import ctypes, errno, json, mmap, os, socket, subprocess
found = {}
def attempt(name, action):
    try:
        action()
        found[name] = "done"
    except OSError as refusal:
        found[name] = errno.errorcode[refusal.errno]
def write(path):
    return lambda: open(path, "w").close()
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    def action():
        if getattr(libc, function)(*arguments) in (-1, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), function)
    return action
libc.mmap.restype = ctypes.c_void_p
for path in ("/etc/turnpike/x", "/usr/bin/x", "/var/x", "/opt/x", "/proc/sys/kernel/hostname",
             "/sys/fs/cgroup/x", "/home/x", "/root/x"):
    attempt("write " + path, write(path))
for path in ("/var/lib/turnpike/x", "/var/log/turnpike/x", "/run/turnpike/x", "/tmp/x"):
    attempt("write " + path, write(path))
attempt("see pid 1", lambda: os.stat("/proc/1"))
attempt("see tmp of others", lambda: os.stat("/tmp/of-others"))
attempt("list home", lambda: os.listdir("/home"))
attempt("cpuinfo", lambda: os.stat("/proc/cpuinfo"))
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("port 443", lambda: socket.create_server(("127.0.0.1", 443)))
attempt("user namespace", call("unshare", 0x10000000))
attempt("write and execute", call("mmap", None, 4096, 7, 0x22, -1, 0))
attempt("set-uid file", lambda: os.chmod("/var/lib/turnpike/x", 0o4755))
attempt("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
attempt("personality", call("personality", 0x0008))
attempt("clock", call("settimeofday", b"\0" * 16, None))
attempt("mount", call("mount", b"x", b"/tmp", b"tmpfs", 0, None))
attempt("host name", lambda: socket.sethostname("x"))
found["devices"] = sorted(os.listdir("/dev"))
with open("/var/lib/turnpike/probe", "w") as file:
    json.dump(found, file)
"""

    def test_its_process_may_bind_low_ports_and_nothing_else(self):
        status = self.run_there(f"cat /proc/{self.active()}/status")
        field = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
        bind = f"{1 << 10:016x}"  # CAP_NET_BIND_SERVICE
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(field[name], bind, name)
        self.assertEqual((field["Seccomp"], field["NoNewPrivs"]), ("2", "1"))
        user = self.run_there("id -u turnpike").strip()
        self.assertEqual(field["Uid"].split(), [user] * 4)
        self.assertEqual(field["Umask"], "0077")

    def test_it_cannot_do_what_a_relay_need_not(self):
        self.run_there("cat >/opt/probe.py; touch /tmp/of-others; mkdir -p /home/somebody",
                       given=self.PROBE)
        self.drop_in("[Service]\nExecStartPost=/usr/bin/python3 /opt/probe.py\n")
        self.restart()
        found = json.loads(self.run_there("cat /var/lib/turnpike/probe"))
        devices = found.pop("devices")
        self.assertFalse({"kmsg", "mem", "sda", "vda", "net"} & set(devices), devices)
        done = {name for name, result in found.items() if result == "done"}
        self.assertEqual(done, {"write /var/lib/turnpike/x", "write /var/log/turnpike/x",
                                "write /run/turnpike/x", "write /tmp/x", "port 443"}, found)
        refused = {name: found[name] for name in ("write /usr/bin/x", "see pid 1", "packet socket",
                                                  "user namespace", "write and execute")}
        self.assertEqual(refused, {
            "write /usr/bin/x": "EROFS", "see pid 1": "ENOENT", "packet socket": "EAFNOSUPPORT",
            "user namespace": "EPERM", "write and execute": "EPERM"})
        self.run_there("test ! -e /tmp/x; rm /var/lib/turnpike/probe")


class Credentials(Prepared):
    """Files that only root may read, given to the service by systemd as the pages say."""

    def follow(self, page, heading):
        (drop_in,) = fenced(page, heading, "ini")
        (options,) = fenced(page, heading, "json")
        self.drop_in(drop_in)
        self.configure({**RELAY, **json.loads(options)})
        self.restart()
        return re.findall(r"^LoadCredential=([^:]+):(\S+)$", drop_in, re.MULTILINE)

    def test_a_certificate_as_documented(self):
        folder = "/etc/letsencrypt/live/turn.example.org"
        self.run_there(
            f"mkdir -p -m 700 {folder}; cd {folder}; umask 077; openssl req -x509 -newkey ec "
            "-pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=turn.example.org "
            "-addext subjectAltName=DNS:turn.example.org -keyout privkey.pem -out fullchain.pem "
            "2>/dev/null")
        loaded = self.follow("certificates.md", "## Without a copy: credentials of systemd")
        self.assertEqual({path for _, path in loaded},
                         {folder + "/fullchain.pem", folder + "/privkey.pem"})
        self.assertEqual(
            self.run_there("openssl s_client -connect 127.0.0.1:5349 -servername turn.example.org "
                           "</dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"),
            self.run_there(f"openssl x509 -noout -fingerprint -sha256 -in {folder}/fullchain.pem"))
        self.client(transport="tls", server=("127.0.0.1", 5349)).allocate()

    def test_secrets_as_documented(self):
        heading = "### Secrets as credentials of systemd"
        for block in fenced("operations.md", heading, "sh"):
            self.run_there("sudo() { \"$@\"; }\n" + block)
        ((_, path),) = self.follow("operations.md", heading)
        self.assertEqual(self.run_there(f"stat -c '%U %a' {path}"), "root 600\n")
        secret = self.run_there(f"cat {path}").strip()
        self.client(*rest_credentials(secret, "bob")).allocate()
        with self.assertRaises(Refused):
            self.client(*rest_credentials("another", "bob")).allocate()
        self.assertFalse([line for line in self.journal(self.since)
                          if "others" in line["MESSAGE"] or secret in line["MESSAGE"]])
        self.assertNotEqual(self.run_there(
            f"setpriv --reuid=daemon --clear-groups cat /run/credentials/{UNIT}/*; :",
            good=False).count("Permission denied"), 0)


class Life(Booted):
    """What happens to a machine that is running."""

    def setUp(self):
        self.machine = self.enterContext(BootedMachine())

    def install(self, version):
        self.run_there("dpkg --install " + self.machine.copy(package(version)))

    def test_the_package_starts_is_upgraded_and_goes_without_a_trace(self):
        self.install("1.0")
        first = self.active()
        self.assertEqual(self.http("/readyz"), 200)
        key = self.run_there("cat /var/lib/turnpike/api-key")
        self.install("1.1")
        self.assertNotEqual(self.active(), first)
        self.assertEqual(self.run_there("cat /var/lib/turnpike/api-key"), key)
        self.assertEqual(self.shown("UnitFileState", "NRestarts"),
                         {"UnitFileState": "enabled", "NRestarts": "0"})
        self.run_there("dpkg --purge turnpike")
        self.assertEqual(self.shown("ActiveState", "LoadState"),
                         {"ActiveState": "inactive", "LoadState": "not-found"})
        self.assertEqual(self.run_there(
            "ls -d /var/lib/*turnpike /var/lib/private/turnpike /var/log/turnpike /run/turnpike "
            "/var/log/private/turnpike /etc/turnpike 2>/dev/null; getent passwd turnpike; :",
            good=False), "")

    def test_by_hand_as_documented_with_a_user_that_systemd_makes_up(self):
        (block,) = fenced("operations.md", "## As a service", "sh")
        install, rest = block.split("\n", 1)
        self.assertTrue(install.startswith("sudo cmake --install build/release --prefix /usr"))
        tree = self.machine.folder + "/tree"
        subprocess.run(["cmake", "--install", BUILT, "--prefix", "/usr"], check=True,
                       timeout=SECONDS, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DESTDIR": tree})
        os.makedirs(tree + "/tools/packaging")
        shutil.copy(os.path.join(ROOT, "tools/packaging", UNIT), tree + "/tools/packaging")
        self.run_there("cd /run/host/tree; cp -r usr /; sudo() { \"$@\"; }\n" + rest)
        pid = self.active()
        status = self.run_there(f"cat /proc/{pid}/status")
        user = int(re.search(r"^Uid:\s(\d+)", status, re.MULTILINE).group(1))
        self.assertIn(user, range(61184, 65520))  # systemd's range for such users
        key = self.run_there("cat /var/lib/turnpike/api-key")
        self.restart()
        self.assertEqual(self.run_there("cat /var/lib/turnpike/api-key"), key)
        self.assertEqual(self.run_there("turnpike ctl audit | tail -1"), "nothing is wrong\n")


if __name__ == "__main__":
    unittest.main()
