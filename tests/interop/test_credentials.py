"""Credentials by HTTP in the shapes of other services, and that the relay takes each of them."""

import base64
import json
import re
import unittest
import urllib.error
import urllib.parse
import urllib.request

from server import Server
from turnclient import Refused, TurnClient

KEY = "a-key-of-the-back-end-0123456789abcdef"
OTHER_KEY = "another-key-0123456789abcdef"
BEARER = {"Authorization": f"Bearer {KEY}"}


def basic(name, password):
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = (response.status, response.headers,
                                                response.read().decode())

    @property
    def json(self):
        return json.loads(self.text)


class Credentials(unittest.TestCase):
    def setUp(self):
        self.fresh_server()

    def fresh_server(self):
        """Wrong keys are counted: each test begins with none."""
        self.doCleanups()
        self.server = self.enterContext(
            Server("--api-key", OTHER_KEY, "--api-key", KEY, "--relay-ip", "127.0.0.1",
                   "--public-host", "127.0.0.1", "--allowed-origin", "https://app.example"))

    def ask(self, path, headers=None, form=None, body=None, method=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else body
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}{path}", data=data,
                                         headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error)

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer.text)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertTrue(answer.headers["Content-Type"].startswith("application/json"))
        return answer.json

    def relays(self, username, password):
        """The relay gives an allocation for these, and none for a changed password."""
        with TurnClient(self.server.address, username=username, password=password) as client:
            client.allocate()
        with TurnClient(self.server.address, username=username, password=password + "x") as client:
            with self.assertRaises(Refused):
                client.allocate()

    def complete(self, servers, relaying=1):
        """iceServers as browsers take them: STUN without, TURN with credentials that work."""
        turn = [entry for entry in servers if "credential" in entry]
        self.assertGreaterEqual(len(turn), relaying)
        for entry in servers:
            urls = entry["urls"] if isinstance(entry["urls"], list) else [entry["urls"]]
            for url in urls:
                self.assertRegex(url, r"^(stun:|turns?:)127\.0\.0\.1:\d+")
                self.assertEqual(url.startswith("turn"), "credential" in entry)
        self.relays(turn[0]["username"], turn[0]["credential"])

    def test_turn_rest_draft(self):
        for answer in (
                self.ask(f"/turn?service=turn&username=ada&key={KEY}"),
                self.ask(f"/?service=turn&username=ada&api={KEY}"),
                self.ask(f"/turn?service=turn&api={KEY}&key={KEY}&username=ada"),
                self.ask("/turn?service=turn&username=ada", BEARER),
                self.ask("/turn", form={"service": "turn", "username": "ada", "api": KEY,
                                        "key": KEY})):
            body = self.good(answer)
            self.assertEqual(set(body), {"username", "password", "ttl", "uris"})
            self.assertRegex(body["username"], r"^\d+:")
            self.assertIn("ada", body["username"])
            self.assertEqual(len(base64.b64decode(body["password"], validate=True)), 20)
            self.assertEqual(body["ttl"], 86400)
            self.assertTrue(body["uris"])
            for uri in body["uris"]:
                self.assertRegex(uri, r"^turns?:127\.0\.0\.1:\d+")
            self.relays(body["username"], body["password"])

    def test_link_headers(self):
        answer = self.ask("/turn?service=turn", BEARER)
        links = answer.headers.get_all("Link")
        self.assertTrue(links)
        found = {}
        for link in links:
            parts = re.fullmatch(r'<([^>]+)>; rel="ice-server"(?:; username="([^"]+)"; '
                                 r'credential="([^"]+)"; credential-type="password")?', link)
            self.assertTrue(parts, link)
            found[parts[1]] = parts.groups()[1:]
        self.assertIn((None, None), found.values(), "STUN needs no credential")
        turn = [value for url, value in found.items() if url.startswith("turn:")]
        self.relays(*turn[0])

    def test_configuration(self):
        for path in ("/ice?ttl=60&username=ada", "/api/ice?ttl=60&username=ada"):
            body = self.good(self.ask(path, BEARER))
            self.complete(body["iceServers"])
        self.assertEqual(self.good(self.ask("/ice", BEARER))["iceTransportPolicy"], "all")

    def test_twilio(self):
        path = "/2010-04-01/Accounts/AC0123456789abcdef/Tokens.json"
        body = self.good(self.ask(path, basic("AC0123456789abcdef", KEY), form={"Ttl": "120"}), 201)
        self.assertEqual(body["ttl"], "120")
        self.assertEqual(body["account_sid"], "AC0123456789abcdef")
        self.assertRegex(body["date_created"], r"^\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000$")
        self.assertEqual(body["date_created"], body["date_updated"])
        for entry in body["ice_servers"]:
            self.assertEqual(entry["url"], entry["urls"])
        self.complete([{k: v for k, v in entry.items() if k != "url"}
                       for entry in body["ice_servers"]])
        self.relays(body["username"], body["password"])
        self.assertEqual(self.good(self.ask(path, basic("x", KEY), body=b""), 201)["ttl"], "86400")
        refused = self.ask(path, basic("AC0123456789abcdef", "wrong"), body=b"")
        self.assertEqual((refused.status, refused.json["code"]), (401, 20003))
        self.assertIn("Basic", refused.headers["WWW-Authenticate"])
        self.assertEqual(self.ask(path, basic("x", KEY), form={"Ttl": "never"}).status, 400)

    def test_cloudflare(self):
        path = "/v1/turn/keys/0123/credentials/generate-ice-servers"
        body = self.good(self.ask(path, BEARER, body=b'{"ttl":86400}'), 201)
        self.assertEqual(len(body["iceServers"]), 2)
        self.complete(body["iceServers"])
        one = self.good(self.ask(path.removesuffix("-ice-servers"), BEARER, body=b"{}"), 201)
        self.relays(one["iceServers"]["username"], one["iceServers"]["credential"])
        self.assertEqual(self.ask(path, BEARER, body=b'{"ttl":"x"}').status, 400)
        refused = self.ask(path, {"Authorization": "Bearer wrong"}, body=b"{}")
        self.assertEqual((refused.status, refused.json["success"]), (401, False))

    def test_metered(self):
        body = self.good(self.ask(f"/api/v1/turn/credentials?apiKey={KEY}"))
        self.assertIsInstance(body, list)
        self.complete(body)
        refused = self.ask("/api/v1/turn/credentials")
        self.assertEqual((refused.status, refused.json), (400, {"error": "Please specify API Key"}))
        refused = self.ask("/api/v1/turn/credentials?apiKey=wrong")
        self.assertEqual((refused.status, refused.json), (401, {"error": "Invalid API Key"}))

    def test_an_invitation_is_good_for_an_hour_and_no_name(self):
        made = self.ask("/api/invitations", {**BEARER, "Content-Type": "application/json"},
                        body=b'{"rooms":["demo"],"ttl":600}')
        invitation = made.json["invitation"]
        body = self.good(self.ask("/turn?service=turn&ttl=86400&username=ada&key=" + invitation))
        self.assertLessEqual(body["ttl"], 3600)
        self.assertNotIn("ada", body["username"])
        self.relays(body["username"], body["password"])

    def test_nobody_without_a_key(self):
        for path, post in (("/turn?service=turn", False), ("/?service=turn", False),
                           ("/ice", False), ("/api/ice", False),
                           ("/2010-04-01/Accounts/a/Tokens.json", True),
                           ("/v1/turn/keys/a/credentials/generate-ice-servers", True),
                           ("/api/v1/turn/credentials", False)):
            self.fresh_server()
            for headers in ({}, {"Origin": "https://app.example"},
                            {"Origin": f"http://127.0.0.1:{self.server.port}"},
                            {"Cookie": f"key={KEY}"}, {"Authorization": "Bearer "},
                            {"Authorization": f"Bearer {KEY[:-1]}"}):
                answer = self.ask(path, headers, body=b"" if post else None)
                self.assertIn(answer.status, (400, 401), f"{path} {headers}")
                self.assertNotIn("credential\":", answer.text)
            for origin in ("https://other.example", "null"):
                answer = self.ask(path, {**BEARER, "Origin": origin}, body=b"" if post else None)
                self.assertEqual(answer.status, 403, f"{path} {origin}")


