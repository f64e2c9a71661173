"""The container image. There is no registry here to build it from, so this shows what it consists
of: that the recipe says what its last stage needs, and that the binary serves as that stage runs
it, on a root that is read-only, as a number without a name, with options from the environment.

TURNPIKE_BUILT names the build tree; without it, it is the release preset's.
"""

import json
import os
import re
import subprocess
import unittest

from throwaway import Machine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT = os.environ.get("TURNPIKE_BUILT", os.path.join(ROOT, "build/release"))
BINARY = os.path.join(BUILT, "turnpike")
RECIPE = os.path.join(ROOT, "tools/packaging/Containerfile")
SECONDS = 60


def instructions():
    """[(stage, WORD, its text)] with continued lines as one."""
    with open(RECIPE, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    stage, found = -1, []
    for line in re.sub(r"\\\n", " ", "".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage += word == "FROM"
            found.append((stage, word, " ".join(rest.split())))
    return found


def of(word, stage=1):
    return [text for where, what, text in instructions() if what == word and where == stage]


def packages(stage):
    (install,) = [text for text in of("RUN", stage) if "apt-get install" in text]
    words = install.split("--no-install-recommends")[1].split("&&")[0].split()
    return set(words)


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=SECONDS).stdout


class Recipe(unittest.TestCase):
    def test_its_words_are_those_of_such_recipes(self):
        known = {"FROM", "RUN", "COPY", "WORKDIR", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK",
                 "STOPSIGNAL", "ENTRYPOINT"}
        self.assertLessEqual({word for _, word, _ in instructions()}, known)
        self.assertEqual([stage for stage, word, _ in instructions() if word == "FROM"], [0, 1])

    def test_it_runs_as_a_number_that_is_not_root(self):
        (user,) = of("USER")
        uid, gid = user.split(":")
        self.assertGreater(int(uid), 1000)
        self.assertIn(f"-o {uid} -g {gid}", " ".join(of("RUN")))
        order = [word for stage, word, _ in instructions() if stage == 1]
        self.assertGreater(order.index("USER"), len(order) - 1 - order[::-1].index("RUN"))

    def test_lists_are_in_the_form_that_needs_no_shell(self):
        self.assertEqual(json.loads(of("ENTRYPOINT")[0]), ["/usr/bin/turnpike"])
        self.assertEqual(json.loads(of("VOLUME")[0]), ["/var/lib/turnpike"])
        json.loads(of("HEALTHCHECK")[0].split("CMD ")[1])

    def test_every_way_to_build_it_keeps_the_health_check(self):
        """Images in the OCI's format, which is podman's own choice, have none."""
        for page in ("docs/container.md", "docs/zh-CN/container.md", RECIPE):
            with open(os.path.join(ROOT, page), encoding="utf-8") as file:
                for words in re.findall(r"podman build (.*)", file.read()):
                    self.assertTrue(words.startswith("--format docker "), page)

    def test_what_is_copied_is_there(self):
        for text in of("COPY", 0) + of("COPY"):
            if not text.startswith("--from"):
                self.assertTrue(os.path.exists(os.path.join(ROOT, text.split()[0])), text)
        self.assertIn("/turnpike", of("RUN", 0)[-1])

    def test_it_builds_with_the_packages_that_the_build_needs(self):
        script = ". tools/lib/common.sh; . tools/lib/packages.sh; build_packages"
        wanted = subprocess.run(["bash", "-c", script], cwd=ROOT, text=True, check=True,
                                capture_output=True, timeout=SECONDS).stdout.split()
        for alternatives in wanted:
            self.assertTrue(set(alternatives.split("|")) & packages(0), alternatives)

    def test_it_has_the_libraries_that_the_binary_needs(self):
        needed = re.findall(r"NEEDED\s+(\S+)", output("objdump", "-p", BINARY))
        files = dict(re.findall(r"(\S+) => (\S+)", output("ldd", BINARY)))
        owners = set()
        for library in needed:
            path = os.path.realpath(files.get(library, "/lib64/" + library))
            for candidate in (path, path.removeprefix("/usr")):
                run = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True,
                                     timeout=SECONDS, check=False)
                if run.returncode == 0:
                    owners.add(run.stdout.split(":")[0])
        # Of Debian's own smallest system.
        self.assertLessEqual(owners - packages(1), {"libc6", "libgcc-s1"})

    def test_every_variable_is_an_option(self):
        names = set(re.findall(r"TURNPIKE_[A-Z0-9_]+", " ".join(t for _, _, t in instructions())))
        self.assertTrue(names)
        told = output(BINARY, "--help")
        for name in names:
            self.assertIn("--" + name.removeprefix("TURNPIKE_").lower().replace("_", "-"), told)


@unittest.skipUnless(os.geteuid() == 0, "a root of its own needs root")
class Run(unittest.TestCase):
    def test_it_serves_from_a_read_only_root_with_options_from_the_environment(self):
        machine = self.enterContext(Machine())
        machine.copy(BINARY)
        uid, gid = of("USER")[0].split(":")
        environment = [*of("ENV"), "TURNPIKE_LISTENING_PORT=3500", "TURNPIKE_REALM=example.org",
                       "TURNPIKE_API_KEY__FILE=/tmp/key"]
        machine.run("cp /turnpike /usr/bin/turnpike; chmod 755 /usr/bin/turnpike;"
                    f"mkdir -p /var/lib/turnpike; mount -t tmpfs -o uid={uid},gid={gid},mode=700 "
                    "tmpfs /var/lib/turnpike; echo a-key-of-somebody-s-back-end >/tmp/key;"
                    "mount -o remount,ro /")
        self.assertIn("Read-only", machine.run("touch /usr/bin/turnpike", good=False))
        server = machine.start("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups",
                               "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "env",
                               *environment, *json.loads(of("ENTRYPOINT")[0]))
        said = []
        try:
            for line in server.stdout:
                said.append(line)
                if re.search(r"\bready$", line.rstrip()):
                    break
            else:
                self.fail("".join(said))
            check = json.loads(of("HEALTHCHECK")[0].split("CMD ")[1])
            health = subprocess.run(machine.command(
                ["env", "TURNPIKE_LISTENING_PORT=3500", *check]), timeout=SECONDS, check=False)
            self.assertEqual(health.returncode, 0)
            elsewhere = subprocess.run(machine.command(
                ["env", "TURNPIKE_LISTENING_PORT=3501", *check]), timeout=SECONDS, check=False,
                stderr=subprocess.DEVNULL)
            self.assertNotEqual(elsewhere.returncode, 0)
            self.assertTrue(machine.run("ls -A /var/lib/turnpike"), "its secrets are in the volume")
            self.assertIn("nothing is wrong", machine.run(
                f"setpriv --reuid={uid} --regid={gid} --clear-groups env {' '.join(of('ENV'))} "
                "turnpike ctl audit"))
        finally:
            server.terminate()
            rest, _ = server.communicate(timeout=20)
        self.assertEqual(server.returncode, 0, "".join(said) + rest)


if __name__ == "__main__":
    unittest.main()
