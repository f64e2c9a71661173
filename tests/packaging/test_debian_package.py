"""The Debian package: what lintian says, and how it installs, upgrades, is removed and purged, in a
copy of this machine that is thrown away. Needs root, as the package manager does.

TURNPIKE_BUILT names the build tree that is packaged; without it, it is the release preset's.
"""

import json
import os
import re
import subprocess
import unittest

from packages import BUILT, ROOT, package
from throwaway import Machine

CONFIG = "/etc/turnpike/turnpike.json"


class Packages:
    """Made once, for all tests."""
    first = second = None


def setUpModule():
    Packages.first = package("1.0")
    Packages.second = package("1.1")


class DebianPackage(unittest.TestCase):
    def field(self, name):
        return subprocess.run(["dpkg-deb", "--field", Packages.first, name], text=True, check=True,
                              capture_output=True, timeout=30).stdout.strip()

    def test_lintian_has_nothing_to_say(self):
        run = subprocess.run(["lintian", "--allow-root", "--fail-on=error,warning", Packages.first],
                             capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, ""), run.stderr)

    def test_it_says_what_it_needs_and_what_it_is(self):
        self.assertEqual(self.field("Version"), "1.0")
        self.assertEqual(self.field("Provides"), "stun-server, turn-server")
        for library in ("libuv1", "libssl3", "libsrtp2-1"):
            self.assertIn(library, self.field("Depends"))

    def test_every_line_of_its_configuration_is_good_when_it_is_not_a_comment(self):
        with open(os.path.join(ROOT, "tools/packaging/debian/turnpike.json"),
                  encoding="utf-8") as file:
            text = file.read()
        plain = re.sub(r"^ *//(?! *\").*$", "", text, flags=re.M)
        options = json.loads(re.sub(r"^ *// *\"", '"', plain, flags=re.M))
        told = subprocess.run([os.path.join(BUILT, "turnpike"), "--help"], text=True, check=True,
                              capture_output=True, timeout=30).stdout
        self.assertGreater(len(options), 5)
        for name in options:
            self.assertIn(f"--{name} ", told)

    def test_it_has_what_operators_look_for(self):
        listed = subprocess.run(["dpkg-deb", "--contents", Packages.first], text=True, check=True,
                                capture_output=True, timeout=30).stdout
        files = {path: mode for mode, path in
                 re.findall(r"^(\S{10}) .* \./(\S*[^/\s])$", listed, re.M)}
        for path in ("usr/bin/turnpike", "lib/systemd/system/turnpike.service",
                     "etc/turnpike/turnpike.json", "etc/ufw/applications.d/turnpike",
                     "etc/logrotate.d/turnpike", "usr/lib/sysusers.d/turnpike.conf",
                     "usr/share/man/man8/turnpike.8.gz", "usr/share/doc/turnpike/copyright",
                     "usr/share/bash-completion/completions/turnpike",
                     "usr/share/zsh/vendor-completions/_turnpike",
                     "usr/share/turnpike/turnpike.rules.yml",
                     "usr/share/turnpike/grafana/turnpike.json"):
            self.assertIn(path, files)
        programs = [path for path, mode in files.items() if "x" in mode and mode[0] == "-"]
        self.assertEqual(programs, ["usr/bin/turnpike"])


