"""bench/since with programs that pretend to be benchmarks."""

import json
import os
import subprocess
import tempfile
import unittest

from server import ROOT

PROGRAM = """#!/bin/sh
case "$2" in --benchmark_format=json) ;; *) exit 9;; esac
cat <<'END'
%s
END
"""


def pretend(folder, program, **benchmarks):
    """A program that reports these CPU times in nanoseconds."""
    rows = [{"name": name, "cpu_time": time, "time_unit": "ns"}
            for name, time in benchmarks.items()]
    os.makedirs(os.path.join(folder, "bench"), exist_ok=True)
    path = os.path.join(folder, "bench", program)
    with open(path, "w", encoding="utf-8") as file:
        file.write(PROGRAM % json.dumps({"benchmarks": rows}))
    os.chmod(path, 0o755)


class Since(unittest.TestCase):
    def setUp(self):
        self.old = self.enterContext(tempfile.TemporaryDirectory())
        self.new = self.enterContext(tempfile.TemporaryDirectory())

    def since(self, *arguments):
        return subprocess.run([os.path.join(ROOT, "bench/since"), "--builds", self.old, self.new,
                               "--rounds", "2", *arguments], text=True, capture_output=True,
                              timeout=60, check=False, stdin=subprocess.DEVNULL)

    def test_what_became_slower_is_named_and_is_a_failure(self):
        pretend(self.old, "bench_turn", Fast=100, Slow=100, Gone=1)
        pretend(self.new, "bench_turn", Fast=90, Slow=130, New=1)
        done = self.since()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"bench_turn/Fast +90\.0 +0\.90\n")
        self.assertRegex(done.stdout, r"bench_turn/Slow +130\.0 +1\.30  SLOWER")
        self.assertNotIn("Gone", done.stdout)
        self.assertNotIn("New", done.stdout)

    def test_the_limit_can_be_set(self):
        pretend(self.old, "bench_net", Slow=100)
        pretend(self.new, "bench_net", Slow=130)
        self.assertEqual(self.since("--limit", "1.4").returncode, 0)

    def test_nothing_in_common_is_told(self):
        pretend(self.old, "bench_net", One=1)
        pretend(self.new, "bench_turn", One=1)
        done = self.since()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no benchmark in common", done.stderr)


if __name__ == "__main__":
    unittest.main()
