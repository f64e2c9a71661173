"""docs/threat-model.md names the tests that show what it says: they must exist."""

import ast
import glob
import os
import re
import unittest

from server import ROOT

PAGE = os.path.join(ROOT, "docs/threat-model.md")
HEADINGS = 11  # with attacks
ATTACKS = 70
SOURCES = ("base", "stun", "turn", "ice", "signaling", "net", "server")
CALL = re.compile(r"\bequal_in_constant_time\(")
OTHERWISE = re.compile(r"\b(?:std::)?memcmp\(|\bCRYPTO_memcmp\(|\bstrn?cmp\(")


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def cases_of_python(path):
    module = os.path.basename(path).removesuffix(".py")
    for thing in ast.parse(text_of(path)).body:
        if isinstance(thing, ast.ClassDef):
            for member in thing.body:
                if isinstance(member, ast.FunctionDef) and member.name.startswith("test"):
                    yield f"{module}.{thing.name}.{member.name}"


def all_cases():
    found = set()
    for path in glob.glob(os.path.join(ROOT, "tests/*/test_*.py")):
        found.update(cases_of_python(path))
    for path in glob.glob(os.path.join(ROOT, "tests/**/*.cc"), recursive=True):
        for suite, case in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text_of(path), re.M):
            found.add(f"{suite}.{case}")
    return found


def rows(page):
    """(heading, cells) of each line of a table."""
    heading = ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| ") and not line.startswith("| ---"):
            yield heading, [cell.strip() for cell in line.strip("|").split(" | ")]


class Page(unittest.TestCase):
    def attacks(self):
        found = [(heading, cells) for heading, cells in rows(text_of(PAGE))
                 if len(cells) == 3 and heading != "Who is trusted with what"]
        return [(heading, cells) for heading, cells in found if cells[0] != "attack"]

    def test_every_test_that_is_named_exists(self):
        named = re.findall(r"`([^`]+)`", " ".join(tests for _, (_, _, tests) in self.attacks()))
        self.assertEqual(sorted(set(named) - all_cases()), [])

    def test_every_attack_has_an_answer_and_a_test(self):
        attacks = self.attacks()
        self.assertGreaterEqual(len(attacks), ATTACKS)
        self.assertEqual(len({heading for heading, _ in attacks}), HEADINGS)
        for _, (attack, answer, tests) in attacks:
            self.assertTrue(answer, attack)
            self.assertRegex(tests, r"^`\w+(\.\w+){1,2}`(, `\w+(\.\w+){1,2}`)*$", attack)

    def test_a_name_that_is_gone_is_noticed(self):
        known = all_cases()
        self.assertIn("PeerPolicy.AllowsThePublicInternet", known)
        self.assertNotIn("PeerPolicy.AllowsEverything", known)
        self.assertIn("test_threat_model.Page.test_a_name_that_is_gone_is_noticed", known)


class Comparisons(unittest.TestCase):
    def test_secrets_are_compared_in_constant_time(self):
        listed = {cells[0].strip("`") for heading, cells in rows(text_of(PAGE))
                  if heading == "Comparisons" and cells[0] != "file"}
        found, others = set(), set()
        for room in SOURCES:
            for path in glob.glob(os.path.join(ROOT, room, "**/*.cc"), recursive=True) + \
                    glob.glob(os.path.join(ROOT, room, "**/*.h"), recursive=True):
                name, text = os.path.relpath(path, ROOT), text_of(path)
                if CALL.search(text) and name != "base/digest.h":
                    found.add(name)
                if OTHERWISE.search(text):
                    others.add(name)
        self.assertEqual(found, listed)
        # The general comparison of bytes, and the one that takes its time.
        self.assertEqual(others, {"base/bytes.h", "base/digest.cc"})

    def test_the_general_comparison_of_bytes_sees_no_secret(self):
        uses = set()
        for room in SOURCES:
            for path in glob.glob(os.path.join(ROOT, room, "**/*.cc"), recursive=True):
                if re.search(r"(?<![\w:.])equal\(", text_of(path)):
                    uses.add(os.path.relpath(path, ROOT))
        # Headers of load balancers, DTLS hellos, lists of algorithms: no secret.
        self.assertLessEqual(uses, {"base/proxy_header.cc", "base/dtls.cc",
                                    "turn/authenticator.cc"})


if __name__ == "__main__":
    unittest.main()
