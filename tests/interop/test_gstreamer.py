"""GStreamer's webrtcbin, which shares no code with browsers, against the echo endpoint: pictures,
sound and messages come back, directly and by relay."""

import asyncio
import ctypes
import json
import re
import unittest

import gi
import websockets

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC  # noqa: E402
from server import Server  # noqa: E402

USER, PASSWORD = "alice", "correct-horse"
SECONDS = 60
OPTIONS = ("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1")
WORDS = ["hello", "and goodbye"]
SENDER = """
    webrtcbin name=peer bundle-policy=max-bundle
    videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=15/1 !
      vp8enc deadline=1 ! rtpvp8pay pt=96 !
      application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
    audiotestsrc is-live=true ! opusenc ! rtpopuspay pt=111 !
      application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer.
"""
RECEIVERS = {"video": "queue ! rtpvp8depay ! vp8dec ! fakesink name=end signal-handoffs=true",
             "audio": "queue ! rtpopusdepay ! opusdec ! fakesink name=end signal-handoffs=true"}


def setUpModule():
    Gst.init(None)
    # The rest of what it needs says itself that it is missing; these are packages of their own.
    for element in ("webrtcbin", "nicesrc", "vp8enc", "opusenc", "dtlssrtpenc", "sctpenc"):
        if Gst.ElementFactory.find(element) is None:
            raise AssertionError(f"GStreamer lacks {element}")


class Guest:
    """webrtcbin in the room "echo". Its callbacks come from threads of its own."""

    def __init__(self, port, relay=None):
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.loop = asyncio.get_running_loop()
        self.pipeline = Gst.parse_launch(SENDER)
        self.peer = self.pipeline.get_by_name("peer")
        if relay:
            self.peer.set_property("turn-server", relay)
            self.peer.set_property("ice-transport-policy",
                                   GstWebRTC.WebRTCICETransportPolicy.RELAY)
        # libnice leaves loopback out when it looks for addresses itself. The agent is handed out
        # floating, so that Python would take webrtcbin's own reference along when it lets go.
        agent = self.peer.get_property("ice-agent")
        ctypes.CDLL("libgobject-2.0.so.0").g_object_ref(ctypes.c_void_p(hash(agent)))
        agent.emit("add-local-ip-address", "127.0.0.1")
        self.offer, self.statistics = self.loop.create_future(), asyncio.Queue()
        self.closed = asyncio.Queue()
        self.buffers = {"video": asyncio.Queue(), "audio": asyncio.Queue()}
        self.words = asyncio.Queue()
        self.answer = self.channel = self.socket = self.task = None

    def tell(self, function, *arguments):
        self.loop.call_soon_threadsafe(function, *arguments)

    async def __aenter__(self):
        self.socket = await websockets.connect(self.url)
        await self.say(type="join", room="echo")
        assert json.loads(await self.socket.recv())["members"][0]["id"] == "echo"
        self.peer.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.peer.connect("pad-added", self.on_pad_added)
        self.pipeline.set_state(Gst.State.READY)
        self.channel = self.peer.emit("create-data-channel", "words", None)
        self.channel.connect("on-open", lambda _: [self.channel.emit("send-string", word)
                                                   for word in WORDS])
        self.channel.connect("on-message-string",
                             lambda _, text: self.tell(self.words.put_nowait, text))
        self.pipeline.set_state(Gst.State.PLAYING)
        return self

    async def __aexit__(self, *_):
        if self.task:
            self.task.cancel()
        await asyncio.to_thread(self.pipeline.set_state, Gst.State.NULL)
        await self.socket.close()

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    def on_negotiation_needed(self, _):
        def offered(promise, _):
            reply = promise.get_reply()
            offer = reply.get_value("offer")
            self.peer.emit("set-local-description", offer, Gst.Promise.new())
            self.tell(self.offer.set_result, offer.sdp.as_text())
        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(offered, None))

    def on_pad_added(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        kind = pad.get_current_caps().get_structure(0).get_string("media")
        receiver = Gst.parse_bin_from_description(RECEIVERS[kind], True)
        receiver.get_by_name("end").connect(
            "handoff", lambda _sink, buffer, _pad: self.tell(self.buffers[kind].put_nowait,
                                                             buffer.get_size()))
        self.pipeline.add(receiver)
        receiver.sync_state_with_parent()
        pad.link(receiver.get_static_pad("sink"))

    async def call(self, change=lambda sdp: sdp):
        sdp = change(await self.offer)
        await self.say(type="send", to="echo", data={"description": {"type": "offer", "sdp": sdp}})
        self.task = asyncio.create_task(self.listen())

    async def listen(self):
        async for text in self.socket:
            data = json.loads(text).get("data", {})
            if "description" in data:
                self.answer = data["description"]["sdp"]
                _, sdp = GstSdp.SDPMessage.new_from_text(self.answer)
                answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
                self.peer.emit("set-remote-description", answer, Gst.Promise.new())
            elif "statistics" in data:
                self.statistics.put_nowait(data["statistics"])
            elif "closed" in data:
                self.closed.put_nowait(data["closed"])

    async def echoed(self):
        """Waits until pictures, sound and messages have come back; the last statistics."""
        assert [await self.words.get() for _ in WORDS] == WORDS
        pictures = [await self.buffers["video"].get() for _ in range(10)]
        assert set(pictures) == {160 * 120 * 3 // 2}, pictures
        sounds = [await self.buffers["audio"].get() for _ in range(25)]
        assert sum(sounds) > 0
        told = await self.statistics.get()
        while "round_trip_ms" not in told or not self.statistics.empty():
            told = await self.statistics.get()
        return told


class Echo(unittest.IsolatedAsyncioTestCase):
    async def meet(self, path, relay=None):
        with Server(*OPTIONS) as server:
            url = relay and relay.format(port=server.port)
            async with asyncio.timeout(SECONDS), Guest(server.port, url) as guest:
                await guest.call()
                told = await guest.echoed()
        self.assertEqual(told["path"]["type"], path)
        self.assertGreater(told["received"]["video"]["packets"], 5)
        self.assertGreater(told["received"]["audio"]["packets"], 20)
        self.assertEqual(told["data"]["messages"], len(WORDS))

    async def test_media_and_messages_come_back(self):
        await self.meet("direct")

    async def test_media_and_messages_come_back_by_relay(self):
        for transport in ("udp", "tcp"):
            with self.subTest(transport):
                await self.meet("relay", f"turn://{USER}:{PASSWORD}@127.0.0.1:{{port}}"
                                         f"?transport={transport}")

    async def test_a_wrong_fingerprint_is_refused(self):
        def spoil(sdp):
            return re.sub(r"(a=fingerprint:sha-256 )(..)",
                          lambda m: m[1] + ("01" if m[2] == "00" else "00"), sdp)
        with Server(*OPTIONS) as server:
            async with asyncio.timeout(SECONDS), Guest(server.port) as guest:
                await guest.call(spoil)
                self.assertEqual((await guest.closed.get())["code"], "fingerprint-refused")
                self.assertTrue(guest.words.empty())


if __name__ == "__main__":
    unittest.main()