class Guessing(unittest.TestCase):
    def guess(self, server, client=None):
        """Guesses until it is refused to listen, at most 200 times; answers how often it did."""
        for number in range(200):
            headers = {} if client is None else {"X-Forwarded-For": client}
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.port}/turn?service=turn&key=guess-{number}",
                headers=headers)
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=10)
            with caught.exception as error:
                if error.code == 429:
                    self.assertGreater(int(error.headers["Retry-After"]), 0)
                    return number
                self.assertEqual(error.code, 401)
        return None

    def server(self, *options):
        return Server("--api-key", KEY, "--relay-ip", "127.0.0.1", *options)

    def test_is_slowed_down(self):
        with self.server() as server:
            self.assertGreater(self.guess(server), 0)
            self.assertEqual(self.guess(server, "203.0.113.7"), 0, "anybody can write that")

    def test_behind_a_trusted_proxy_each_client_counts_for_himself(self):
        with self.server("--trusted-proxy", "127.0.0.0/8") as server:
            self.assertGreater(self.guess(server, "203.0.113.7"), 0)
            self.assertEqual(self.guess(server, "203.0.113.7"), 0)
            self.assertGreater(self.guess(server, "203.0.113.8"), 0)
            # What a client wrote stands before what the proxy wrote.
            self.assertEqual(self.guess(server, "198.51.100.1, 203.0.113.8"), 0)


if __name__ == "__main__":
    unittest.main()
