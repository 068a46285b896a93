"""The answer composed from the article's own passages, or the finding that the articles do not cover the question."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.condense import Question, content_words
from assistant.index import Index, tokenize
from assistant.knowledge import citable_spans, name_pattern, plain
from assistant.retrieve import Retrieved
from assistant.types import Citation, Claim, Hit, Outcome, Passage, Triage

WORDS = 70
"""How many words an answer that gathers the closest passages may have before no further one is added."""
WORDS_AT_MOST = 140
"""How many words any answer may have, but for a whole procedure."""
MARGIN = 0.15
"""How far below the best hit's score a passage may lie and still be part of the answer."""
SAME = 0.7
"""The share of a passage's words from which it says nothing that the answer does not say already."""
SMALL_TALK = 0.5
INSTRUCTIONS = 0.55
"""The cosines from which a message is taken for one of these kinds, if it is closest to it."""
WHOLE = 0.5
"""The share of votes for a whole section from which it is given whole."""
FAMILIAR = 0.6
"""The cosine to an example question from which a question is one about exercises, whatever the articles hold."""
FAR = 0.22
"""The cosine below which not even the best passage has to do with the question."""

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


def compose(question: Question, found: Retrieved, index: Index, triage: Triage) -> Draft:
    """The claims that answer the question, each with its citations; `triage` adds the article's consult lines."""
    symptom = triage.level == "consult" and any(reason.turn == question.turn for reason in triage.reasons)
    urgent = triage.urgency == "today"
    if not symptom and (draft := _no_question(question, found)):
        return draft
    stem, rivals = _article(question, found)
    if (missing := not_covered(question, found, index)) is not None and not urgent:
        return Draft("not_covered", missing=missing)
    if rivals and not symptom and not urgent:
        return Draft("clarify", candidates=rivals)
    hits = [hit for hit in found.hits if hit.passage.article in (question.articles or (stem,))]
    chosen, layout = _choose(found, hits, index, stem, symptom, urgent)
    if not chosen:
        return Draft("not_covered")
    passages = _with_leads(chosen, index)
    claims = [claim_of(passage, index) for passage in passages]
    if layout != "steps":
        claims = _shorten(claims, passages, index)
    return Draft("answered", tuple(claims), layout, kind=next(iter(found.kinds)))


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


def _choose(
    found: Retrieved, hits: Sequence[Hit], index: Index, stem: str, symptom: bool, urgent: bool
) -> tuple[list[Passage], Layout]:
    """The passages of the answer in their order, and how they are laid out."""
    kind = next(iter(found.kinds))
    advice = _consult(hits, index, stem) if symptom or urgent else []
    if urgent:
        return advice, "lines"
    if symptom and found.example.kind != "consult":  # something else is asked, too
        if found.example.whole and (section := _section(index, stem, found.example.kind, hits)):
            return section, _layout(section)  # the notice has the consult lines
        rest = _closest([hit for hit in hits if hit.passage not in consult_lines(index, stem)])
        return (advice + rest if kind == "consult" else rest + advice), "lines"
    if found.whole >= WHOLE and (section := _section(index, stem, kind, hits)):
        return section, _layout(section)
    return (advice, "lines") if symptom else (_closest(hits), "lines")


def _layout(section: Sequence[Passage]) -> Layout:
    return "steps" if any(passage.kind == "step" for passage in section) else "list"


def not_covered(question: Question, found: Retrieved, index: Index) -> str | None:
    """What the question asks for that no article in question says; None when it is covered as far as can be told."""
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
    for other in index.kinds.exercises.finditer(asked):
        if not any(_says(text, other[1]) for text in texts) and (not named_here or COMPARING.search(asked)):
            return other[0].lower()
    best = max((max(hit.parts["focus"], hit.parts["text"]) for hit in found.hits[:10]), default=0.0)
    return "" if best < FAR and found.likeness < FAMILIAR else None


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


def _article(question: Question, found: Retrieved) -> tuple[str, tuple[str, ...]]:
    """The article to answer from, and, when that cannot be known, the ones that it may be."""
    best: dict[str, float] = {}
    for hit in found.hits:
        best.setdefault(hit.passage.article, hit.score)
    ranked = sorted(best, key=lambda stem: -best[stem])
    if question.articles:
        return next((stem for stem in ranked if stem in question.articles), question.articles[0]), ()
    if len(ranked) < 2 or best[ranked[1]] < best[ranked[0]] - CLOSE:
        return ranked[0], ()
    return ranked[0], tuple(stem for stem in ranked if best[stem] >= best[ranked[0]] - 3 * CLOSE)


CLOSE = 0.05
"""How near the best hits of two articles must be for Spotter to ask which is meant; all within thrice are offered."""


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


def _closest(hits: Sequence[Hit]) -> list[Passage]:
    """The best passages within the word budget, without repeating what is already said; the best of all first."""
    chosen: list[Passage] = []
    words = 0
    said: set[str] = set()
    named = [hit for hit in hits if hit.parts["label"] == 1.0][:3]
    for hit in dict.fromkeys([*hits[:1], *named, *hits]):
        stems = set(tokenize(hit.passage.text))
        length = len(hit.passage.text.split())
        if hit.passage in chosen or (chosen and hit.passage.kind == "faq" != chosen[0].kind):
            continue  # what an FAQ sums up stands elsewhere in full
        if chosen and hit not in named and (hit.score < hits[0].score - MARGIN or words + length > WORDS):
            continue
        if chosen and len(stems & said) >= SAME * len(stems):
            continue
        chosen.append(hit.passage)
        said |= stems
        words += length
    first = chosen[:1]
    return first + sorted(chosen[1:], key=_place)


def _consult(hits: Sequence[Hit], index: Index, stem: str) -> list[Passage]:
    """The consult lines that fit the question: the best, and the next where it is as close."""
    lines = [p for p in consult_lines(index, stem) if p.kind != "faq" and (p.group or PROFESSIONAL.search(p.text))]
    lines = [p for p in lines if p.kind not in ("lead", "header")]
    ranked = [hit for hit in hits if hit.passage in lines]
    close = [hit.passage for hit in ranked if hit.score >= ranked[0].score - CLOSE]
    return close[:2] or lines[:1]


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


def _with_leads(passages: Iterable[Passage], index: Index) -> list[Passage]:
    """The passages, a list's items preceded by the sentence that leads in where it sets their condition."""
    leads = {(p.article, p.group): p for p in index.passages if p.kind == "lead" and CONDITION.search(p.text)}
    result: list[Passage] = []
    for passage in passages:
        lead = leads.get((passage.article, passage.group)) if passage.group else None
        if lead and lead not in result:
            result.append(lead)
        result.append(passage)
    return result


def _shorten(claims: list[Claim], passages: Sequence[Passage], index: Index) -> list[Claim]:
    """The claims within WORDS_AT_MOST: bullets cut to their first sentence, then the last ones dropped."""
    if _count(claims) > WORDS_AT_MOST:
        claims = [_first_sentence(claim, passage, index) for claim, passage in zip(claims, passages, strict=True)]
    while _count(claims) > WORDS_AT_MOST and len(claims) > 1:
        claims = claims[:-1]
    return claims


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
