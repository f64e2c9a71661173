"""Part C of the checklist: long-term credentials (RFC 8489 section 9.2)."""

import hashlib
import json
import struct
import unittest
import urllib.request
import zlib

from conversation import (PASSWORD, REALM_NAME, USER, Conversation, Wire, attribute, error_of,
                          stun)
from credentials import (MD5, MESSAGE_INTEGRITY_SHA256, OFFERED,
                         PASSWORD_ALGORITHMS, SHA256, UDP_TRANSPORT, USERHASH, is_signed, key_of,
                         modern, request, sign, userhash)
from server import Server
from turnclient import (ALLOCATE, BINDING, CHANNEL_BIND, CREATE_PERMISSION,
                        FINGERPRINT, LIFETIME, MESSAGE_INTEGRITY, NONCE, REALM, REFRESH, SOFTWARE,
                        SUCCESS, USERNAME, XOR_PEER_ADDRESS, Message, xor_address)

METHODS = (ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND)
COOKIE = b"obMatJos2"
IP_AND_UDP = 28


class Long(Conversation):
    """With a socket whose nonce is at hand."""

    def setUp(self):
        self.it = self.wire()
        self.nonce = self.challenge(self.it).get(NONCE)

    def challenge(self, wire):
        return wire.ask(stun(ALLOCATE, UDP_TRANSPORT))

    def code(self, message):
        return error_of(self.it.ask(message))

    def refresh(self, **more):
        """Without an allocation a request with good credentials gets 437."""
        return request(self.nonce, method=REFRESH, body=b"", **more)

    def assert_challenge(self, answer, code=401):
        self.assert_error(answer, code)
        self.assertEqual(answer.get(REALM), REALM_NAME.encode())
        self.assertIsNotNone(answer.get(NONCE))
        for kind in (USERNAME, USERHASH, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256):
            self.assertIsNone(answer.get(kind))


class Challenges(Long):
    def test_8489_9_2_4_without_integrity_every_method_is_challenged(self):
        for method in METHODS:
            self.assert_challenge(self.it.ask(stun(method, UDP_TRANSPORT)))

    def test_8489_9_2_4_integrity_without_its_companions_is_400(self):
        for missing in ({"user": None}, {"realm": None}, {"nonce": None}):
            options = {"nonce": self.nonce, "method": REFRESH, "body": b"", **missing}
            answer = self.it.ask(request(options.pop("nonce"), **options))
            self.assert_error(answer, 400)
            self.assertIsNone(answer.get(REALM))
            self.assertIsNone(answer.get(NONCE))

    def test_8489_9_2_4_unknown_users_and_wrong_passwords_are_challenged_unsigned(self):
        self.assert_challenge(self.it.ask(self.refresh(user="carol")))
        self.assert_challenge(self.it.ask(self.refresh(key=key_of(password="wrong"))))

    def test_8489_16_1_nobody_learns_who_is_a_user(self):
        answers = []
        for message in (self.refresh(user="bobby"), self.refresh(key=key_of(password="wrong"))):
            answer = self.it.ask(message)
            answers.append([(kind, value[:13] if kind == NONCE else value, len(value))
                            for kind, value in answer.attributes])
        self.assertEqual(answers[0], answers[1])

    def test_8489_9_2_4_a_wrong_nonce_is_438_and_the_new_one_works(self):
        for nonce in (b"old", COOKIE + b"gAAA" + b"x" * 22, self.nonce[:-1] + b"~"):
            answer = self.it.ask(request(nonce, method=REFRESH, body=b""))
            self.assert_challenge(answer, 438)
        self.nonce = answer.get(NONCE)
        self.assertEqual(self.code(self.refresh()), 437)

    def test_8489_9_2_4_the_order_of_judgement(self):
        wrong = key_of(password="wrong")
        half = {"algorithm": SHA256}  # without the list
        self.assertEqual(self.code(request(b"old", realm=None, key=wrong, **half)), 400)
        self.assertEqual(self.code(request(b"old", key=wrong, **half)), 400)
        self.assertEqual(self.code(request(b"old", key=wrong)), 401)
        self.assertEqual(self.code(request(b"old", user="carol")), 401)
        self.assertEqual(self.code(request(b"old")), 438)

    def test_8489_9_2_4_another_realm_is_refused(self):
        self.assertEqual(self.code(self.refresh(realm="elsewhere.org")), 401)
        self.assertEqual(self.code(self.refresh(realm="elsewhere.org", key=key_of())), 401)

    def test_8489_9_2_4_401_and_438_offer_the_algorithms(self):
        for message in (stun(ALLOCATE, UDP_TRANSPORT), self.refresh(user="carol"),
                        self.refresh(key=key_of(password="wrong")),
                        request(b"old", method=REFRESH, body=b"")):
            self.assertEqual(self.it.ask(message).get(PASSWORD_ALGORITHMS), OFFERED)

    def test_8489_9_2_4_no_answer_before_authentication_is_over_three_times_its_request(self):
        messages = [stun(method, body) for method in METHODS for body in
                    (b"", UDP_TRANSPORT, attribute(SOFTWARE, b"0123456789"))]
        messages += [self.refresh(user=None), self.refresh(user="c"), request(b"o"),
                     stun(BINDING), stun(BINDING, attribute(0x7F01, b"") * 30),
                     stun(ALLOCATE, attribute(MESSAGE_INTEGRITY, bytes(20)))]
        for message in messages:
            self.it.write(message)
            answer = self.it.read()
            self.assertTrue(answer)
            self.assertLessEqual(len(answer) + IP_AND_UDP, 3 * (len(message) + IP_AND_UDP))


