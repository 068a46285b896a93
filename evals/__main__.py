"""`python -m evals [NAME …]`: runs the evals, prints their tables and writes a report of every conversation."""

import logging
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from assistant.settings import read_settings
from assistant.types import SpotterError
from evals import abstain, answer, condense, faq, report, results, retrieve, safety, speed, verify
from evals.figures import Row, by, flipped, share

EVALS: dict[str, ModuleType] = {
    "safety": safety,
    "condense": condense,
    "retrieve": retrieve,
    "answer": answer,
    "abstain": abstain,
    "verify": verify,
    "faq": faq,
    "speed": speed,
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help=f"Which of: {', '.join(EVALS)}.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases of each set.")] = None,
    cases: Annotated[
        Path | None, typer.Option(help="Answer your own cases about the articles in SPOTTER_ARTICLES.")
    ] = None,
    compare: Annotated[Path | None, typer.Option(metavar="RESULT", help="A kept result, or a folder of them.")] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Exit with 1 when a figure falls below its floor.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Write results, and the tables made from them.")] = False,
    draft: Annotated[
        str | None, typer.Option(metavar="ARTICLE", help="Print cases made from an article's own FAQ.")
    ] = None,
) -> None:
    """Runs the named evals, by default all but speed, and prints what they found."""
    settings = read_settings()
    if draft:
        print(faq.draft(settings, draft), end="")
        return
    if unknown := [name for name in names or () if name not in EVALS]:
        raise SpotterError(f"There is no eval {unknown[0]!r}. There are: {', '.join(EVALS)}.")
    if (limit or cases) and (keep or gate):
        raise SpotterError("Only all of the project's own cases can be kept or gated. Leave --limit and --cases out.")
    if cases and names:
        raise SpotterError("Your own cases are always asked of `answer`. Leave the names out.")
    chosen = ["answer"] if cases else names or [name for name in EVALS if name != "speed"]
    before = {
        name: results.load(compare / f"{name}.json" if compare.is_dir() else compare) for name in chosen if compare
    }
    found = {}
    for name in chosen:
        sets = answer.run(settings, limit, cases) if cases else EVALS[name].run(settings, limit)
        if not any(sets.values()):
            print(f"{name}: not measured, since its data is not at hand", file=sys.stderr)
            continue
        found[name] = sets
        _print(name, found[name])
        if compare:
            _print_flips(name, found[name], before[name])
    page = report.write(found, EVALS)
    print(f"Every conversation: {page}")
    if keep:
        results.keep(found, _machine())
        results.write_tables(EVALS)
    fallen = [] if limit or cases else results.below_floor(found, EVALS)
    for line in fallen:
        print(f"below its floor: {line}", file=sys.stderr)
    if gate and fallen:
        raise typer.Exit(1)


def _print(name: str, sets: dict[str, list[Row]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    for title, rows in results.pooled(EVALS[name], sets).items():
        table = Table("figure", "all", title=f"{name}: {title} ({len(rows)})")
        for key, figure in EVALS[name].figures(rows).items() if rows else ():
            if figure.value is not None:
                table.add_row(key, str(figure))
        console.print(table)
        parts = by(rows, EVALS[name].CATEGORY)
        if len(parts) > 1:
            right = {part: share(row["right"] for row in mine) for part, mine in parts.items()}
            console.print(escape(", ".join(f"{part} {figure} of {figure.count}" for part, figure in right.items())))


def _print_flips(name: str, sets: dict[str, list[Row]], old: dict[str, list[Row]]) -> None:
    """Which cases were right and are no longer, and the other way round, set by set."""
    for title, rows in sets.items():
        if title not in old:
            print(f"{name}, {title}: not in what is compared with")
            continue
        lost, won, p = flipped(old[title], rows)
        print(f"{name}, {title}: {len(won)} won, {len(lost)} lost (McNemar's exact p = {p:.3f})")
        for sign, ids in (("+", won), ("-", lost)):
            for one in ids:
                print(f"  {sign} {one}")


def _machine() -> dict[str, Any]:
    return {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}


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
