"""The answer composed from the article's own passages, or the finding that the articles do not cover the question."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from assistant.condense import Question, content_words
from assistant.index import Index, tokenize
from assistant.knowledge import citable_spans, name_pattern, plain
from assistant.retrieve import Retrieved
from assistant.types import Citation, Claim, Hit, Outcome, Passage, Triage

LIKELY = -1.0
"""The score from which a passage is part of the answer; chosen on the dev halves of evals/cases."""
WORDS_AT_MOST = 140
"""How many words an answer may have, but for a whole procedure."""
STEPS_AT_MOST = 210
"""How many words that may have."""
SAME = 0.7
"""The share of a passage's words from which it says nothing that the answer does not say already."""
MOST = 0.7
"""The share of a list from which all of it is given."""
CLOSE = 1.0
"""How near two passages' scores must be, in logits, to count as alike."""
NEAR = 3.0
"""How unlikely it may be, in logits, that a question is covered for its nearest passage to be named."""
SMALL_TALK = 0.5
INSTRUCTIONS = 0.55
AUTHOR = 0.5
"""The cosines from which a message is taken for one of these kinds, if it is closest to it."""
WHOLE = 0.5
"""The share of votes for a whole section from which it is given whole,"""
FAMILIAR = 0.6
"""provided that the question is at least so close to an example, by cosine."""
CONDITION = re.compile(
    r"\b(if|unless|not|never|avoid|stop|before|without|consult|seek|ask|see|speak|talk)\b", re.IGNORECASE
)
COMPARING = re.compile(r"\b(than|versus|vs|compare[ds]?|comparison|difference)\b", re.IGNORECASE)


Layout = Literal["lines", "list", "steps"]


