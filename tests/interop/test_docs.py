"""The documentation: links and anchors lead somewhere, options that it names exist, and what it
gives to paste (configurations, firewall rules, manifests, commands) is taken by the programs that
it is for."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import yaml

from server import BINARY, ROOT, Server
from turnclient import TurnClient

DOCS = os.path.join(ROOT, "docs")
MANIFEST = os.path.join(ROOT, "tools/packaging/kubernetes/turnpike.yaml")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)

# These speak of other programs' options as well.
OF_OTHER_PROGRAMS = {"docs/load-testing.md", "docs/fuzzing.md", "docs/performance-log.md",
                     "CONTRIBUTING.md"}
OF_PODMAN = {"--format", "--network", "--sysctl"}
ALL_PORTS = ("3478", "5349", "49152", "65535")


def pages():
    """Every page of the tree, from its root."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders
                      if name not in ("build", "node_modules") and not name.startswith(".")]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names
                  if name.endswith(".md")]
    return sorted(found)


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def blocks(page):
    """[(language, text)] of the fenced blocks."""
    return FENCE.findall(read(page))


def prose(page):
    return FENCE.sub("", read(page))


def anchors(page):
    """The anchors that GitHub makes of headings."""
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", prose(page), re.M):
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 1
        while slug in found:
            slug = re.sub(r"(-\d+)?$", f"-{number}", slug, count=1)
            number += 1
        found.add(slug)
    return found


def links(page):
    """Relative ones; what stands between backticks is no link."""
    text = re.sub(r"`[^`\n]*`", lambda code: "`" * len(code.group()), prose(page))
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}


def run(*options, **more):
    return subprocess.run([BINARY, *options], text=True, capture_output=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL, env=clean_environment(), **more)


def without_comments(text):
    return re.sub(r"^\s*//.*$", "", text, flags=re.M)


class Links(unittest.TestCase):
    def test_each_leads_to_a_file_and_an_anchor(self):
        known = set(pages())
        lost = []
        for page in known:
            for link in links(page):
                path, _, anchor = link.partition("#")
                target = page
                if path:
                    target = os.path.normpath(os.path.join(os.path.dirname(page), path))
                    if not os.path.exists(os.path.join(ROOT, target)):
                        lost.append(f"{page}: {link}")
                        continue
                if anchor and (target not in known or anchor not in anchors(target)):
                    lost.append(f"{page}: {link}")
        self.assertFalse(lost, "these lead nowhere:\n" + "\n".join(lost))

    def test_each_page_of_the_documentation_can_be_found(self):
        """By following links from the first page of the tree."""
        found, fresh = set(), {"README.md"}
        while fresh:
            found |= fresh
            fresh = {os.path.normpath(os.path.join(os.path.dirname(page), link.partition("#")[0]))
                     for page in fresh for link in links(page) if not link.startswith("#")}
            fresh = {page for page in fresh if page.endswith(".md")} - found
        there = {page for page in pages() if page.startswith("docs/")
                 and not page.startswith("docs/decisions/")}
        self.assertFalse(there - found, "no page leads to these")


class Translations(unittest.TestCase):
    FOLDER = "docs/zh-CN"
    ELSEWHERE = {"recipes.md": "docs/recipes/README.md"}

    def pairs(self):
        for page in pages():
            if os.path.dirname(page) == self.FOLDER:
                name = os.path.basename(page)
                yield page, self.ELSEWHERE.get(name, f"docs/{name}")

    def test_the_main_pages_are_there(self):
        there = {os.path.basename(page) for page, _ in self.pairs()}
        self.assertGreaterEqual(there, {
            "README.md", "vps.md", "clouds.md", "quick-start.md", "client.md", "recipes.md",
            "migration-from-coturn.md", "troubleshooting.md"})

    def test_each_shows_what_the_english_page_shows(self):
        for translated, english in self.pairs():
            with self.subTest(translated):
                self.assertEqual(blocks(translated), blocks(english))

    def test_each_leads_to_the_other_language(self):
        for translated, english in self.pairs():
            for page, other in ((translated, english), (english, translated)):
                with self.subTest(page):
                    self.assertIn(os.path.relpath(other, os.path.dirname(page)), set(links(page)))


