"""What one source can take from rooms, sockets and sessions, and how often it may guess, while
others come and go as always. In network namespaces: on loopback no source has a share."""

import contextlib
import http.client
import json
import os
import shutil
import time
import unittest

from flooding import SECONDS, Call, Crowd, addresses, all_files
from namespaces import Network
from server import Server
from turnclient import ALLOCATE, REQUEST, Message
from websocket import TEXT, Closed, WebSocket

SECRET = "a secret for the tokens of rooms, long enough"
KEY = "a-key-for-back-ends"
SERVER, ROUTER, PORT = "10.77.0.1", "10.77.0.2", 3478
# Buckets are found by a seeded hash, so one other source may share that of the greedy one. Three do
# not.
OTHERS = ("10.80.0.1", "10.80.0.2", "10.80.0.3")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("ip"), "needs root and iproute2")
class Guests(unittest.TestCase):
    OPTIONS = ()
    number = 0

    @classmethod
    def setUpClass(cls):
        if cls is Guests:
            raise unittest.SkipTest("what the others share")
        cls.network = network = cls.enterClassContext(Network())
        network.host("relay")
        network.host("crowd")
        network.wire("relay", "crowd", SERVER + "/24", ROUTER + "/24")
        # Every address of 10.80.0.0/16 is the crowd's own.
        network.on("crowd", "ip", "route", "add", "local", "10.80.0.0/16", "dev", "lo")
        network.on("relay", "ip", "route", "add", "10.80.0.0/16", "via", ROUTER)
        cls.server = cls.enterClassContext(Server(
            "--user", "alice:secret", "--api-key", KEY, "--allowed-peer-ip", "10.77.0.0/24",
            "--workers", "1", *cls.OPTIONS, ips=(SERVER,), port=PORT,
            prefix=network.prefix("relay")))
        all_files()

    def setUp(self):
        self.call = Call((SERVER, PORT), peer_ip=ROUTER, username="alice", password="secret",
                         make_socket=self.network.socket_maker("crowd"))
        self.enterContext(self.call)
        Guests.number += 1
        self.greedy = f"10.80.1.{Guests.number}"  # has taken nothing yet

    def tearDown(self):
        if self.server.process.poll() is None:
            self.call.end(self)

    def websocket(self, source, path="/ws"):
        with self.network.inside("crowd"):
            return self.enterContext(WebSocket((SERVER, PORT), path, source=source))

    def web(self, source):
        connection = http.client.HTTPConnection(SERVER, PORT, timeout=SECONDS,
                                                source_address=(source, 0))
        self.addCleanup(connection.close)
        with self.network.inside("crowd"):
            connection.connect()
        return connection

    @staticmethod
    def status(connection, path, headers=None):
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def joins(self, socket, room):
        socket.say(type="join", room=room)
        return socket.hear()

    def others_get(self, wanted, question):
        answers = [question(source) for source in OTHERS]
        self.assertIn(wanted, answers)

    def answer_to_join(self, source, room):
        socket = self.websocket(source)
        answer = self.joins(socket, room)
        socket.close()
        return answer.get("code", answer["type"])


