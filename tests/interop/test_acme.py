"""The recipes of docs/certificates.md against pebble, a test authority: the very commands of the
page, with other paths, ports and directory. The authority asks the server for the challenge, the
hand-over installs what was issued, and the running server takes it with no connection lost."""

import grp
import http.client
import json
import os
import pwd
import re
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile
import time
import unittest
import urllib.request

from server import ROOT, Server, certificate, free_port
from turnclient import TurnClient
from websocket import WebSocket

PAGE = os.path.join(ROOT, "docs/certificates.md")
NAME = "turn.example.org"  # as on the page
SECONDS = 120
CHALLENGES = "/.well-known/acme-challenge/"


def page():
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def recipe(name):
    """The commands behind <!-- name --> on the page."""
    found = re.findall(rf"<!-- {re.escape(name)} -->\n```sh\n(.*?)```\n", page(), re.S)
    assert len(found) == 1, f"{name}: {len(found)} times on the page"
    return found[0]


def configuration():
    """The JSON with which the page begins to speak of authorities."""
    found = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page(), re.S)]
    return next(one for one in found if "acme-webroot" in one)


def service_account():
    """Whom the server becomes, as (user, group); as somebody else than root it stays who it is."""
    user = pwd.getpwuid(os.geteuid())
    if os.geteuid() == 0:
        names = {one.pw_name for one in pwd.getpwall()}
        user = pwd.getpwnam("turnpike" if "turnpike" in names else "nobody")
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name


def wait_for(what, question):
    end = time.monotonic() + SECONDS
    while not (answer := question()):
        if time.monotonic() > end:
            raise AssertionError(f"no {what} within {SECONDS} s")
        time.sleep(0.05)
    return answer


class Authority:
    """pebble and the DNS server of its tests, on loopback. Validates at `port` of the server."""

    def __init__(self, folder, port):
        self.folder, self.processes = folder, []
        self.trusted, key = certificate(folder)
        self.dns, self.api, self.management = free_port(), free_port(), free_port()
        self.log = os.path.join(folder, "log")
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump({"pebble": {
                "listenAddress": f"127.0.0.1:{self.api}",
                "managementListenAddress": f"127.0.0.1:{self.management}",
                "certificate": self.trusted, "privateKey": key, "httpPort": port,
                "tlsPort": 1, "ocspResponderURL": "",
                "externalAccountBindingRequired": False}}, file)

    def __enter__(self):
        # Every order is validated, at once, and no request is refused for the sport of it.
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
                       "PEBBLE_AUTHZREUSE": "0"}
        # Closed here; the processes have it.
        with open(self.log, "w", encoding="utf-8") as log:
            for command in (
                    ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns}", "-http01", "",
                     "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1",
                     "-defaultIPv6", "", "-management", f"127.0.0.1:{free_port()}"],
                    ["pebble", "-config", os.path.join(self.folder, "config.json"),
                     "-dnsserver", f"127.0.0.1:{self.dns}"]):
                self.processes.append(subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment))
        try:
            wait_for("directory of the authority", self.answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait(SECONDS)

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.api}/dir"

    def get(self, url):
        context = ssl.create_default_context(cafile=self.trusted)
        with urllib.request.urlopen(url, timeout=SECONDS, context=context) as answer:
            return answer.read().decode()

    def answers(self):
        for process in self.processes:
            if process.poll() is not None:
                raise AssertionError(self.said())
        try:
            return self.get(self.directory)
        except OSError:
            return None

    def root(self):
        """What clients of this authority know."""
        return self.get(f"https://127.0.0.1:{self.management}/roots/0")

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def validations(self):
        return self.said().count(f"http://{NAME}:")


