"""What a user would otherwise have: the first passages of a plain search, shown as they are."""

from assistant.answer import claim_of
from assistant.index import Index
from assistant.types import Notice, Reply, Triage

SHOWN = 3
"""How many passages such a search shows."""
NAMES = ("embedding search", "BM25")


def replies(index: Index, question: str) -> dict[str, Reply]:
    """The top passages by meaning and by words, as replies that are scored like any other."""
    words = index.by_words(question)
    ranked = {
        "embedding search": list(index.by_meaning(index.embed([question])[0], SHOWN)),
        "BM25": (-words).argsort(kind="stable")[:SHOWN].tolist(),
    }
    return {name: _shown(index, places, question) for name, places in ranked.items()}


def _shown(index: Index, places: list[int], question: str) -> Reply:
    claims = tuple(claim_of(index.passages[place], index) for place in places)
    answer = "\n".join(f"{claim.text}[{number}]" for number, claim in enumerate(claims, start=1))
    return Reply("answered", answer, answer, claims, Triage(), Notice(), question)
