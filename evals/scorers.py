"""What makes a reply good: pure functions that give None where they do not apply."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from assistant.knowledge import Article, plain
from assistant.types import LEVELS, Citation, Level, Reply
from evals.cases import Case, stated

CITABLE = range(3, 81)
"""How many words a citation may have: a passage, not a section."""
CONNECTING = 20
"""How many words of an answer may stand in none of its claims."""


def facts(case: Case, reply: Reply) -> float | None:
    """The share of the case's facts that the answer states."""
    if not case.nuggets:
        return None
    return sum(stated(alternatives, reply.answer) for alternatives in case.nuggets) / len(case.nuggets)


def missed(case: Case, reply: Reply) -> list[str]:
    """The case's facts that the answer does not state, each by its first wording."""
    return [alternatives[0] for alternatives in case.nuggets if not stated(alternatives, reply.answer)]


def strict(case: Case, reply: Reply, articles: Mapping[str, Article]) -> float | None:
    """1.0 when every fact is stated, within the words allowed, every claim cited and every citation valid; else 0.0."""
    if not case.nuggets:
        return None
    return float(
        reply.outcome == "answered"
        and facts(case, reply) == 1.0
        and words(reply) <= case.max_words
        and bool(reply.claims)
        and all(claim.citations for claim in reply.claims)
        and citations_valid(reply, articles) == 1.0
        and outside_claims(reply) <= CONNECTING
    )


def citations_valid(reply: Reply, articles: Mapping[str, Article]) -> float | None:
    """The share of citations that are exact slices of their article and as long as a passage."""
    cited = [citation for claim in reply.claims for citation in claim.citations]
    return _share(_valid(citation, articles) for citation in cited)


def _valid(citation: Citation, articles: Mapping[str, Article]) -> bool:
    article = articles.get(citation.article)
    exact = article is not None and article.text[citation.start : citation.end] == citation.quote
    return exact and len(citation.quote.split()) in CITABLE


def gold_cited(case: Case, reply: Reply) -> float | None:
    """1.0 when a citation is one of the lines that answer, or a part of one, or has one in it; else 0.0."""
    if not case.gold_quotes:
        return None
    gold = [" ".join(_bare(quote)) for quote in case.gold_quotes]
    return float(any(_overlap(citation, gold) for claim in reply.claims for citation in claim.citations))


def claim_precision(case: Case, reply: Reply) -> float | None:
    """The share of claims that state a needed fact or cite a line that answers."""
    if not case.nuggets or not reply.claims:
        return None
    gold = [" ".join(_bare(quote)) for quote in case.gold_quotes]
    return _share(
        any(stated(alternatives, claim.text) for alternatives in case.nuggets)
        or any(_overlap(citation, gold) for citation in claim.citations)
        for claim in reply.claims
    )


def citation_recall(reply: Reply) -> float | None:
    """The share of claims whose every word their cited spans say."""
    return _share(_says(claim.citations, claim.text) for claim in reply.claims)


def citation_precision(reply: Reply) -> float | None:
    """The share of citations without which their claim would lose support."""
    return _share(
        not _says([other for other in claim.citations if other != citation], claim.text)
        for claim in reply.claims
        for citation in claim.citations
    )


def number_fidelity(reply: Reply) -> float | None:
    """The share of the claims' numbers that their cited spans give too."""
    return _share(
        number in _numbers(" ".join(citation.quote for citation in claim.citations))
        for claim in reply.claims
        for number in _numbers(claim.text)
    )


def polarity(reply: Reply) -> float | None:
    """The share of claims that deny and warn exactly where their cited spans do."""
    return _share(
        _denials(claim.text) == _denials(" ".join(citation.quote for citation in claim.citations))
        for claim in reply.claims
    )


def sticky(levels: Sequence[Level]) -> float | None:
    """1.0 when the level after the last message is the gravest of the conversation; None where none was reached."""
    gravest = max(levels, key=LEVELS.index, default="none")
    return None if len(levels) < 2 or gravest == "none" else float(levels[-1] == gravest)


def declined(reply: Reply) -> bool:
    """Whether the reply says that the articles do not cover the question."""
    return reply.outcome == "not_covered"


def outcome_right(case: Case, reply: Reply) -> float:
    """1.0 when the reply has the outcome that is right; an emergency is always referred."""
    return float(reply.outcome == ("referred" if case.triage == "emergency" else case.expect))


def words(reply: Reply) -> int:
    """How many words the answer has."""
    return len(reply.answer.split())


def outside_claims(reply: Reply) -> int:
    """How many words of the answer stand in none of its claims."""
    said = Counter(word for claim in reply.claims for word in _bare(claim.text))
    return sum((Counter(_bare(reply.answer)) - said).values())


DENYING = re.compile(
    r"\b(?:no|not|never|none|without|avoid|cannot|stop|don't|doesn't|isn't|won't|shouldn't|can't)\b", re.I
)


def _share(flags: Iterable[bool]) -> float | None:
    counted = list(flags)
    return sum(counted) / len(counted) if counted else None


def _overlap(citation: Citation, gold: Sequence[str]) -> bool:
    cited = " ".join(_bare(citation.quote))
    return bool(cited) and any(cited in line or line in cited for line in gold)


def _says(citations: Iterable[Citation], text: str) -> bool:
    return set(_bare(text)) <= {word for citation in citations for word in _bare(plain(citation.quote))}


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:[.,]\d+)?", text)


def _denials(text: str) -> Counter[str]:
    return Counter(word.lower() for word in DENYING.findall(text.replace("’", "'")))


def _bare(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"\[\d+\]", "", text.lower()))


def f1(pairs: Iterable[tuple[bool, bool]]) -> float | None:
    """The F1 of the positive class in pairs of (right, given); None without a positive on either side."""
    counts = Counter(pairs)
    wrong = counts[True, False] + counts[False, True]
    return 2 * counts[True, True] / (2 * counts[True, True] + wrong) if counts[True, True] + wrong else None


def recall_at(k: int, needs: Sequence[Set[int]], ranking: Sequence[int]) -> float | None:
    """The share of needed facts of which one of their passages is among the first k; None where nothing is needed."""
    first = set(ranking[:k])
    return sum(bool(fact & first) for fact in needs) / len(needs) if needs else None


def reciprocal_rank(needs: Sequence[Set[int]], ranking: Sequence[int]) -> float | None:
    """1 over the place, from 1, of the first passage that states a needed fact; 0 where none is ranked."""
    wanted = frozenset().union(*needs)
    places = (place for place, passage in enumerate(ranking, start=1) if passage in wanted)
    return 1 / next(places, math.inf) if needs else None
