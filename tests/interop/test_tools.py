"""The scripts of tools/: what they ask of the system, and what they say when they cannot go on.

The system is played by small programs at the front of PATH, which write down how they were called.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

from server import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools/lib"))

import fuzz_coverage  # noqa: E402


def run(*command, **more):
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=300, **more)


class Packages(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.calls = os.path.join(self.folder, "calls")
        self.stub("dpkg-query", 'case "$3" in have*) echo -n installed ;; *) exit 1 ;; esac',
                  quiet=True)
        self.stub("apt-get")

    def stub(self, name, body="", quiet=False):
        path = os.path.join(self.folder, name)
        note = "" if quiet else f'echo "{name} $*" >>"{self.calls}"\n'
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/bash\n{note}{body}\n")
        os.chmod(path, 0o755)

    def install(self, *packages, root):
        self.stub("id", f"echo {0 if root else 1000}", quiet=True)
        script = f"set -euo pipefail; . tools/lib/common.sh; install_packages {' '.join(packages)}"
        # Only the stubs and bash's own directory of essentials, so that no real sudo is found.
        tools = ("env", "dirname", "basename", "awk", "cat")
        for tool in tools:
            target = os.path.join(self.folder, tool)
            if not os.path.exists(target):
                os.symlink(f"/usr/bin/{tool}", target)
        return run("/bin/bash", "-c", script, env={"PATH": self.folder})

    def called(self):
        if not os.path.exists(self.calls):
            return []
        with open(self.calls, encoding="utf-8") as file:
            return file.read().splitlines()

    def test_nothing_happens_when_all_are_there(self):
        for root in (True, False):
            self.assertEqual(self.install("have-one", "have-two", root=root).returncode, 0)
        self.assertEqual(self.called(), [])

    def test_root_installs_exactly_what_is_missing(self):
        done = self.install("have-one", "two", "three", root=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(self.called()[-1], r"^apt-get install .* two three$")
        self.assertIn("two three", done.stderr)

    def test_one_of_two_alternatives_is_enough(self):
        self.install("'other|have-one'", root=True)
        self.assertEqual(self.called(), [])
        self.install("'first|second'", root=True)
        self.assertRegex(self.called()[-1], r" first$")

    def test_others_use_sudo(self):
        self.stub("sudo", '"$@"')
        done = self.install("two", root=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex("\n".join(self.called()), r"sudo .*apt-get install .* two\n")

    def test_without_root_and_sudo_the_sentence_says_what_to_run(self):
        done = self.install("two", root=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("apt-get install two", done.stderr)
        self.assertEqual(self.called(), [])


class Clients(unittest.TestCase):
    """fetch_clients: npm brings the browser clients of others, and the build goes on without it."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.bin = os.path.join(self.folder, "bin")
        self.vendor = os.path.join(self.folder, "signaling/web/vendor")
        os.makedirs(self.bin)
        os.makedirs(self.vendor)
        with open(os.path.join(self.vendor, "package-lock.json"), "w", encoding="utf-8") as lock:
            lock.write("{}")
        for tool in ("cmp", "cp", "rm", "mkdir", "basename", "env"):
            os.symlink(f"/usr/bin/{tool}", os.path.join(self.bin, tool))

    def npm(self, body):
        path = os.path.join(self.bin, "npm")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/bash\necho "npm $*" >>"{self.folder}/calls"\n{body}\n')
        os.chmod(path, 0o755)

    def fetch(self):
        script = (f"set -euo pipefail; . {ROOT}/tools/lib/common.sh; . {ROOT}/tools/lib/clients.sh;"
                  " fetch_clients; echo built")
        done = subprocess.run(["/bin/bash", "-c", script], cwd=self.folder, text=True, check=False,
                              capture_output=True, env={"PATH": self.bin}, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "built\n"), done.stderr)
        return done.stderr

    def calls(self):
        path = os.path.join(self.folder, "calls")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()

    def test_without_npm_the_sentence_says_what_is_missing_and_how_to_get_it(self):
        self.assertRegex(self.fetch(), r"/socket\.io/socket\.io\.js.* apt-get install npm")

    def test_what_the_lock_file_names_is_fetched_once_and_no_script_of_it_runs(self):
        self.npm("mkdir node_modules")
        self.fetch()
        self.assertEqual(len(self.calls()), 1)
        self.assertRegex(self.calls()[0], r"^npm ci .*--ignore-scripts")
        self.fetch()
        self.assertEqual(len(self.calls()), 1)
        with open(os.path.join(self.vendor, "package-lock.json"), "a", encoding="utf-8") as lock:
            lock.write(" ")
        self.fetch()
        self.assertEqual(len(self.calls()), 2)

    def test_what_a_failed_npm_leaves_is_removed(self):
        self.npm("mkdir -p node_modules/half; exit 1")
        self.assertIn("tools/up --build-only", self.fetch())
        self.assertFalse(os.path.exists(os.path.join(self.vendor, "node_modules")))


