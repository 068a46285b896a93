"""The labelled conversations: what is asked, what a good answer says, and how they are replayed."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from assistant.pipeline import Assistant
from assistant.types import Reply, SpotterError, Triage, Turn

CASES = Path(__file__).parent / "cases"
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation, whose last message is scored."""

    id: str
    turns: tuple[str, ...]
    style: str
    expect: str
    """The outcome that is right: answered, not_covered, small_talk or referred."""
    nuggets: tuple[tuple[str, ...], ...] = ()
    """The facts that a good answer states, each as alternative regular expressions."""
    gold_quotes: tuple[str, ...] = ()
    triage: str = "none"
    faq: int = 0
    split: str = ""
    max_words: int = 150
    article: str = ""


def load_cases(name: str | Path) -> list[Case]:
    """The cases of a file, or of `evals/cases/<name>.jsonl`; SpotterError names the file or the line that is wrong."""
    path = name if isinstance(name, Path) else CASES / f"{name}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CASES.glob("*.jsonl")))
        raise SpotterError(f"There are no cases {path}. There are: {known}.")
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                cases.append(_case(json.loads(line)))
            except (ValueError, KeyError, TypeError, re.error) as error:
                reason = f"{error} is missing" if isinstance(error, KeyError) else error
                raise SpotterError(
                    f"{path}: line {number}: {reason}. evals/README.md says how a case looks."
                ) from error
    return cases


def _case(row: dict[str, Any]) -> Case:
    if not row["turns"] or not all(isinstance(turn, str) for turn in row["turns"]) or isinstance(row["turns"], str):
        raise ValueError('"turns" must be a non-empty list of strings')
    for way in (way for nugget in row.get("nuggets", []) for way in nugget):
        re.compile(way)
    return Case(
        id=row["id"],
        turns=tuple(row["turns"]),
        style=row["style"],
        expect=row["expect"],
        nuggets=tuple(tuple(alternatives) for alternatives in row.get("nuggets", [])),
        gold_quotes=tuple(row.get("gold_quotes", [])),
        triage=row.get("triage", "none"),
        faq=row.get("faq", 0),
        split=row.get("split", ""),
        max_words=row.get("max_words", 150),
        article=row.get("article", ""),
    )


def each(items: Sequence[Item], what: str, limit: int | None = None) -> Iterable[Item]:
    """The items, or the first of them, with a progress bar on standard error where somebody sees it."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items[:limit], what, console=console, transient=True, disable=not console.is_terminal)


def replay(assistant: Assistant, turns: Sequence[str]) -> Reply:
    """The reply to the last of the messages, the earlier ones having been answered in order."""
    history: list[Turn] = []
    triage = Triage()
    for message in turns[:-1]:
        reply = assistant.reply(message, history, triage)
        triage = reply.triage
        history += [Turn("user", message), Turn("assistant", reply.text)]
    return assistant.reply(turns[-1], history, triage)


def stated(alternatives: Sequence[str], text: str) -> bool:
    """Whether a text states a fact."""
    return any(re.search(alternative, text, re.IGNORECASE) for alternative in alternatives)
