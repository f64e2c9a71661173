"""--static on the running server: what browsers and scanners get from a folder of pages."""

import os
import http.client
import re
import tempfile
import unittest

from server import Server

PAGES = {
    "index.html": b"<h1>index</h1>",
    "room.html": b"<h1>room</h1>",
    "js/main.js": b"0123456789",
    "css/main.css": b"body {}",
    "images/a b&c.png": b"\x89PNG",
    "images/\u4f60\u597d.svg": b"<svg/>",
    "module.mjs": b"export {}",
    "code.wasm": b"\0asm",
    "data.json": b"{}",
    ".env": b"SECRET=1",
    ".git/config": b"secret",
    "js/.hidden.js": b"secret",
    "empty.txt": b"",
}


class Static(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        outer = cls.enterClassContext(tempfile.TemporaryDirectory())
        folder = os.path.join(outer, "pages")
        for name, content in PAGES.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        with open(os.path.join(outer, "secret.txt"), "w", encoding="ascii") as file:
            file.write("outside")
        os.symlink(os.path.join(outer, "secret.txt"), os.path.join(folder, "link.txt"))
        os.symlink("/etc", os.path.join(folder, "etc"))
        for at, folders, files in os.walk(outer):
            for name in folders:
                os.chmod(os.path.join(at, name), 0o755)
            for name in files:
                if not os.path.islink(os.path.join(at, name)):
                    os.chmod(os.path.join(at, name), 0o644)
        cls.server = cls.enterClassContext(Server("--static", folder, "--relay-ip", "127.0.0.1"))

    def ask(self, target, method="GET", **headers):
        """The target goes out as it is: nothing tidies it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.putrequest(method, target)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def test_pages_with_their_types(self):
        for path, kind in (("/", "text/html; charset=utf-8"), ("/index.html", "text/html"),
                           ("/room.html?room=1", "text/html"), ("/js/main.js", "text/javascript"),
                           ("/css/main.css", "text/css"), ("/images/a%20b&c.png", "image/png"),
                           ("/images/%E4%BD%A0%E5%A5%BD.svg", "image/svg+xml"),
                           ("/module.mjs", "text/javascript"), ("/code.wasm", "application/wasm"),
                           ("/data.json", "application/json"), ("/empty.txt", "text/plain")):
            status, headers, body = self.ask(path)
            self.assertEqual(status, 200, path)
            self.assertTrue(headers["Content-Type"].startswith(kind), headers["Content-Type"])
            self.assertEqual(int(headers["Content-Length"]), len(body))
            self.assertEqual(self.ask(path, "HEAD")[::2], (200, b""))
        self.assertEqual(self.ask("/")[2], PAGES["index.html"])

    def test_not_modified(self):
        _, headers, _ = self.ask("/js/main.js")
        for name, value in (("If_None_Match", headers["ETag"]),
                            ("If_Modified_Since", headers["Last-Modified"])):
            status, again, body = self.ask("/js/main.js", **{name: value})
            self.assertEqual((status, body), (304, b""))
            self.assertEqual(again["ETag"], headers["ETag"])
        self.assertEqual(self.ask("/js/main.js", If_None_Match='"other"')[0], 200)

    def test_ranges(self):
        for wanted, first, last in (("0-3", 0, 3), ("4-", 4, 9), ("-3", 7, 9), ("8-99", 8, 9)):
            status, headers, body = self.ask("/js/main.js", Range=f"bytes={wanted}")
            self.assertEqual((status, body), (206, b"0123456789"[first:last + 1]))
            self.assertEqual(headers["Content-Range"], f"bytes {first}-{last}/10")
        status, headers, _ = self.ask("/js/main.js", Range="bytes=10-")
        self.assertEqual((status, headers["Content-Range"]), (416, "bytes */10"))
        self.assertEqual(self.ask("/js/main.js", Range="lines=1-2")[::2], (200, b"0123456789"))

    def test_a_folder_without_index_is_listed(self):
        status, headers, _ = self.ask("/images?x=1")
        self.assertEqual((status, headers["Location"]), (301, "/images/?x=1"))
        status, headers, body = self.ask("/images/")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/html"))
        links = re.findall(r'href="([^"]+)"', body.decode())
        self.assertEqual(len(links), 2)
        for link in links:
            self.assertEqual(self.ask("/images/" + link.removeprefix("./"))[0], 200, link)
        self.assertIn("a b&amp;c.png", body.decode())
        self.assertNotIn(b"hidden", self.ask("/js/")[2])

    def test_nothing_else_can_be_read(self):
        for path in ("/.env", "/.git/config", "/js/.hidden.js", "/%2eenv", "/js/%2ehidden.js",
                     "/../secret.txt", "/js/../../secret.txt", "/%2e%2e/secret.txt",
                     "/..%2fsecret.txt", "/..%5csecret.txt", "/js/..%2f..%2fsecret.txt",
                     "//etc/passwd", "/etc/passwd", "/link.txt", "/js//main.js", "/js/./main.js",
                     "/index.html%00.js", "/%252e%252e/secret.txt", "/none", "/js/main.js/",
                     "/js/main.js/x"):
            status, _, body = self.ask(path)
            self.assertIn(status, (400, 404), path)
            self.assertNotRegex(body, rb"secret|SECRET|outside|root:")
        for target in ("/%zz", "/%"):
            self.assertEqual(self.ask(target)[0], 400, target)

    def test_only_for_reading(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            status, headers, _ = self.ask("/index.html", method, Content_Length="0")
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))

    def test_the_servers_own_paths_stay(self):
        self.assertEqual(self.ask("/healthz")[::2], (200, b"ok\n"))
        self.assertIn(b"<title>", self.ask("/call/demo")[2])
        self.assertEqual(self.ask("/socket.io/?EIO=4&transport=polling")[0], 200)


if __name__ == "__main__":
    unittest.main()