class CommandLines(unittest.TestCase):
    def test_help_is_help(self):
        for tool in ("up", "test", "fuzz"):
            with self.subTest(tool=tool):
                done = run(f"tools/{tool}", "--help")
                self.assertEqual(done.returncode, 0)
                self.assertIn(f"tools/{tool}", done.stdout)

    def test_what_is_unknown_is_refused_in_one_sentence(self):
        for command in (("tools/up", "--nonsense"), ("tools/test", "--nonsense"),
                        ("tools/test", "nonsense"), ("tools/fuzz", "nonsense")):
            with self.subTest(command=command):
                done = run(*command)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn("nonsense", done.stderr)

    def test_every_fuzz_target_has_seeds(self):
        targets = run("tools/fuzz", "--list").stdout.split()
        self.assertGreaterEqual(len(targets), 5)
        for target in targets:
            self.assertTrue(os.listdir(os.path.join(ROOT, "tests/corpus", target)), target)

    def test_every_fuzz_target_has_files_whose_coverage_counts(self):
        targets = run("tools/fuzz", "--list").stdout.split()
        self.assertEqual(sorted(set(targets) - set(fuzz_coverage.PARSERS)), [])
        for target in targets:
            for file in fuzz_coverage.PARSERS[target]:
                self.assertTrue(os.path.isfile(os.path.join(ROOT, file)), file)

    def test_mistakes_about_coverage_are_told_before_anything_is_built(self):
        for options, why in ((("nonsense",), "no fuzz target nonsense"),
                             (("--seconds", "1m"), "a number, not 1m"),
                             (("--write", "docs/nowhere.md"), "a page that exists"),
                             (("--nonsense",), "unknown option --nonsense")):
            with self.subTest(options=options):
                done = run("tools/fuzz", "--coverage", *options)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                self.assertIn(why, done.stderr)

    def test_every_stage_is_explained(self):
        words = run("tools/test", "--help").stdout
        with open(os.path.join(ROOT, "tools/lib/stages.sh"), encoding="utf-8") as file:
            lists = re.findall(r"(?ms)^(?:all|more)_stages=\((.*?)\)", file.read())
        self.assertEqual(len(lists), 2)
        for stage in " ".join(lists).split():
            self.assertRegex(words, rf"(?m)^  {stage} +\w")


