"""A client with a TCP allocation (RFC 6062) for tests: its control and data connections."""

import socket
import struct
import time

from turnclient import (ALLOCATE, INDICATION, REQUEST, REQUESTED_TRANSPORT, XOR_PEER_ADDRESS,
                        XOR_RELAYED_ADDRESS, Message, TurnClient, xor_address)

CONNECT, CONNECTION_BIND, CONNECTION_ATTEMPT = 0xA, 0xB, 0xC
CONNECTION_ID = 0x002A
TCP, UDP = bytes([6, 0, 0, 0]), bytes([17, 0, 0, 0])


class TcpTurnClient(TurnClient):
    def allocate_tcp(self, *more):
        message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, TCP)
        for attribute, value in more:
            message.add(attribute, value)
        self.relayed = self.authenticated(message).address(XOR_RELAYED_ADDRESS)
        return self.relayed

    def connect_message(self, peer):
        message = Message(CONNECT, REQUEST)
        return message.add(XOR_PEER_ADDRESS, xor_address(peer, message.transaction))

    def connect(self, peer):
        """The CONNECTION-ID."""
        return self.authenticated(self.connect_message(peer)).get(CONNECTION_ID)

    def attempt(self, timeout=None):
        """The next ConnectionAttempt: (peer, CONNECTION-ID), or None when time is up."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while (packet := self.inbox.pop(0) if self.inbox else self.read(end)) is not None:
            message = Message.decode(packet)
            if (message.method, message.cls) == (CONNECTION_ATTEMPT, INDICATION):
                return message.address(XOR_PEER_ADDRESS), message.get(CONNECTION_ID)
        return None

    def bind(self, connection, transport=None, server=None, username=None, password=None):
        """A new connection, bound: raw bytes from here on. Close the client it is part of."""
        data = TurnClient(server or self.server, transport or self.transport,
                          username=username or self.username, password=password or self.password,
                          timeout=self.timeout)
        try:
            message = Message(CONNECTION_BIND, REQUEST)
            if connection is not None:
                message.add(CONNECTION_ID, connection)
            data.authenticated(message)
        except BaseException:
            data.close()
            raise
        return DataConnection(data)


class DataConnection:
    """After ConnectionBind: what was read behind the answer comes first."""

    def __init__(self, client):
        self.client, self.socket, self.early = client, client.socket, client.pending
        client.pending = b""

    def send(self, data):
        self.socket.sendall(data)

    def read_exactly(self, size, seconds=10.0):
        data, self.early = self.early[:size], self.early[size:]
        self.socket.settimeout(seconds)
        while len(data) < size:
            part = self.socket.recv(min(65536, size - len(data)))
            if not part:
                raise ConnectionError(f"ended after {len(data)} of {size} bytes")
            data += part
        return data

    def read_to_end(self, seconds=10.0):
        data, self.early = self.early, b""
        self.socket.settimeout(seconds)
        while part := self.socket.recv(65536):
            data += part
        return data

    def close(self):
        self.client.close()


def reset_on_close(one):
    """close() will send a reset instead of an end."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
