#!/usr/bin/env python3
"""What the fuzz targets reach of the parsers they are for; tools/fuzz --coverage runs it.

    fuzz_coverage.py [--seconds N] [--unreached] [--write PAGE] TARGET...

Each target runs twice: over its seeds alone, and then for N seconds with mutations of its own.
The figures are clang's: lines, regions and branches of the files in PARSERS.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/fuzz-coverage")
KINDS = ("lines", "regions", "branches")
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"

# The files that a target is for; what else it runs through on its way is not counted.
PARSERS = {
    "sdp": ["ice/media/sdp.cc", "ice/media/sdp_write.cc"],
    "rtp_and_rtcp": ["ice/media/rtp.cc", "ice/media/rtcp.cc", "ice/media/rtp_statistics.cc"],
    "dcep": ["ice/media/dcep.cc"],
    "echo_endpoint": ["server/echo_endpoint.cc", "server/echo_session.cc",
                      "server/echo_returning.cc", "server/echo_statistics.cc"],
    "ice_agent": ["ice/agent.cc", "ice/agent_requests.cc", "ice/checklist.cc", "ice/candidate.cc",
                  "ice/server_url.cc"],
    "signaling_service": ["signaling/carrier.cc", "signaling/carrier_http.cc",
                          "signaling/carrier_websocket.cc", "signaling/native.cc",
                          "signaling/native_endpoint.cc", "signaling/hub.cc", "signaling/api.cc",
                          "signaling/peer.cc", "signaling/room.cc", "signaling/forwarded.cc",
                          "signaling/origin.cc", "signaling/files.cc", "signaling/acme.cc",
                          "signaling/invitation.cc", "signaling/socketio.cc"],
    "stun_message": ["stun/message.cc", "stun/attributes.cc", "stun/builder.cc",
                     "stun/classify.cc", "stun/integrity.cc", "stun/nonce.cc"],
    "dtls_listener": ["base/dtls.cc"],
    "proxy_header": ["base/proxy_header.cc"],
    "stream_framer": ["turn/stream_framer.cc"],
    "http_head": ["signaling/http.cc"],
    "http_response": ["signaling/http.cc"],
    "websocket_frames": ["signaling/ws.cc"],
    "turn_server": ["turn/server.cc", "turn/allocate.cc", "turn/authenticator.cc",
                    "turn/access_token.cc", "turn/channel_data.cc", "turn/channels.cc",
                    "turn/mobility.cc", "turn/permissions.cc", "turn/permit.cc",
                    "turn/policy.cc", "turn/relaying.cc", "turn/reservations.cc",
                    "turn/tcp_relay.cc"],
    "engineio_payload": ["signaling/engineio_packet.cc"],
    "engineio_session": ["signaling/engineio.cc", "signaling/engineio_polling.cc",
                         "signaling/engineio_websocket.cc"],
    "socketio_packet": ["signaling/socketio_packet.cc", "signaling/json_text.cc"],
    "room_tokens": ["signaling/room_tokens.cc", "signaling/jwt.cc"],
    "dialect_sockets": ["signaling/peerjs.cc", "signaling/plain.cc", "signaling/scaledrone.cc",
                        "signaling/ywebrtc.cc"],
}


def tool(name):
    """LLVM's, of the compiler's version: the format of profiles changes with it."""
    version = subprocess.run(["clang++", "--version"], text=True, capture_output=True, check=True)
    major = re.search(r"version (\d+)", version.stdout).group(1)
    for candidate in (f"{name}-{major}", name):
        if path := shutil.which(candidate):
            return path
    raise SystemExit(f"fuzz_coverage: {name}-{major} is missing; tools/fuzz --coverage installs it")


class Target:
    def __init__(self, name):
        self.name = name
        self.binary = os.path.join(BUILD, "tests/fuzz", f"fuzz_{name}")
        self.seeds = os.path.join(ROOT, "tests/corpus", name)
        self.files = PARSERS[name]
        self.profile = os.path.join(BUILD, "profiles", f"{name}.profdata")

    def run(self, *options):
        """One run, whose counters become the profile."""
        os.makedirs(os.path.dirname(self.profile), exist_ok=True)
        raw = self.profile + ".raw"
        command = [self.binary, "-rss_limit_mb=1024", "-max_len=4096", "-timeout=10", "-seed=1",
                   f"-artifact_prefix={os.path.dirname(self.profile)}/{self.name}-", *options]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "LLVM_PROFILE_FILE": raw},
                              stdin=subprocess.DEVNULL, text=True, stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise SystemExit(f"fuzz_coverage: {self.name} ended with {done.returncode}:\n"
                             + done.stderr[-4000:])
        subprocess.run([tool("llvm-profdata"), "merge", "-sparse", raw, "-o", self.profile],
                       check=True)
        os.remove(raw)

    def export(self, *options):
        return subprocess.run([tool("llvm-cov"), "export", self.binary,
                               f"-instr-profile={self.profile}", *options],
                              check=True, text=True, capture_output=True).stdout

    def summary(self):
        """{file: {kind: (covered, count)}}"""
        [found] = json.loads(self.export("-summary-only"))["data"]
        all_files = {os.path.relpath(file["filename"], ROOT):
                     {kind: (file["summary"][kind]["covered"], file["summary"][kind]["count"])
                      for kind in KINDS} for file in found["files"]}
        for file in self.files:
            if file not in all_files:
                print(f"fuzz_coverage: {self.name} does not link {file}", file=sys.stderr)
        return {file: all_files[file] for file in self.files if file in all_files}

    def unreached(self):
        """{file: [line]}"""
        found = unreached_lines(self.export("-format=lcov"))
        return {file: found[file] for file in self.files if file in found}

    def measure(self, seconds):
        self.run("-runs=0", self.seeds)
        by_seeds = self.summary()
        if seconds == 0:
            return by_seeds, by_seeds
        with tempfile.TemporaryDirectory(prefix="turnpike-fuzz-") as corpus:
            kept = os.path.join(ROOT, "build/fuzz-corpus", self.name)
            folders = [corpus, self.seeds] + ([kept] if os.path.isdir(kept) else [])
            self.run(f"-max_total_time={seconds}", *folders)
        return by_seeds, self.summary()


def unreached_lines(lcov):
    found, file = {}, None
    for line in lcov.splitlines():
        if line.startswith("SF:"):
            file = os.path.relpath(line[3:], ROOT)
        elif match := re.match(r"DA:(\d+),0$", line):
            found.setdefault(file, []).append(int(match.group(1)))
    return found


def total(summary):
    """{kind: (covered, count)} of all files."""
    return {kind: tuple(sum(file[kind][i] for file in summary.values()) for i in (0, 1))
            for kind in KINDS}


def percent(pair):
    covered, count = pair
    return "-" if count == 0 else f"{100 * covered / count:.1f}"


def spans(lines):
    """[3, 4, 5, 9] as "3-5, 9"."""
    found = []
    for line in sorted(lines):
        if found and found[-1][1] == line - 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def table_of(measured, seconds):
    """Markdown: a row for each target, and one for each of its files. Without seconds there is
    nothing but the seeds to tell of."""
    shares = " | ".join(f"{kind} %" for kind in KINDS)
    columns = [shares] if seconds == 0 else [shares, f"after {seconds} s: {shares}"]
    rows = ["| target and files | lines | " + " | ".join(columns) + " |",
            "| --- |" + " ---: |" * (1 + len(columns) * len(KINDS))]

    def add(name, *found):
        cells = [name, str(found[0]["lines"][1])]
        cells += [percent(one[kind]) for one in found[:len(columns)] for kind in KINDS]
        rows.append("| " + " | ".join(cells) + " |")
    for name, (by_seeds, after) in measured.items():
        add(f"**{name}**", total(by_seeds), total(after))
        for file in after:
            add(f"`{file}`", by_seeds[file], after[file])
    every = [{f"{name} {file}": counts for name, found in measured.items()
              for file, counts in found[which].items()} for which in (0, 1)]
    add("**all**", total(every[0]), total(every[1]))
    return "\n".join(rows) + "\n"


def write_into(page, table):
    with open(page, encoding="utf-8") as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"fuzz_coverage: {page} has no place for the table ({BEGIN})")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    with open(page, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{table}{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--unreached", action="store_true", help="print lines that nothing reached")
    parser.add_argument("--write", metavar="PAGE", help="put the table into this page")
    parser.add_argument("targets", nargs="+", choices=sorted(PARSERS), metavar="TARGET")
    chosen = parser.parse_args()
    measured = {}
    for name in chosen.targets:
        print(f"{name} ...", file=sys.stderr, flush=True)
        target = Target(name)
        measured[name] = target.measure(chosen.seconds)
        if chosen.unreached:
            for file, lines in target.unreached().items():
                print(f"{file}: {spans(lines)}")
    table = table_of(measured, chosen.seconds)
    print(table, end="")
    if chosen.write:
        write_into(os.path.join(ROOT, chosen.write), table)


if __name__ == "__main__":
    main()
