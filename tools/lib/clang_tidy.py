"""Runs clang-tidy over rooms of the tree, and remembers which files were clean.

    clang_tidy.py BUILD_FOLDER ROOM...

What a file depends on comes from ninja's own records, so a file is looked at again exactly when
itself, a header it includes, its command line, .clang-tidy or clang-tidy has changed.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

CACHE = "build/clang-tidy"


def dependencies(build):
    """object file -> the files it was made from, as ninja saw them at the last build."""
    found, current = {}, None
    listing = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    for line in listing.split("\n"):
        if line and not line.startswith((" ", "ninja:")):
            current = found.setdefault(line.split(":", 1)[0], [])
        elif line.startswith("    ") and current is not None:
            current.append(os.path.normpath(os.path.join(build, line.strip())))
    return found


class Digests:
    """Content for files of the tree; time and size are enough for the system's headers."""

    def __init__(self):
        self.known = {}

    def of(self, path):
        if path not in self.known:
            if path.startswith("/usr/"):
                status = os.stat(path)
                self.known[path] = f"{status.st_size} {status.st_mtime_ns}"
            else:
                with open(path, "rb") as file:
                    self.known[path] = hashlib.sha256(file.read()).hexdigest()
        return self.known[path]


def key(entry, needed, common, digests):
    digest = hashlib.sha256(common.encode())
    digest.update(entry["command"].encode())
    for path in sorted(set(needed)):
        digest.update(f"{path} {digests.of(path)}\n".encode())
    return os.path.join(CACHE, digest.hexdigest())


def commands_without_precompiled(entries):
    """A folder with the commands as they would be without precompiled headers: clang-tidy would
    walk through all that they declare, for each file."""
    entries = [dict(entry) for entry in entries]
    for entry in entries:
        entry["command"] = re.sub(r" -Winvalid-pch| -Xclang -include(-pch)? -Xclang \S+", "",
                                  entry["command"])
    folder = os.path.join(CACHE, "commands")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    return folder


def look_at(job):
    source, mark, commands = job
    run = subprocess.run(["clang-tidy", "--quiet", "-p", commands, source], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if run.returncode == 0:
        with open(mark, "w", encoding="utf-8") as file:
            file.write(source + "\n")
    return source, run.returncode, run.stdout + (run.stderr if run.returncode else "")


def main():
    build, *rooms = sys.argv[1:]
    os.makedirs(CACHE, exist_ok=True)
    with open(".clang-tidy", encoding="utf-8") as file:
        common = file.read()
    common += subprocess.run(["clang-tidy", "--version"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    needed, digests, jobs, clean = dependencies(build), Digests(), [], 0
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    commands = commands_without_precompiled(entries)
    for entry in entries:
        source = os.path.relpath(entry["file"])
        if source.split("/", 1)[0] not in rooms:
            continue
        words = shlex.split(entry["command"])
        output = words[words.index("-o") + 1]  # CMake 3.25 writes no "output" of its own
        target = os.path.relpath(os.path.join(entry["directory"], output), build)
        if target not in needed:
            sys.exit(f"{source} has not been built in {build}")
        mark = key(entry, needed[target] + [source], common, digests)
        if os.path.exists(mark):
            clean += 1
        else:
            jobs.append((source, mark, commands))
    print(f"{clean} files are clean as before, {len(jobs)} to look at", flush=True)
    dirty = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, status, words in pool.map(look_at, jobs):
            if status:
                dirty += 1
                print(f"-- {source}\n{words}", flush=True)
    print(f"{dirty} files with findings")
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
