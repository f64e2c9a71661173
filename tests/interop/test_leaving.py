"""Members that leave a room: what they held of the relay is free again at once."""

import asyncio
import json
import unittest

import websockets
from server import Server
from turnclient import Refused, TurnClient

SECONDS = 10
TOGETHER = 2


class Leaving(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = self.enterContext(Server(
            "--open-rooms", "--user", "alice:secret", "--total-quota", str(TOGETHER), "--workers",
            "2", "--relay-ip", "127.0.0.1"))

    def client(self, username="alice", password="secret"):
        client = TurnClient(self.server.address, username=username, password=password)
        self.addCleanup(client.close)
        return client

    def refusal(self, client):
        with self.assertRaises(Refused) as refused:
            client.allocate()
        return refused.exception.code

    async def join(self):
        """A socket in a room, and the credential of its member."""
        socket = await websockets.connect("ws://%s:%d/ws" % self.server.address)
        await socket.send(json.dumps({"type": "join", "room": "demo"}))
        while True:
            message = json.loads(await asyncio.wait_for(socket.recv(), SECONDS))
            if message["type"] == "joined":
                break
        (relay,) = [entry for entry in message["iceServers"] if "username" in entry]
        return socket, relay["username"], relay["credential"]

    async def test_the_quota_is_free_for_others_when_a_member_leaves(self):
        socket, username, password = await self.join()
        held = [self.client(username, password) for _ in range(TOGETHER)]
        for client in held:
            client.allocate()
        self.assertIn(self.refusal(self.client()), (486, 508))
        await socket.send(json.dumps({"type": "leave"}))
        await asyncio.wait_for(socket.wait_closed(), SECONDS)
        self.assertEqual(socket.close_code, 4002)
        # The workers hear of it by mail.
        end = asyncio.get_running_loop().time() + SECONDS
        others = [self.client() for _ in range(TOGETHER)]
        for other in others:
            while True:
                try:
                    other.allocate()
                    break
                except Refused:
                    self.assertLess(asyncio.get_running_loop().time(), end, "still charged")
                    await asyncio.sleep(0.02)
        self.assertIn(self.refusal(self.client()), (486, 508))
        self.assertEqual(self.refusal(self.client(username, password)), 401)


if __name__ == "__main__":
    unittest.main()
