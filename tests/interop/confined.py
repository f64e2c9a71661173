"""Runs a command as a systemd unit confines it: as an ordinary user, with the unit's system calls,
address families and W^X, in one seccomp filter. What the unit would refuse with EPERM ends the
process with SIGSYS here, so that nothing is refused unnoticed.

    confined.py UNIT USER-ID COMMAND...
"""

import ctypes
import os
import re
import socket
import struct
import subprocess
import sys

NUMBERS = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
ARCH_X86_64, X32_BIT = 0xC000003E, 0x40000000
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16
PROT_WRITE_EXEC, PROT_EXEC = 6, 4
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


def settings(unit):
    """{key: [values in order]}"""
    found = {}
    with open(unit, encoding="ascii") as file:
        for line in file:
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                found.setdefault(key, []).append(value)
    return found


def numbers():
    with open(NUMBERS, encoding="ascii") as file:
        return {name: int(number) for name, number in
                re.findall(r"#define __NR_(\w+) (\d+)", file.read())}


def members(group):
    """The calls of one of systemd's groups, groups in it resolved."""
    listing = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], text=True,
                             check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    names = set()
    for word in listing.splitlines()[1:]:
        word = word.strip()
        if word.startswith("@"):
            names |= members(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


def allowed(filters):
    """A list that begins with an allowance begins with nothing (systemd.exec(5))."""
    names = set()
    for words in filters:
        takes_away = words.startswith("~")
        for word in words.lstrip("~").split():
            some = members(word) if word.startswith("@") else {word}
            names = names - some if takes_away else names | some
    return names


def op(code, value, yes=0, no=0):
    return struct.pack("=HBBI", code, yes, no, value)


def argument(index):
    return op(LOAD, ARGUMENTS_AT + 8 * index)


def without(bits):
    """Kills who asks for all of these in the third argument."""
    return [argument(2), op(AND, bits), op(EQUAL, bits, 0, 1), op(RETURN, KILL), op(RETURN, ALLOW)]


def program(unit):
    known, wished = numbers(), settings(unit)
    names = allowed(wished["SystemCallFilter"])
    families = [getattr(socket, word) for word in wished["RestrictAddressFamilies"][-1].split()]
    blocks = {"socket": [argument(0)]}
    for family in families:
        blocks["socket"] += [op(EQUAL, family, 0, 1), op(RETURN, ALLOW)]
    blocks["socket"].append(op(RETURN, KILL))
    if wished["MemoryDenyWriteExecute"] == ["yes"]:
        blocks.update(mmap=without(PROT_WRITE_EXEC), mprotect=without(PROT_EXEC),
                      pkey_mprotect=without(PROT_EXEC))
    code = [op(LOAD, ARCH_AT), op(EQUAL, ARCH_X86_64, 1, 0), op(RETURN, KILL),
            op(LOAD, NUMBER_AT), op(AT_LEAST, X32_BIT, 0, 1), op(RETURN, KILL)]
    for name in sorted(names & known.keys()):
        block = blocks.get(name, [op(RETURN, ALLOW)])
        code += [op(EQUAL, known[name], 0, len(block)), *block]
    return b"".join(code + [op(RETURN, KILL)])


def confine(code):
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(code, len(code))
    wanted = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    for step in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, wanted)):
        if libc.prctl(*step) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(unit, user, *command):
    code = program(unit)
    os.setgroups([])
    os.setresgid(*[int(user)] * 3)
    os.setresuid(*[int(user)] * 3)
    confine(code)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
