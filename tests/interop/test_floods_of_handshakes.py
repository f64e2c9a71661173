"""Floods of TLS's own messages over connections that had their handshake, beside somebody else's
calls: new handshakes and keys that are made anew without end. Those of first handshakes are in
test_floods.py."""

import contextlib
import ssl
import unittest

from flooding import SECONDS
from test_floods import Flooded
from tlsrecords import ALERT, APPLICATION_DATA, NOT_REQUESTED, REQUESTED, Client, records
from turnclient import BINDING, REQUEST, Message

AT_ONCE = 64           # renewals, and one more each second
FLOOD = 2000           # of one connection
CONNECTIONS = 8
NO_GROWTH = 2 << 20


class Renewals(Flooded):
    def client(self, version):
        return self.enterContext(Client(self.server.tls_address, version, SECONDS))

    def flood(self, version, record_of):
        """What the server answered to a flood, which must have ended the connection."""
        with self.client(version) as client:
            flood = b"".join(record_of(client) for _ in range(FLOOD))
            with contextlib.suppress(OSError):  # it may be over before all was said
                client.socket.sendall(flood)
            return client.said_until_end()

    def floods(self, version, record_of, judge):
        with self.call("tls") as call, self.call() as other:
            for number in range(2 * CONNECTIONS):
                if number == CONNECTIONS:
                    before = self.holdings.memory()
                judge(self.flood(version, record_of))
                call.say()
                other.say()
            self.assertLess(self.holdings.memory() - before, NO_GROWTH)
            call.end(self)
            other.end(self)

    def goes_on(self, client):
        """What a question is answered with, behind what the server said before."""
        client.socket.sendall(client.sealed(APPLICATION_DATA, Message(BINDING, REQUEST).encode()))
        data = b""
        while not (found := list(records(data))) or found[-1][0] != APPLICATION_DATA:
            more = client.socket.recv(65536)
            self.assertTrue(more, "the connection has ended")
            data += more
        return found

    def test_a_few_new_handshakes_are_refused_and_the_connection_goes_on(self):
        client = self.client(ssl.TLSVersion.TLSv1_2)
        for _ in range(10):
            client.socket.sendall(client.new_hello())
        *refusals, answer = self.goes_on(client)
        self.assertEqual([record[0] for record in refusals], 10 * [ALERT])
        self.assertEqual(answer[0], APPLICATION_DATA)

    def test_new_handshakes_without_end_end_their_connection(self):
        def judge(answers):
            self.assertEqual({record[0] for record in answers} - {ALERT}, set())
            self.assertLessEqual(len(answers), AT_ONCE + 1)
        self.floods(ssl.TLSVersion.TLSv1_2, Client.new_hello, judge)

    def test_a_few_key_updates_are_followed(self):
        for wish in (NOT_REQUESTED, REQUESTED):
            client = self.client(ssl.TLSVersion.TLSv1_3)
            for _ in range(10):
                client.socket.sendall(client.key_update(wish))
            self.goes_on(client)

    def test_key_updates_without_end_end_their_connection(self):
        def judge(answers):
            # Two tickets' worth of the handshake may still come.
            self.assertLessEqual(len(answers), AT_ONCE + 3)
        for wish in (NOT_REQUESTED, REQUESTED):
            with self.subTest(wish=wish):
                self.floods(ssl.TLSVersion.TLSv1_3, lambda client: client.key_update(wish), judge)


if __name__ == "__main__":
    unittest.main()