class AnswersAtTheirLongest(unittest.TestCase):
    """Every answer that a stranger can have over UDP, with all that makes answers longer."""

    OPTIONS = ("--realm", "r" * 32, "--server-name", "n" * 28, "--oauth", "--oauth-key",
               "kid:" + "A" * 22 + "==", "--user", f"{USER}:{PASSWORD}", "--fingerprint",
               "--stun-backward-compatibility", "--mobility", "--tcp-relay")

    def messages(self):
        bodies = [b"", UDP_TRANSPORT, attribute(SOFTWARE, b"0123456789"),
                  attribute(USERNAME, b"u"), attribute(MESSAGE_INTEGRITY, bytes(20)),
                  attribute(0x7F01, b""), attribute(0x7F01, b"") * 30,
                  attribute(0x8030, b""), attribute(0x001B, b"token")]
        for method in range(16):
            yield from (stun(method, body) for body in bodies)
            for user in ("c", USER):
                yield request(b"old", method=method, user=user, body=b"")
                yield request(b"old", method=method, user=user, realm="r" * 32, body=b"")
            for body in (b"", attribute(0x7F01, b"") * 9):
                yield struct.pack("!HH", method, len(body)) + bytes(16) + body

    def longest(self, *more, ip="127.0.0.1"):
        """How many answers there were, and the most bytes that one has for a byte asked."""
        headers = IP_AND_UDP + (20 if ":" in ip else 0)
        with Server(*self.OPTIONS, *more, ips=[ip], tls="--dtls" in more) as server:
            wire = Wire((ip, server.port))
            self.addCleanup(wire.close)
            answers, worst = 0, 0
            for message in self.messages():
                wire.write(message)
                fence = stun(BINDING)
                wire.write(fence)
                while (answer := wire.read())[8:20] != fence[8:20]:
                    answers += 1
                    ratio = (len(answer) + headers) / (len(message) + headers)
                    self.assertLessEqual(ratio, 3, message.hex())
                    worst = max(worst, ratio)
                ratio = (len(answer) + headers) / (len(fence) + headers)
                self.assertLessEqual(ratio, 3, "the answer to a bare Binding request")
            return answers, worst

    def test_8489_9_2_4_with_all_that_makes_answers_longer_they_stay_within_three_times(self):
        for ip in ("127.0.0.1", "::1"):
            for more in ((), ("--secure-stun",), ("--alternate-server", "192.0.2.7", "--rfc5780")):
                answers, worst = self.longest(*more, ip=ip)
                self.assertGreater(answers, 60)
                self.assertGreater(worst, 2, "these are not the long ones")