class Shares(Guests):
    def test_one_source_holds_so_many_connections(self):
        mine = []
        with self.assertRaises((Closed, ConnectionError, IndexError)):
            while len(mine) < 2000:
                mine.append(self.websocket(self.greedy))
                if len(mine) % 256 == 0:
                    self.call.say()
        self.assertEqual(len(mine), 1024)
        self.others_get("joined", lambda source: self.answer_to_join(source, "elsewhere"))
        for socket in mine:
            socket.close()

    def test_one_source_opens_so_many_rooms_whatever_it_speaks(self):
        first = self.websocket(OTHERS[0])
        self.assertEqual(self.joins(first, "stands already")["type"], "joined")
        for number in range(32):
            socket = self.websocket(self.greedy, "/y-webrtc")
            topics = [f"{number}-{topic}" for topic in range(128)]
            socket.frame(TEXT, json.dumps({"type": "subscribe", "topics": topics}).encode())
            socket.say(type="ping")
            self.assertEqual(socket.hear()["type"], "pong")
            self.call.say()
        self.assertEqual(self.answer_to_join(self.greedy, "one more"), "too-many-rooms")
        self.assertEqual(self.answer_to_join(self.greedy, "stands already"), "joined")
        self.others_get("joined", lambda source: self.answer_to_join(source, "a new one"))

    def test_one_source_opens_so_many_polling_sessions(self):
        """Opened and abandoned: each would be held until its heart is missed."""
        path, statuses = "/socket.io/?EIO=4&transport=polling", []
        greedy = self.web(self.greedy)
        while len(statuses) < 2000 and 403 not in statuses:
            statuses.append(self.status(greedy, path))
            if len(statuses) % 256 == 0:
                self.call.say()
        self.assertEqual(statuses, [200] * 1024 + [403])
        self.others_get(200, lambda source: self.status(self.web(source), path))

    def test_requests_that_come_faster_than_anybody_clicks_are_turned_away(self):
        """Connections of one source: a thousand at once, then a hundred a second."""
        let_in, began = 0, time.monotonic()
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            while let_in < 5000:
                with contextlib.closing(self.web(self.greedy)) as connection:
                    self.assertEqual(self.status(connection, "/healthz"), 200)
                let_in += 1
        self.assertGreaterEqual(let_in, 1024)
        self.assertLessEqual(let_in, 1024 + 100 * (time.monotonic() - began) + 1)
        self.others_get(200, lambda source: self.status(self.web(source), "/healthz"))


class Guesses(Guests):
    OPTIONS = ("--room-jwt", SECRET, "--unauthorized-ratelimit-rps", "50")

    def test_tokens_of_rooms(self):
        codes = []
        while len(codes) < 500 and "too-fast" not in codes:
            socket = self.websocket(self.greedy)
            with contextlib.suppress(Closed):
                for _ in range(30):  # the 32nd fault would close it
                    socket.say(type="join", room="demo", token="e30.e30." + os.urandom(24).hex())
                    codes.append(socket.hear("error")["code"])
            socket.close()
        # Sixty, and one more every two seconds.
        self.assertEqual(set(codes), {"bad-token", "too-fast"})
        self.assertGreaterEqual(codes.index("too-fast"), 60)

        def wrong(source):
            other = self.websocket(source)
            other.say(type="join", room="demo", token="e30.e30.AAAA")
            return other.hear("error")["code"]
        self.others_get("bad-token", wrong)

    def test_keys_of_back_ends(self):
        greedy, statuses = self.web(self.greedy), []
        while len(statuses) < 500 and 429 not in statuses:
            guess = {"Authorization": f"Bearer {os.urandom(12).hex()}"}
            statuses.append(self.status(greedy, "/api/ice", guess))
        self.assertEqual(set(statuses), {401, 429})
        right = {"Authorization": f"Bearer {KEY}"}
        self.assertEqual(self.status(greedy, "/api/ice", right), 200)
        wrong = {"Authorization": "Bearer wrong"}
        self.others_get(401, lambda source: self.status(self.web(source), "/api/ice", wrong))

    def test_a_whole_network_that_is_spoofed_is_answered_by_address(self):
        """Each of 64 addresses has its own bound, and none gets more than it."""
        with self.network.inside("crowd"):
            crowd = self.enterContext(Crowd((SERVER, PORT)))
        sources, counts, began = addresses("10.80.7.1", 64), {}, time.monotonic()

        def count():
            for _, source in crowd.heard():
                counts[source] = counts.get(source, 0) + 1
        for number in range(200 * len(sources)):
            crowd.send(Message(ALLOCATE, REQUEST).encode(), sources[number % len(sources)])
            if number % 256 == 0:
                self.call.say()
                count()
        self.call.say()
        count()
        self.assertEqual(set(counts), set(sources))
        self.assertLessEqual(max(counts.values()), 50 * (2 + time.monotonic() - began) + 1)


if __name__ == "__main__":
    unittest.main()
