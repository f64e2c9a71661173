"""The authorisation hook: a real http.server beside the running server says who may relay."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from server import Server, free_port
from test_turnutils import MESSAGES, Peer
from turnclient import REALM as REALM_ATTRIBUTE
from turnclient import (ALLOCATE, NONCE, REQUEST, REQUESTED_TRANSPORT, SUCCESS, USERNAME, Message,
                        Refused, TurnClient)

REALM, TOKEN = "example.org", "a-bearer-token"
PASSWORD = "correct horse"


class Service:
    """An authorisation service. `answer` maps a question to (status, body); it may sleep."""

    def __init__(self, answer=None, *, certificate=None, port=0, keep_alive=True):
        self.questions, self.headers, self.connections = [], [], 0
        self.sockets = []
        self.lock = threading.Lock()
        service = self
        self.answer = answer or self.by_name

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

            def setup(self):
                with service.lock:
                    service.connections += 1
                    service.sockets.append(self.request)
                super().setup()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                question = json.loads(body)
                with service.lock:
                    service.questions.append(question)
                    service.headers.append(dict(self.headers))
                status, answer = service.answer(question)
                if status is None:
                    self.wfile.write(answer)
                    self.close_connection = True
                    return
                self.send_response(status)
                if keep_alive:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass

        self.http = Quiet(("127.0.0.1", port), Handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            self.scheme = "https"
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)

    @staticmethod
    def by_name(question):
        """Everybody whose name begins with u has the password."""
        if not question["username"].startswith("u"):
            return 404, b"{}"
        return 200, json.dumps({"password": PASSWORD}).encode()

    def url(self, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}/turn/auth?x=1"

    def asked(self, username):
        with self.lock:
            return sum(1 for question in self.questions if question["username"] == username)

    def __enter__(self):
        self.thread.start()
        return self

    def stop(self):
        if self.http is not None:
            self.http.shutdown()
            self.http.server_close()
            self.http = None
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *_):
        self.stop()


def hook_server(service, *options, url=None, **more):
    return Server("--auth-hook", url or service.url(), "--realm", REALM, "--relay-ip", "127.0.0.1",
                  *options, **more)


class Case(unittest.TestCase):
    def client(self, server, username="ursula", password=PASSWORD, transport="udp", **more):
        address = server.tls_address if transport == "tls" else server.address
        client = TurnClient(address, transport, username=username, password=password, **more)
        self.addCleanup(client.close)
        return client

    def challenged(self, client, username=None):
        """An Allocate request of this client and its key, after the challenge."""
        bare = Message(ALLOCATE, REQUEST).add(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))
        with self.assertRaises(Refused) as challenge:
            client.request(bare)
        realm = challenge.exception.realm
        username = (username or client.username).encode()
        message = Message(ALLOCATE, REQUEST, None, bare.attributes).add(USERNAME, username)
        message.add(REALM_ATTRIBUTE, realm).add(NONCE, challenge.exception.nonce)
        secret = b":".join((username, realm, client.password.encode()))
        return message, hashlib.md5(secret).digest()

    def allocate(self, server, *args, **more):
        client = self.client(server, *args, **more)
        client.allocate()
        return client

    def refused(self, server, code, *args, **more):
        with self.assertRaisesRegex(Refused, f"^{code} "):
            self.allocate(server, *args, **more)

    def logged(self, server, pattern, seconds=5):
        end = time.monotonic() + seconds
        while not re.search(pattern, server.log()):
            self.assertLess(time.monotonic(), end, f"not logged: {pattern}\n" + server.log())
            time.sleep(0.02)


class Answers(Case):
    @classmethod
    def setUpClass(cls):
        cls.service = cls.enterClassContext(Service())
        cls.server = cls.enterClassContext(hook_server(
            cls.service, "--auth-hook-token", TOKEN, "--user", "alice:" + PASSWORD,
            "--allowed-peer-ip", "127.0.0.1", "--rfc5766-channel-numbers", "--dtls", tls=True))

    def test_the_right_user_allocates_over_udp_tcp_and_tls(self):
        for transport in ("udp", "tcp", "tls"):
            with self.subTest(transport=transport):
                name = "u-" + transport
                client = self.allocate(self.server, name, transport=transport)
                client.refresh()
                client.permit(("127.0.0.1", 9))
                self.assertEqual(self.service.asked(name), 1)

    def test_the_first_request_is_answered_without_being_sent_again(self):
        client = self.client(self.server, "u-first")
        message, key = self.challenged(client)
        client.write(message.encode(key))
        answer = client.await_answer(message, key, time.monotonic() + 5)
        self.assertEqual(answer.cls, SUCCESS)

    def test_the_service_learns_who_where_and_how(self):
        client = self.allocate(self.server, "u-jürgen \"x\"", transport="tcp")
        question = next(q for q in self.service.questions if q["username"] == "u-jürgen \"x\"")
        local = client.socket.getsockname()
        self.assertEqual(question, {
            "username": "u-jürgen \"x\"", "realm": REALM, "transport": "tcp",
            "client": f"127.0.0.1:{local[1]}", "server": f"127.0.0.1:{self.server.port}"})
        headers = self.service.headers[0]
        self.assertEqual(headers["Authorization"], "Bearer " + TOKEN)
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["Host"], f"127.0.0.1:{self.service.port}")

    def test_a_wrong_password_and_an_unknown_user_are_401(self):
        for transport in ("udp", "tcp", "tls"):
            self.refused(self.server, 401, "ursula", "wrong", transport=transport)
            self.refused(self.server, 401, "nobody", transport=transport)

    def test_an_answer_is_asked_for_once(self):
        for _ in range(5):
            self.allocate(self.server, "u-once").refresh(0)
            self.refused(self.server, 401, "n-once")
        self.assertEqual(self.service.asked("u-once"), 1)
        self.assertEqual(self.service.asked("n-once"), 1)

    def test_configured_users_are_not_asked_for(self):
        self.allocate(self.server, "alice")
        self.assertEqual(self.service.asked("alice"), 0)

    def test_coturns_client_relays(self):
        with Peer() as peer:
            for number, extra in enumerate(((), ("-t",), ("-S",))):
                run = subprocess.run(
                    ["turnutils_uclient", "-u", f"u-coturn{number}", "-w", PASSWORD, "-p",
                     str(self.server.port), "-e", "127.0.0.1", "-r", str(peer.port), "-n",
                     str(MESSAGES), "-m", "1", "-c", *extra, "127.0.0.1"], text=True,
                    capture_output=True, timeout=90, check=False, stdin=subprocess.DEVNULL)
                self.assertIn(f"tot_send_msgs={MESSAGES}, tot_recv_msgs={MESSAGES}",
                              run.stdout + run.stderr)

    def test_no_secret_is_logged(self):
        self.allocate(self.server, "u-quiet")
        self.refused(self.server, 401, "u-quiet", "wrong")
        for secret in (PASSWORD, TOKEN):
            self.assertNotIn(secret, self.server.log() + self.server.banner())
        with open(f"/proc/{self.server.process.pid}/cmdline", "rb") as file:
            self.assertNotIn(TOKEN.encode(), file.read())


class Crowd(Case):
    def test_a_hundred_users_at_once_over_few_connections(self):
        def slow(question):
            time.sleep(0.02)
            return Service.by_name(question)
        with Service(slow) as service, hook_server(service, "--workers", "2") as server:
            def one(number):
                transport = ("udp", "tcp")[number % 2]
                self.allocate(server, f"u{number}", transport=transport, timeout=10)
            with concurrent.futures.ThreadPoolExecutor(100) as pool:
                list(pool.map(one, range(100)))
            self.assertEqual(len(service.questions), 100)
            self.assertLessEqual(service.connections, 16)

    def test_a_service_without_keep_alive(self):
        with Service(keep_alive=False) as service, hook_server(service) as server:
            for name in ("u1", "u2", "u3"):
                self.allocate(server, name)
            self.assertEqual(service.connections, 3)

    def test_invented_names_do_not_make_us_a_cannon(self):
        with Service() as service, hook_server(service) as server:
            client = self.client(server, "n")
            message, key = self.challenged(client)
            for number in range(1000):
                attributes = [(kind, b"n%d" % number if kind == USERNAME else value)
                              for kind, value in message.attributes]
                client.write(Message(ALLOCATE, REQUEST, None, attributes).encode(key))
            self.allocate(server, "ursula", timeout=15)
            self.assertLess(len(service.questions), 600)


class Trouble(Case):
    def test_the_service_is_down(self):
        url = f"http://127.0.0.1:{free_port()}/"
        with hook_server(None, "--user", "alice:" + PASSWORD, url=url) as server:
            with self.assertRaises(TimeoutError):
                self.allocate(server, timeout=1.0)
            self.refused(server, 500, transport="tcp")
            self.logged(server, r"--auth-hook: nobody answers at 127\.0\.0\.1")
            self.allocate(server, "alice")
            self.assertEqual(server.log().count("--auth-hook: nobody"), 1)

    def test_the_service_comes_back(self):
        port = free_port()
        with hook_server(None, url=f"http://127.0.0.1:{port}/") as server:
            self.refused(server, 500, transport="tcp")
            with Service(port=port):
                # A datagram is sent again until there is an answer.
                self.allocate(server, timeout=10)
                self.logged(server, "the service answers again")

    def test_allocations_and_known_users_outlive_the_service(self):
        answer = json.dumps({"password": PASSWORD, "ttl": 1}).encode()
        with Service(lambda question: (200, answer)) as service:
            with hook_server(service) as server:
                holder = self.allocate(server, "holder")
                service.stop()
                time.sleep(1.2)
                self.allocate(server, "holder", transport="tcp", timeout=10)
                holder.refresh()
                holder.permit(("9.9.9.9", 9))
                self.refused(server, 500, "stranger", transport="tcp")

    def test_a_user_who_is_struck_off_may_not_begin_again(self):
        known = [True]

        def answer(_):
            body = {"password": PASSWORD, "ttl": 1} if known[0] else {}
            return (200 if known[0] else 403), json.dumps(body).encode()
        with Service(answer) as service, hook_server(service) as server:
            holder = self.allocate(server)
            known[0] = False
            time.sleep(1.2)
            self.refused(server, 401)
            holder.refresh()

    def test_the_service_is_slow(self):
        def slow(question):
            if question["username"] == "u-slow":
                time.sleep(3)
            return Service.by_name(question)
        with Service(slow) as service:
            with hook_server(service, "--auth-hook-timeout", "1") as server:
                before = time.monotonic()
                self.refused(server, 500, "u-slow", transport="tcp")
                self.assertGreater(time.monotonic() - before, 0.9)
                self.assertLess(time.monotonic() - before, 2.5)
                self.logged(server, "no answer within 1 s")
                self.allocate(server, "u-quick", transport="tcp")

    def test_answers_that_are_none(self):
        answers = {
            "garbage": (None, b"\x00\xff not http\r\n\r\n"), "empty": (None, b""),
            "text": (200, b"hello"), "list": (200, b"[]"), "nothing": (200, b"{}"),
            "number": (200, b'{"password": 7}'), "hex": (200, b'{"key": "12"}'),
            "both": (200, b'{"password": "a", "key": "' + b"0" * 32 + b'"}'),
            "twice": (200, b'{"password": "a", "password": "b"}'),
            "ttl": (200, b'{"password": "a", "ttl": "soon"}'),
            "error": (500, b"{}"), "redirect": (302, b""), "created": (201, b'{"password": "a"}'),
            "huge": (200, b'{"password": "' + b"x" * 100_000 + b'"}'),
            "huger": (200, b" " * 20_000_000),
            "head": (None, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
            "cut": (None, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
            "chunks": (None, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        }
        with Service(lambda question: answers.get(question["username"],
                                                  (200, b'{"password": "a"}'))) as service:
            with hook_server(service) as server:
                for name in answers:
                    with self.subTest(name=name):
                        self.refused(server, 500, name, "a", transport="tcp")
                self.allocate(server, "good", "a", transport="tcp")

    def test_keys_chunks_and_lifetimes(self):
        key = hashlib.md5(f"ute:{REALM}:{PASSWORD}".encode()).hexdigest()
        chunked = (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                   b"\r\n5\r\n{\"pas\r\n12\r\nsword\": \"letmein\"}\r\n0\r\n\r\n")
        answers = {
            "ute": (200, json.dumps({"key": key.upper()}).encode()),
            "uma": (None, chunked),
            "old": (200, json.dumps({"password": PASSWORD,
                                     "expires": int(time.time()) - 10}).encode()),
            "new": (200, json.dumps({"password": PASSWORD,
                                     "expires": int(time.time()) + 60}).encode()),
        }
        with Service(lambda question: answers[question["username"]]) as service:
            with hook_server(service, "--strict-expiry") as server:
                self.allocate(server, "ute")
                self.allocate(server, "uma", "letmein")
                self.refused(server, 401, "old")
                self.assertLessEqual(self.allocate(server, "new").refresh(600), 60)

    def test_a_client_that_leaves_while_its_question_is_under_way(self):
        go = threading.Event()

        def wait(question):
            go.wait(5)
            return Service.by_name(question)
        with Service(wait) as service, hook_server(service) as server:
            client = self.client(server, "u-gone", transport="tcp", timeout=0.3)
            with self.assertRaises(TimeoutError):
                client.allocate()
            client.close()
            time.sleep(0.1)
            go.set()
            self.allocate(server, "u-there", transport="tcp")

    def test_the_server_stops_while_a_question_is_under_way(self):
        with Service(lambda question: (time.sleep(3), Service.by_name(question))[1]) as service:
            server = hook_server(service)
            self.addCleanup(server.clean)
            server.__enter__()
            with self.assertRaises(TimeoutError):
                self.allocate(server, timeout=0.3)
            before = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - before, 2.5)


class Https(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="turnpike-hook-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.ca = cls.make("ca", "/CN=Test CA", "nsComment=test")
        cls.good = cls.make("good", "/CN=x", "subjectAltName=DNS:localhost,IP:127.0.0.1", cls.ca)
        cls.elsewhere = cls.make("elsewhere", "/CN=localhost",
                                 "subjectAltName=DNS:elsewhere.example.org", cls.ca)

    @classmethod
    def make(cls, name, subject, extension, ca=None):
        cert, key = (os.path.join(cls.folder, f"{name}.{kind}") for kind in ("pem", "key"))
        signer = ["-CA", ca[0], "-CAkey", ca[1]] if ca else []
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", subject, "-addext",
             extension, "-keyout", key, "-out", cert, *signer],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        return cert, key

    def test_a_service_with_a_certificate_of_our_authority(self):
        with Service(certificate=self.good) as service:
            for host in ("127.0.0.1", "localhost"):
                with hook_server(service, "--auth-hook-ca", self.ca[0],
                                 url=service.url(host)) as server:
                    for transport in ("udp", "tcp"):
                        self.allocate(server, "u-" + host, transport=transport)
                    self.allocate(server, "u2-" + host)
            self.assertEqual(service.connections, 2)

    def test_certificates_that_prove_nothing(self):
        for certificate, ca in ((self.good, None), (self.elsewhere, self.ca)):
            with Service(certificate=certificate) as service:
                options = ("--auth-hook-ca", ca[0]) if ca else ()
                with hook_server(service, *options, url=service.url("localhost")) as server:
                    self.refused(server, 500, transport="tcp")
                    self.logged(server, "--auth-hook: TLS failed: ")
                self.assertEqual(service.questions, [])

    def test_a_service_that_speaks_no_tls(self):
        with Service() as service:
            url = service.url().replace("http:", "https:")
            with hook_server(service, "--auth-hook-ca", self.ca[0], url=url) as server:
                self.refused(server, 500, transport="tcp")

    def test_a_name_that_does_not_resolve(self):
        with hook_server(None, url="http://nobody.invalid/") as server:
            client = self.client(server, transport="tcp", timeout=8)
            with self.assertRaisesRegex(Refused, "^500 "):
                client.allocate()
            self.logged(server, "--auth-hook: (cannot resolve nobody.invalid|no answer within)")


if __name__ == "__main__":
    unittest.main()
