#!/usr/bin/env python3
"""The rules of the house, as a test: layers, sizes, and what may not be left lying about.

    python3 tests/tidy_test.py

`Tree` judges this repository. `Rules` feeds each rule samples that it must refuse and samples that
it must accept, so that a rule which has stopped seeing anything fails as well. The rules themselves
are explained in docs/architecture.md. Standard library only.
"""

import os
import re
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 800
MAX_COLUMNS = 100

# A room may include these rooms and itself; tools/, bench/ and tests/ may include anything.
LAYERS = {
    "base": [],
    "stun": ["base"],
    "turn": ["base", "stun"],
    "ice": ["base", "stun", "turn"],
    "signaling": ["base"],
    "net": ["base"],
    "server": ["base", "stun", "turn", "ice", "signaling", "net"],
}
PURE_ROOMS = ("base", "stun", "turn", "ice", "signaling")

# What only net/, server/ and tools/ may see.
IMPURE = {
    "event loop": r"uv(/.*)?\.h",
    "TLS": r"openssl/(ssl|tls1|dtls1)\.h",
    "sockets": r"sys/(socket|epoll|select|poll|un|ioctl|uio|eventfd|timerfd)\.h|netinet/.*|arpa/.*"
               r"|netdb\.h|ifaddrs\.h|net/if\.h|poll\.h|linux/.*|boost/asio.*",
    "threads": r"thread|pthread\.h|mutex|shared_mutex|condition_variable|future|semaphore|latch"
               r"|barrier|stop_token|atomic|boost/(thread|atomic|lockfree)/.*",
    "clocks": r"ctime|time\.h|sys/time(b|x)?\.h",
    "the log": r"base/log(_\w+)?\.h|spdlog/.*",
}
# (file, kind of include): each with its reason.
IMPURE_EXCEPTIONS = {
    *((f"base/log{part}", "the log")                        # a target of its own: base_log
      for part in (".h", ".cc", "_file.cc", "_format.h", "_format.cc", "_sink.h", "_sink.cc")),
    ("base/log.cc", "threads"), ("base/log_sink.h", "threads"),  # every thread writes lines
    ("base/dtls.h", "TLS"), ("base/dtls.cc", "TLS"),        # a target of its own: base_dtls
    ("ice/media/dtls.cc", "TLS"),      # in turnpike_media, as DTLS-SRTP's keys and contexts are
    ("ice/media/identity.cc", "TLS"),
    ("base/mailbox.h", "threads"),   # the one queue between workers
    ("base/counters.h", "threads"),  # single-writer counters that a scrape reads
}
BEAST = r"boost/(beast|asio)(\.hpp|/.*)"
BEAST_SOURCE = r"signaling/\w+\.cc"
JSON_ROOMS = ("signaling", "server")

CLOCK_CALL = re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock)\s*::\s*now\b"
                        r"|\b(?:clock_gettime|gettimeofday|std::time)\s*\("
                        r"|\btime\s*\(\s*(?:nullptr|0)\s*\)")
LEFT_OPEN = re.compile(r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK"]) + r")\b")
TEXT = (".cc", ".h", ".py", ".js", ".mjs", ".css", ".html", ".cmake", ".sh", ".md", ".txt", ".json")
SKIPPED_FOLDERS = {"build", "node_modules", "__pycache__", "corpus", "vectors"}
URL = re.compile(r"(?:https?|wss?):(?:\\?/){2}([A-Za-z0-9.-]+)"
                 r"|(?:src|href)\s*=\s*[\"']//([\w.-]+)")
# Names that no browser fetches: XML namespaces, and hosts in sample text (RFC 2606).
URL_ALLOWED = re.compile(r"^(www\.w3\.org|localhost|127\.0\.0\.1"
                         r"|(.*\.)?example(\.(org|com|net))?)$")


