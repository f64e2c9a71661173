"""docs/recipes: each page's configuration is checked and started, the product's own configuration
beside it is parsed, credentials are made from that as the product makes them, and every URL that
the product would give to clients is allocated with."""

import base64
import configparser
import hmac
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

import yaml

from server import BINARY, ROOT, Server
from turnclient import Refused, TurnClient, rest_credentials

PAGES = os.path.join(ROOT, "docs/recipes")
HOST = "turn.example.org"
BEAN = "{http://www.springframework.org/schema/beans}"


def blocks(page):
    """[(language, text)] of the fenced blocks of a page, in order."""
    with open(os.path.join(PAGES, page), encoding="utf-8") as file:
        return re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), re.M | re.S)


def block(page, language, number=0):
    return [text for kind, text in blocks(page) if kind == language][number]


def settings(page, number=0):
    """A block of Turnpike's configuration."""
    return json.loads(re.sub(r"^\s*//.*$", "", block(page, "jsonc", number), flags=re.M))


class Tables:
    """What Prosody's Lua files and Janus' libconfig files have in common: names with strings,
    numbers, truth values and tables in braces. Anything else raises."""

    TOKEN = re.compile(r'(?:\s|--[^\n]*|#[^\n]*)*("(?:[^"\\])*"|\d+|\w+|[={}:;,])')

    def __init__(self, text):
        self.tokens, at, text = [], 0, text.strip()
        while at < len(text):
            match = self.TOKEN.match(text, at)
            if not match:
                raise ValueError(f"cannot read {text[at:at + 40]!r}")
            self.tokens.append(match.group(1))
            at = match.end()

    def fields(self, end):
        found = {}
        while self.tokens and self.tokens[0] != end:
            name, equals = self.tokens.pop(0), self.tokens.pop(0)
            if not re.fullmatch(r"[a-z_]\w*", name) or equals not in "=:":
                raise ValueError(f"{name} {equals}")
            found[name] = self.value()
            if self.tokens and self.tokens[0] in ";,":
                self.tokens.pop(0)
        return found

    def value(self):
        token = self.tokens.pop(0)
        if token.startswith('"'):
            return token[1:-1]
        if token.isdigit():
            return int(token)
        if token in ("true", "false"):
            return token == "true"
        if token != "{":
            raise ValueError(token)
        if self.tokens[0] == "{":
            found = []
            while self.tokens[0] == "{":
                found.append(self.value())
                if self.tokens[0] == ",":
                    self.tokens.pop(0)
        else:
            found = self.fields("}")
        if self.tokens.pop(0) != "}":
            raise ValueError("a table that does not end")
        return found


def tables(text):
    return Tables(text).fields(None)


def make_certificate(folder):
    """A chain of two for HOST, and for localhost, which TurnClient asks for."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-days", "400", "-subj", "/O=An Authority/CN=Root", "-keyout",
            "ca.key", "-out", "ca.pem")
    openssl("req", *new, "-subj", f"/CN={HOST}", "-keyout", "key.pem", "-out", "request")
    with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
        file.write(f"subjectAltName=DNS:{HOST},DNS:localhost\n")
    openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "90", "-extfile", "names", "-out", "leaf.pem")
    with open(os.path.join(folder, "cert.pem"), "wb") as chain:
        for part in ("leaf.pem", "ca.pem"):
            with open(os.path.join(folder, part), "rb") as file:
                chain.write(file.read())


def setUpModule():
    global FOLDER, TRUST
    FOLDER = tempfile.mkdtemp(prefix="turnpike-test-")
    unittest.addModuleCleanup(shutil.rmtree, FOLDER)
    os.chmod(FOLDER, 0o755)
    make_certificate(FOLDER)
    TRUST = ssl.create_default_context(cafile=os.path.join(FOLDER, "ca.pem"))


def write(config, **changed):
    """A file with a page's configuration, and the certificate of this test in place of its own."""
    config = {**config, **changed}
    if "cert" in config:
        config["cert"] = os.path.join(FOLDER, "cert.pem")
        config["pkey"] = os.path.join(FOLDER, "key.pem")
    handle, path = tempfile.mkstemp(suffix=".json", dir=FOLDER)
    os.fchmod(handle, 0o640)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(config, file)
    return path


