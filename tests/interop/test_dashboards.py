"""The dashboard and the alerts that are shipped (tools/packaging): promtool's verdict, and whether
a running server tells everything that they ask for."""

import json
import os
import re
import subprocess
import unittest

from server import ROOT, Server, free_port
from test_metrics import OPTIONS, client, get
from turnclient import Refused

PACKAGING = os.path.join(ROOT, "tools/packaging")
RULES = os.path.join(PACKAGING, "prometheus/turnpike.rules.yml")
RULE_TESTS = os.path.join(PACKAGING, "prometheus/turnpike.rules.test.yml")
DASHBOARD = os.path.join(PACKAGING, "grafana/turnpike.json")

# What Prometheus adds to every target and sample.
ADDED = {"up"}
ADDED_LABELS = {"job", "instance", "le"}


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rules():
    """[(alert, expression)]; each has a line of its own in the file."""
    return re.findall(r"- alert: (\w+)\n +expr: (.+)", text_of(RULES))


def panels():
    return [panel for panel in json.loads(text_of(DASHBOARD))["panels"] if panel["type"] != "row"]


def expressions():
    """Every expression of both, with where it stands."""
    found = list(rules())
    dashboard = json.loads(text_of(DASHBOARD))
    for panel in panels():
        found += [(panel["title"], target["expr"]) for target in panel["targets"]]
    found += [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), \w+\)", variable["definition"])
            found.append((variable["name"], query.group(1)))
    return found


def selectors(expression):
    """[(metric, {label: pattern})] of an expression."""
    found = re.findall(r"\b((?:turnpike|process)_\w+|up\b)(?:\{([^}]*)\})?", expression)
    return [(name, dict(re.findall(r'(\w+)=~?"([^"]*)"', labels))) for name, labels in found]


def families(text):
    """{sample name: [its labels]} of what a server tells."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
            found.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels or "")))
    return found


class Shipped(unittest.TestCase):
    def promtool(self, *words):
        run = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60,
                             check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def test_promtool_reads_the_rules(self):
        said = self.promtool("check", "rules", "--lint-fatal", RULES)
        self.assertIn(f"{len(rules())} rules found", said)

    def test_every_alert_fires_when_it_should_and_at_no_other_time(self):
        self.promtool("test", "rules", RULE_TESTS)
        healthy, sick = text_of(RULE_TESTS).split("everything is wrong")
        for alert, _ in rules():
            self.assertIn(f"alertname: {alert}}}", healthy, "quiet in good health")
            self.assertRegex(sick, rf"alertname: {alert}\n +exp_alerts: \[\{{", "and fires")

    def test_a_server_tells_all_that_they_ask_for(self):
        port = free_port()
        with Server(*OPTIONS, "--prometheus-port", str(port), tls=True) as server:
            with client(server, "wrong") as alice, self.assertRaises(Refused):
                alice.allocate()
            told = families(get(port, "/metrics"))
        for where, expression in expressions():
            asked = selectors(expression)
            self.assertTrue(asked, f"{where}: {expression}")
            for name, labels in asked:
                if name in ADDED:
                    continue
                with self.subTest(where=where, name=name):
                    self.assertIn(name, told)
                    known = set().union(*told[name])
                    self.assertLessEqual(set(labels) - ADDED_LABELS, known, expression)
                    self.assert_values_exist(labels, told[name])
            grouped = re.findall(r"by \(([\w, ]+)\)", expression)
            wanted = {label for group in grouped for label in group.split(", ")}
            known = set().union(*(set().union(*told[name]) for name, _ in asked
                                  if name in told))
            self.assertLessEqual(wanted - ADDED_LABELS, known, where)

    def assert_values_exist(self, labels, samples):
        """Of labels whose every value is always told. Codes are told once they happen."""
        for label, pattern in labels.items():
            if label in ADDED_LABELS | {"code"}:
                continue
            values = {sample.get(label) for sample in samples}
            for alternative in pattern.split("|"):
                self.assertIn(alternative, values)

    def test_the_dashboard_is_one_that_grafana_imports(self):
        dashboard = json.loads(text_of(DASHBOARD))
        self.assertEqual((dashboard["uid"], dashboard["title"]), ("turnpike", "Turnpike"))
        everything = dashboard["panels"]
        self.assertEqual(len({panel["id"] for panel in everything}), len(everything))
        cells = set()
        for panel in everything:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            mine = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                    for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & mine, f"{panel['title']} overlaps")
            cells |= mine
        for panel in panels():
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")
            self.assertTrue(panel["title"])
            for target in panel["targets"]:
                self.assertIn("$instance", target["expr"])

    def test_prometheus_parses_what_the_dashboard_asks(self):
        """As rules, for promtool parses nothing else without a server."""
        def literal(expression):
            expression = expression.replace("$__rate_interval", "5m")
            return expression.replace("$job", ".+").replace("$instance", ".+")
        wanted = [{"record": f"dashboard:number{i}", "expr": literal(expression)}
                  for i, (_, expression) in enumerate(expressions())]
        run = subprocess.run(["promtool", "check", "rules", "/dev/stdin"], text=True, timeout=60,
                             input=json.dumps({"groups": [{"name": "g", "rules": wanted}]}),
                             capture_output=True, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
