"""Retrieve: do the lines that answer a question come first among the passages of its article?"""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.condense import Speller, condense
from assistant.index import open_index
from assistant.kinds import Kinds, load_kinds
from assistant.knowledge import Article, Library, plain, read_article
from assistant.retrieve import retrieve
from assistant.settings import Settings
from assistant.types import SpotterError, Turn
from evals import scorers


@dataclass(frozen=True, slots=True)
class Labelled:
    """A conversation about an article and the lines that answer its last message."""

    id: str
    turns: tuple[str, ...]
    style: str
    needs: tuple[frozenset[int], ...]
    """The facts of a good answer, each as the places in `article.passages` that state it; none if nothing does."""
    okay: frozenset[int] = frozenset()
    """Further passages that may stand in the answer."""


def load_labelled(path: Path, exercises: re.Pattern[str] | None = None) -> tuple[Article, list[Labelled]]:
    """The article beside a file of questions, and these; SpotterError names a line that no passage of it begins."""
    article = read_article(path.with_suffix(".md").read_text(encoding="utf-8"), path.stem, exercises)
    starts = [_bare(article.text[passage.start : passage.end]) for passage in article.passages]

    def place(line: str, number: int) -> int:
        found = [i for i, start in enumerate(starts) if start.startswith(_bare(line))]
        found = found or [i for i, start in enumerate(starts) if _bare(line) in start]
        if not found:
            raise SpotterError(f"{path}: line {number}: no line of the article begins with {line!r}.")
        return found[0]

    result = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(text)
        needs = tuple(frozenset(place(line, number) for line in fact) for fact in row["needs"])
        okay = frozenset(place(line, number) for line in row.get("okay", []))
        result.append(Labelled(f"{path.stem}-{number:02}", tuple(row["turns"]), row["style"], needs, okay))
    return article, result


def _bare(text: str) -> str:
    """A line without markup and table bars at its ends, as its label and the article may differ in them."""
    return plain(text).strip("| ").lower()


def run(settings: Settings) -> dict[str, Any]:
    """For every answerable question of `knowledge/questions/articles`, where its lines stand in the ranking."""
    kinds = load_kinds(settings.questions)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for path in sorted((settings.questions / "articles").glob("*.jsonl")):
            article, questions = load_labelled(path, kinds.exercises)
            rows += _ranked(article, questions, kinds, Path(cache), settings.encoder)
    return {"articles": rows}


def _ranked(
    article: Article, questions: Sequence[Labelled], kinds: Kinds, cache: Path, encoder: str
) -> list[dict[str, Any]]:
    library = Library((article,))
    index = open_index(library, kinds, cache, encoder)
    speller = Speller(library, kinds)
    place = {passage: number for number, passage in enumerate(article.passages)}
    rows = []
    try:
        for one in questions:
            if one.needs:
                question = condense([Turn("user", text) for text in one.turns], library, speller)
                ranking = [place[hit.passage] for hit in retrieve(question, index).hits]
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
    finally:
        index.close()
    return rows