class Configured(Server):
    """A server with a page's configuration, on loopback and ports of the test."""

    def __init__(self, config):
        super().__init__(tls="cert" in config)
        self.config = config

    def command(self):
        changed = {"listening-ip": "127.0.0.1", "relay-ip": "127.0.0.1", "prometheus-port": 0,
                   "listening-port": self.port}
        if self.tls:
            changed["tls-listening-port"] = self.tls_port
        return [BINARY, "--state-dir", os.path.join(self.folder, "state"), "--config",
                write(self.config, **changed)]

    def place(self, uri):
        """(address, transport) of this server for a URL that a client would be given."""
        match = re.fullmatch(r"(stun|turns?):([\w.-]+)(?::(\d+))?(?:\?transport=(udp|tcp))?", uri)
        if not match:
            raise AssertionError(f"no client would understand {uri}")
        scheme, host, port, transport = match.groups()
        plain = self.config.get("listening-port", 3478)
        tls = self.config.get("tls-listening-port", 5349)
        # RFC 7065 section 3.1: what is left out.
        secure = scheme == "turns"
        port = int(port) if port else 5349 if secure else 3478
        transport = transport or ("tcp" if secure else "udp")
        if host != self.config["public-host"] or port not in ((plain, tls) if secure else (plain,)):
            raise AssertionError(f"{uri} does not lead to this server")
        if secure and (not self.tls or transport != "tcp"):
            raise AssertionError(f"{uri} asks for TLS where there is none")
        address = self.address if port == plain else self.tls_address
        return address, "tls" if secure else transport


class Recipe(unittest.TestCase):
    def run_with(self, config):
        self.server = self.enterContext(Configured(config))

    def client(self, uri, *credentials):
        address, transport = self.server.place(uri)
        username, password = credentials or (None, None)
        return TurnClient(address, transport, username=username, password=password, tls=TRUST)

    def asks(self, uri):
        with self.client(uri) as client:
            self.assertEqual(client.binding()[0], "127.0.0.1")

    def relays(self, uri, username, password):
        """With these credentials, and not with any others."""
        with self.client(uri, username, password) as client:
            self.assertEqual(client.allocate()[0], "127.0.0.1")
            client.refresh(0)
        with self.client(uri, username, password[::-1]) as client, \
                self.assertRaises(Refused) as refused:
            client.allocate()
        self.assertEqual(refused.exception.code, 401)


class Pages(unittest.TestCase):
    NAMES = ("synapse", "nextcloud-talk", "jitsi", "bigbluebutton", "livekit", "janus", "galene")

    def test_each_page_is_tested_and_in_the_index(self):
        self.assertEqual(sorted(os.listdir(PAGES)),
                         sorted([f"{name}.md" for name in self.NAMES] + ["README.md"]))
        with open(os.path.join(PAGES, "README.md"), encoding="utf-8") as file:
            index = re.findall(r"^\| \[[^\]]+\]\(([\w-]+)\.md\)", file.read(), re.M)
        self.assertEqual(index, list(self.NAMES))

    def test_each_configuration_is_checked_without_a_warning(self):
        # Parts of a configuration, in the place of or beside what stands in the whole one.
        more = [{**settings("livekit.md"), **settings("README.md")}]
        static = settings("livekit.md")
        del static["static-auth-secret"]
        more.append({**static, **settings("livekit.md", 1)})
        for config in [settings(f"{name}.md") for name in self.NAMES] + more:
            with self.subTest(config=config):
                environment = {k: v for k, v in os.environ.items() if not k.startswith("TURNPIKE_")}
                done = subprocess.run(
                    [BINARY, "--config", write(config), "--check-config", "--listening-ip",
                     "127.0.0.1", "--state-dir", os.path.join(FOLDER, "state")],
                    text=True, capture_output=True, timeout=60, check=False,
                    stdin=subprocess.DEVNULL, env=environment)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn(" 0 errors, 0 warnings", done.stdout)


class Synapse(Recipe):
    def test_calls(self):
        product = yaml.safe_load(block("synapse.md", "yaml"))
        self.run_with(settings("synapse.md"))
        self.assertEqual(product["turn_shared_secret"], self.server.config["static-auth-secret"])
        username, password = rest_credentials(product["turn_shared_secret"], "@alice:example.org",
                                              ttl=product["turn_user_lifetime"] / 1000)
        self.assertEqual(len(product["turn_uris"]), 3)
        for uri in product["turn_uris"]:
            self.relays(uri, username, password)


