"""The report: one HTML file that needs no network, with figures, plots and every conversation, failures first."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from assistant.types import LEVELS
from evals import results
from evals.figures import Figure, Row, by, share

TEMPLATE = Path(__file__).with_name("report.html")
TARGET = results.KEPT / "report.html"


def write(found: results.Results, evals: Mapping[str, ModuleType], target: Path = TARGET) -> Path:
    """Writes the report of what was just run, and gives its place."""
    target.parent.mkdir(exist_ok=True)
    page = TEMPLATE.read_text(encoding="utf-8")
    rows = [
        {"eval": name, "set": title, "category": str(row.get(evals[name].CATEGORY, "")), **_shown(row)}
        for name, sets in found.items()
        for title, mine in sets.items()
        for row in mine
        if row.get("detail")
    ]
    rows.sort(key=lambda row: row["right"] is None or row["right"] > 0)
    parts = {
        "headline": _headline(found, evals),
        "plots": _plots(found),
        "figures": _figures(found, evals),
        # "<" must not end the script that the conversations stand in
        "rows": json.dumps(rows, ensure_ascii=False).replace("<", "\\u003c"),
    }
    for name, part in parts.items():
        page = page.replace(f"<!--{name}-->", part)
    target.write_text(page, encoding="utf-8")
    return target


def _shown(row: Row) -> Row:
    scores = {
        key: value
        for key, value in row.items()
        if key not in ("id", "right", "detail", "seconds") and value is not None and value != ""
    }
    return {"id": row["id"], "right": row["right"], "scores": scores, **row["detail"]}


def _headline(found: results.Results, evals: Mapping[str, ModuleType]) -> str:
    lines = []
    for words, figure, bounds in results.gated(found, evals):
        goal = results.goal_of(bounds)
        reached = results.holds(figure.value, {"least" if "least" in bounds else "most": goal})
        state = "reached" if reached else "short of it"
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in (words, str(figure), f"{goal:g}", state))
        lines.append(f'<tr class="{"good" if reached else "bad"}">{cells}</tr>')
    head = "<tr><th>figure</th><th>value (95 % interval)</th><th>goal</th><th>state</th></tr>"
    return f"<table>{head}{''.join(lines)}</table>" if lines else "<p>No gated figure was measured.</p>"


def _figures(found: results.Results, evals: Mapping[str, ModuleType]) -> str:
    parts = []
    for name, sets in found.items():
        for title, rows in results.pooled(evals[name], sets).items():
            figures: dict[str, Figure] = evals[name].figures(rows) if rows else {}
            cells = "".join(
                f"<tr><td>{html.escape(key)}</td><td>{figure}</td><td>{figure.count or ''}</td></tr>"
                for key, figure in figures.items()
                if figure.value is not None
            )
            summary = f"{html.escape(name)}: {html.escape(title)} ({len(rows)})"
            head = "<tr><th>figure</th><th>value</th><th>of</th></tr>"
            parts.append(f"<details><summary>{summary}</summary><table>{head}{cells}</table></details>")
    return "".join(parts)


def _plots(found: results.Results) -> str:
    answers = _tests(found, "answer")
    screened = [row for row in _tests(found, "safety") if "label" in row]
    parts = []
    if answers:
        asked = [row for row in answers if row["expect"] == "answered"]
        figures = {style: share(row["strict"] for row in mine).value for style, mine in by(asked, "style").items()}
        shares = {style: value for style, value in figures.items() if value is not None}
        parts.append(_plot("Strict by style (test sets)", _bars(shares)))
        parts.append(
            _plot("Risk and coverage: of the answers given, the share that is wrong (test sets)", _risk(answers))
        )
        parts.append(_plot("Latency (test sets)", _latency([1000 * row["seconds"] for row in answers])))
    if screened:
        parts.append(_plot("Triage: right level down, given level across (test sets)", _confusion(screened)))
    return "".join(parts)


def _tests(found: results.Results, name: str) -> list[Row]:
    """The rows of an eval's test sets; of all its sets where there are only others."""
    sets = found.get(name, {})
    tests = [rows for title, rows in sets.items() if "test" in title]
    return [row for rows in tests or sets.values() for row in rows]


def _plot(title: str, drawing: str) -> str:
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{drawing}</figure>"


def _bars(shares: Mapping[str, float]) -> str:
    rows = []
    for number, (name, value) in enumerate(shares.items()):
        y = 22 * number
        rows.append(
            f'<text x="96" y="{y + 15}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect class="ink" x="104" y="{y + 3}" width="{220 * value:.1f}" height="15"/>'
            f'<text x="{110 + 220 * value:.1f}" y="{y + 15}">{value:.2f}</text>'
        )
    return _svg(380, 22 * len(shares), "".join(rows))


def _risk(rows: Sequence[Row]) -> str:
    """The errors among the most confident answers, as ever more of the questions are answered."""
    given = [row for row in rows if row["outcome"] == "answered" and row["detail"]["confidence"] is not None]
    given.sort(key=lambda row: -row["detail"]["confidence"])
    points, wrong = [], 0.0
    for number, row in enumerate(given, start=1):
        wrong += 1 - row["right"]
        points.append((number / len(rows), wrong / number))
    line = " ".join(f"{40 + 300 * x:.1f},{180 - 160 * y:.1f}" for x, y in points[min(9, len(points) - 1) :])
    return _svg(380, 210, f'{_axes("share answered", "share wrong")}<polyline class="line" points="{line}"/>')


def _latency(milliseconds: Sequence[float]) -> str:
    ordered = sorted(milliseconds)
    longest = ordered[int(0.99 * (len(ordered) - 1))] or 1.0
    points = [(min(value / longest, 1), (i + 1) / len(ordered)) for i, value in enumerate(ordered)]
    line = " ".join(f"{40 + 300 * x:.1f},{180 - 160 * y:.1f}" for x, y in points)
    return _svg(
        380, 210, f'{_axes(f"milliseconds, up to {longest:.0f}", "share")}<polyline class="line" points="{line}"/>'
    )


def _axes(across: str, up: str) -> str:
    return (
        '<path class="axis" d="M40 20V180H340"/>'
        f'<text x="190" y="204" text-anchor="middle">{html.escape(across)}</text>'
        f'<text x="14" y="100" text-anchor="middle" transform="rotate(-90 14 100)">{html.escape(up)}</text>'
        '<text x="34" y="26" text-anchor="end">1</text><text x="34" y="184" text-anchor="end">0</text>'
    )


def _svg(width: int, height: int, inside: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img">{inside}</svg>'


def _confusion(rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{level}</th>" for level in LEVELS)
    body = ""
    for label, mine in by(rows, "label").items():
        counts = [sum(row["level"] == level for row in mine) for level in LEVELS]
        cells = "".join(f'<td style="--share:{count / len(mine):.2f}">{count}</td>' for count in counts)
        body += f"<tr><th>{html.escape(label)}</th>{cells}</tr>"
    return f'<table class="confusion"><tr><th></th>{head}</tr>{body}</table>'
