"""The labelled conversations: what is asked, what a good answer says, and how they are replayed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.pipeline import Assistant
from assistant.types import Reply, SpotterError, Triage, Turn

CASES = Path(__file__).parent / "cases"


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


def load_cases(name: str) -> list[Case]:
    """The cases of `evals/cases/<name>.jsonl`; raises SpotterError when there is no such file."""
    path = CASES / f"{name}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CASES.glob("*.jsonl")))
        raise SpotterError(f"There are no cases {path}. There are: {known}.")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Case(
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
        )
        for row in rows
    ]


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