THANKS = re.compile(r"\W*(thanks?|thx|cheers|ta|great|perfect|nice|awesome|brilliant)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the answer step decided; `respond` puts it into words."""

    outcome: Outcome
    claims: tuple[Claim, ...] = ()
    layout: Layout = "lines"
    missing: str = ""
    """What was asked for and is not covered: a topic, an exercise, or nothing in particular."""
    candidates: tuple[str, ...] = ()
    """The articles between which the reader must choose."""
    kind: str = ""
    """The kind of question that was answered."""
    nearest: Passage | None = None
    """What the library has nearest to a question that it does not cover."""


def compose(question: Question, found: Retrieved, index: Index, triage: Triage) -> Draft:
    """The claims that answer the question, each with its citations.

    A message that reports a sign is answered with the article's own consult lines alone: what else it asks is read
    apart from the sign, so that nothing coaches the reader through it.
    """
    symptom = triage.level == "consult" and any(reason.turn == question.turn for reason in triage.reasons)
    urgent = triage.urgency == "today"
    if not symptom and (draft := _no_question(question, found)):
        return draft
    best: dict[str, float] = {}
    for hit in found.hits:
        best.setdefault(hit.passage.article, hit.score)
    stem, *others = best
    if urgent:
        return _lines(_consult(found.hits, index, stem), index)
    if found.example.kind == "author" and found.likeness >= AUTHOR and (byline := _byline(index, stem)):
        return _lines(byline, index)
    missing = not_covered(question, index)
    kind = next(iter(found.kinds))
    asks_for_all = found.whole >= WHOLE and found.likeness >= FAMILIAR
    section = _section(index, stem, kind, found.hits) if asks_for_all and not symptom else []
    if missing is None and not section and max(found.covered.values()) < 0:
        missing = ""
    if missing is not None:
        advice = _consult(found.hits, index, stem) if symptom and found.example.kind == "consult" else []
        nearest = found.hits[0].passage if max(found.covered.values()) >= -NEAR else None
        return _lines(advice, index) if advice else Draft("not_covered", missing=missing, nearest=nearest)
    if symptom:
        return _lines(_consult(found.hits, index, stem), index)
    rivals = [one for one in others if not question.articles and best[one] >= best[stem] - CLOSE]
    if rivals:
        return Draft("clarify", candidates=(stem, *rivals))
    stems = [one for one in best if one == stem or (one in question.articles and found.covered[one] >= 0)]
    if section and len(stems) == 1:
        hits = [Hit(passage, 0.0) for passage in section]
    else:
        hits = [hit for hit in found.hits if hit.passage.article in stems]
    claims, layout = _choose(hits, index)
    return Draft("answered", tuple(claims), layout, kind=index.section_kinds[index.passages.index(hits[0].passage)])


def together(whole: Draft, parts: Sequence[Draft]) -> Draft:
    """The answer to several questions of one message: what is covered of them, and what is not, by name."""
    answered = [draft for draft in parts if draft.outcome == "answered"]
    missing = [draft.missing or "the rest of your question" for draft in parts if draft.outcome == "not_covered"]
    if not answered or (whole.outcome == "answered" and not missing):
        return whole
    claims = tuple(dict.fromkeys(claim for draft in answered for claim in draft.claims))
    layout = answered[0].layout if len(answered) == 1 else "list" if len(claims) > 2 else "lines"
    return replace(answered[0], claims=claims, layout=layout, missing=" or ".join(dict.fromkeys(missing)))


def closest(found: Retrieved) -> Retrieved:
    """Only the passages about as close as the closest: next to a sign, what is doubtful stays out."""
    hits = tuple(hit for hit in found.hits if hit.score >= found.hits[0].score - CLOSE)
    return replace(found, hits=hits, whole=0.0)


def beside(advice: Draft, parts: Sequence[Draft]) -> Draft:
    """The advice on a sign, and after it what else was asked and is covered."""
    answered = [draft for draft in parts if draft.outcome == "answered"]
    if not answered:
        return advice
    claims = dict.fromkeys(claim for draft in [advice, *answered] for claim in draft.claims)
    return replace(answered[0], claims=tuple(claims), layout="lines")


def _lines(passages: Sequence[Passage], index: Index) -> Draft:
    """These passages as they stand."""
    if not passages:
        return Draft("not_covered")
    claims = _with_leads(passages, {passage: claim_of(passage, index) for passage in passages}, index)
    return Draft("answered", tuple(claims), kind=index.section_kinds[index.passages.index(passages[0])])


def _no_question(question: Question, found: Retrieved) -> Draft | None:
    """What becomes of small talk, and of instructions to the assistant."""
    few_words = len(content_words(question.message)) < 5
    small = found.example.kind == "small_talk" and found.likeness >= SMALL_TALK
    if (few_words and (small or (THANKS.match(question.message) and "?" not in question.message))) or not re.search(
        r"\w", question.message
    ):
        return Draft("small_talk")
    if found.example.kind == "instructions" and found.likeness >= INSTRUCTIONS:
        return Draft("not_covered", missing="instructions")
    return None


def _choose(hits: Sequence[Hit], index: Index) -> tuple[list[Claim], Layout]:
    """The likely passages as claims within the words allowed, without repeating what is said, and their layout.

    Those of one list stay together and in their order; what the best passage belongs to comes first. Where a list is
    too long, its items are cut to their first sentences before any is left out.
    """
    likely = [hits[0], *(hit for hit in hits[1:] if hit.score >= LIKELY)]
    lists = _lists(likely)
    nearly = {key for key, count in _lists(hits).items() if key[1] and MOST * count <= lists[key] < count}
    likely = [hit for hit in hits if hit in likely or (hit.passage.article, hit.passage.group) in nearly]
    lists = _lists(likely)
    steps = sum(hit.passage.kind == "step" for hit in likely) >= 3
    claims = {hit.passage: claim_of(hit.passage, index) for hit in likely}
    if _count(claims.values()) > WORDS_AT_MOST and not steps:
        long = [p for p in claims if lists[p.article, p.group] >= 3]
        claims |= {passage: _first_sentence(claims[passage], passage, index) for passage in long}
    chosen: dict[tuple[str, int, int], list[Passage]] = {}
    said: dict[str, set[str]] = {}
    words = 0
    for passage, claim in claims.items():
        stems, length = set(tokenize(claim.text)), len(claim.text.split())
        listed = passage.group and any((passage.article, passage.group) == key[:2] for key in chosen)
        most = STEPS_AT_MOST if steps and passage.kind == "step" else WORDS_AT_MOST
        # the items of one list are worded alike and say other things
        repeats = not listed and len(stems & said.get(passage.article, set())) >= SAME * len(stems)
        if chosen and (repeats or words + length > most):
            continue
        key = (passage.article, passage.group, 0 if passage.group else passage.start)
        chosen.setdefault(key, []).append(passage)
        said.setdefault(passage.article, set()).update(stems)
        words += length
    ordered = [passage for block in chosen.values() for passage in sorted(block, key=lambda one: one.start)]
    layout: Layout = "list" if any(len(block) > 1 for block in chosen.values()) else "lines"
    if steps and all(passage.kind == "step" for passage in ordered):
        layout = "steps"
    return _with_leads(ordered, claims, index), layout


def _lists(hits: Sequence[Hit]) -> Counter[tuple[str, int]]:
    """How many of the passages each list or table has."""
    return Counter((hit.passage.article, hit.passage.group) for hit in hits if hit.passage.group)


def _section(index: Index, stem: str, kind: str, hits: Sequence[Hit]) -> list[Passage]:
    """All passages of the article's sections of one kind; of a summary the closest, of a definition what defines."""
    pairs = zip(index.passages, index.section_kinds, strict=True)
    mine = [p for p, k in pairs if p.article == stem and k == kind and p.kind not in ("lead", "header", "faq")]
    if kind == "definition":
        name = name_pattern(index.library.by_stem[stem].names).pattern
        defines = re.compile(rf"(the |a |an )?{name}.*\b(is|are) (a|an|the)\b", re.IGNORECASE)
        defining = [hit.passage for hit in hits if hit.passage.kind == "sentence" and defines.match(hit.passage.text)]
        return sorted(defining, key=_place)[:3] or [hit.passage for hit in hits if hit.passage in mine][:2]
    if kind == "summary":
        return [hit.passage for hit in hits if hit.passage in mine][:2]
    if kind == "steps" and any(p.kind == "step" for p in mine):
        return [p for p in mine if p.kind == "step"]
    return [p for p in mine if p.group] or mine


def not_covered(question: Question, index: Index) -> str | None:
    """A topic, a name or an exercise that the question asks for and no article in question names; None without one."""
    articles = [index.library.by_stem[stem] for stem in question.articles] or list(index.library.articles)
    texts = [" ".join([*p.section, *p.parents, p.label, p.text]) for a in articles for p in a.passages]
    asked = name_pattern(tuple(n for a in index.library.articles for n in a.names)).sub(" ", question.focus)
    for topic in index.kinds.topics:
        if topic.asks.search(asked) and not any(topic.says.search(text) for text in texts):
            return topic.name
    for term in index.kinds.terms.finditer(asked):
        alike = [name for pattern, names in index.kinds.synonyms if pattern.search(term[0]) for name in names.split()]
        if not any(_says(text, word) for text in texts for word in [term[0], *alike]):
            return term[0].lower()
    named_here = asked != question.focus
    if named_here and not COMPARING.search(asked):
        return None
    for other in index.kinds.exercises.finditer(asked):
        if not any(_says(text, other[1]) for text in texts):
            return other[0].lower()
    for other in index.kinds.longer_names.finditer(asked):
        if not any(_says(text, other[2]) for text in texts):
            return other[1].lower()
    return None


def _says(text: str, word: str) -> bool:
    return bool(re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE))


