"""Condense: what does making a follow-up stand alone add to reading its last message, or the whole conversation?"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assistant.condense import Speller, condense
from assistant.encoder import encoder_id, load_encoder
from assistant.kinds import load_kinds
from assistant.knowledge import Library
from assistant.reader import load_reader
from assistant.settings import Settings
from assistant.train_reader import held_out, load_labelled
from assistant.types import Turn
from evals import scorers
from evals.cases import each
from evals.figures import Figure, Row, share
from evals.retrieve import needed, ranking

CATEGORY = "style"


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """For every conversation about the held-out articles, whether every needed line is in the top five, three ways."""
    kinds = load_kinds(settings.questions)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as cache:
        name = encoder_id(settings.encoder)
        reader = load_reader(settings.models, load_encoder(settings.encoder), name, Path(cache))
        for path in each(held_out(sorted((settings.questions / "articles").glob("*.jsonl"))), "articles"):
            article, questions = load_labelled(path, kinds.exercises)
            library = Library((article,))
            speller = Speller(library, kinds)
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
                right = every["condensed"]
                rows.append({"id": one.id, "style": one.style, "right": right, **every, "detail": detail})
            if limit and len(rows) >= limit:
                break
    return {"held-out articles": rows[:limit]}


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    return {
        "every fact in top 5, condensed": share(row["right"] for row in rows),
        "last message alone": share(row["last message"] for row in rows),
        "all messages": share(row["all messages"] for row in rows),
    }