class Recipes(unittest.TestCase):
    def setUp(self):
        for program in ("pebble", "pebble-challtestsrv"):
            if not shutil.which(program):
                self.skipTest(f"needs {program} (Debian's package pebble)")
        self.folder = tempfile.mkdtemp(prefix="turnpike-acme-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)  # the server may have given root up
        self.user, self.group = service_account()
        self.http_port = free_port()
        made = self.path("authority")
        self.authority = self.enterContext(Authority(made, self.http_port))
        self.environment = {**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"],
                            "REQUESTS_CA_BUNDLE": self.authority.trusted,
                            "LEGO_CA_CERTIFICATES": self.authority.trusted}
        for place in ("usr/local/sbin", "etc/turnpike", "etc/ssl"):  # as every system has them
            self.path(place)

    def path(self, name):
        """A folder below the test's own, made if it is not there."""
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def moved(self, text):
        """What stands on the page, for this folder and this user."""
        for place in ("/usr/local/sbin/", "/etc/turnpike/", "/var/www/acme", "/var/lib/lego",
                      "/etc/ssl/uacme"):
            text = text.replace(place, self.folder + place)
        return text.replace("-o root -g turnpike",
                            f"-o {pwd.getpwuid(os.geteuid()).pw_name} -g {self.group}")

    def run_recipe(self, name):
        done = subprocess.run(["sh", "-ec", self.moved(recipe(name))], env=self.environment,
                              text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 0,
                         done.stdout + done.stderr + self.authority.said()[-4000:])

    def wrap(self, program, *line):
        """The program, with the authority's address and folders of its own."""
        real = shutil.which(program)
        if not real:
            self.skipTest(f"needs {program}")
        path = os.path.join(self.path("bin"), program)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + " ".join(line).replace("REAL", real) + "\n")
        os.chmod(path, 0o755)

    def start(self):
        """With a placeholder, as the page has it."""
        self.run_recipe("the hand-over")
        self.run_recipe("the placeholder")
        path = os.path.join(self.folder, "turnpike.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.moved(json.dumps(configuration())))
        os.chmod(path, 0o644)
        self.server = self.enterContext(Server(
            "--config", path, "--http-port", str(self.http_port), "--workers", "2", "--user",
            "alice:secret", "--realm", "example.org", "--relay-ip", "127.0.0.1", tls="by the file"))

    def shown(self):
        context = ssl._create_unverified_context()
        with socket.create_connection(self.server.tls_address, timeout=SECONDS) as plain, \
                context.wrap_socket(plain, server_hostname=NAME) as secure:
            return secure.getpeercert(True)

    def is_trusted(self):
        """By a client that knows the authority, with the chain that the server sends."""
        context = ssl.create_default_context(cadata=self.authority.root())
        with socket.create_connection(self.server.tls_address, timeout=SECONDS) as plain, \
                context.wrap_socket(plain, server_hostname=NAME) as secure:
            return secure.version()

    def live(self):
        """Connections that must go on: TURN over TLS, a room over WebSocket."""
        turn = TurnClient(self.server.tls_address, "tls", username="alice", password="secret")
        self.addCleanup(turn.close)
        turn.allocate()
        room = WebSocket(self.server.tls_address, tls=True)
        self.addCleanup(room.close)
        room.say(type="join", room="demo")
        room.hear("joined")

        def go_on():
            turn.refresh()
            room.say(type="ping", id=1)
            room.hear("pong")
        return go_on

    def has_rights(self):
        place = self.moved(f"/etc/turnpike/tls/{NAME}")
        for path, mode in ((os.path.dirname(place), 0o750), (place, 0o750),
                           (os.path.join(place, "fullchain.pem"), 0o640),
                           (os.path.join(place, "privkey.pem"), 0o640)):
            status = os.stat(path)
            self.assertEqual(stat.S_IMODE(status.st_mode), mode, path)
            self.assertEqual(grp.getgrgid(status.st_gid).gr_name, self.group, path)
            self.assertEqual(status.st_uid, os.geteuid(), path)
        self.assertEqual(sorted(os.listdir(place)), ["fullchain.pem", "privkey.pem"])

    def issues_and_renews(self, client):
        self.start()
        go_on = self.live()
        for order in (client, client + ", again"):
            before, asked = self.shown(), self.authority.validations()
            self.run_recipe(order)
            self.assertGreater(self.authority.validations(), asked, "the challenge was asked for")
            wait_for("new certificate", lambda: self.shown() != before)
            self.assertIn("TLS", self.is_trusted())
            go_on()
            self.has_rights()
            left = self.moved("/var/www/acme") + CHALLENGES
            self.assertFalse(os.path.isdir(left) and os.listdir(left), "challenges are removed")
        self.assertNotIn("stays the one before", self.server.log())

    def test_certbot(self):
        self.wrap("certbot", 'exec REAL "$@" --server', self.authority.directory, "--config-dir",
                  self.path("certbot"), "--work-dir", self.path("certbot/work"), "--logs-dir",
                  self.path("certbot/logs"))
        self.issues_and_renews("certbot")

    def test_lego(self):
        self.wrap("lego", "exec REAL --server", self.authority.directory, '"$@"')
        self.issues_and_renews("lego")

    def test_uacme(self):
        # It trusts the system's authorities and no others: in a mount namespace they are ours.
        trust = "/etc/ssl/certs/ca-certificates.crt"
        apart = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        self.wrap("uacme", f"exec {' '.join(apart)} sh -c 'mount --bind", self.authority.trusted,
                  trust, "&& exec REAL -a", self.authority.directory, '"$@"\' uacme "$@"')
        tried = subprocess.run([*apart, "mount", "--bind", self.authority.trusted, trust],
                               capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            self.skipTest(f"no mount namespace here: {tried.stderr.strip()}")
        self.issues_and_renews("uacme")


class Webroot(unittest.TestCase):
    """What is served of the folder, and what never is."""

    TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-webroot-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        self.webroot, self.pages = (os.path.join(self.folder, name) for name in ("acme", "pages"))
        for place in (self.webroot, self.pages):
            os.makedirs(place + CHALLENGES)
        self.put(self.webroot + CHALLENGES + self.TOKEN, self.TOKEN + ".thumbprint")
        self.put(self.webroot + "/secret", "not for the world")
        self.put(self.pages + CHALLENGES + self.TOKEN, "of the pages")
        self.put(self.pages + "/index.html", "<p>the start page")

    @staticmethod
    def put(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def ask(self, address, path, method="GET", tls=False):
        context = ssl._create_unverified_context()
        connection = (http.client.HTTPSConnection(*address, timeout=SECONDS, context=context) if tls
                      else http.client.HTTPConnection(*address, timeout=SECONDS))
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def test_every_http_port_answers_with_the_token_and_nothing_else(self):
        plain = free_port()
        with Server("--acme-webroot", self.webroot, "--static", self.pages, "--http-port",
                    str(plain), tls=True) as server:
            doors = [(("127.0.0.1", plain), False), (server.address, False),
                     (server.tls_address, True)]
            for address, tls in doors:
                good = self.ask(address, CHALLENGES + self.TOKEN, tls=tls)
                self.assertEqual(good, (200, self.TOKEN + ".thumbprint"))
            door = doors[0][0]
            self.assertEqual(self.ask(door, CHALLENGES + self.TOKEN, "POST")[0], 405)
            self.assertEqual(self.ask(door, "/")[1], "<p>the start page")
            os.symlink(self.webroot + "/secret", self.webroot + CHALLENGES + "link")
            self.put(self.webroot + CHALLENGES + ".hidden", "no")
            self.put(self.webroot + CHALLENGES + "large", "x" * 4097)
            for token in ("", "none", "link", ".hidden", "large", "../../secret",
                          "..%2f..%2fsecret", "%2e%2e/%2e%2e/secret", self.TOKEN + "/", "/secret"):
                with self.subTest(token=token):
                    status, body = self.ask(door, CHALLENGES + token)
                    self.assertEqual(status, 404)
                    self.assertNotIn("world", body)

    def test_without_the_option_there_is_nothing(self):
        with Server("--static", self.pages) as server:
            self.assertEqual(self.ask(server.address, CHALLENGES + self.TOKEN)[0], 404)

    def test_a_folder_that_is_not_there_is_said(self):
        server = Server("--acme-webroot", self.folder + "/none")
        with self.assertRaisesRegex(AssertionError, r"--acme-webroot\): No such file"), server:
            pass


if __name__ == "__main__":
    unittest.main()