def claim_of(passage: Passage, index: Index) -> Claim:
    """A passage as a claim that cites it; a table row also cites its header, whose words it borrows."""
    cited = [passage]
    if passage.kind == "row":
        cited += [
            p
            for p in index.passages
            if p.article == passage.article and p.group == passage.group and p.kind == "header"
        ]
    return Claim(passage.text, tuple(cite(p, index) for p in cited))


def cite(passage: Passage, index: Index, start: int | None = None, end: int | None = None) -> Citation:
    """The citation of a passage, or of the sentence of it between two offsets."""
    start, end = passage.start if start is None else start, passage.end if end is None else end
    quote = index.library.by_stem[passage.article].text[start:end]
    return Citation(passage.article, " > ".join(passage.section), start, end, quote)


def consult_lines(index: Index, stem: str) -> list[Passage]:
    """The article's own lines on when to see a professional, in its order.

    They are those in a section of that kind and, wherever they stand, those that send the reader to one, together with
    the list that such a line leads into.
    """
    pairs = [(p, kind) for p, kind in zip(index.passages, index.section_kinds, strict=True) if p.article == stem]
    leading = {p.group for p, _ in pairs if p.kind == "lead" and SENDS.search(p.text)}
    return [p for p, kind in pairs if kind == "consult" or SENDS.search(p.text) or (p.group and p.group in leading)]


