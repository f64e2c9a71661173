"""bench/macro/flood runs, floods at the rate that is asked for, and tells what it found. What it
found is nothing for a test: machines are busy."""

import json
import os
import subprocess
import tempfile
import unittest

from server import BINARY, ROOT

FLOODS = ("none", "allocate", "binding", "forged", "hello")
BUILD = os.path.dirname(BINARY)


@unittest.skipUnless(all(os.path.exists(os.path.join(BUILD, name)) for name in
                         ("flooder", "turnpike-load")), "flooder and turnpike-load are not built")
class Flood(unittest.TestCase):
    def run_flood(self, *options):
        return subprocess.run(
            [os.path.join(ROOT, "bench/macro/flood"), "--build", BUILD,
             "--unpinned", *options], text=True, capture_output=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL)

    def test_every_flood_is_answered_and_told_of(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.json")
            done = self.run_flood("--rounds", "1", "--seconds", "0.3", "--rate", "2000", "--json",
                                  out)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(out, encoding="utf-8") as file:
                document = json.load(file)
        floods = document["runs"]["turnpike"]
        self.assertEqual(tuple(floods), FLOODS)
        for name, [run] in floods.items():
            self.assertIn(f"turnpike {name}", done.stdout)
            self.assertGreater(run["bindings"], 0)
            if name == "none":
                self.assertIsNone(run["flood"])
            else:
                self.assertGreater(run["flood"]["answers"], 0, name)
                self.assertLessEqual(run["flood"]["answers"], run["flood"]["sent"], name)

    def test_mistakes_are_told(self):
        for options, sentence in ((["--floods", "locusts"], "floods are"),
                                  (["--rounds", "0"], "rounds"), (["--rate", "0"], "packets")):
            done = self.run_flood(*options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(sentence, done.stderr)


if __name__ == "__main__":
    unittest.main()
