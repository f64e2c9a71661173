"""What docs/ describes beyond single options, done on a running server: everything on one port,
behind a proxy that looks at names, the first VPS with its hook for certbot, Kubernetes' preStop."""

import json
import os
import pwd
import re
import shlex
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile
import unittest
import urllib.request

import yaml

from server import BINARY, Server, certificate, free_port
from test_docs import MANIFEST, blocks, without_comments
from turnclient import TurnClient, rest_credentials

HOST, SECRET = "turn.example.org", "a-secret-of-the-north"
SECONDS = 20


def settings(page, number):
    """The page's configuration of that number."""
    text = [text for kind, text in blocks(page) if kind == "jsonc"][number]
    return json.loads(without_comments(text))


class FromConfig(Server):
    """A server with a page's configuration, on loopback, with free ports for its fixed ones."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.proxied_port = None

    def command(self):
        config = {"static-auth-secret": SECRET, **self.config, "listening-ip": "127.0.0.1",
                  "relay-ip": "127.0.0.1", "prometheus-port": 0, "listening-port": self.port}
        if "static-auth-secret-file" in config:
            del config["static-auth-secret"]
        if config.pop("external-ip", "auto") != "auto":
            raise ValueError("an address that is not ours")
        if config.get("tls-listening-port", 5349) != 0:
            self.tls_port = config["tls-listening-port"] = free_port()
        if "tcp-proxy-port" in config:
            self.proxied_port = config["tcp-proxy-port"] = free_port()
        if not os.path.exists(config["cert"]):
            config["cert"], config["pkey"] = certificate(self.folder, HOST)
        path = os.path.join(self.folder, "turnpike.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        os.chmod(path, 0o640)
        return [BINARY, "--state-dir", os.path.join(self.folder, "state"), "--config", path]


class Proxied(socket.socket):
    """Says who it speaks for, as nginx does with proxy_protocol."""

    def connect(self, address):
        super().connect(address)
        self.sendall(b"PROXY TCP4 198.51.100.7 127.0.0.1 50000 443\r\n")


class Served(unittest.TestCase):
    def serve(self, page, number, **changed):
        self.server = self.enterContext(FromConfig({**settings(page, number), **changed}))

    def allocates(self, port, transport, **more):
        username, password = rest_credentials(SECRET, "ann")
        with TurnClient(("127.0.0.1", port), transport, username=username, password=password,
                        **more) as client:
            self.assertEqual(client.allocate()[0], "127.0.0.1")
            client.refresh(0)
            return client.mapped

    def test_everything_on_one_port(self):
        self.serve("docs/port-443.md", 1)
        self.assertEqual(settings("docs/port-443.md", 1)["listening-port"], 443)
        for transport in ("udp", "tcp", "tls"):
            self.allocates(self.server.port, transport)
        for scheme in ("http", "https"):
            with urllib.request.urlopen(f"{scheme}://127.0.0.1:{self.server.port}/healthz",
                                        context=ssl._create_unverified_context()
                                        if scheme == "https" else None,
                                        timeout=SECONDS) as answer:
                self.assertEqual(answer.status, 200)
        self.assertIn(f"turns:{HOST}:{self.server.port}?transport=tcp", self.server.banner())

    def test_behind_a_proxy_that_looks_at_names(self):
        self.serve("docs/port-443.md", 2)
        mapped = self.allocates(self.server.proxied_port, "tls", make_socket=Proxied)
        self.assertEqual(mapped, ("198.51.100.7", 50000))

    def test_a_container_by_compose(self):
        """Its environment and secret, without the container."""
        text, = [text for kind, text in blocks("docs/container.md")
                 if kind == "yaml" and "network_mode" in text]
        compose = yaml.safe_load(text)
        service = compose["services"]["turnpike"]
        self.assertEqual(service["secrets"], list(compose["secrets"]))
        self.assertEqual([volume.split(":")[0] for volume in service["volumes"]],
                         list(compose["volumes"]))
        environment = dict(service["environment"])
        self.assertEqual(environment.pop("TURNPIKE_EXTERNAL_IP"), "auto")
        self.assertEqual(environment["TURNPIKE_STATIC_AUTH_SECRET__FILE"],
                         f"/run/secrets/{service['secrets'][0]}")
        with tempfile.NamedTemporaryFile("w", prefix="turnpike-test-") as secret:
            secret.write(SECRET + "\n")
            secret.flush()
            environment["TURNPIKE_STATIC_AUTH_SECRET__FILE"] = secret.name
            self.server = self.enterContext(Server("--relay-ip", "127.0.0.1", env=environment))
            self.allocates(self.server.port, "udp")
        self.assertIn(f"turn:{HOST}:{self.server.port}?transport=udp", self.server.banner())

    def test_a_first_vps(self):
        """With the hook that certbot runs, as root and in a shell."""
        folder = tempfile.mkdtemp(prefix="turnpike-test-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        lineage, installed = os.path.join(folder, "live"), os.path.join(folder, "tls")
        os.mkdir(lineage)
        for made, name in zip(certificate(lineage, HOST), ("fullchain.pem", "privkey.pem")):
            os.rename(made, os.path.join(lineage, name))
        commands = next(text for kind, text in blocks("docs/vps.md") if "certbot certonly" in text)
        certbot = shlex.split(re.search(r"sudo certbot (.*)", commands.replace("\\\n", ""),
                                        re.S).group(1))
        self.assertEqual(certbot[certbot.index("-d") + 1], HOST)
        group = pwd.getpwuid(os.getuid()).pw_gid
        hook = certbot[certbot.index("--deploy-hook") + 1]
        self.assertIn("-g turnpike -t /etc/turnpike/tls ", hook)
        hook = hook.replace("-g turnpike", f"-g {group}").replace("/etc/turnpike/tls", installed)
        for _ in ("issued", "renewed"):
            subprocess.run(["sh", "-c", hook], check=True, timeout=SECONDS,
                           stdin=subprocess.DEVNULL, env={**os.environ, "RENEWED_LINEAGE": lineage})
        config = settings("docs/vps.md", 0)
        for key, name in (("cert", "fullchain.pem"), ("pkey", "privkey.pem")):
            self.assertEqual(config[key], f"/etc/turnpike/tls/{name}")
            config[key] = os.path.join(installed, name)
            self.assertEqual(stat.S_IMODE(os.stat(config[key]).st_mode), 0o640)
        secret = os.path.join(folder, "secret")
        with open(secret, "w", encoding="ascii") as file:
            file.write(SECRET + "\n")
        os.chmod(secret, 0o640)
        self.serve("docs/vps.md", 0, **{key: config[key] for key in ("cert", "pkey")},
                   **{"static-auth-secret-file": secret})
        self.allocates(self.server.port, "udp")
        self.allocates(self.server.tls_port, "tls")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("nsenter"), "needs root and util-linux")
class Kubernetes(unittest.TestCase):
    """The container's process has the number 1, to which a signal comes only if it is caught."""

    def test_what_runs_before_a_pod_stops_drains_it(self):
        with open(MANIFEST, encoding="utf-8") as file:
            daemons = next(one for one in yaml.safe_load_all(file) if one["kind"] == "DaemonSet")
        container = daemons["spec"]["template"]["spec"]["containers"][0]
        hook = container["lifecycle"]["preStop"]["exec"]["command"]
        server = Server("--relay-ip", "127.0.0.1", "--user", "alice:secret", prefix=(
            "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
        server.__enter__()
        self.addCleanup(server.clean)
        children = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
        with open(children, encoding="ascii") as file:
            first = file.read().split()[0]
        with TurnClient(server.address, username="alice", password="secret") as client:
            client.allocate()
            stopping = subprocess.Popen(["nsenter", "--target", first, "--pid", "--", *hook],
                                        stdin=subprocess.DEVNULL)
            self.addCleanup(stopping.wait)
            self.addCleanup(stopping.kill)
            self.assertEqual(server.process.poll(), None)
            client.refresh()  # who is there stays
            client.refresh(0)
        self.assertEqual(server.process.wait(SECONDS), 0, server.log())
        server.join()
        self.assertIsNotNone(stopping.wait(SECONDS))


if __name__ == "__main__":
    unittest.main()
