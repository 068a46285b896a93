"""The articles that a question is about, and their passages as the reader ranks them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from assistant.condense import Question
from assistant.index import Index, bare, generic
from assistant.kinds import Example
from assistant.types import Hit, Passage

if TYPE_CHECKING:
    from assistant.reader import Reader

ARTICLES = 3
"""How many articles are read for a question that names none."""
NEIGHBOURS = 15
"""How many of the closest example questions vote on the kind of a question."""
CANDIDATES = 40
"""How many passages the search by meaning brings to find those articles."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages of the articles that may answer, and what the question looks like."""

    hits: tuple[Hit, ...]
    """Likeliest first; the score is how much likelier the passage is part of the answer than that none is, a logit."""
    covered: Mapping[str, float]
    """Of each article that was read: how much likelier it answers the question than not, a logit."""
    kinds: Mapping[str, float]
    """The share of each kind among the closest example questions, the likeliest first; the shares add up to 1."""
    whole: float
    """The share of those that ask for everything in a section."""
    example: Example
    """The example question that the asking part is closest to."""
    likeness: float
    """Its cosine."""


def retrieve(
    question: Question, index: Index, reader: "Reader", without: Collection[Passage] = frozenset()
) -> Retrieved:
    """Reads the articles that the question names, or else those that dense and BM25 search find closest.

    The passages `without` which it is to be answered are left out.
    """
    names = tuple(name for article in index.library.articles for name in article.names)
    cosines = index.example_vectors @ index.embed([bare(generic(question.focus, names))])[0]
    closest = int(cosines.argmax())
    stems = question.articles[:ARTICLES] or _closest_articles(generic(question.text, names), index)
    read = dict(zip(stems, reader.read(question, [index.library.by_stem[stem] for stem in stems]), strict=True))
    pairs = (pair for reading in read.values() for pair in zip(reading.page.passages, reading.scores, strict=True))
    hits = [Hit(passage, float(score)) for passage, score in pairs if passage not in without]
    hits.sort(key=lambda hit: (-hit.score, hit.passage.article, hit.passage.start))
    covered = {stem: reading.covered for stem, reading in read.items()}
    return Retrieved(
        tuple(hits), covered, *_vote(cosines, index), index.kinds.examples[closest], float(cosines[closest])
    )


def _closest_articles(text: str, index: Index) -> list[str]:
    """The articles of the closest passages, by meaning and by words in turn."""
    if len(index.library.articles) <= ARTICLES:
        return [article.stem for article in index.library.articles]
    words = index.by_words(f"{text} {index.kinds.same_as(text)}")
    by_words = [i for i in np.argsort(-words, kind="stable")[:CANDIDATES].tolist() if words[i] > 0]
    by_meaning = index.by_meaning(index.embed([text])[0], CANDIDATES)
    pairs = zip_longest(by_meaning, by_words)
    found = [index.passages[i].article for pair in pairs for i in pair if i is not None]
    return list(dict.fromkeys(found))[:ARTICLES]


def _vote(cosines: np.ndarray, index: Index) -> tuple[dict[str, float], float]:
    """The kinds of the closest examples and the share that asks for a whole section, each weighted by its cosine."""
    closest = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
    weights = np.clip(cosines[closest], 0.01, None) ** 4
    weights = weights / weights.sum()
    kinds: dict[str, float] = {}
    for i, weight in zip(closest, weights, strict=True):
        kind = index.kinds.examples[i].kind
        kinds[kind] = kinds.get(kind, 0.0) + float(weight)
    whole = sum(float(weight) for i, weight in zip(closest, weights, strict=True) if index.kinds.examples[i].whole)
    return dict(sorted(kinds.items(), key=lambda item: -item[1])), whole
