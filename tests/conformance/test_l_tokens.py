"""Part L of the checklist: third-party authorization (RFC 7635); and credentials of part M."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from conversation import Conversation, attribute, error_of, stun
from credentials import UDP_TRANSPORT, is_signed, key_of, request
from tcpturn import CONNECTION_BIND, CONNECTION_ID, DataConnection, TcpTurnClient
from turnclient import (ALLOCATE, CREATE_PERMISSION, LIFETIME, NONCE, REALM, REFRESH, REQUEST,
                        REQUESTED_TRANSPORT, SUCCESS, USERNAME, XOR_PEER_ADDRESS,
                        XOR_RELAYED_ADDRESS, Message, Refused, rest_credentials, xor_address)

MOBILITY_TICKET = 0x8030
ACCESS_TOKEN, THIRD_PARTY_AUTHORIZATION, UNKNOWN_ATTRIBUTES = 0x001B, 0x802E, 0x000A
SERVER_NAME = "turn.example.org"
KEY, SHORT_KEY, MAC_KEY = os.urandom(32), os.urandom(16), os.urandom(20)


def option(key):
    return base64.b64encode(key).decode()


def seal(*, key=KEY, server=SERVER_NAME, mac_key=MAC_KEY, mac_length=None, issued=None,
         lifetime=600, nonce=None, nonce_length=None):
    nonce = nonce or os.urandom(12)
    issued = time.time() if issued is None else issued
    length = len(mac_key) if mac_length is None else mac_length
    plain = struct.pack("!H", length) + mac_key
    plain += struct.pack("!QI", int(issued) << 16, lifetime)
    sealed = AESGCM(key).encrypt(nonce, plain, server.encode())
    size = len(nonce) if nonce_length is None else nonce_length
    return struct.pack("!H", size) + nonce + sealed


class Tokens(Conversation):
    OPTIONS = ("--oauth", "--server-name", SERVER_NAME, "--oauth-key", "north:" + option(KEY),
               "--oauth-key", "union:" + option(SHORT_KEY))

    def setUp(self):
        self.it = self.wire()
        self.challenge = self.it.ask(stun(ALLOCATE, UDP_TRANSPORT))

    def with_token(self, token, *, user="north", key=MAC_KEY, method=ALLOCATE, body=UDP_TRANSPORT):
        return request(self.challenge.get(NONCE), user=user, key=key, method=method,
                       body=body + attribute(ACCESS_TOKEN, token))

    def assert_refused(self, token, **more):
        answer = self.it.ask(self.with_token(token, **more))
        self.assert_error(answer, 401)
        self.assertEqual(answer.get(THIRD_PARTY_AUTHORIZATION), SERVER_NAME.encode())

    def test_7635_6_1_the_challenge_names_the_server(self):
        self.assert_error(self.challenge, 401)
        self.assertEqual(self.challenge.get(THIRD_PARTY_AUTHORIZATION), SERVER_NAME.encode())

    def test_7635_6_2_a_token_makes_an_allocation(self):
        self.assertEqual(self.it.ask(self.with_token(seal())).cls, SUCCESS)
        other = self.wire()
        self.challenge = other.ask(stun(ALLOCATE, UDP_TRANSPORT))
        short = self.with_token(seal(key=SHORT_KEY), user="union")
        self.assertEqual(other.ask(short).cls, SUCCESS)

    def test_7635_7_the_name_of_the_key_is_the_username(self):
        self.assert_refused(seal(), user="union")
        self.assert_refused(seal(), user="south")
        self.assert_refused(seal(key=SHORT_KEY))

    def test_7635_7_requests_and_answers_are_signed_with_the_key_of_the_token(self):
        self.assert_refused(seal(), key=MAC_KEY[:19])
        self.assert_refused(seal(), key=MAC_KEY[1:])
        self.it.write(self.with_token(seal()))
        self.assertTrue(is_signed(self.it.read(), MAC_KEY))
        peer = attribute(XOR_PEER_ADDRESS, xor_address(("9.9.9.9", 9), bytes(12)))
        self.it.write(request(self.challenge.get(NONCE), user="north", key=MAC_KEY, body=peer,
                              method=CREATE_PERMISSION, transaction=bytes(12)))
        raw = self.it.read()
        self.assertEqual(Message.decode(raw).cls, SUCCESS, "without the token, with its key")
        self.assertTrue(is_signed(raw, MAC_KEY))

    def test_7635_7_what_cannot_be_opened_or_is_of_another_time_is_401(self):
        token, now = seal(), time.time()
        self.assert_refused(token[:-1] + bytes([token[-1] ^ 1]))
        self.assert_refused(seal(server="elsewhere.example.org"))
        self.assert_refused(seal(key=os.urandom(32)))
        self.assert_refused(seal(issued=now - 700))
        self.assert_refused(seal(issued=now + 700))
        self.assert_refused(seal(issued=(1 << 48) - 1))
        late = self.it.ask(self.with_token(seal(issued=now - 500)))
        self.assertLessEqual(struct.unpack("!I", late.get(LIFETIME))[0], 101)

    def test_7635_6_2_lengths_in_a_token_are_checked(self):
        for length in (0, 1, 11, 13, 200, 0xFFFF):
            self.assert_refused(seal(nonce_length=length))
        for length in (0, 16, 19, 21, 64, 0xFFFF):
            self.assert_refused(seal(mac_length=length))
        for token in (b"", b"\0", b"\0\x0c", seal()[:14], seal()[:29], seal() + b"more",
                      os.urandom(1000)):
            self.assert_refused(token)


class TokenClient(TcpTurnClient):
    """Shows a token of its own with every request; without one it signs with the key it had."""

    def __init__(self, server, transport, mac_key=None):
        super().__init__(server, transport)
        self.key = mac_key or os.urandom(20)
        self.token = seal(mac_key=self.key)

    def authenticated(self, message):
        for _ in range(3):
            wanted = Message(message.method, message.cls, message.transaction, message.attributes)
            if self.nonce is not None:
                wanted.add(USERNAME, b"north").add(REALM, self.realm).add(NONCE, self.nonce)
                if self.token is not None:
                    wanted.add(ACCESS_TOKEN, self.token)
            try:
                answer = self.request(wanted, None if self.nonce is None else self.key)
                if not answer.proved:
                    raise ValueError("a success response without MESSAGE-INTEGRITY")
                return answer
            except Refused as refusal:
                if self.nonce is not None and refusal.code != 438:
                    raise
                self.realm, self.nonce = refusal.realm, refusal.nonce
        raise ValueError("the server goes on refusing its own nonce")

    def carry(self, connection):
        """ConnectionBind on a new connection, with another token for the same key."""
        data = TokenClient(self.server, self.transport, self.key)
        try:
            data.authenticated(Message(CONNECTION_BIND, REQUEST).add(CONNECTION_ID, connection))
        except BaseException:
            data.close()
            raise
        return DataConnection(data)


class TokensOnFourWorkers(Conversation):
    """Three of four connections and five-tuples arrive at another worker than the allocation's."""

    OPTIONS = Tokens.OPTIONS + ("--mobility", "--tcp-relay")
    WORKERS = 4
    TLS = True

    def guest(self, transport, mac_key=None):
        client = TokenClient(self.server.tls_address if transport == "tls" else
                             self.server.address, transport, mac_key)
        self.addCleanup(client.close)
        return client

    def assert_talks(self, client, peer):
        client.send(peer.getsockname(), b"out")
        self.assertEqual(peer.recvfrom(100), (b"out", client.relayed))
        peer.sendto(b"in", client.relayed)
        self.assertEqual(client.receive(), (peer.getsockname(), b"in"))

    def test_8016_3_2_2_a_client_with_a_token_may_arrive_at_another_worker(self):
        for transport in ("udp", "tcp", "tls"):
            client, peer = self.guest(transport), self.peer()
            message = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
            answer = client.authenticated(message.add(MOBILITY_TICKET, b""))
            client.relayed = answer.address(XOR_RELAYED_ADDRESS)
            ticket = answer.get(MOBILITY_TICKET)
            client.bind_channel(peer.getsockname())
            for _ in range(8):
                message = Message(REFRESH, REQUEST).add(MOBILITY_TICKET, ticket)
                # All guests of an authorization server have one name: their keys tell them apart.
                with self.assertRaisesRegex(Refused, "^441 "):
                    self.guest(transport).authenticated(message)
                there = self.guest(transport, client.key)
                ticket = there.authenticated(message).get(MOBILITY_TICKET)
                there.relayed = client.relayed
                there.channels, there.peers = dict(client.channels), dict(client.peers)
                client.close()
                client = there
                self.assert_talks(client, peer)
                # From here on the key is enough.
                client.token = None
                self.assertGreater(client.refresh(), 500)
                client.permit(peer.getsockname())
            client.refresh(0)

    def test_6062_4_3_a_client_with_a_token_may_connect_to_another_worker(self):
        for transport in ("tcp", "tls"):
            client = self.guest(transport)
            client.allocate_tcp()
            for _ in range(12):
                with socket.create_server(("127.0.0.1", 0)) as listener:
                    connection = client.connect(listener.getsockname())
                    peer, _ = listener.accept()
                with peer:
                    with self.assertRaisesRegex(Refused, "^441 "):
                        self.guest(transport).carry(connection)
                    data = client.carry(connection)
                    self.addCleanup(data.close)
                    data.send(b"x" * 5000)
                    self.assertEqual(peer.recv(5000, socket.MSG_WAITALL), b"x" * 5000)
                    peer.sendall(b"y" * 5000)
                    self.assertEqual(data.read_exactly(5000), b"y" * 5000)