class NextcloudTalk(Recipe):
    def setUp(self):
        self.run_with(settings("nextcloud-talk.md"))

    def test_browsers(self):
        stun, turn = [shlex.split(line) for line in block("nextcloud-talk.md", "sh").splitlines()]
        self.assertEqual(stun[:2], ["occ", "talk:stun:add"])
        self.asks(f"stun:{stun[2]}")
        self.assertEqual(turn[:2], ["occ", "talk:turn:add"])
        secret = turn[2].removeprefix("--secret=")
        self.assertEqual(secret, self.server.config["static-auth-secret"])
        schemes, server, protocols = turn[3:]
        username, password = rest_credentials(secret, secrets.token_urlsafe(12), ttl=86400)
        uris = [f"{scheme}:{server}?transport={protocol}" for scheme in schemes.split(",")
                for protocol in protocols.split(",")]
        self.assertEqual(len(uris), 4)
        for uri in uris:
            if not (uri.startswith("turns:") and uri.endswith("=udp")):  # DTLS: no browser
                self.relays(uri, username, password)

    def test_the_signaling_server(self):
        product = configparser.ConfigParser()
        product.read_string(block("nextcloud-talk.md", "ini"))
        self.assertEqual(product["turn"]["secret"], self.server.config["static-auth-secret"])
        username, password = rest_credentials(product["turn"]["secret"], secrets.token_hex(16),
                                              ttl=86400)
        for uri in product["turn"]["servers"].split(","):
            self.relays(uri, username, password)


class Jitsi(Recipe):
    def setUp(self):
        self.run_with(settings("jitsi.md"))

    def serves(self, secret, services):
        """As mod_external_services signs: the username is the expiry alone."""
        self.assertEqual(secret, self.server.config["static-auth-secret"])
        self.assertGreaterEqual({service["type"] for service in services}, {"turn", "turns"})
        for service in services:
            uri = f"{service['type']}:{service['host']}:{service['port']}"
            if service["type"] == "stun":
                self.asks(uri)
                continue
            self.assertTrue(service["secret"])
            self.assertEqual(service["algorithm"], "turn")
            username = str(int(time.time()) + service["ttl"])
            digest = hmac.digest(secret.encode(), username.encode(), "sha1")
            self.relays(uri + f"?transport={service['transport']}", username,
                        base64.b64encode(digest).decode())

    def test_prosody(self):
        product = tables(block("jitsi.md", "lua"))
        self.serves(product["external_service_secret"], product["external_services"])

    def test_the_containers(self):
        product = dict(line.split("=", 1) for line in block("jitsi.md", "sh").splitlines())
        common = {"secret": True, "algorithm": "turn", "ttl": 86400}
        self.serves(product["TURN_CREDENTIALS"], [
            {"type": "turn", "host": product["TURN_HOST"], "port": product["TURN_PORT"],
             "transport": product["TURN_TRANSPORT"], **common},
            {"type": "turns", "host": product["TURNS_HOST"], "port": product["TURNS_PORT"],
             "transport": "tcp", **common}])


class BigBlueButton(Recipe):
    def test_browsers(self):
        product = xml.etree.ElementTree.fromstring(block("bigbluebutton.md", "xml"))
        beans = {bean.get("id"): bean for bean in product}
        arguments = {name: [argument.get("value") for argument in sorted(
            bean.findall(f"{BEAN}constructor-arg"), key=lambda one: int(one.get("index")))]
            for name, bean in beans.items()}
        service = {item.get("name"): [ref.get("bean") for ref in item.iter(f"{BEAN}ref")]
                   for item in beans["stunTurnService"].findall(f"{BEAN}property")}
        self.run_with(settings("bigbluebutton.md"))
        for name in service["stunServers"]:
            self.asks(*arguments[name])
        self.assertEqual(len(service["turnServers"]), 2)
        for name in service["turnServers"]:
            secret, url, ttl = arguments[name]
            self.assertEqual(secret, self.server.config["static-auth-secret"])
            self.relays(url, *rest_credentials(secret, "w_h2xj4q8kdpvz", ttl=int(ttl)))


