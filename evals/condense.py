"""Condense: what does making a follow-up stand alone add to reading its last message, or the whole conversation?"""

from collections.abc import Sequence
from dataclasses import replace

from assistant.condense import Speller, condense
from assistant.knowledge import Article, Library
from assistant.reader import Reader
from assistant.settings import Settings
from assistant.train_reader import Labelled
from assistant.types import Turn
from evals import scorers
from evals.figures import Figure, Row, share
from evals.retrieve import needed, of_held_out, ranking

CATEGORY = "style"


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """For every conversation about the held-out articles, whether every needed line is in the top five, three ways."""
    return of_held_out(settings, limit, _condensed)


def _condensed(article: Article, questions: Sequence[Labelled], speller: Speller, reader: Reader) -> list[Row]:
    library = Library((article,))
    rows = []
    for one in questions:
        if not one.needs or len(one.turns) < 2:
            continue
        turns = [Turn("user", text) for text in one.turns]
        last = condense(turns[-1:], library, speller)
        everything = " ".join(one.turns)
        ways = {
            "condensed": condense(turns, library, speller),
            "last message": last,
            "all messages": replace(last, text=everything, focus=everything),
        }
        found = {way: ranking(question, article, reader) for way, question in ways.items()}
        every = {way: float(scorers.recall_at(5, one.needs, places) == 1.0) for way, places in found.items()}
        detail = {"turns": one.turns, "reply": ways["condensed"].text, "expected": needed(one, article)}
        rows.append({"id": one.id, "style": one.style, "right": every["condensed"], **every, "detail": detail})
    return rows


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    return {
        "every fact in top 5, condensed": share(row["right"] for row in rows),
        "last message alone": share(row["last message"] for row in rows),
        "all messages": share(row["all messages"] for row in rows),
    }