class NoTokens(Conversation):
    def test_7635_7_a_token_that_was_never_offered_is_420(self):
        wire = self.wire()
        challenge = wire.ask(stun(ALLOCATE, UDP_TRANSPORT))
        self.assertIsNone(challenge.get(THIRD_PARTY_AUTHORIZATION))
        answer = wire.ask(request(challenge.get(NONCE), key=key_of(),
                                  body=UDP_TRANSPORT + attribute(ACCESS_TOKEN, seal())))
        self.assert_error(answer, 420)
        self.assertEqual(answer.get(UNKNOWN_ATTRIBUTES), struct.pack("!H", ACCESS_TOKEN))


class Rest(Conversation):
    OPTIONS = ("--static-auth-secret", "new secret", "--static-auth-secret", "old secret")

    def guest(self, secret, name="carol", **more):
        username, password = rest_credentials(secret, name, **more)
        return self.client(username=username, password=password)

    def test_rest_old_and_new_secrets_are_good_at_once(self):
        for secret in ("new secret", "old secret"):
            self.guest(secret).allocate()
        with self.assertRaisesRegex(Refused, "^401 "):
            self.guest("third secret").allocate()

    def test_rest_expired_and_unreadable_usernames_are_401(self):
        with self.assertRaisesRegex(Refused, "^401 "):
            self.guest("new secret", ttl=-1).allocate()
        good, _ = rest_credentials("new secret", "carol")
        for username in ("-1:carol", "+" + good, " " + good, "0x7fffffff:carol", "carol:" + good,
                         "99999999999999999999:carol", ":carol"):
            client = self.client(username=username, password=password_of("new secret", username))
            with self.assertRaisesRegex(Refused, "^401 "):
                client.allocate()

    def test_rest_a_renewed_credential_is_the_same_user(self):
        client = self.guest("new secret", ttl=600)
        client.allocate()
        for name, code in (("carol", None), ("dave", 441)):
            username, password = rest_credentials("old secret", name, ttl=1200)
            again = request(client.nonce, user=username, method=REFRESH, body=b"",
                            key=key_of(username, password=password))
            client.write(again)
            answer = Message.decode(client.read(time.monotonic() + 3))
            self.assertEqual(error_of(answer), code)


def password_of(secret, username):
    return base64.b64encode(hmac.new(secret.encode(), username.encode(), hashlib.sha1)
                            .digest()).decode()


class Strict(Conversation):
    OPTIONS = ("--static-auth-secret", "secret", "--strict-expiry", "--rest-api-separator", "|")

    def test_rest_another_separator_by_option(self):
        username = f"{int(time.time()) + 600}|carol"
        self.client(username=username, password=password_of("secret", username)).allocate()

    def test_rest_an_allocation_may_end_with_its_credential(self):
        username, password = rest_credentials("secret", "carol", ttl=60)
        client = self.client(username=username, password=password)
        client.allocate()
        self.assertLessEqual(client.refresh(600), 60)
