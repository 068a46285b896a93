"""Retrieve: do the lines that answer a question come first among the passages of its article?"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.condense import Speller, condense
from assistant.encoder import encoder_id, load_encoder
from assistant.kinds import Kinds, load_kinds
from assistant.knowledge import Article, Library
from assistant.reader import Reader, load_reader
from assistant.settings import Settings
from assistant.train_reader import Labelled, held_out, load_labelled
from assistant.types import Turn
from evals import scorers


def run(settings: Settings) -> dict[str, Any]:
    """For every answerable question of the articles that are held out of training, where its lines are ranked."""
    kinds = load_kinds(settings.questions)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        name = encoder_id(settings.encoder)
        reader = load_reader(settings.models, load_encoder(settings.encoder), name, Path(cache))
        for path in held_out(sorted((settings.questions / "articles").glob("*.jsonl"))):
            rows += _ranked(*load_labelled(path, kinds.exercises), kinds, reader)
    return {"articles": rows}


def _ranked(article: Article, questions: Sequence[Labelled], kinds: Kinds, reader: Reader) -> list[dict[str, Any]]:
    library = Library((article,))
    speller = Speller(library, kinds)
    place = {passage: number for number, passage in enumerate(article.passages)}
    rows = []
    for one in questions:
        if one.needs:
            question = condense([Turn("user", text) for text in one.turns], library, speller)
            reading = reader.read(question, [article])[0]
            ranking = [place[reading.page.passages[i]] for i in (-reading.scores).argsort(kind="stable")]
            recall_5 = scorers.recall_at(5, one.needs, ranking)
            rows.append(
                {
                    "id": one.id,
                    "style": one.style,
                    "recall_5": recall_5,
                    "recall_8": scorers.recall_at(8, one.needs, ranking),
                    "every_5": float(recall_5 == 1.0),
                    "reciprocal_rank": scorers.reciprocal_rank(one.needs, ranking),
                }
            )
    return rows
