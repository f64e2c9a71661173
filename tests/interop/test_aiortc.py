"""python3-aiortc: two peer connections meet only through our relay, and a data channel opens."""

import asyncio
import unittest
from unittest import mock

from aioice import ice
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from server import Server

USER, PASSWORD = "alice", "correct horse"
SECONDS = 60
MESSAGES = [f"message {number}" for number in range(20)]


def relay_candidates(description):
    lines = [line for line in description.sdp.splitlines() if line.startswith("a=candidate")]
    return [line for line in lines if " typ relay" in line], lines


class AioRtc(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        # aiortc 1.4 cannot be told to use relays only, and would find the machine's network.
        connection = ice.Connection

        def relay_only(**options):
            return connection(**options, transport_policy=ice.TransportPolicy.RELAY)
        for patch in (mock.patch("aiortc.rtcicetransport.Connection", relay_only),
                      mock.patch.object(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])):
            patch.start()
            self.addCleanup(patch.stop)

    async def call(self, url):
        configuration = RTCConfiguration([RTCIceServer(url, USER, PASSWORD)])
        caller, callee = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
        heard = asyncio.Queue()
        channel = caller.createDataChannel("words")
        channel.on("open", lambda: [channel.send(message) for message in MESSAGES])
        channel.on("message", heard.put_nowait)

        @callee.on("datachannel")
        def echo(other):
            other.on("message", lambda message: other.send(message.upper()))
        try:
            async with asyncio.timeout(SECONDS):
                await caller.setLocalDescription(await caller.createOffer())
                await callee.setRemoteDescription(caller.localDescription)
                await callee.setLocalDescription(await callee.createAnswer())
                await caller.setRemoteDescription(callee.localDescription)
                for side in (caller, callee):
                    relayed, every = relay_candidates(side.localDescription)
                    self.assertTrue(relayed)
                    self.assertEqual(relayed, every)
                echoed = [await heard.get() for _ in MESSAGES]
            self.assertEqual(echoed, [message.upper() for message in MESSAGES])
        finally:
            await asyncio.gather(caller.close(), callee.close())

    async def test_a_data_channel_over_udp_and_over_tcp(self):
        options = ("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1")
        with Server(*options) as server:
            for transport in ("udp", "tcp"):
                with self.subTest(transport):
                    await self.call(f"turn:127.0.0.1:{server.port}?transport={transport}")


if __name__ == "__main__":
    unittest.main()