class LiveKit(Recipe):
    @staticmethod
    def uri(entry):
        scheme = "turns" if entry["protocol"] == "tls" else "turn"
        transport = "udp" if entry["protocol"] == "udp" else "tcp"
        return f"{scheme}:{entry['host']}:{entry['port']}?transport={transport}"

    def test_participants(self):
        product = yaml.safe_load(block("livekit.md", "yaml"))
        self.run_with(settings("livekit.md"))
        self.assertEqual(len(product["rtc"]["turn_servers"]), 2)
        for entry in product["rtc"]["turn_servers"]:
            self.assertEqual(entry["secret"], self.server.config["static-auth-secret"])
            self.relays(self.uri(entry), *rest_credentials(entry["secret"], "PA_5hJ2kQ9sWx",
                                                           ttl=entry["ttl"]))

    def test_a_fixed_user(self):
        config = settings("livekit.md")
        del config["static-auth-secret"]
        self.run_with({**config, **settings("livekit.md", 1)})
        for entry in yaml.safe_load(block("livekit.md", "yaml", 1))["rtc"]["turn_servers"]:
            self.assertEqual(self.server.config["user"],
                             [f"{entry['username']}:{entry['credential']}"])
            self.relays(self.uri(entry), entry["username"], entry["credential"])

    def test_a_node_on_the_same_machine(self):
        """Without the line of the index nobody reaches it, with it everybody does."""
        entry = yaml.safe_load(block("livekit.md", "yaml"))["rtc"]["turn_servers"][0]
        credentials = rest_credentials(entry["secret"], "PA_5hJ2kQ9sWx")
        node = self.enterContext(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        node.bind(("127.0.0.1", 0))
        node.settimeout(20)
        self.run_with(settings("livekit.md"))
        with self.client(self.uri(entry), *credentials) as client:
            client.allocate()
            with self.assertRaises(Refused) as refused:
                client.bind_channel(node.getsockname())
            self.assertEqual(refused.exception.code, 403)
            client.refresh(0)
        self.assertEqual(list(settings("README.md")), ["allowed-peer-ip"])
        self.run_with({**settings("livekit.md"), "allowed-peer-ip": ["127.0.0.1"]})
        with self.client(self.uri(entry), *credentials) as client:
            relayed = client.allocate()
            client.bind_channel(node.getsockname())
            client.send(node.getsockname(), b"ping")
            data, source = node.recvfrom(100)
            self.assertEqual((data, source), (b"ping", relayed))
            node.sendto(b"pong", source)
            self.assertEqual(client.receive(20), (node.getsockname(), b"pong"))
            client.refresh(0)


class Janus(Recipe):
    def ask(self, product, method, **changed):
        """As its turnrest.c asks: the whole query in the address, for POST in the body as well."""
        key = changed.get("key", product["turn_rest_api_key"])
        query = urllib.parse.urlencode(
            {"service": "turn", "api": key, "key": key, "username": "2719548763"})
        address = urllib.parse.urlsplit(product["turn_rest_api"])
        self.assertEqual((address.scheme, address.hostname), ("https", HOST))
        self.assertEqual(address.port, self.server.config.get("tls-listening-port", 5349))
        request = urllib.request.Request(
            f"https://localhost:{self.server.tls_port}{address.path}?{query}",
            data=query.encode() if method == "POST" else None, headers={"User-Agent": "Janus/1.0"})
        with urllib.request.urlopen(request, timeout=20, context=TRUST) as answer:
            return json.loads(answer.read())

    def test_its_own_candidates(self):
        product = tables(block("janus.md", "libconfig"))["nat"]
        self.run_with(settings("janus.md"))
        self.assertEqual(product["turn_rest_api_key"], self.server.config["api-key"])
        self.asks(f"stun:{product['stun_server']}:{product['stun_port']}")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.ask(product, product["turn_rest_api_method"], key="another")
        with refused.exception as answer:
            self.assertEqual(answer.code, 401)
        for method in (product["turn_rest_api_method"], "POST"):
            answer = self.ask(product, method)
            self.assertIsInstance(answer["username"], str)
            self.assertIsInstance(answer["password"], str)
            self.assertIs(type(answer["ttl"]), int)
            usable = 0
            for uri in answer["uris"]:
                # The host is what stands between the first two colons: no IPv6 address may be.
                self.assertEqual(uri.partition("?")[0].split(":")[1], HOST)
                port = int(uri.partition("?")[0].split(":")[2])
                self.assertIn(port, (self.server.port, self.server.tls_port))
                standard = {self.server.port: 3478, self.server.tls_port: 5349}[port]
                self.relays(uri.replace(f":{port}", f":{standard}"), answer["username"],
                            answer["password"])
                usable += uri.startswith("turn:")
            self.assertEqual(usable, 2)


class Galene(Recipe):
    def test_clients(self):
        self.run_with(settings("galene.md"))
        for entry in json.loads(block("galene.md", "json")):
            self.assertEqual(entry["credentialType"], "hmac-sha1")
            self.assertEqual(entry["credential"], self.server.config["static-auth-secret"])
            self.assertEqual(len(entry["urls"]), 3)
            for url in entry["urls"]:
                self.relays(url, *rest_credentials(entry["credential"], entry["username"],
                                                   ttl=86400))


if __name__ == "__main__":
    unittest.main()