class Options(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.known = set()
        for command in ([], ["doctor"], ["credentials"], ["ctl"]):
            done = run(*command, "--help")
            assert done.returncode == 0, done.stderr
            cls.known |= set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))

    @staticmethod
    def named(page):
        """In code that begins with an option, and in commands of the server."""
        yield from re.findall(r"`(--[a-z][a-z0-9-]*)", prose(page))
        for language, text in blocks(page):
            if language not in ("sh", ""):
                continue
            for line in text.replace("\\\n", " ").split("\n"):
                command = re.match(r"(?:sudo +)?turnpike +([^|#]*)", line.strip())
                if command:
                    yield from re.findall(r"(?<!\S)(--[a-z][a-z0-9-]*)", command.group(1))

    def test_each_that_is_named_exists(self):
        self.assertIn("--listening-port", self.known)
        unknown, seen = [], set()
        for page in pages():
            if page in OF_OTHER_PROGRAMS or page.startswith("docs/decisions/"):
                continue
            for option in self.named(page):
                seen.add(option)
                if option not in self.known | OF_PODMAN:
                    unknown.append(f"{page}: {option}")
        self.assertGreater(len(seen), 80)
        self.assertFalse(unknown, "nobody knows these:\n" + "\n".join(unknown))


class Configurations(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)

    def path(self, name, text=None, mode=0o640):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, mode)
        return path

    def localized(self, config):
        """With files of this test in place of those that are named, and nobody asked outside."""
        for key in config:
            if key in ("cert", "pkey"):
                if not os.path.exists(self.path("cert.pem")):
                    subprocess.run(
                        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90", "-subj",
                         "/CN=turn.example.org", "-keyout", self.path("pkey.pem"), "-out",
                         self.path("cert.pem")], check=True, stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                config[key] = self.path(f"{key}.pem")
            elif key.endswith("-file"):
                config[key] = self.path(key, "replace-this-with-openssl-rand-hex-32\n")
            elif key == "external-ip" and config[key] == "auto":
                config[key] = "203.0.113.10"
            elif key == "external-ip":
                config[key] = config[key].partition("/")[0]
        return config

    def checked(self, config):
        file = self.path("turnpike.json", json.dumps(self.localized(config)))
        done = run("--config", file, "--check-config", "--listening-ip", "127.0.0.1", "--state-dir",
                   self.path("state"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_that_a_page_shows_can_be_served(self):
        shown = 0
        for page in pages():
            for number, text in enumerate(text for kind, text in blocks(page) if kind == "jsonc"):
                with self.subTest(page=page, number=number):
                    shown += 1
                    self.checked(json.loads(re.sub(r"\s//.*$", "", without_comments(text),
                                                   flags=re.M)))
        self.assertGreater(shown, 10)

    def test_the_manifest_for_kubernetes(self):
        with open(MANIFEST, encoding="utf-8") as file:
            objects = {one["kind"]: one for one in yaml.safe_load_all(file)}
        self.assertEqual(set(objects), {"Namespace", "Secret", "ConfigMap", "DaemonSet"})
        pod = objects["DaemonSet"]["spec"]["template"]["spec"]
        self.assertEqual(objects["DaemonSet"]["spec"]["selector"]["matchLabels"],
                         objects["DaemonSet"]["spec"]["template"]["metadata"]["labels"])
        container = pod["containers"][0]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self.assertEqual(set(mounts), {volume["name"] for volume in pod["volumes"]})
        (name, text), = objects["ConfigMap"]["data"].items()
        self.assertEqual(container["args"], ["--config", f"{mounts['config']}/{name}"])
        config = json.loads(text)
        secret = objects["Secret"]["stringData"]
        for key in ("static-auth-secret", "api-key"):
            self.assertEqual(config[f"{key}-file"], f"{mounts['secrets']}/{key}")
            self.assertIn(key, secret)
        self.assertTrue(pod["hostNetwork"])
        self.assertGreater(pod["terminationGracePeriodSeconds"], config["drain-deadline"])
        self.checked(config)

    def test_the_manifest_with_host_ports(self):
        text, = [text for kind, text in blocks("docs/kubernetes.md") if kind == "yaml"]
        container = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]
        done = subprocess.run(
            [BINARY, *container["args"], "--check-config", "--listening-ip", "127.0.0.1",
             "--state-dir", self.path("state")], text=True, capture_output=True, timeout=60,
            check=False, stdin=subprocess.DEVNULL,
            env={**clean_environment(), **{one["name"]: "secret" for one in container["env"]}})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Firewalls(unittest.TestCase):
    def test_each_cloud_is_told_of_every_port(self):
        told = 0
        for language, text in blocks("docs/clouds.md"):
            if language != "sh" or "ufw" in text or "reload" in text:
                continue
            with self.subTest(text=text):
                told += 1
                for port in ALL_PORTS:
                    self.assertRegex(text, rf"\b{port}\b")
                for word in ("tcp", "udp"):
                    self.assertRegex(text, rf"(?i)\b{word}\b")
                for rules in re.findall(r"'([\[{].*?[\]}])'", text, re.S):
                    json.loads(rules)
                done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True,
                                      check=False, timeout=60)
                self.assertEqual(done.stderr, "")
        self.assertEqual(told, 6)

    @unittest.skipUnless(shutil.which("nft") and os.geteuid() == 0, "needs nft and root")
    def test_nft_takes_the_rules(self):
        rules = "".join(text for kind, text in blocks("docs/clouds.md") if kind == "nft")
        done = subprocess.run(["nft", "--check", "--file", "-"], input=rules, text=True,
                              capture_output=True, check=False, timeout=60)
        if "Operation not permitted" in done.stderr or "cache init" in done.stderr:
            self.skipTest("the kernel does not let nft in")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class QuickStart(unittest.TestCase):
    PAGE = "docs/quick-start.md"

    def setUp(self):
        self.server = self.enterContext(Server("--api-key", "the-key", "--static-auth-secret",
                                               "the-secret", "--relay-ip", "127.0.0.1"))

    @unittest.skipUnless(shutil.which("curl"), "needs curl")
    def test_the_commands(self):
        answers = []
        for language, text in blocks(self.PAGE):
            if language == "sh":
                command = shlex.split(text.replace("$API_KEY", "the-key").replace(
                    "localhost:3478", f"127.0.0.1:{self.server.port}"))
                done = subprocess.run([*command, "--silent", "--show-error", "--max-time", "20"],
                                      text=True, capture_output=True, check=False, timeout=60,
                                      stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 0, done.stderr)
                answers.append(json.loads(done.stdout))
        invited, minted = answers
        self.assertIn("invitation", invited)
        self.relays(minted["iceServers"])

    @unittest.skipUnless(shutil.which("node"), "needs Node")
    def test_the_back_end_that_signs_itself(self):
        code, = [text for kind, text in blocks(self.PAGE) if kind == "js" and "createHmac" in text]
        with tempfile.TemporaryDirectory(prefix="turnpike-test-") as folder:
            with open(os.path.join(folder, "sign.mjs"), "w", encoding="utf-8") as file:
                file.write(code + '\nconsole.log(JSON.stringify(iceServers("the-secret", "ann")));')
            done = subprocess.run(["node", file.name], text=True, capture_output=True, check=False,
                                  timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.relays(json.loads(done.stdout))

    def relays(self, servers):
        entry = next(one for one in servers if "credential" in one)
        with TurnClient(self.server.address, username=entry["username"],
                        password=entry["credential"]) as client:
            self.assertEqual(client.allocate()[0], "127.0.0.1")
            client.refresh(0)


if __name__ == "__main__":
    unittest.main()
