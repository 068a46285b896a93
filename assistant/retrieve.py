"""The passages that may answer a question, scored by meaning, by words and by the kind of question."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assistant.condense import Question
from assistant.index import Index, bare, generic, tokenize
from assistant.kinds import Example
from assistant.types import Hit

CANDIDATES = 80
"""How many passages the search by meaning brings before they are scored."""

WEIGHTS = {"focus": 0.7, "text": 0.3, "words": 0.3, "kind": 0.2, "label": 0.1, "faq": -0.08}
"""What each signal counts for; tuned on the dev halves of evals/cases."""


NEIGHBOURS = 15
"""How many of the closest example questions vote on the kind of a question."""


STANDS_ALONE = 0.7
"""The cosine to an example question from which a follow-up is taken for a question of its own."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The hits in order, closest first, and what the question looks like."""

    question: str
    """The question as understood, standing alone."""
    hits: tuple[Hit, ...]
    kinds: Mapping[str, float]
    """The share of each kind among the closest example questions, the likeliest first; the shares add up to 1."""
    whole: float
    """The share of those that ask for everything in a section."""
    example: Example
    """The example question that the asking part is closest to."""
    likeness: float
    """Its cosine."""


def retrieve(question: Question, index: Index) -> Retrieved:
    """Dense and BM25 candidates of the articles in question, fused with the kind of section that is asked for."""
    names = tuple(name for article in index.library.articles for name in article.names)
    focus, text = generic(question.focus, names), generic(question.text, names)
    texts = [focus, text, bare(focus), bare(text)]
    distinct = list(dict.fromkeys(texts))
    vectors = index.embed(distinct)
    focus_vector, text_vector, asked_vector, about_vector = (vectors[distinct.index(one)] for one in texts)
    asked, about = index.example_vectors @ asked_vector, index.example_vectors @ about_vector
    closest = int(asked.argmax())
    understood = question.text
    if question.context and float(asked[closest]) >= STANDS_ALONE:
        # It opens like a follow-up, but asks a question of its own: what was asked before must not outvote it.
        understood, text, text_vector, about = question.message, focus, focus_vector, asked
    kinds, whole = _vote(about, index)

    only = question.articles[0] if len(question.articles) == 1 else None
    near_text = index.by_meaning(text_vector, CANDIDATES, only)
    near_focus = index.by_meaning(focus_vector, CANDIDATES, only) if focus != text else near_text
    words = index.by_words(f"{text} {index.kinds.same_as(text)}")
    stems = set(tokenize(text))
    example = index.kinds.examples[closest]
    hits = []
    for i in {*near_text, *near_focus}:
        passage = index.passages[i]
        if passage.kind in ("lead", "header") or (passage.kind == "byline" and example.kind != "author"):
            continue  # the first two are cited along with their items
        label = set(tokenize(bare(generic(passage.label, names))))
        parts = {
            "focus": near_focus.get(i, 0.0),
            "text": near_text.get(i, 0.0),
            "words": float(words[i] / (words[i] + 4.0)),
            "kind": kinds.get(index.section_kinds[i], 0.0),
            "label": len(label & stems) / len(label) if label else 0.0,
            "faq": float(passage.kind == "faq"),  # what it sums up stands elsewhere in full
        }
        hits.append(Hit(passage, sum(WEIGHTS[name] * part for name, part in parts.items()), parts))
    hits.sort(key=lambda hit: (-hit.score, hit.passage.article, hit.passage.start))
    return Retrieved(understood, tuple(hits), kinds, whole, example, float(asked[closest]))


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