@unittest.skipUnless(os.geteuid() == 0, "installing needs root")
class Installed(unittest.TestCase):
    def setUp(self):
        self.machine = self.enterContext(Machine())
        self.first = self.machine.copy(Packages.first)
        self.second = self.machine.copy(Packages.second)

    def install(self, path):
        self.machine.run(f"dpkg --install {path}")

    def status(self):
        return self.machine.run("dpkg-query -W -f '${db:Status-Abbrev}' turnpike", good=False)

    def serve(self):
        """Runs what the unit runs, as whom the unit says; answers when it is ready, and ends it."""
        unit = self.machine.run("cat /lib/systemd/system/turnpike.service")
        words = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
        user = re.search(r"^User=(.*)$", unit, re.M).group(1)
        self.machine.run(f"install -d -o {user} -g {user} -m 700 /var/lib/turnpike")
        process = self.machine.start(
            "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs",
            "--inh-caps=-all", "--bounding-set=-all", *words, "--state-dir", "/var/lib/turnpike")
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if re.search(r"\bready$", line.rstrip()):
                    break
            else:
                self.fail("".join(said))
            return self.machine.run(
                "python3 -c 'import urllib.request as r;"
                "print(r.urlopen(\"http://127.0.0.1:3478/readyz\", timeout=10).read())'")
        finally:
            process.terminate()
            process.communicate(timeout=20)

    def test_installing_makes_its_user_and_starts_it_at_once_and_at_every_boot(self):
        self.install(self.first)
        self.assertEqual(self.status(), "ii ")
        self.assertRegex(self.machine.run("getent passwd turnpike"), r"nologin$")
        self.assertEqual(self.machine.run(f"stat -c '%U %G %a' {CONFIG}"), "root turnpike 640\n")
        self.assertIn("enabled", self.machine.run(
            "/usr/bin/real-systemctl --root=/ is-enabled turnpike.service"))
        asked = self.machine.asked_of_systemd()
        self.assertTrue([line for line in asked if line.endswith("start turnpike.service")], asked)

    def test_what_is_installed_serves_as_its_user(self):
        self.install(self.first)
        self.assertIn("turnpike 0 errors", self.machine.run(
            f"setpriv --reuid=turnpike --regid=turnpike --init-groups "
            f"turnpike --config {CONFIG} --check-config >/dev/null && echo turnpike 0 errors"))
        self.assertEqual(self.serve(), "b'ok\\n'\n")

    def test_an_upgrade_keeps_what_was_written_and_restarts(self):
        self.install(self.first)
        written = '{"public-host": "turn.example.org"}'
        self.machine.run(f"cat >{CONFIG}", given=written)
        self.machine.run(f"dpkg-statoverride --update --add root root 600 {CONFIG}")
        self.machine.run("mkdir -p /var/lib/turnpike && echo mine >/var/lib/turnpike/secret")
        self.machine.asked_of_systemd()
        self.install(self.second)
        self.assertEqual(self.machine.run("dpkg-query -W -f '${Version}' turnpike"), "1.1")
        self.assertEqual(self.machine.run(f"cat {CONFIG}"), written)
        self.assertEqual(self.machine.run(f"stat -c '%U %a' {CONFIG}"), "root 600\n")
        self.assertEqual(self.machine.run("cat /var/lib/turnpike/secret"), "mine\n")
        asked = self.machine.asked_of_systemd()
        self.assertTrue([line for line in asked if line.endswith("restart turnpike.service")],
                        asked)

    def test_a_service_that_was_switched_off_stays_off(self):
        self.install(self.first)
        self.machine.run("/usr/bin/real-systemctl --root=/ disable turnpike.service;"
                         "systemctl stop turnpike.service")
        self.machine.asked_of_systemd()
        self.install(self.second)
        self.assertNotIn("enabled\n", self.machine.run(
            "/usr/bin/real-systemctl --root=/ is-enabled turnpike.service", good=False))
        asked = self.machine.asked_of_systemd()
        self.assertFalse([line for line in asked if line.endswith("start turnpike.service")],
                         asked)

    def test_removing_stops_it_and_keeps_configuration_and_secrets(self):
        self.install(self.first)
        self.machine.run("mkdir -p /var/lib/turnpike && echo mine >/var/lib/turnpike/secret")
        self.machine.asked_of_systemd()
        self.machine.run("dpkg --remove turnpike")
        self.assertTrue([line for line in self.machine.asked_of_systemd()
                         if line.endswith("stop turnpike.service")])
        self.machine.run(f"test ! -e /usr/bin/turnpike; test -e {CONFIG};"
                         "test -e /var/lib/turnpike/secret")

    def test_purging_leaves_nothing(self):
        before = self.machine.run(self.EVERYTHING)
        self.install(self.first)
        self.machine.run("mkdir -p /var/lib/private/turnpike /var/log/turnpike;"
                         "ln -s private/turnpike /var/lib/turnpike;"
                         "echo mine >/var/lib/turnpike/secret")
        self.machine.run("dpkg --purge turnpike")
        self.assertEqual(self.machine.run("getent passwd turnpike || getent group turnpike || :"),
                         "")
        self.assertEqual(self.machine.run(self.EVERYTHING), before)

    # Every file there is but those of the kernel, of this test and of the package manager.
    EVERYTHING = ("find / -xdev -path /proc -prune -o -path /dev -prune -o -path /tmp -prune -o "
                  "-name '*turnpike*' -not -path '/turnpike*' -not -path '/var/log/dpkg*' "
                  "-path '/[elv]*' -print; find /etc /usr/bin /usr/sbin /usr/share/turnpike* "
                  "/lib/systemd /usr/lib/sysusers.d /var/lib/systemd -xdev "
                  "-not -name '*-' 2>/dev/null | sort")


if __name__ == "__main__":
    unittest.main()
