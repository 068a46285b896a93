"""Retrieve: do the lines that answer a question come first among the passages of its article?"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from assistant.condense import Question, Speller, condense
from assistant.encoder import encoder_id, load_encoder
from assistant.kinds import load_kinds
from assistant.knowledge import Article, Library
from assistant.reader import Reader, load_reader
from assistant.settings import Settings
from assistant.train_reader import Labelled, held_out, load_labelled
from assistant.types import Turn
from evals import scorers
from evals.cases import each
from evals.figures import Figure, Row, mean, share

CATEGORY = "style"
Score = Callable[[Article, Sequence[Labelled], Speller, Reader], list[Row]]


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """For every answerable question of the articles that are held out of training, where its lines are ranked."""
    return of_held_out(settings, limit, _ranked)


def of_held_out(settings: Settings, limit: int | None, score: Score) -> dict[str, list[Row]]:
    """The rows that `score` gives of each held-out article, its questions, a speller and the reader."""
    kinds = load_kinds(settings.questions)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as cache:
        name = encoder_id(settings.encoder)
        reader = load_reader(settings.models, load_encoder(settings.encoder), name, Path(cache))
        for path in each(held_out(sorted((settings.questions / "articles").glob("*.jsonl"))), "articles"):
            article, questions = load_labelled(path, kinds.exercises)
            rows += score(article, questions, Speller(Library((article,)), kinds), reader)
            if limit and len(rows) >= limit:
                break
    return {"held-out articles": rows[:limit]}


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    return {
        "every fact in top 5": share(row["right"] for row in rows),
        "recall@5": mean(row["recall_5"] for row in rows),
        "recall@8": mean(row["recall_8"] for row in rows),
        "MRR": mean(row["reciprocal_rank"] for row in rows),
    }


def _ranked(article: Article, questions: Sequence[Labelled], speller: Speller, reader: Reader) -> list[Row]:
    rows = []
    for one in questions:
        if one.needs:
            turns = [Turn("user", text) for text in one.turns]
            places = ranking(condense(turns, Library((article,)), speller), article, reader)
            recall_5 = scorers.recall_at(5, one.needs, places)
            rows.append(
                {
                    "id": one.id,
                    "style": one.style,
                    "right": float(recall_5 == 1.0),
                    "recall_5": recall_5,
                    "recall_8": scorers.recall_at(8, one.needs, places),
                    "reciprocal_rank": scorers.reciprocal_rank(one.needs, places),
                    "detail": {
                        "turns": one.turns,
                        "expected": needed(one, article),
                        "cited": [article.passages[place].text for place in places[:5]],
                    },
                }
            )
    return rows


def ranking(question: Question, article: Article, reader: Reader) -> list[int]:
    """The places of the article's passages, likeliest first."""
    place = {passage: number for number, passage in enumerate(article.passages)}
    reading = reader.read(question, [article])[0]
    return [place[reading.page.passages[i]] for i in (-reading.scores).argsort(kind="stable")]


def needed(one: Labelled, article: Article) -> list[str]:
    """The lines that answer the question, those of one fact side by side."""
    return [" | ".join(article.passages[place].text for place in sorted(fact)) for fact in one.needs]
