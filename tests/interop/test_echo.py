"""The echo endpoint: python3-aiortc gets its own media and messages back, in both DTLS roles; and
what a relay may and may not reach of this server."""

import asyncio
import json
import re
import socket
import unittest
import urllib.request
from unittest import mock

import av
import numpy
import websockets
from aioice import ice
from aiortc import (RTCConfiguration, RTCIceServer, RTCPeerConnection,
                    RTCSessionDescription, VideoStreamTrack)
from aiortc.contrib.media import MediaStreamTrack
from server import Server, free_port
from turnclient import Refused, TurnClient

USER, PASSWORD = "alice", "correct horse"
SECONDS = 60
OPTIONS = ("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1")


class Tone(MediaStreamTrack):
    """A sine at 440 Hz, 20 ms a frame."""
    kind = "audio"
    rate, samples = 48000, 960

    def __init__(self):
        super().__init__()
        self.sent = 0

    async def recv(self):
        await asyncio.sleep(0.02)
        at = numpy.arange(self.sent, self.sent + self.samples)
        wave = (numpy.sin(2 * numpy.pi * 440 * at / self.rate) * 8000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = self.rate, self.sent
        frame.time_base = "1/48000"
        self.sent += self.samples
        return frame


class Red(VideoStreamTrack):
    """A red picture."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.zeros((240, 320, 3), numpy.uint8)
        picture[:, :, 0] = 200
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Guest:
    """One member of the room "echo" over the native protocol."""

    def __init__(self, port, **configuration):
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.connection = RTCPeerConnection(RTCConfiguration(**configuration))
        self.statistics, self.words, self.heard = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.tracks = {}
        self.connection.on("track", lambda track: self.tracks.update({track.kind: track}))
        self.joined = self.socket = self.task = None

    async def __aenter__(self):
        self.socket = await websockets.connect(self.url)
        await self.say(type="join", room="echo")
        self.joined = json.loads(await self.socket.recv())
        return self

    async def __aexit__(self, *_):
        if self.task:
            self.task.cancel()
        await self.connection.close()
        await self.socket.close()

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    async def offer(self, change=lambda sdp: sdp):
        channel = self.connection.createDataChannel("words")
        channel.on("open", lambda: [channel.send("hello"), channel.send(b"\x01\x02\xff")])
        channel.on("message", self.heard.put_nowait)
        self.connection.addTrack(Tone())
        self.connection.addTrack(Red())
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = change(self.connection.localDescription.sdp)
        await self.say(type="send", to="echo", data={"description": {"type": "offer", "sdp": sdp}})
        self.task = asyncio.create_task(self.listen())

    async def listen(self):
        async for text in self.socket:
            data = json.loads(text).get("data", {})
            if "description" in data:
                description = RTCSessionDescription(**{
                    "sdp": data["description"]["sdp"], "type": data["description"]["type"]})
                self.answer = description.sdp
                await self.connection.setRemoteDescription(description)
            elif "statistics" in data:
                self.statistics.put_nowait(data["statistics"])
            elif data:
                self.words.put_nowait(data)

    async def echoed(self, messages):
        """Waits until pictures, sound and messages have come back; the last statistics."""
        if messages:
            assert [await self.heard.get(), await self.heard.get()] == ["hello", b"\x01\x02\xff"]
        while len(self.tracks) < 2:
            await asyncio.sleep(0.02)
        for _ in range(10):
            picture = (await self.tracks["video"].recv()).to_ndarray(format="rgb24")
        red, green, blue = picture.reshape(-1, 3).mean(axis=0)
        assert red > 150 > 80 > max(green, blue), (red, green, blue)
        loudest = 0
        for _ in range(50):
            samples = (await self.tracks["audio"].recv()).to_ndarray()
            loudest = max(loudest, numpy.abs(samples).max())
        assert loudest > 1000, loudest
        told = await self.statistics.get()
        while "round_trip_ms" not in told or not self.statistics.empty():
            told = await self.statistics.get()
        return told


def echo_metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines()
                 if line.startswith("turnpike_echo_")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class Echo(unittest.IsolatedAsyncioTestCase):
    async def meet(self, port, change=lambda sdp: sdp, messages=True, **configuration):
        async with asyncio.timeout(SECONDS), Guest(port, **configuration) as guest:
            self.assertEqual([member["id"] for member in guest.joined["members"]], ["echo"])
            await guest.offer(change)
            return await guest.echoed(messages), guest

    def only_loopback(self):
        patch = mock.patch.object(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
        patch.start()
        self.addCleanup(patch.stop)

    async def test_media_and_messages_come_back_in_both_dtls_roles(self):
        self.only_loopback()
        for asked, answered in (("actpass", "active"), ("active", "passive"),
                                ("passive", "active")):
            with self.subTest(asked), Server(*OPTIONS) as server:
                # As a DTLS client aiortc 1.4 gives its channels the numbers of a server's, against
                # RFC 8832 section 6, and the echo refuses them.
                messages = asked != "active"
                told, guest = await self.meet(
                    server.port, lambda sdp, asked=asked: sdp.replace("setup:actpass",
                                                                      f"setup:{asked}"), messages)
                self.assertIn(f"a=setup:{answered}", guest.answer)
                self.assertIn("a=ice-lite", guest.answer)
                self.assertEqual(told["path"]["type"], "direct")
                self.assertGreater(told["received"]["video"]["packets"], 5)
                self.assertGreater(told["received"]["audio"]["packets"], 20)
                self.assertEqual(told["data"]["messages"], 2 if messages else 0)

    async def test_media_and_messages_come_back_by_relay(self):
        # aiortc 1.4 has no policy, and aioice 0.8 with its own checks from host addresses all the
        # same: only who has none is sure to use the relay.
        patch = mock.patch.object(ice, "get_host_addresses", lambda **_: [])
        patch.start()
        self.addCleanup(patch.stop)
        for transport in ("udp", "tcp"):
            with self.subTest(transport), Server(*OPTIONS) as server:
                relay = RTCIceServer(f"turn:127.0.0.1:{server.port}?transport={transport}", USER,
                                     PASSWORD)
                told, _ = await self.meet(server.port, iceServers=[relay])
                self.assertEqual(told["path"]["type"], "relay")
                self.assertTrue(told["path"]["relay_here"])
                self.assertGreater(told["received"]["video"]["packets"], 5)
                self.assertEqual(told["data"]["messages"], 2)

    async def test_a_wrong_fingerprint_is_refused(self):
        self.only_loopback()

        def spoil(sdp):
            return re.sub(r"(a=fingerprint:sha-256 )(..)",
                          lambda m: m[1] + ("01" if m[2] == "00" else "00"), sdp)
        with Server(*OPTIONS) as server:
            async with asyncio.timeout(SECONDS), Guest(server.port) as guest:
                await guest.offer(spoil)
                word = await guest.words.get()
                self.assertEqual(word["closed"]["code"], "fingerprint-refused")
                self.assertTrue(guest.heard.empty())

    async def test_places_and_time_are_limited(self):
        self.only_loopback()
        metrics = free_port()
        with Server(*OPTIONS, "--echo-max", "1", "--echo-time", "5", "--prometheus-port",
                    str(metrics)) as server:
            async with asyncio.timeout(SECONDS), Guest(server.port) as first:
                async with Guest(server.port) as second:
                    self.assertEqual(second.joined["code"], "room-full")
                    self.assertIn("try again", second.joined["message"])
                told = echo_metrics(metrics)
                self.assertEqual(told["turnpike_echo_active"], 1)
                self.assertEqual(told['turnpike_echo_refused_total{reason="full"}'], 1)
                self.assertEqual(told['turnpike_echo_refused_total{reason="per_address"}'], 0)
                while True:
                    message = json.loads(await first.socket.recv())
                    if message["type"] == "member-left":
                        break
                self.assertEqual(message["member"], "echo")
                async with Guest(server.port) as third:
                    self.assertEqual(third.joined["members"][0]["id"], "echo")
                told = echo_metrics(metrics)
                self.assertEqual(told["turnpike_echo_guests_total"], 2)
                self.assertEqual(told["turnpike_echo_timed_out_total"], 1)

    async def test_without_it_the_room_is_one_like_any_other(self):
        metrics = free_port()
        with Server(*OPTIONS, "--no-echo", "--prometheus-port", str(metrics)) as server:
            self.assertEqual(echo_metrics(metrics), {})
            self.assertNotIn("echo room", server.banner())
            async with asyncio.timeout(SECONDS), Guest(server.port) as guest:
                self.assertEqual(guest.joined["members"], [])


async def echo_address(port):
    """Where the echo says that it is."""
    async with Guest(port) as guest:
        await guest.offer()
        while not hasattr(guest, "answer"):
            await asyncio.sleep(0.02)
        ip, number = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host",
                               guest.answer, re.IGNORECASE).groups()
        return ip, int(number)


class Peers(unittest.IsolatedAsyncioTestCase):
    """A relay denies the server's own addresses as peers, but for the echo's port."""

    async def test_a_channel_leads_to_the_echo_and_to_no_other_port_of_this_server(self):
        with Server(*OPTIONS) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as local:
            ip, port = await echo_address(server.port)
            self.assertEqual(ip, "127.0.0.1")
            local.bind(("127.0.0.1", 0))
            with TurnClient(("127.0.0.1", server.port), username=USER, password=PASSWORD) as caller:
                caller.allocate()
                caller.bind_channel((ip, port))
                for other in (port - 1, port + 1, server.port, local.getsockname()[1]):
                    with self.assertRaises(Refused) as caught:
                        caller.bind_channel((ip, other))
                    self.assertEqual(caught.exception.code, 403)

    async def test_without_the_echo_there_is_no_exception(self):
        with Server(*OPTIONS) as server:
            _, port = await echo_address(server.port)
        with Server(*OPTIONS, "--no-echo") as server, \
                TurnClient(("127.0.0.1", server.port), username=USER, password=PASSWORD) as caller:
            caller.allocate()
            with self.assertRaises(Refused):
                caller.bind_channel(("127.0.0.1", port))


if __name__ == "__main__":
    unittest.main()
