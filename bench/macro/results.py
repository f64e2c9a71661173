"""What bench/macro/compare makes of its runs: medians, ratios within a round, a table, a plot."""

import statistics
from xml.sax.saxutils import escape

import cells

STEADY = 0.10       # a ratio is steady when four of five rounds are this near to the median
MOST_GROWTH = 15     # points
FLOOR_SPREAD = 1.25  # a floor that varies more says that the machine was too busy


def value_of(cell, run):
    value = run.get(cell.metric)
    return None if value is None else value * cell.scale()


def imbalance(run, workers):
    """The busiest worker's CPU time, over the mean of the workers'."""
    busiest = run["thread_times"][:workers]
    return max(busiest) / (sum(busiest) / len(busiest))


def wrong(run):
    return sum(run[name] for name in ("corrupt", "duplicated", "misrouted", "failed"))


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def spread(values):
    values = [value for value in values if value]
    return max(values) / min(values) if values else None


def ratios(cell, runs, one, other):
    """one / other of every round that has both."""
    pairs = zip(runs.get(one, []), runs.get(other, []))
    values = [(value_of(cell, a), value_of(cell, b)) for a, b in pairs]
    return [a / b for a, b in values if a is not None and b]


def is_steady(values):
    if not values:
        return False
    middle = statistics.median(values)
    near = sum(abs(value - middle) <= STEADY * middle for value in values)
    return near >= len(values) * 0.8


def ratios_to_best_floor(cell, runs, one):
    values = []
    for number, run in enumerate(runs.get(one, [])):
        floors = [value_of(cell, runs[name][number]) for name in cells.FLOORS
                  if number < len(runs.get(name, []))]
        floors = [value for value in floors if value]
        value = value_of(cell, run)
        if floors and value is not None:
            values.append(value / min(floors))
    return values


def summary(cell, runs, own_runs):
    """One cell's results: server -> what the table says of it."""
    rows = {}
    for name, its_runs in runs.items():
        values = [value_of(cell, run) for run in its_runs]
        to_coturn = ratios(cell, runs, name, "coturn")
        row = {
            "median": median(values),
            "spread": spread(values),
            "to_coturn": median(to_coturn),
            "steady": is_steady(to_coturn),
            "to_floor": median(ratios_to_best_floor(cell, runs, name)),
            "per_second": median(run["per_second"] for run in its_runs),
            "loss": median(run["loss"] for run in its_runs),
            "p99_us": median(run["latency_us"]["p99"] for run in its_runs),
            "wrong": sum(wrong(run) for run in its_runs),
        }
        if name in own_runs:
            row["to_own"] = median(ratios(cell, {"this": its_runs, "own": own_runs[name]},
                                          "this", "own"))
        if cell.balance:
            row["imbalance"] = median(imbalance(run, cell.workers) for run in its_runs)
        if cell.latency_to_floor and "floor-recvmmsg" in runs:
            row["p99_to_floor"] = median(
                a["latency_us"]["p99"] / b["latency_us"]["p99"]
                for a, b in zip(its_runs, runs["floor-recvmmsg"]) if b["latency_us"]["p99"])
        rows[name] = row
    return rows


def growth(summaries):
    """By how many points Turnpike's cost grows more from 1 to 1000 allocations than the best
    floor's, which may be another one for a thousand flows than for one."""
    few, many = summaries.get("160x1"), summaries.get("160x1000")
    if not few or not many:
        return None
    best = [min((rows[name]["median"] for name in cells.FLOORS
                 if name in rows and rows[name]["median"]), default=None) for rows in (few, many)]
    own = [rows.get("turnpike", {}).get("median") for rows in (few, many)]
    if None in best or None in own:
        return None
    return (own[1] / own[0] - best[1] / best[0]) * 100


def is_noisy(cell, rows):
    """The yardsticks themselves vary too much in this cell."""
    return any(rows[name]["spread"] and rows[name]["spread"] > FLOOR_SPREAD
               for name in cells.FLOORS if name in rows)


def judged(value, goal):
    """'aim', 'must', 'missed', or '' when nothing is asked or known."""
    if value is None or goal is None:
        return ""
    return "aim" if value <= goal[1] else "must" if value <= goal[0] else "missed"