def _byline(index: Index, stem: str) -> list[Passage]:
    return [passage for passage in index.passages if passage.article == stem and passage.kind == "byline"]


def _consult(hits: Sequence[Hit], index: Index, stem: str) -> list[Passage]:
    """The consult lines that fit the question: the best, and the next where it is as close."""
    lines = [p for p in consult_lines(index, stem) if p.kind != "faq" and (p.group or PROFESSIONAL.search(p.text))]
    lines = [p for p in lines if p.kind not in ("lead", "header")]
    ranked = [hit for hit in hits if hit.passage in lines]
    return [hit.passage for hit in ranked[:1] + [hit for hit in ranked[1:2] if hit.score >= LIKELY]] or lines[:1]


_WHO = (
    r"(?:doctor|physician|GP|physio\w*|professional|therapist|specialist|midwife|clinician|provider|medical|emergency)"
)
PROFESSIONAL = re.compile(rf"\b(?:{_WHO}|clearance)s?\b", re.IGNORECASE)
SENDS = re.compile(
    r"\b(?:see|sees|seeing|consult|consulting|ask|asking|(?:talk|speak|talking|speaking) (?:to|with)|check with|"
    r"contact|visit|call|seek|seeking|cleared by|(?:clearance|advice|guidance) (?:from|of))\b"
    rf"(?:\W+\w+){{0,6}}?\W+{_WHO}s?\b",
    re.IGNORECASE,
)
"""A line that sends the reader to somebody qualified."""


def _with_leads(passages: Iterable[Passage], claims: Mapping[Passage, Claim], index: Index) -> list[Claim]:
    """The passages' claims, a list's items preceded by the sentence that leads in where it sets their condition."""
    leads = {(p.article, p.group): p for p in index.passages if p.kind == "lead" and CONDITION.search(p.text)}
    result: list[Claim] = []
    for passage in passages:
        lead = leads.get((passage.article, passage.group)) if passage.group else None
        if lead and (leading := claim_of(lead, index)) not in result:
            result.append(leading)
        if claims[passage] not in result:
            result.append(claims[passage])
    return result


def _first_sentence(claim: Claim, passage: Passage, index: Index) -> Claim:
    spans = citable_spans(index.library.by_stem[passage.article].text[passage.start : passage.end], passage.start)
    if passage.kind == "row" or len(spans) < 2:
        return claim
    citation = cite(passage, index, *spans[0])
    return Claim(plain(citation.quote), (citation,))


def _count(claims: Iterable[Claim]) -> int:
    return sum(len(claim.text.split()) for claim in claims)


def _place(passage: Passage) -> tuple[str, int]:
    return passage.article, passage.start