class Nonces(Long):
    def test_8489_9_2_4_clients_do_not_share_a_nonce(self):
        seen = {self.challenge(self.wire()).get(NONCE) for _ in range(10)}
        self.assertEqual(len(seen), 10)
        thief = self.wire()
        self.assert_error(thief.ask(request(self.nonce)), 438)

    def test_8489_14_10_a_nonce_is_short_quoted_text(self):
        self.assertLess(len(self.nonce.decode("ascii")), 128)
        for character in self.nonce.decode("ascii"):
            self.assertTrue(" " < character <= "~" and character not in "\"\\")

    def test_8489_9_2_a_nonce_begins_with_the_cookie_and_feature_bits(self):
        self.assertRegex(self.nonce.decode(), "^obMatJos2[A-Za-z0-9+/]{4}")

    def test_8489_18_1_feature_bits_say_what_is_offered(self):
        self.assertEqual(self.nonce[9:13], b"wAAA")  # bits 0 and 1
        short = self.it.ask(stun(ALLOCATE))
        offered = short.get(PASSWORD_ALGORITHMS) is not None
        self.assertEqual(short.get(NONCE)[9:13], b"wAAA" if offered else b"QAAA")

    def test_8489_16_1_3_edited_feature_bits_spoil_a_nonce(self):
        for bits in (b"AAAA", b"gAAA", b"QAAA", b"wAAB", b"////"):
            self.nonce = self.nonce[:9] + bits + self.nonce[13:]
            self.assertEqual(self.code(self.refresh()), 438)

    def test_8489_16_1_a_captured_allocate_does_not_work_from_another_port(self):
        captured = request(self.nonce)
        self.assert_error(self.wire().ask(captured), 438)
        self.assertEqual(self.it.ask(captured).cls, SUCCESS)


class Algorithms(Long):
    def test_8489_9_2_4_who_chooses_no_algorithm_is_taken_for_md5_and_sha1(self):
        message = self.refresh()
        self.it.write(message)
        raw = self.it.read()
        self.assert_error(Message.decode(raw), 437)
        self.assertTrue(is_signed(raw, key_of()))
        self.assertIsNone(Message.decode(raw).get(MESSAGE_INTEGRITY_SHA256))

    def test_8489_9_2_4_sha256_is_answered_with_sha256_alone(self):
        self.it.write(modern(self.nonce))
        raw = self.it.read()
        self.assertEqual(Message.decode(raw).cls, SUCCESS)
        self.assertTrue(is_signed(raw, key_of(algorithm=SHA256), MESSAGE_INTEGRITY_SHA256))
        self.assertIsNone(Message.decode(raw).get(MESSAGE_INTEGRITY))
        self.it.write(modern(self.nonce, method=REFRESH, body=attribute(LIFETIME, bytes(4))))
        self.assertTrue(is_signed(self.it.read(), key_of(algorithm=SHA256),
                                  MESSAGE_INTEGRITY_SHA256))

    def test_8489_9_2_4_md5_may_be_chosen_and_signed_with_sha256(self):
        self.it.write(modern(self.nonce, algorithm=MD5, method=REFRESH, body=b""))
        raw = self.it.read()
        self.assert_error(Message.decode(raw), 437)
        self.assertTrue(is_signed(raw, key_of(), MESSAGE_INTEGRITY_SHA256))

    def test_8489_16_1_3_a_choice_that_was_edited_is_400(self):
        for edited in ({"algorithm": None, "key": key_of(algorithm=SHA256)},
                       {"algorithms": None}, {"algorithms": MD5}, {"algorithms": SHA256},
                       {"algorithms": MD5 + SHA256}, {"algorithms": OFFERED + bytes(4)},
                       {"algorithm": bytes([0, 3, 0, 0])}, {"algorithm": bytes([0, 2])},
                       {"algorithms": b""}):
            answer = self.it.ask(modern(self.nonce, **edited))
            self.assert_error(answer, 400)
            self.assertIsNone(answer.get(NONCE))

    def test_8489_14_6_a_shortened_sha256_is_refused(self):
        for size in (4, 16, 20, 28):
            whole = modern(self.nonce, method=REFRESH, body=b"")
            digest = whole[-32:]
            head = whole[:2] + struct.pack("!H", len(whole) - 20 - 32 + size) + whole[4:-36]
            answer = self.it.ask(head + attribute(MESSAGE_INTEGRITY_SHA256, digest[:size]))
            self.assert_error(answer, 401)

    def test_8489_14_5_sha1_has_twenty_bytes(self):
        for size in (16, 19, 24):
            whole = self.refresh()
            tail = attribute(MESSAGE_INTEGRITY, (whole[-20:] + bytes(4))[:size])
            head = whole[:-24] + tail
            head = head[:2] + struct.pack("!H", len(head) - 20) + head[4:]
            self.assertEqual(self.code(head), 401)