def files(root, *suffixes):
    """Paths below root, relative and sorted, without build products."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith(".")]
        for name in names:
            if not suffixes or name.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", newline="") as file:
        return file.read()


def room_of(path):
    return path.split("/", 1)[0] if "/" in path else ""


def includes(text):
    """(line number, name, quoted) of every #include line of ours."""
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def without_comments(text):
    """The same lines, with comments, strings and characters blanked."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.S)

    def blank(match):
        return '""' + "\n" * match.group().count("\n") if match.group()[0] in 'R"' else \
            " " + "\n" * match.group().count("\n")
    return pattern.sub(blank, text)


# --- rules: each takes a root and answers sentences; none means the tree is tidy ---

def layering(root):
    for path in files(root, ".cc", ".h"):
        room = room_of(path)
        if room not in LAYERS:
            continue
        for number, name, quoted in includes(read(root, path)):
            where = f"{path}:{number}"
            if quoted:
                target = room_of(name)
                if not target or name.startswith((".", "/")):
                    yield f'{where}: "{name}" is not relative to the root of the tree'
                elif target in LAYERS and target != room and target not in LAYERS[room]:
                    yield f"{where}: {room}/ may not include {target}/"
                elif target in ("tests", "bench", "tools"):
                    yield f"{where}: {room}/ may not include {target}/"
            if re.fullmatch(r"nlohmann/.*", name) and room not in JSON_ROOMS:
                yield f"{where}: JSON belongs to {', '.join(JSON_ROOMS)} and tools"


def purity(root):
    for path in files(root, ".cc", ".h"):
        if room_of(path) not in PURE_ROOMS:
            continue
        text = read(root, path)
        for number, name, _ in includes(text):
            for kind, pattern in IMPURE.items():
                if not re.fullmatch(pattern, name) or (path, kind) in IMPURE_EXCEPTIONS:
                    continue
                if re.fullmatch(BEAST, name) and re.fullmatch(BEAST_SOURCE, path):
                    continue
                yield f"{path}:{number}: <{name}> ({kind}) belongs to net/, server/ or tools/"
        for number, line in enumerate(without_comments(text).split("\n"), 1):
            if CLOCK_CALL.search(line):
                yield f"{path}:{number}: reads a clock; time comes in as a Tick"


def beast(root):
    users = [path for path in files(root, ".cc", ".h")
             if any(re.fullmatch(BEAST, name) for _, name, _ in includes(read(root, path)))]
    for path in users:
        if not re.fullmatch(BEAST_SOURCE, path):
            yield f"{path}: Beast is included in one source of signaling/ only"
    if len(users) > 1:
        yield f"Beast is included in {len(users)} files, at most one may: {', '.join(users)}"


def exceptions(root):
    for path in files(root, ".cc", ".h"):
        if room_of(path) not in LAYERS:
            continue
        for number, line in enumerate(without_comments(read(root, path)).split("\n"), 1):
            if re.search(r"\bthrow\b", line):
                yield f"{path}:{number}: throws; errors are values here"


def functions(text):
    """(first line, last line, head) of each function body, found by following the braces."""
    text = without_comments(text)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group().count("\n"), text,
                  flags=re.M)
    scopes, head, head_line, line, depth_in_function = [], "", 1, 1, 0
    start = None
    for char in text:
        if char == "\n":
            line += 1
        if start is not None:
            depth_in_function += (char == "{") - (char == "}")
            if depth_in_function == 0:
                if start[2] == "member":
                    head = start[1] + "{}"
                else:
                    yield start[0], line, " ".join(start[1].split())
                    head = ""
                start = None
            continue
        if char == "{":
            kind = scope_kind(head)
            if kind in ("function", "member"):
                start, depth_in_function = (head_line, head, kind), 1
            else:
                scopes.append(kind)
                head = ""
        elif char == "}":
            if scopes:
                scopes.pop()
            head = ""
        elif char == ";":
            head = ""
        else:
            if not head.strip():
                head, head_line = "", line
            head += char


def scope_kind(head):
    if re.search(r"\bnamespace\b|\bextern\s*\"\"", head):
        return "scope"
    if "(" not in head:
        return "scope"
    if re.search(r"=\s*$|\bconcept\b", head):
        return "scope"
    constructor = re.search(r"\)\s*(?:noexcept\s*)?:(?!:)", head)
    if constructor and re.search(r"[\w>]\s*$", head):
        return "member"  # a braced member in a constructor's list
    if re.match(r"\s*(?:template\s*<.*>\s*)?(?:class|struct|union|enum)\b", head, re.S) and \
            not re.search(r"\)\s*(?:const|noexcept|override|final|&|\s)*$", head):
        return "scope"
    return "function"


def sizes(root):
    for path in files(root, ".cc", ".h"):
        text = read(root, path)
        lines = text.count("\n")
        if lines > MAX_FILE_LINES:
            yield f"{path}: {lines} lines, {MAX_FILE_LINES} is the limit"
        for first, last, head in functions(text):
            if last - first + 1 > MAX_FUNCTION_LINES:
                yield (f"{path}:{first}: {last - first + 1} lines, {MAX_FUNCTION_LINES} is the"
                       f" limit: {head[:60]}")


def headers(root):
    for path in files(root, ".h"):
        text = read(root, path)
        if not text.startswith("//"):
            yield f"{path}: a header opens with a comment: what it is, who owns it, which thread"
        if not re.search(r"^#pragma once$", text, re.M):
            yield f"{path}: no #pragma once"


def left_open(root):
    for path in files(root):
        if not path.endswith(TEXT) and not path.startswith("tools/"):
            continue
        for number, line in enumerate(read(root, path).split("\n"), 1):
            if LEFT_OPEN.search(line):
                yield f"{path}:{number}: left open: {line.strip()[:60]}"


def whitespace(root):
    for path in files(root, ".cc", ".h", ".py", ".js", ".mjs", ".css", ".html", ".cmake", ".sh",
                      ".txt"):
        text = read(root, path)
        if text and not text.endswith("\n"):
            yield f"{path}: no newline at the end"
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                yield f"{path}:{number}: a tab"
            if "\r" in line:
                yield f"{path}:{number}: a carriage return"
            if line != line.rstrip():
                yield f"{path}:{number}: space at the end of the line"
            if len(line) > MAX_COLUMNS and path.endswith((".cc", ".h", ".py", ".sh")):
                yield f"{path}:{number}: {len(line)} columns, {MAX_COLUMNS} is the limit"


def listed(root):
    """A source that no CMakeLists.txt names is never compiled."""
    lists = {os.path.dirname(path): read(root, path) for path in files(root, "CMakeLists.txt")}
    everything = "\n".join(lists.values())
    for path in files(root, ".cc"):
        folder, name = os.path.split(path)
        text = lists.get(folder, everything)
        if not re.search(r"(?<![\w.-])" + re.escape(name) + r"\b", text) and \
                not re.search(r"(?<![\w.-])" + re.escape(path) + r"\b", everything):
            yield f"{path}: no CMakeLists.txt lists it"


def pages(root):
    """The embedded pages need nothing from anywhere else, and every one of them is embedded."""
    folder = "signaling/web"
    if not os.path.isdir(os.path.join(root, folder)):
        return
    listing = read(root, f"{folder}/CMakeLists.txt")
    for path in files(root, ".html", ".js", ".css", ".svg"):
        if not path.startswith(folder + "/"):
            continue
        if os.path.relpath(path, folder) not in listing:
            yield f"{path}: not embedded, {folder}/CMakeLists.txt does not list it"
        for number, line in enumerate(read(root, path).split("\n"), 1):
            for match in URL.finditer(line):
                host = match.group(1) or match.group(2)
                if not URL_ALLOWED.match(host):
                    yield f"{path}:{number}: an address outside of this server: {host}"


def links(root):
    """What a page of the documentation points at is there."""
    for path in files(root, ".md"):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", read(root, path), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
                yield f"{path}: points at {target}, which is not there"


def tests_wait_for_nothing(root):
    pattern = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(")
    for path in files(root, ".cc", ".h"):
        if room_of(path) != "tests":
            continue
        for number, line in enumerate(without_comments(read(root, path)).split("\n"), 1):
            if pattern.search(line):
                yield f"{path}:{number}: sleeps; wait for the event, or move the virtual clock"


RULES = (layering, purity, beast, exceptions, sizes, headers, left_open, whitespace, listed, pages,
         links, tests_wait_for_nothing)


class Tree(unittest.TestCase):
    """This repository keeps every rule."""

    maxDiff = None


def judge(rule):
    def test(self):
        complaints = list(rule(ROOT))
        self.assertFalse(complaints, "\n  " + "\n  ".join(complaints))
    return test


for _rule in RULES:
    setattr(Tree, "test_" + _rule.__name__, judge(_rule))


class Rules(unittest.TestCase):
    """Each rule refuses what it is for, and nothing else."""

    def complaints(self, rule, samples):
        with tempfile.TemporaryDirectory() as root:
            for path, text in samples.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
            return list(rule(root))

    def refuses(self, rule, expected, **sample):
        return self.refuses_files(rule, expected, {sample["path"]: sample["text"]})

    def refuses_files(self, rule, expected, samples):
        complaints = self.complaints(rule, samples)
        self.assertTrue(any(expected in c for c in complaints), (expected, complaints))

    def accepts(self, rule, path, text):
        self.assertEqual(self.complaints(rule, {path: text}), [])

    def test_layers(self):
        for path, include, wrong in (
                ("net/a.cc", '"turn/server.h"', "net/ may not include turn/"),
                ("turn/a.cc", '"net/loop.h"', "turn/ may not include net/"),
                ("turn/a.h", '"signaling/service.h"', "turn/ may not include signaling/"),
                ("signaling/a.cc", '"turn/credentials.h"', "signaling/ may not include turn/"),
                ("base/a.cc", '"stun/message.h"', "base/ may not include stun/"),
                ("stun/a.cc", '"turn/path.h"', "stun/ may not include turn/"),
                ("net/a.cc", '"server/config.h"', "net/ may not include server/"),
                ("server/a.cc", '"tests/sim/world.h"', "server/ may not include tests/"),
                ("stun/a.cc", '"message.h"', "not relative to the root"),
                ("stun/a.cc", '"../base/bytes.h"', "not relative to the root"),
                ("turn/a.cc", "<nlohmann/json.hpp>", "JSON belongs to"),
                ("net/a.cc", "<nlohmann/json_fwd.hpp>", "JSON belongs to")):
            with self.subTest(path=path, include=include):
                self.refuses(layering, wrong, path=path, text=f"#include {include}\n")
        self.accepts(layering, "server/a.cc", '#include "net/loop.h"\n#include "turn/server.h"\n')
        self.accepts(layering, "signaling/a.cc", "#include <nlohmann/json.hpp>\n")
        self.accepts(layering, "tests/a.cc", '#include "net/loop.h"\n#include "turn/server.h"\n')

    def test_purity(self):
        for path, include in (
                ("turn/a.cc", "uv.h"), ("base/a.h", "openssl/ssl.h"), ("stun/a.cc", "sys/socket.h"),
                ("turn/a.cc", "netinet/in.h"), ("signaling/a.cc", "thread"), ("turn/a.cc", "mutex"),
                ("turn/a.h", "atomic"), ("base/slab.h", "atomic"), ("stun/a.cc", "ctime"),
                ("turn/a.cc", "base/log.h"), ("signaling/a.h", "boost/asio/buffer.hpp")):
            with self.subTest(path=path, include=include):
                self.refuses(purity, "belongs to net/", path=path, text=f"#include <{include}>\n")
        self.refuses(purity, "base/log.h", path="turn/a.cc", text='  #  include "base/log.h"\n')
        for call in ("steady_clock::now()", "std::time(nullptr)", "clock_gettime(0, &t)",
                     "std::chrono::system_clock :: now()"):
            self.refuses(purity, "reads a clock", path="turn/a.cc", text=f"auto t = {call};\n")
        self.accepts(purity, "turn/a.cc", "// steady_clock::now() is not ours\n#include <chrono>\n")
        self.accepts(purity, "base/mailbox.h", "#include <atomic>\n#include <mutex>\n")
        self.accepts(purity, "base/a.cc", "#include <openssl/evp.h>\n")
        self.accepts(purity, "net/a.cc", "#include <uv.h>\nauto t = steady_clock::now();\n")

    def test_beast_stands_in_one_source(self):
        include = "#include <boost/beast/http.hpp>\n"
        self.refuses(beast, "one source of signaling/", path="signaling/http.h", text=include)
        self.refuses(beast, "one source of signaling/", path="server/a.cc", text=include)
        self.refuses_files(beast, "in 2 files",
                           {"signaling/http.cc": include, "signaling/ws.cc": include})
        self.accepts(beast, "signaling/http.cc", include)

    def test_nobody_throws(self):
        self.refuses(exceptions, "throws", path="turn/a.cc", text="void f() { throw 1; }\n")
        self.accepts(exceptions, "turn/a.cc", '// throw it away\nconst char* s = "throw";\n')
        self.accepts(exceptions, "tests/turn/a.cc", "void f() { throw 1; }\n")

    def test_sizes(self):
        def body(lines):
            return "  x();\n" * lines
        for head in ("void f() {", "int A::f(int b) const {", "auto f() -> int {",
                     "A::A(int b)\n    : b_(b), c_{1} {", "A::A() : c_{1}, d_{2} {",
                     "template <class T>\nvoid f(T t) {", "static struct sockaddr f(int a) {",
                     "namespace n {\nnamespace {\nvoid f() {", "class A {\n public:\n  void f() {"):
            with self.subTest(head=head):
                self.refuses(sizes, " lines, 70", path="turn/a.cc",
                             text=f"int y;\n{head}\n{body(69)}}}\n")
                fits = 68 - head.count("\n")
                self.accepts(sizes, "turn/a.cc", f"int y;\n{head}\n{body(fits)}}}\n")
        tricky = 'void f() {\n  auto a = "}";  // }\n  char b = \'}\';\n  auto c = R"(})";\n'
        self.refuses(sizes, "lines, 70", path="turn/a.cc", text=tricky + body(69) + "}\n")
        self.accepts(sizes, "turn/a.cc", "namespace n {\n" + "int x = 1;\n" * 200 + "}\n")
        self.accepts(sizes, "turn/a.cc", "int t[] = {\n" + "  f(1),\n" * 200 + "};\n")
        self.accepts(sizes, "turn/a.cc", "struct A {\n" + "  int f() { return 1; }\n" * 99 + "};\n")
        self.refuses(sizes, "801 lines", path="turn/a.h", text="int x;\n" * 801)

    def test_headers(self):
        self.refuses(headers, "opens with a comment", path="a.h", text="#pragma once\n")
        self.refuses(headers, "no #pragma once", path="a.h", text="// What it is.\nint x;\n")
        self.accepts(headers, "a.h", "// What it is.\n#pragma once\n")

    def test_left_open(self):
        for word in ("TO" "DO", "FIX" "ME", "X" "XX"):
            self.refuses(left_open, "left open", path="a.py", text=f"# {word}: later\n")
            self.refuses(left_open, "left open", path="tools/up", text=f"# {word}\n")
        self.accepts(left_open, "a.py", "todo = mastodon\n")

    def test_whitespace(self):
        self.refuses(whitespace, "a tab", path="a.cc", text="\tint x;\n")
        self.refuses(whitespace, "carriage return", path="a.cc", text="int x;\r\n")
        self.refuses(whitespace, "space at the end", path="a.py", text="x = 1 \n")
        self.refuses(whitespace, "no newline", path="a.py", text="x = 1")
        self.refuses(whitespace, "101 columns", path="a.cc", text="/" * 101 + "\n")
        self.accepts(whitespace, "a.cc", "/" * 100 + "\n")

    def test_listed(self):
        self.refuses_files(listed, "turn/b.cc", {
            "turn/CMakeLists.txt": "turnpike_room(turn SOURCES a.cc bb.cc)\n",
            "turn/a.cc": "", "turn/b.cc": "", "turn/bb.cc": ""})
        self.assertEqual(self.complaints(listed, {
            "turn/CMakeLists.txt": "turnpike_room(turn SOURCES a.cc ../tools/embed.cc)\n",
            "turn/a.cc": "", "tools/embed.cc": ""}), [])

    def test_pages(self):
        listing = {"signaling/web/CMakeLists.txt": "set(files call.html)\n"}

        def page(text, name="call.html"):
            return {**listing, "signaling/web/" + name: text + "\n"}
        for text in ('<script src="https://cdn.host.io/x.js">', '<link href="//cdn.test/x.css">',
                     'import x from "https://esm.sh/x";', "@import url(http://fonts.test/a.css);",
                     'new WebSocket("wss://other.host/ws")'):
            self.refuses_files(pages, "outside of this server", page(text))
        self.refuses_files(pages, "not embedded", page("", "other.js"))
        for text in ('<svg xmlns="http://www.w3.org/2000/svg">', "`https://${location.host}/`",
                     '<a href="/call/demo">', "urls: turn://", "https://turn.example.org/"):
            self.assertEqual(self.complaints(pages, page(text)), [])

    def test_links(self):
        self.refuses(links, "points at docs/a.md", path="README.md", text="[a](docs/a.md#top)\n")
        self.refuses(links, "points at ../b.png", path="docs/a.md", text="![b](../b.png)\n")
        self.assertEqual(self.complaints(links, {
            "README.md": "[a](docs/a.md) [top](#top) [web](https://example.org) `[x](y)`\n",
            "docs/a.md": "[back](../README.md)\n"}), [])

    def test_sleeping(self):
        self.refuses(tests_wait_for_nothing, "sleeps", path="tests/net/a.cc",
                     text="std::this_thread::sleep_for(1s);\n")
        self.accepts(tests_wait_for_nothing, "tests/net/a.cc", "// no sleep(1)\nasleep_(1);\n")

    def test_every_rule_has_a_sample(self):
        text = read(ROOT, "tests/tidy_test.py").split("class Rules", 1)[1]
        for rule in RULES:
            self.assertRegex(text, rf"(refuses|refuses_files)\({rule.__name__}\b")


if __name__ == "__main__":
    unittest.main()