def verdicts(cell, row):
    """(what, value, goal, verdict) for every goal of a cell that was measured for Turnpike."""
    asked = (("to coturn", "to_coturn", cell.to_coturn), ("to floor", "to_floor", cell.to_floor),
             ("to own", "to_own", cell.to_own), ("median", "median", cell.absolute),
             ("p99 to floor", "p99_to_floor", cell.latency_to_floor),
             ("busiest worker to mean", "imbalance", cell.balance))
    return [(what, row[key], goal, judged(row[key], goal)) for what, key, goal in asked
            if goal is not None and row.get(key) is not None]


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def table(cell, rows):
    lines = [f"{cell.title}  ({cell.unit()}{' each' if cell.unit() == 'us' else ''})"
             + ("  [busy machine: a floor varies]" if is_noisy(cell, rows) else "")]
    lines.append(f"  {'':16}{'median':>9}{'spread':>8}{'/coturn':>9}{'/floor':>8}{'a second':>11}"
                 f"{'loss %':>8}{'p99 us':>10}{'wrong':>7}")
    for name, row in rows.items():
        lines.append(
            f"  {name:16}{number(row['median'], 3):>9}{number(row['spread']):>8}"
            f"{number(row['to_coturn']):>9}{number(row['to_floor']):>8}"
            f"{number(row['per_second'], 0):>11}{number(row['loss'] * 100):>8}"
            f"{number(row['p99_us'], 0):>10}{row['wrong']:>7}")
    for what, value, goal, verdict in verdicts(cell, rows.get("turnpike", {})):
        lines.append(f"  turnpike {what} {value:.2f}: must {goal[0]}, aim {goal[1]}: {verdict}")
    return "\n".join(lines)


COLOURS = {"turnpike": "#0a7d5a", "coturn": "#8a8f98", "floor-recvmmsg": "#c9a227",
           "floor-gso": "#e0c668"}
OTHER_COLOUR = "#5b7fb8"


def svg(results, subtitle):
    """Bars of the ratios to coturn; results: [(cell, rows)]."""
    shown = [(cell, {name: row for name, row in rows.items() if row["to_coturn"] is not None})
             for cell, rows in results]
    shown = [(cell, rows) for cell, rows in shown if rows]
    bar, gap, left, width, top = 12, 14, 250, 460, 70
    largest = max([row["to_coturn"] for _, rows in shown for row in rows.values()] + [1.0])
    scale = width / min(max(largest, 1.1), 3.0)
    parts, y = [], top
    for cell, rows in shown:
        parts.append(f'<text x="{left - 10}" y="{y + bar * len(rows) / 2 + 4}" '
                     f'text-anchor="end">{escape(cell.title)}</text>')
        begin = y
        for name, row in rows.items():
            length = min(row["to_coturn"] * scale, width)
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" '
                         f'fill="{COLOURS.get(name, OTHER_COLOUR)}"/>')
            parts.append(f'<text x="{left + length + 5:.1f}" y="{y + bar - 3}" class="small">'
                         f'{escape(name)} {row["to_coturn"]:.2f}</text>')
            y += bar
        if cell.to_coturn:
            x = left + cell.to_coturn[0] * scale
            parts.append(f'<line x1="{x:.1f}" y1="{begin - 3}" x2="{x:.1f}" y2="{y + 1}" '
                         'stroke="#b3261e" stroke-width="2"/>')
        y += gap
    one = left + scale
    height = y + 20
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 160}" '
            f'height="{height}" font-family="sans-serif" font-size="13">\n'
            '<style>.small{font-size:10px}text{fill:#1c1f23}</style>\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
            '<text x="20" y="26" font-size="17">Server CPU per unit of work, coturn = 1</text>\n'
            f'<text x="20" y="46" class="small">{escape(subtitle)} Red line: the goal.</text>\n'
            f'<line x1="{one:.1f}" y1="{top - 8}" x2="{one:.1f}" y2="{y}" stroke="#8a8f98" '
            'stroke-dasharray="3 3"/>\n' + "\n".join(parts) + "\n</svg>\n")