class Userhashes(Long):
    API_KEY = "a-key-of-twenty-four-bytes"
    OPTIONS = ("--api-key", API_KEY)

    def minted(self):
        """Name and password as back ends and rooms get them."""
        url = "http://%s:%d/turn?service=turn&username=guest&key=%s" % (
            *self.server.address, self.API_KEY)
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        return found["username"], found["password"]

    def hashed(self, **more):
        more.setdefault("hashed", userhash())
        return modern(self.nonce, user=None, method=REFRESH, body=b"", **more)

    def test_8489_14_4_a_userhash_finds_its_user(self):
        self.assertEqual(self.code(self.hashed()), 437)
        self.it.write(modern(self.nonce, user=None, hashed=userhash()))
        self.assertTrue(is_signed(self.it.read(), key_of(algorithm=SHA256),
                                  MESSAGE_INTEGRITY_SHA256))
        # The same user, named in the clear, holds that allocation.
        self.assertIsNone(self.code(modern(self.nonce, method=REFRESH, body=b"")))

    def test_8489_9_2_4_an_unknown_userhash_looks_like_a_wrong_password(self):
        answers = [self.it.ask(message) for message in
                   (self.hashed(hashed=userhash("carol")), self.hashed(hashed=bytes(32)),
                    self.hashed(key=key_of(password="wrong", algorithm=SHA256)))]
        for answer in answers:
            self.assert_challenge(answer)
            self.assertEqual(len(answer.encode()), len(answers[0].encode()))
            # From now on by name: a name that somebody makes up is found in no other way.
            self.assertEqual(answer.get(NONCE)[9:13], b"gAAA")

    def test_8489_9_2_5_the_bit_stays_while_the_hash_serves(self):
        stale = self.nonce[:-1] + (b"A" if self.nonce[-1:] != b"A" else b"B")
        answer = self.it.ask(modern(stale, user=None, hashed=userhash()))
        self.assert_error(answer, 438)
        self.assertEqual(answer.get(NONCE)[9:13], b"wAAA")
        answer = self.it.ask(modern(stale))
        self.assert_error(answer, 438)
        self.assertEqual(answer.get(NONCE)[9:13], b"gAAA")

    def test_8489_9_2_5_a_name_that_a_room_makes_up_is_tried_by_hash_then_by_name(self):
        name, password = self.minted()
        key = key_of(name, password=password, algorithm=SHA256)
        refusal = self.it.ask(modern(self.nonce, user=None, hashed=userhash(name), key=key))
        self.assert_challenge(refusal)
        message = modern(refusal.get(NONCE), user=name, key=key)
        self.assertEqual(self.it.ask(message).cls, SUCCESS)


