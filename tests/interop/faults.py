"""Makes system calls of a running server fail: the test's side of tests/faults/faults.cc, which it
compiles and preloads into the binary under test."""

import atexit
import contextlib
import errno
import functools
import mmap
import os
import shutil
import struct
import subprocess
import tempfile

from server import ROOT

# The order is that of Call in faults.cc.
CALLS = ["socket", "bind", "accept4", "sendto", "sendmsg", "sendmmsg", "writev", "write",
         "recvmmsg", "read", "open", "connect"]
UDP, TCP, UNIX, FILE, OTHER = 1, 2, 4, 8, 16

HEAD = 8 + 8 * (len(CALLS) + 3)
RULE = struct.Struct("=IIIiIIIIQQQQ")
RULES = 16
PAGE = 4096


@functools.cache
def library():
    """Compiled once, without the sanitizers that other programs of tests/ have."""
    folder = tempfile.mkdtemp(prefix="turnpike-faults-")
    atexit.register(shutil.rmtree, folder)
    path = os.path.join(folder, "faults.so")
    subprocess.run(["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-o", path,
                    os.path.join(ROOT, "tests/faults/faults.cc"), "-ldl"],
                   check=True, stdin=subprocess.DEVNULL, timeout=300)
    return path


class Rule:
    def __init__(self, faults, index):
        self.faults, self.index = faults, index

    def read(self):
        return RULE.unpack_from(self.faults.page, HEAD + self.index * RULE.size)

    @property
    def hits(self):
        """How many calls have failed, or wait."""
        return self.read()[-1]

    def take_back(self):
        struct.pack_into("=I", self.faults.page, HEAD + self.index * RULE.size, 0)


class Faults:
    """Use it in a with statement; `env` is for the server."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="turnpike-faults-")
        self.path = os.path.join(self.folder, "page")
        with open(self.path, "wb") as file:
            file.write(bytes(PAGE))
        with open(self.path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), PAGE)
        self.env = {"LD_PRELOAD": library(), "SYSCALL_FAULTS": self.path}
        return self

    def __exit__(self, *_):
        self.clear()
        self.page.close()
        shutil.rmtree(self.folder)

    def clear(self):
        self.page[:] = bytes(PAGE)

    def calls(self, name):
        """How often the server has made this call."""
        return struct.unpack_from("=Q", self.page, 8 + 8 * CALLS.index(name))[0]

    def shift_wall_clock(self, seconds):
        struct.pack_into("=q", self.page, 0, seconds * 10**9)

    def begin(self, call, error=0, *, kinds=0, every=1, after=0, limit=0, port=0, not_port=0,
              block=False):
        """From now on such calls fail with this errno, or wait: all, each `every`th, those after
        the first `after`, no more than `limit`; of sockets with this local port, or another."""
        for index in range(RULES):
            if not Rule(self, index).read()[0]:
                break
        else:
            raise ValueError("too many rules")
        if isinstance(error, str):
            error = getattr(errno, error)
        at = HEAD + index * RULE.size
        RULE.pack_into(self.page, at, 0, CALLS.index(call), kinds, error, every, port, not_port,
                       int(block), after, limit, 0, 0)
        struct.pack_into("=I", self.page, at, 1)
        return Rule(self, index)

    @contextlib.contextmanager
    def failing(self, call, error, **more):
        rule = self.begin(call, error, **more)
        try:
            yield rule
        finally:
            rule.take_back()
