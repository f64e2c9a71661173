"""tools/soak, for less than a minute: the same load and the same judgement as a run of hours."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import unittest

from server import ROOT

PATH = os.path.join(ROOT, "tools/soak")


def module():
    loader = importlib.machinery.SourceFileLoader("soak", PATH)
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader("soak", loader))
    loader.exec_module(made)
    return made


class Soak(unittest.TestCase):
    def test_a_short_run_leaves_nothing_behind(self):
        run = subprocess.run(
            [sys.executable, PATH, "--minutes", "0.4", "--lifetime", "5", "--interval", "0.5",
             "--slack", "4096", "--rate", "8"],
            capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        report = json.loads(run.stdout)
        for actor in ("churners", "abandoners", "breakers", "tabs", "visitors", "packets"):
            self.assertGreater(report["done"].get(actor, 0), 0, actor)


class Judgement(unittest.TestCase):
    """Memory that grows is found, and memory that only moves is not."""

    @classmethod
    def setUpClass(cls):
        cls.soak = module()

    def judge(self, memory, seconds=3600):
        samples = [(second, memory(second), 50) for second in range(0, seconds + 1, 5)]
        return self.soak.judge_memory(samples, 1024)[1]

    def test_a_slow_leak(self):
        self.assertTrue(self.judge(lambda second: 20000 + second * 1200 / 3600))
        self.assertEqual(self.judge(lambda second: 20000 + second * 800 / 3600), [])

    def test_a_warm_up_and_spikes(self):
        self.assertEqual(self.judge(lambda second: 20000 - 15000 * (second < 900)), [])
        self.assertEqual(self.judge(lambda second: 20000 + 9000 * (second % 400 == 0)), [])

    def test_a_short_run_is_judged_by_what_it_has_become(self):
        self.assertEqual(self.judge(lambda second: 20000 + second, 600), [])
        self.assertTrue(self.judge(lambda second: 20000 + second * 10, 600))

    def test_too_few_samples_are_no_proof(self):
        self.assertTrue(self.soak.judge_memory([(0, 1, 1)], 1024)[1])


if __name__ == "__main__":
    unittest.main()