class Integrity(Long):
    def test_8489_9_what_follows_the_integrity_has_no_effect(self):
        self.assertEqual(self.it.ask(request(self.nonce)).cls, SUCCESS)
        message = self.refresh() + attribute(LIFETIME, bytes(4)) + attribute(0x7F01, b"x")
        message = message[:2] + struct.pack("!H", len(message) - 20) + message[4:]
        answer = self.it.ask(message)
        self.assertEqual(struct.unpack("!I", answer.get(LIFETIME))[0], 600)

    def test_8489_14_5_the_signed_length_leaves_out_what_follows(self):
        key = key_of()
        both = sign(self.refresh(), key, MESSAGE_INTEGRITY_SHA256)
        self.assertEqual(self.code(both), 437)
        head = both[:2] + struct.pack("!H", len(both) - 20 + 8) + both[4:]
        crc = zlib.crc32(head) ^ 0x5354554E
        self.assertEqual(self.code(head + struct.pack("!HHI", FINGERPRINT, 4, crc)), 437)

    def test_8489_9_2_4_answers_are_signed_and_repeat_no_credentials(self):
        peer = attribute(XOR_PEER_ADDRESS, xor_address(("9.9.9.9", 9), bytes(12)))
        forbidden = attribute(XOR_PEER_ADDRESS, xor_address(("10.0.0.1", 9), bytes(12)))
        for method, body, code in (
                (REFRESH, b"", 437), (ALLOCATE, UDP_TRANSPORT, None),
                (ALLOCATE, UDP_TRANSPORT, 437), (CREATE_PERMISSION, b"", 400),
                (CREATE_PERMISSION, peer, None), (CREATE_PERMISSION, forbidden, 403),
                (REFRESH, attribute(0x7F01, b""), 420), (REFRESH, attribute(LIFETIME, bytes(4)),
                                                         None)):
            self.it.write(request(self.nonce, method=method, body=body, transaction=bytes(12)
                                  if method == CREATE_PERMISSION else None))
            raw = self.it.read()
            self.assertEqual(error_of(Message.decode(raw)), code)
            self.assertTrue(is_signed(raw, key_of()))
            for kind in (USERNAME, REALM, NONCE):
                self.assertIsNone(Message.decode(raw).get(kind))

    def test_8489_14_3_long_names_are_read_and_longer_ones_do_no_harm(self):
        self.assertEqual(self.code(self.refresh(user="u" * 508)), 401)
        self.assertEqual(self.code(self.refresh(user="u" * 509)), 400)
        self.assertEqual(self.code(request(b"n" * 763, realm="r" * 763, body=b"")), 401)
        self.assertEqual(self.code(request(b"n" * 2000, realm="r" * 2000, body=b"")), 401)
        self.assertEqual(self.code(self.refresh()), 437)

    def test_8265_4_2_names_keep_their_case_and_do_not_end_at_a_zero_byte(self):
        for user in (b"Alice", b"ALICE", b"alice\0", b"alice\0admin", b" alice", b"alice "):
            self.assertEqual(self.code(self.refresh(user=user, key=key_of())), 401)


DERIVED = hashlib.md5(f"dora:{REALM_NAME}:hidden".encode()).hexdigest()


class DerivedKey(Conversation):
    OPTIONS = ("--user", f"dora:0x{DERIVED}")

    def test_8656_6_a_user_may_be_configured_by_a_derived_key(self):
        self.client(username="dora", password="hidden").allocate()
        self.client().allocate()
        wire = self.wire()
        challenge = wire.ask(stun(ALLOCATE, UDP_TRANSPORT))
        self.assertIsNone(challenge.get(PASSWORD_ALGORITHMS), "SHA-256 would lock dora out")
        wrong = request(challenge.get(NONCE), user="dora", key=key_of("dora", password="x"))
        self.assert_error(wire.ask(wrong), 401)


class StaleNonce(Conversation):
    OPTIONS = ("--secure-stun", "--stale-nonce", "60", "--fingerprint")

    def test_8489_12_binding_needs_credentials_by_option(self):
        wire = self.wire()
        challenge = wire.ask(stun(BINDING))
        self.assert_error(challenge, 401)
        answer = request(challenge.get(NONCE), method=BINDING, body=b"")
        self.assertEqual(wire.ask(answer).cls, SUCCESS)

    def test_8489_7_every_answer_has_a_fingerprint_by_option(self):
        wire = self.wire()
        challenge = wire.ask(stun(ALLOCATE, UDP_TRANSPORT))
        self.assertIsNotNone(challenge.get(FINGERPRINT))
        answer = wire.ask(request(challenge.get(NONCE)))
        self.assertEqual((answer.cls, answer.attributes[-1][0]), (SUCCESS, FINGERPRINT))
