"""Counts single tests in what the test runners leave behind: prints "passed failed skipped".

    count.py gtest FOLDER     GoogleTest XML files beside a ctest.junit
    count.py unittest LOG     what Python's unittest prints
    count.py node LOG         what node --test prints (TAP, or the reporter for people)
    count.py self-test

A run that ends without its closing words has crashed, which is a failure.
"""

import glob
import os
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree


def count_gtest(folder):
    passed = failed = skipped = 0
    junit = os.path.join(folder, "ctest.junit")
    if not os.path.exists(junit):
        return 0, 1, 0
    for program in ElementTree.parse(junit).getroot().iter("testcase"):
        name, good = program.get("name"), program.get("status") == "run"
        reports = [r for r in glob.glob(os.path.join(folder, name + ".xml"))]
        if not reports:  # not a GoogleTest program, or it died before it could report
            passed, failed = passed + good, failed + (not good)
            continue
        bad = 0
        for case in ElementTree.parse(reports[0]).getroot().iter("testcase"):
            if case.find("failure") is not None:
                bad += 1
            elif case.find("skipped") is not None or case.get("status") == "notrun":
                skipped += 1
            else:
                passed += 1
        # All cases fine and yet the program failed: a leak, or a crash at its end.
        failed += bad or (not good)
    return passed, failed, skipped


def count_unittest(text):
    ran = re.findall(r"^Ran (\d+) tests? in ", text, re.M)
    end = re.findall(r"^(OK|FAILED)(?: \((.*)\))?$", text, re.M)
    if len(ran) != 1 or len(end) != 1 or int(ran[0]) == 0:
        return 0, 1, 0
    numbers = dict(re.findall(r"([a-z ]+)=(\d+)", end[0][1]))
    numbers = {name.strip(): int(number) for name, number in numbers.items()}
    bad = sum(numbers.get(n, 0) for n in ("failures", "errors", "unexpected successes"))
    if end[0][0] == "FAILED":
        bad = max(bad, 1)
    skipped = numbers.get("skipped", 0)
    return max(int(ran[0]) - bad - skipped, 0), bad, skipped


def count_node(text):
    found = {name: int(number) for name, number in
             re.findall(r"^(?:#|\u2139) (pass|fail|cancelled|skipped) (\d+)$", text, re.M)}
    if "pass" not in found or found["pass"] + found.get("fail", 0) == 0:
        return 0, 1, 0
    return found["pass"], found.get("fail", 0) + found.get("cancelled", 0), found.get("skipped", 0)


class Counting(unittest.TestCase):
    def test_unittest(self):
        self.assertEqual(count_unittest("Ran 7 tests in 0.1s\n\nOK\n"), (7, 0, 0))
        self.assertEqual(count_unittest("Ran 1 test in 0.1s\n\nOK (skipped=1)\n"), (0, 0, 1))
        self.assertEqual(count_unittest(
            "Ran 9 tests in 1s\n\nFAILED (failures=2, errors=1, skipped=3)\n"), (3, 3, 3))
        self.assertEqual(count_unittest("Segmentation fault\n"), (0, 1, 0))
        self.assertEqual(count_unittest("Ran 0 tests in 0.0s\n\nOK\n"), (0, 1, 0))

    def test_node(self):
        self.assertEqual(count_node("# tests 3\n# pass 2\n# fail 1\n# skipped 0\n"), (2, 1, 0))
        people = "\u2139 pass 4\n\u2139 fail 0\n\u2139 cancelled 1\n"
        self.assertEqual(count_node(people), (4, 1, 0))
        self.assertEqual(count_node("npm ERR!\n"), (0, 1, 0))

    def test_gtest(self):
        suite = '<testsuites><testsuite>{}</testsuite></testsuites>'
        good, bad = '<testcase status="run"/>', '<testcase status="run"><failure/></testcase>'
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(count_gtest(folder), (0, 1, 0))

            def write(name, text):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            write("ctest.junit", '<testsuite><testcase name="a" status="run"/><testcase name="b"'
                  ' status="fail"/><testcase name="c" status="fail"/>'
                  '<testcase name="d" status="fail"/></testsuite>')
            write("a.xml", suite.format(good * 5))  # passes
            write("b.xml", suite.format(good + bad * 2))  # two cases fail
            write("c.xml", suite.format(good * 3))  # leaks at its end; d has crashed
            self.assertEqual(count_gtest(folder), (9, 4, 0))


def main():
    what, *rest = sys.argv[1:] or [""]
    if what == "self-test":
        return unittest.main(argv=["count.py"])
    if what == "gtest":
        result = count_gtest(rest[0])
    else:
        with open(rest[0], encoding="utf-8", errors="replace") as file:
            result = {"unittest": count_unittest, "node": count_node}[what](file.read())
    print(*map(int, result))
    return None


if __name__ == "__main__":
    main()
