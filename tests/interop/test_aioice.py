"""python3-aioice gathers relay candidates from us and talks through them, both ways."""

import asyncio
import unittest
from unittest import mock

import aioice
from aioice import ice
from server import Server

USER, PASSWORD = "alice", "correct horse"


class AioIce(unittest.IsolatedAsyncioTestCase):
    async def call(self, server, transport, ssl=False):
        address = server.tls_address if ssl else server.address

        def connection(controlling):
            return aioice.Connection(
                ice_controlling=controlling, turn_server=address, turn_username=USER,
                turn_password=PASSWORD, turn_transport=transport, turn_ssl=ssl, use_ipv6=False,
                transport_policy=ice.TransportPolicy.RELAY)
        # It would gather on the machine's network; this test has no business there.
        with mock.patch.object(ice, "get_host_addresses", lambda **_: ["127.0.0.1"]):
            async with asyncio.timeout(30):
                await self.talk(connection(True), connection(False))

    async def talk(self, left, right):
        try:
            await asyncio.gather(left.gather_candidates(), right.gather_candidates())
            for here, there in ((left, right), (right, left)):
                self.assertEqual([c.type for c in here.local_candidates], ["relay"])
                for candidate in here.local_candidates:
                    await there.add_remote_candidate(candidate)
                await there.add_remote_candidate(None)
                there.remote_username = here.local_username
                there.remote_password = here.local_password
            await asyncio.gather(left.connect(), right.connect())
            for sender, receiver in ((left, right), (right, left)):
                for number in range(20):
                    await sender.send(b"datagram %d" % number)
                    self.assertEqual(await receiver.recv(), b"datagram %d" % number)
        finally:
            await asyncio.gather(left.close(), right.close())

    def server(self, **more):
        return Server("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1", **more)

    async def test_over_udp(self):
        with self.server() as server:
            await self.call(server, "udp")

    async def test_over_tcp(self):
        with self.server() as server:
            await self.call(server, "tcp")


if __name__ == "__main__":
    unittest.main()
