"""Results: kept without timings, so that one commit gives the same bytes twice; their floors; their tables."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from assistant.settings import ROOT
from assistant.types import SpotterError
from evals.figures import Figure, Row

HERE = Path(__file__).parent
KEPT = HERE / "results"
FLOORS = HERE / "floors.toml"
SHOWN_ONLY = ("detail", "seconds")
"""What a row has for the reader of a report, and is not kept."""

Results = Mapping[str, Mapping[str, Sequence[Row]]]
"""Rows by eval and set."""


def stamp() -> str:
    """What tells which code, knowledge and cases made a result."""
    digest = hashlib.sha256()
    for folder, pattern in (("assistant", "*.py"), ("evals", "*.py"), ("knowledge", "**/*"), ("evals", "*/**/*")):
        for path in sorted((ROOT / folder).glob(pattern)):
            if path.is_file() and path.parent != KEPT and "__pycache__" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def keep(found: Results, machine: Mapping[str, Any]) -> None:
    """Writes each eval's rows to `evals/results`; times, and the machine that took them, to `speed.json` alone."""
    KEPT.mkdir(exist_ok=True)
    for name, sets in found.items():
        rows = {
            title: [{key: value for key, value in row.items() if key not in SHOWN_ONLY} for row in mine]
            for title, mine in sets.items()
        }
        kept = {"stamp": stamp(), **(machine if name == "speed" else {}), "result": rows}
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        (KEPT / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, list[Row]]:
    """The kept rows by set; SpotterError when there are none."""
    try:
        rows: dict[str, list[Row]] = json.loads(path.read_text(encoding="utf-8"))["result"]
        if any("right" not in row for mine in rows.values() for row in mine):
            raise ValueError("it is of an older form")
    except (OSError, ValueError, KeyError) as error:
        raise SpotterError(f"{path} is no kept result: {error}. Make one: python -m evals NAME --keep") from error
    return rows


def pooled(module: ModuleType, sets: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The sets, and those that are reported as one."""
    together = {
        title: [row for part in parts for row in sets[part]]
        for title, parts in getattr(module, "POOLED", {}).items()
        if set(parts) <= set(sets)
    }
    return {**{title: list(rows) for title, rows in sets.items()}, **together}


Bounds = dict[str, Any]
"""`least` or `most`, the `goal` where that is another, and the `name` of a figure that stands in the main README."""


def floors() -> list[tuple[str, str, str, Bounds]]:
    """Each gated figure: eval, set, figure, and its bounds."""
    table = tomllib.loads(FLOORS.read_text(encoding="utf-8"))
    return [
        (name, title, figure, bounds)
        for name, sets in table.items()
        for title, figures in sets.items()
        for figure, bounds in figures.items()
    ]


def goal_of(bounds: Bounds) -> float:
    """What the figure is to reach: the goal, or the bound itself."""
    goal: float = next(bounds[key] for key in ("goal", "least", "most") if key in bounds)
    return goal


def holds(value: float | None, bounds: Bounds) -> bool:
    """Whether a figure keeps to its bound; one that does not apply holds none."""
    return value is not None and bounds.get("least", -1) <= round(value, 4) <= bounds.get("most", float("inf"))


def gated(found: Results, evals: Mapping[str, ModuleType]) -> list[tuple[str, Figure, Bounds]]:
    """Each gated figure that was measured, as words, with its bounds."""
    lines = []
    for name, title, key, bounds in floors():
        rows = pooled(evals[name], found[name]).get(title) if name in found else None
        if rows:
            lines.append((f"{name}, {title}: {key}", evals[name].figures(rows)[key], bounds))
    return lines


def below_floor(found: Results, evals: Mapping[str, ModuleType]) -> list[str]:
    """The figures that fell below their floor, or rose above their ceiling, as words."""
    fallen = []
    for words, figure, bounds in gated(found, evals):
        if not holds(figure.value, bounds):
            fallen.append(f"{words} is {figure}, not {bounds_text(bounds)}")
    return fallen


def bounds_text(bounds: Bounds) -> str:
    """The bound in words."""
    return f"at least {bounds['least']:g}" if "least" in bounds else f"at most {bounds['most']:g}"


def headline(evals: Mapping[str, ModuleType], found: Results) -> str:
    """The figures that have a name, as a Markdown table, each beside what it is to reach."""
    lines = ["| figure | value (95 % interval) | goal |", "|---|---|---|"]
    for _, figure, bounds in gated(found, evals):
        if "name" in bounds:
            sign = "≥" if "least" in bounds else "≤"
            short = (
                ""
                if holds(figure.value, {"least" if "least" in bounds else "most": goal_of(bounds)})
                else ", not reached"
            )
            lines.append(f"| {bounds['name']} | {figure} | {sign} {goal_of(bounds):g}{short} |")
    return "\n".join(lines)


def tables(evals: Mapping[str, ModuleType], found: Results) -> str:
    """All figures of all sets as Markdown tables."""
    parts = []
    for name, sets in found.items():
        figures = {
            title: (len(rows), evals[name].figures(rows)) for title, rows in pooled(evals[name], sets).items() if rows
        }
        keys = dict.fromkeys(
            key for _, mine in figures.values() for key, figure in mine.items() if figure.value is not None
        )
        lines = [f"### {name}", "", "| set | cases | " + " | ".join(keys) + " |", "|---|---|" + "---|" * len(keys)]
        for title, (count, mine) in figures.items():
            cells = " | ".join(str(mine[key]) if key in mine else "" for key in keys)
            lines.append(f"| {title} | {count} | {cells} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def with_tables(text: str, evals: Mapping[str, ModuleType], found: Results) -> str:
    """A README with what stands between its markers made anew."""
    for marker, made in (("headline", headline(evals, found)), ("tables", tables(evals, found))):
        begin, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
        if begin in text:
            before, rest = text.split(begin, 1)
            text = f"{before}{begin}{made}\n{end}{rest.split(end, 1)[1]}"
    return text


def write_tables(evals: Mapping[str, ModuleType]) -> None:
    """Makes the tables of both READMEs anew from the kept results."""
    for path in (ROOT / "README.md", HERE / "README.md"):
        path.write_text(with_tables(path.read_text(encoding="utf-8"), evals, all_kept(evals)), encoding="utf-8")


def all_kept(evals: Mapping[str, ModuleType]) -> dict[str, dict[str, list[Row]]]:
    """The kept rows of every eval that has some."""
    return {name: load(KEPT / f"{name}.json") for name in evals if (KEPT / f"{name}.json").is_file()}
