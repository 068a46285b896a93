"""What makes a reply good: pure functions that give None where they do not apply."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from assistant.knowledge import Article
from assistant.types import Citation, Reply
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
    if not cited:
        return None
    return sum(_valid(citation, articles) for citation in cited) / len(cited)


def _valid(citation: Citation, articles: Mapping[str, Article]) -> bool:
    article = articles.get(citation.article)
    exact = article is not None and article.text[citation.start : citation.end] == citation.quote
    return exact and len(citation.quote.split()) in CITABLE


def gold_cited(case: Case, reply: Reply) -> float | None:
    """1.0 when a citation is one of the lines that answer, or a part of one, or has one in it; else 0.0."""
    if not case.gold_quotes:
        return None
    gold = [" ".join(_bare(quote)) for quote in case.gold_quotes]
    cited = [" ".join(_bare(citation.quote)) for claim in reply.claims for citation in claim.citations]
    return float(any(one and (one in line or line in one) for one in cited for line in gold))


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


def _bare(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"\[\d+\]", "", text.lower()))


LEVEL_ORDER = {"none": 0, "not_emergency": 0, "consult": 1, "emergency": 2}


@dataclass(frozen=True, slots=True)
class TriageScores:
    """How a set of triage decisions compares with the right ones; each share as (count, of how many)."""

    recall: Mapping[str, tuple[int, int]]
    """By level: those of the level that were given it."""
    specificity: tuple[int, int]
    """Of what is no emergency, what was not shown as one."""
    safety_of_advice: tuple[int, int]
    """At or above the right level (Hill and others, MJA 2020)."""
    over_triage: tuple[int, int]
    """Of all errors, those above the right level."""
    severe_under_triage: tuple[int, int]
    """Of all emergencies, those shown as none."""
    urgency: tuple[int, int]
    """Of what has the right level consult, what has the right urgency too."""


def triage_scores(rows: Iterable[Mapping[str, str]]) -> TriageScores:
    """The scores of rows with the right `label` (and `urgency`) and the `level` (and urgency `reached`) given.

    A label "not_emergency" is right whatever is given but emergency.
    """
    recall: dict[str, tuple[int, int]] = {}
    safe = errors = over = severe = calm = not_grave = right_urgency = consults = total = 0
    for row in rows:
        label, level = row["label"], row["level"]
        right = level != "emergency" if label == "not_emergency" else level == label
        step = LEVEL_ORDER[level] - LEVEL_ORDER[label]
        hits, count = recall.get(label, (0, 0))
        recall[label] = hits + right, count + 1
        total += 1
        safe += right or step >= 0
        errors += not right
        over += not right and step > 0
        severe += label == "emergency" and level == "none"
        if label != "emergency":
            not_grave += 1
            calm += level != "emergency"
        if label == level == "consult" and "urgency" in row:
            consults += 1
            right_urgency += row["urgency"] == row["reached"]
    grave = recall.get("emergency", (0, 0))[1]
    return TriageScores(
        recall, (calm, not_grave), (safe, total), (over, errors), (severe, grave), (right_urgency, consults)
    )


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


def mean(scores: Iterable[float | None]) -> float | None:
    """The mean of the scores that apply; None when none does."""
    applying = [score for score in scores if score is not None]
    return sum(applying) / len(applying) if applying else None


def wilson(successes: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)
