"""`python -m evals [NAME …]`: runs the evals, prints their tables and keeps the results in evals/results."""

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from assistant.settings import ROOT, Settings, read_settings
from assistant.types import SpotterError
from evals import abstain, answer, faq, retrieve, safety, scorers, speed

RESULTS = Path(__file__).parent / "results"
EVALS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "faq": faq.run,
    "answer": answer.run,
    "abstain": abstain.run,
    "retrieve": retrieve.run,
    "safety": safety.run,
    "speed": speed.run,
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help=f"Which of: {', '.join(EVALS)}.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Write the results to evals/results.")] = False,
) -> None:
    """Runs the named evals (by default the FAQ's) and prints what they found."""
    for name in names or ["faq"]:
        if name not in EVALS:
            raise SpotterError(f"There is no eval {name!r}. There are: {', '.join(EVALS)}.")
        result = EVALS[name](read_settings())
        _print(name, result)
        if keep:
            kept = {"commit": _commit(), "python": platform.python_version(), "result": _without_timings(result)}
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps(kept, indent=1, ensure_ascii=False)
            (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _print(name: str, result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120)
    if name == "speed":
        table = Table("what", "value", title=name)
        for key, value in result.items():
            table.add_row(key, f"{value:.3f}")
        console.print(table)
        return
    if name == "safety":
        _print_safety(console, result)
        return
    if name == "abstain":
        table = Table("set", "questions", "declined", "95 % interval", title=name)
        for cases, rows in result.items():
            declined = sum(row["outcome"] == "not_covered" for row in rows)
            table.add_row(cases, str(len(rows)), *_share(declined, len(rows)))
        console.print(table)
        return
    if name == "retrieve":
        _print_retrieve(console, result["articles"])
        return
    table = Table(
        "set",
        "part",
        "cases",
        "strict",
        "95 % interval",
        "facts",
        "valid",
        "gold",
        "words",
        "outcome",
        "ms",
        title=name,
    )
    for cases, rows in result.items():
        for part, mine in _parts(rows).items():
            scored = [row for row in mine if row["strict"] is not None]
            strict = sum(row["strict"] for row in scored)
            share, interval = _share(strict, len(scored))
            facts = scorers.mean(row["facts"] for row in mine)
            valid = scorers.mean(row["citations_valid"] for row in mine)
            outcome = scorers.mean(row.get("outcome_right", float(row["outcome"] == "answered")) for row in mine)
            words = [row["words"] for row in mine if row["outcome"] == "answered"]
            gold = scorers.mean(row.get("gold_cited") for row in mine)
            cells = [
                _number(facts),
                _number(valid),
                _number(gold),
                f"{median(words):g}" if words else "–",
                _number(outcome),
            ]
            cells.append(f"{1000 * median(row['seconds'] for row in mine):.0f}")
            table.add_row(cases, part, str(len(mine)), share, interval, *cells)
    console.print(table)


def _print_retrieve(console: Any, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(
        "style", "cases", "every fact in top 5", "95 % interval", "recall@5", "recall@8", "MRR", title="retrieve"
    )
    styles = {"all": rows}
    for row in rows:
        styles.setdefault(row["style"], []).append(row)
    for style, mine in styles.items():
        means = [_number(scorers.mean(row[key] for row in mine)) for key in ("recall_5", "recall_8", "reciprocal_rank")]
        table.add_row(style, str(len(mine)), *_share(sum(row["every_5"] for row in mine), len(mine)), *means)
    console.print(table)


def _print_safety(console: Any, result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("set", "what", "right", "of", "share", "95 % interval", title="safety")
    for cases, rows in result.items():
        if "denied" in rows[0]:
            score = scorers.f1((row["negated"], row["denied"]) for row in rows)
            table.add_row(cases, "denied, F1", "", str(len(rows)), _number(score), "", end_section=True)
            continue
        scores = scorers.triage_scores(rows)
        parts = {f"recall {level}": scores.recall[level] for level in scorers.LEVEL_ORDER if level in scores.recall}
        parts |= {
            "specificity for emergencies": scores.specificity,
            "safety of advice": scores.safety_of_advice,
            "over-triage among errors": scores.over_triage,
            "emergencies shown as none": scores.severe_under_triage,
            "urgency of consults": scores.urgency,
        }
        for what, (right, count) in parts.items():
            if count:
                table.add_row(cases, what, str(right), str(count), *_share(right, count))
        kinds: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            kinds.setdefault(row.get("kind", ""), []).append(row)
        for kind, mine in sorted(kinds.items()) if len(kinds) > 1 else ():
            hits = [scorers.triage_scores([row]).recall[row["label"]][0] for row in mine]
            table.add_row(cases, f"  {kind}", str(sum(hits)), str(len(mine)), *_share(sum(hits), len(mine)))
        table.add_section()
    console.print(table)


def _without_timings(result: dict[str, Any]) -> dict[str, Any]:
    """The same commit keeps the same result; how long each reply took is printed only."""
    if not all(isinstance(rows, list) for rows in result.values()):
        return result
    return {
        name: [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        for name, rows in result.items()
    }


def _parts(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    key = "split" if "split" in rows[0] else "style"
    parts: dict[str, list[dict[str, Any]]] = {"all": rows}
    if key == "style":
        parts = {
            "answerable": [r for r in rows if r["strict"] is not None],
            "other": [r for r in rows if r["strict"] is None],
        }
    for row in rows:
        parts.setdefault(row[key], []).append(row)
    return parts


def _share(successes: float, count: int) -> tuple[str, str]:
    if not count:
        return "–", "–"
    low, high = scorers.wilson(successes, count)
    return f"{successes / count:.2f}", f"{low:.2f}–{high:.2f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _commit() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def main() -> None:
    """Runs the command line; what an operator must fix is shown without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app()
    except SpotterError as error:
        print(f"evals: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
