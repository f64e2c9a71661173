"""libnice, the ICE library of GStreamer and Janus: two agents that may use only our relay."""

import ctypes
import time
import unittest

import gi

gi.require_version("Nice", "0.1")
from gi.repository import GLib, Nice  # noqa: E402  (after the version is chosen)
from server import Server  # noqa: E402

# The introspection data leave out how to receive.
LIBNICE = ctypes.CDLL("libnice.so.10")
ON_DATA = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint,
                           ctypes.c_void_p, ctypes.c_void_p)
LIBNICE.nice_agent_attach_recv.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint,
                                           ctypes.c_void_p, ON_DATA, ctypes.c_void_p]
ctypes.pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
ctypes.pythonapi.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]

USER, PASSWORD = "alice", "correct horse"
SECONDS = 40
MESSAGES = [b"datagram %d" % number for number in range(20)]


class Side:
    """An agent with one stream of one component, forced to relay."""

    def __init__(self, server, kind, controlling):
        self.agent = Nice.Agent.new(GLib.MainContext.default(), Nice.Compatibility.RFC5245)
        self.agent.set_property("controlling-mode", controlling)
        self.agent.set_property("force-relay", True)
        self.agent.set_property("upnp", False)
        local = Nice.Address.new()
        local.set_from_string("127.0.0.1")
        self.agent.add_local_address(local)
        self.stream = self.agent.add_stream(1)
        self.agent.set_stream_name(self.stream, "application")
        self.agent.set_relay_info(self.stream, 1, *server.address, USER, PASSWORD, kind)
        self.gathered, self.state, self.heard = False, None, []
        self.agent.connect("candidate-gathering-done", self.on_gathered)
        self.agent.connect("component-state-changed", self.on_state)
        self.receiver = ON_DATA(self.on_data)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer(self.agent.__gpointer__, None)
        LIBNICE.nice_agent_attach_recv(pointer, self.stream, 1, None, self.receiver, None)

    def on_gathered(self, _agent, _stream):
        self.gathered = True

    def on_state(self, _agent, _stream, _component, state):
        self.state = Nice.ComponentState(state)

    def on_data(self, _agent, _stream, _component, length, data, _user_data):
        self.heard.append(ctypes.string_at(data, length))

    @property
    def ready(self):
        return self.state == Nice.ComponentState.READY

    def send(self, data):
        return self.agent.send(self.stream, 1, len(data), data.decode())


class LibNice(unittest.TestCase):
    def until(self, condition, what):
        context, end = GLib.MainContext.default(), time.monotonic() + SECONDS
        ticks = GLib.timeout_add(100, lambda: GLib.SOURCE_CONTINUE)  # so that iteration() returns
        while not condition() and time.monotonic() < end:
            context.iteration(True)
        GLib.source_remove(ticks)
        self.assertTrue(condition(), f"{what}: not within {SECONDS} s")

    def talk(self, server, kind):
        sides = [Side(server, kind, controlling) for controlling in (True, False)]
        for side in sides:
            self.assertTrue(side.agent.gather_candidates(side.stream))
        self.until(lambda: all(side.gathered for side in sides), "gathering")
        for here, there in (sides, sides[::-1]):
            offer = here.agent.generate_local_sdp()
            self.assertIn(" typ relay", offer)
            self.assertNotIn(" typ host", offer)
            there.agent.parse_remote_sdp(offer)
        self.until(lambda: all(side.ready for side in sides), "connecting")
        for here, there in (sides, sides[::-1]):
            for message in MESSAGES:
                self.assertEqual(here.send(message), len(message))
            self.until(lambda: len(there.heard) >= len(MESSAGES), "receiving")
            self.assertEqual(there.heard, MESSAGES)
        closed = []
        for side in sides:  # releases the allocations
            side.agent.close_async(lambda *_: closed.append(True))
        self.until(lambda: len(closed) == len(sides), "closing")

    def test_over_udp_and_over_tcp(self):
        with Server("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1") as server:
            for kind in (Nice.RelayType.UDP, Nice.RelayType.TCP):
                with self.subTest(kind.value_nick):
                    self.talk(server, kind)


if __name__ == "__main__":
    unittest.main()