class Coverage(unittest.TestCase):
    """The table of tools/fuzz --coverage, from figures as LLVM gives them."""

    def test_percentages_are_of_what_there_is(self):
        def counts(covered, count):
            return {kind: (covered, count) for kind in fuzz_coverage.KINDS}
        measured = {"one": ({"a.cc": counts(1, 4), "b.cc": counts(0, 0)},
                            {"a.cc": counts(3, 4), "b.cc": counts(0, 0)}),
                    "two": ({"a.cc": counts(4, 4)}, {"a.cc": counts(4, 4)})}
        rows = [[cell.strip() for cell in row.strip("|").split("|")]
                for row in fuzz_coverage.table_of(measured, 10).splitlines()]
        self.assertIn("after 10 s: lines %", rows[0])
        self.assertEqual({len(row) for row in rows}, {8})
        self.assertEqual(rows[2], ["**one**", "4", "25.0", "25.0", "25.0", "75.0", "75.0", "75.0"])
        self.assertEqual(rows[4][1:4], ["0", "-", "-"])
        self.assertEqual(rows[-1][:5:2], ["**all**", "62.5", "62.5"])

        brief = fuzz_coverage.table_of(measured, 0).splitlines()
        self.assertEqual({row.count("|") for row in brief}, {6})

    def test_lines_that_nothing_reached_are_told_as_spans(self):
        lcov = f"SF:{ROOT}/a.cc\nDA:3,0\nDA:4,0\nDA:5,7\nDA:9,0\nend_of_record\n"
        found = fuzz_coverage.unreached_lines(lcov)
        self.assertEqual(found, {"a.cc": [3, 4, 9]})
        self.assertEqual(fuzz_coverage.spans(found["a.cc"]), "3-4, 9")

    def test_the_page_keeps_what_is_around_the_table(self):
        with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as page:
            page.write(f"before\n{fuzz_coverage.BEGIN}\nold\n{fuzz_coverage.END}\nafter\n")
            page.flush()
            fuzz_coverage.write_into(page.name, "| new |\n")
            with open(page.name, encoding="utf-8") as file:
                self.assertEqual(file.read(), f"before\n{fuzz_coverage.BEGIN}\n| new |\n"
                                              f"{fuzz_coverage.END}\nafter\n")


# What tools/up does to /etc as root, where it makes a system user, is gone when it ends.
OVER_ETC = """
mount -t tmpfs tmpfs "$0"
mkdir "$0/upper" "$0/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$0/upper,workdir=$0/work" /etc
exec "$@"
"""


class Dev(unittest.TestCase):
    """tools/up --dev: the certificate is for the name that the server will tell browsers."""

    @classmethod
    def setUpClass(cls):
        cls.prefix = ()
        if os.geteuid() != 0:
            return
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.prefix = ("unshare", "--mount", "bash", "-ec", OVER_ETC, folder)
        if run(*cls.prefix, "true").returncode != 0:
            raise unittest.SkipTest("root cannot mount an overlay here, and would leave a user")

    def up(self, *options):
        users = run("getent", "passwd").stdout
        done = run(*self.prefix, "tools/up", "--dev", "--", "--state-dir", self.folder, *options,
                   "--version")
        self.assertEqual(run("getent", "passwd").stdout, users)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("turnpike ", done.stdout)

    def checks(self, name, *question):
        path = os.path.join(self.folder, f"dev-{name}.pem")
        done = run("openssl", "x509", "-in", path, "-noout", *question)
        return "does match" in done.stdout

    def test_makes_a_certificate_once(self):
        with tempfile.TemporaryDirectory() as self.folder:
            self.up()
            self.assertTrue(self.checks("localhost", "-checkhost", "localhost"))
            self.assertTrue(self.checks("localhost", "-checkip", "127.0.0.1"))
            key = os.path.join(self.folder, "dev-localhost.key")
            self.assertEqual(os.stat(key).st_mode & 0o077, 0)
            before = os.stat(key).st_mtime_ns
            self.up()
            self.assertEqual(os.stat(key).st_mtime_ns, before)

    def test_follows_the_public_host(self):
        with tempfile.TemporaryDirectory() as self.folder:
            self.up("--public-host", "turn.example.org")
            self.assertTrue(self.checks("turn.example.org", "-checkhost", "turn.example.org"))
            self.up("--public-host=192.0.2.7")
            self.assertTrue(self.checks("192.0.2.7", "-checkip", "192.0.2.7"))


if __name__ == "__main__":
    unittest.main()
