"""Holds the checklist in docs/protocols.md and the tests that it names together."""

import ast
import os
import re
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))
DOCUMENT = os.path.join(ROOT, "docs/protocols.md")

ROWS = 153
# Not of a row: the check itself, and what compares whole conversations with another server.
OTHERS = ("test_checklist.py", "test_differential.py")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.*?) \|$")
SECTION = re.compile(r"\b(\d{4})((?: (?:\d+(?:\.\d+)*),?)*)")
TEST_NAME = re.compile(r"^test_(\d{4}|rest|ours)(?:_|$)")
GTEST = re.compile(r"^\s*TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)


def checklist(text):
    """The rows of the table as (number, behaviour, sections, names of tests)."""
    part = text.partition("\n## Checklist\n")[2]
    rows = [match.groups() for match in map(ROW.match, part.splitlines()) if match]
    return [(int(number), behaviour, sections, re.findall(r"`([^`]+)`", tests))
            for number, behaviour, sections, tests in rows]


def conformance_tests():
    """Every test of this folder: "module.Class.test_name"."""
    found = set()
    for name in sorted(os.listdir(FOLDER)):
        if not (name.startswith("test_") and name.endswith(".py")) or name in OTHERS:
            continue
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for one in tree.body:
            if isinstance(one, ast.ClassDef):
                found |= {f"{name[:-3]}.{one.name}.{method.name}" for method in one.body
                          if isinstance(method, ast.FunctionDef)
                          and method.name.startswith("test_")}
    return found


def unit_tests():
    """Every GoogleTest case: "Suite.Name"; and the Python tests beside this folder."""
    found = set()
    for folder, _, names in os.walk(os.path.join(ROOT, "tests")):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith("_test.cc"):
                with open(path, encoding="utf-8") as file:
                    found |= {f"{suite}.{case}" for suite, case in GTEST.findall(file.read())}
            elif os.path.basename(folder) == "interop" and name.startswith("test_"):
                with open(path, encoding="utf-8") as file:
                    found |= {f"{name[:-3]}.{test}" for test in
                              re.findall(r"^    def (test_\w+)", file.read(), re.MULTILINE)}
    return found


def short(test):
    return test.rpartition(".")[2]


def sections_of(text):
    """ "8489 6.3.1, 14.8; 8656 5" -> {"8489": {"6.3.1", "14.8"}, "8656": {"5"}} """
    found = {}
    for rfc, numbers in SECTION.findall(text):
        found.setdefault(rfc, set()).update(re.findall(r"\d+(?:\.\d+)*", numbers))
    return found


def quotes(test, sections):
    """Whether the name begins with an RFC of the row, and with a section of it or below it."""
    match = TEST_NAME.match(test)
    if not match:
        return False
    rfc, rest = match.group(1), test[match.end():]
    if not rfc.isdigit():
        return True
    return any(rest.startswith(number.replace(".", "_")) for number in sections.get(rfc, ()))


class Checklist(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with open(DOCUMENT, encoding="utf-8") as file:
            cls.rows = checklist(file.read())

    def test_has_every_row_once(self):
        self.assertEqual([row[0] for row in self.rows], list(range(1, ROWS + 1)))

    def test_every_row_is_shown_by_tests_that_exist(self):
        conformance = {short(test) for test in conformance_tests()}
        known = conformance | unit_tests()
        wrong = [f"row {number}: {', '.join(set(tests) - known) or 'no test'}"
                 for number, _, _, tests in self.rows if not tests or set(tests) - known]
        self.assertEqual(wrong, [])

    def test_every_test_belongs_to_a_row(self):
        named = {test for row in self.rows for test in row[3]}
        self.assertEqual(sorted(t for t in conformance_tests() if short(t) not in named), [])

    def test_no_two_tests_have_one_name(self):
        names = [short(test) for test in conformance_tests()]
        self.assertEqual(sorted(n for n in set(names) if names.count(n) > 1), [])

    def test_names_quote_a_section_of_their_row(self):
        conformance = {short(test) for test in conformance_tests()}
        wrong = [f"row {number}: {test}" for number, _, sections, tests in self.rows
                 for test in tests if test in conformance
                 and not quotes(test, sections_of(sections))]
        self.assertEqual(wrong, [])


class TheCheckItself(unittest.TestCase):
    def test_reads_rows(self):
        text = ("\n## Checklist\n\n| # | a | b | c |\n"
                "| 7 | Two words | 8489 6.3.1, 14.8 | `x`, `Y.Z` |\n")
        self.assertEqual(checklist(text), [(7, "Two words", "8489 6.3.1, 14.8", ["x", "Y.Z"])])

    def test_reads_sections(self):
        self.assertEqual(sections_of("8489 6.3.1, 14.8; 8656 5"),
                         {"8489": {"6.3.1", "14.8"}, "8656": {"5"}})

    def test_sees_a_name_that_quotes_another_section(self):
        sections = {"8489": {"9.2.4"}}
        self.assertTrue(quotes("test_8489_9_2_4_wrong_password", sections))
        self.assertFalse(quotes("test_8489_9_1_wrong_password", sections))
        self.assertFalse(quotes("test_8656_9_2_4_wrong_password", sections))
        self.assertFalse(quotes("test_wrong_password", sections))


if __name__ == "__main__":
    unittest.main()
