"""What the reader sees: notice, answer with numbered citations, sources and notes, and the reply as JSON."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assistant.answer import Draft, cite, consult_lines
from assistant.condense import Question
from assistant.index import Index
from assistant.knowledge import Article, label_of
from assistant.types import Citation, Claim, Notice, Triage

SCHEMA = 1
SUGGESTIONS = 3

GREETING = re.compile(r"\b(hi|hiya|hello|hey|yo|morning|evening|afternoon|how are you)\b", re.IGNORECASE)
PARTING = re.compile(r"\b(bye|goodbye|see (you|ya)|good ?night|later|ciao)\b", re.IGNORECASE)
TAKEN_BACK = "All right. What would you like to know about the exercise?"
THANKING = re.compile(r"\b(thanks?|thx|cheers|ta|appreciate)\b", re.IGNORECASE)


def answer_text(draft: Draft, claims: Sequence[Claim]) -> tuple[str, list[Citation]]:
    """The claims as Markdown with `[1]` marks after their last word, and the citations by number."""
    cited: list[Citation] = []
    lines = []
    for number, claim in enumerate(claims, start=1):
        marks = []
        for citation in claim.citations:
            if citation not in cited:
                cited.append(citation)
            marks.append(f"[{cited.index(citation) + 1}]")
        line = _with_label(claim.text) + "".join(marks)
        if draft.layout == "steps":
            lines.append(f"{number}. {line}")
        elif draft.layout == "list" and len(claims) > 1 and not claim.text.endswith(":"):
            lines.append(f"- {line}")
        else:
            after_item = bool(lines) and lines[-1].startswith("- ")  # else Markdown reads it as a part of the item
            lines.append(f"\n{line}\n" if after_item else f"{line}\n")
    return "\n".join(lines).strip(), cited


def _with_label(text: str) -> str:
    """The text with its opening label in bold, as a list is easiest to read on a phone."""
    label, rest = label_of(text)
    return f"**{text[:rest].rstrip()}** {text[rest:]}" if label else text


def notice_for(triage: Triage, advice: str, index: Index, stem: str | None, answered: Sequence[Claim]) -> Notice:
    """The screen's advice, and for a consult the article's lines on when to see someone, unless the answer has them."""
    if triage.level == "none":
        return Notice()
    if triage.level == "emergency" or stem is None:
        return Notice(advice)
    citations = [cite(p, index) for p in consult_lines(index, stem) if p.kind not in ("faq", "header")]
    said = {citation for claim in answered for citation in claim.citations}
    if not citations:
        return Notice(advice)
    if said & set(citations):
        return Notice(
            f"{advice} The answer below holds the article's own lines on this.",
            tuple(c for c in citations if c in said),
        )
    quoted = " ".join(re.sub(r"\s+", " ", citation.quote) for citation in citations[:4])
    return Notice(f"{advice}\n\nThe article says: “{quoted}”", tuple(citations[:4]))


def missing_text(draft: Draft) -> str:
    """What an answer to a part of the question leaves open."""
    return f"I found nothing about {draft.missing}." if draft.missing else ""


def not_covered_text(draft: Draft, question: Question, index: Index) -> str:
    """Says plainly that the articles do not cover it, and what was missing."""
    if draft.missing == "instructions":
        return "I only answer questions about the exercises in my articles, from their own lines."
    stems = question.articles or tuple(index.library.by_stem)
    if len(stems) == 1:
        subject, pronoun = f"The article on {index.library.by_stem[stems[0]].exercise.lower()} doesn't", "It says"
    else:
        subject, pronoun = "The articles don't", "They say"
    text = f"{subject} cover that." + (f" {pronoun} nothing about {draft.missing}." if draft.missing else "")
    if draft.nearest:
        place = " › ".join(dict.fromkeys([draft.nearest.section[-1], draft.nearest.label or draft.nearest.section[-1]]))
        text += f" The nearest to it stands under “{place}”."
    return text


def english_only_text(emergency_number: str) -> str:
    """What a message in another language is told."""
    return (
        "I only understand English; please ask in English. I give no medical advice: if something hurts or feels "
        f"wrong, stop and ask a doctor; in an emergency call {emergency_number}."
    )


def clarify_text(draft: Draft, index: Index) -> str:
    """Asks which of several exercises is meant."""
    names = [index.library.by_stem[stem].exercise for stem in draft.candidates]
    return f"Which exercise do you mean: {', '.join(names[:-1])} or {names[-1]}?"


def small_talk_text(message: str, index: Index) -> str:
    """A short human reply that leads back to what Spotter is for."""
    names = ", ".join(article.exercise.lower() for article in index.library.articles[:3])
    if PARTING.search(message):
        return "Bye, and enjoy your training!"
    if THANKING.search(message):
        return "You're welcome! Ask me anything else about the exercise."
    if GREETING.search(message):
        return f"Hello! Ask me anything about {names}: I answer with the article's own lines."
    return f"Glad to help. I'm here for questions about {names}."


def suggestions_for(
    draft: Draft, index: Index, stem: str | None, message: str, said: Sequence[str] = ()
) -> tuple[str, ...]:
    """Questions that the library can really answer, about the article at hand, and that were not `said` already."""
    if draft.outcome == "clarify":
        return tuple(f"{index.library.by_stem[s].exercise}: {message}" for s in draft.candidates)
    article = index.library.by_stem[stem] if stem else index.library.articles[0]
    pairs = zip(index.passages, index.section_kinds, strict=True)
    present = {kind for passage, kind in pairs if passage.article == article.stem}
    nearest = index.section_kinds[index.passages.index(draft.nearest)] if draft.nearest else ""
    kinds = sorted(index.kinds.suggestions, key=lambda pair: pair[0] != nearest)
    wordings = [wording for kind, wording in kinds if kind in present and kind != draft.kind]
    questions = [re.sub(r"\bthis exercise\b", article.exercise.lower(), wording) for wording in wordings]
    return tuple(question for question in questions if question not in said)[:SUGGESTIONS]


def full_text(
    notice: Notice, body: str, cited: Sequence[Citation], articles: Mapping[str, Article], notes: Sequence[str]
) -> str:
    """Everything the reader sees, as Markdown: notice, answer or other wording, sources, notes."""
    parts = []
    if notice.text:
        parts.append("\n".join(f"> {line}".rstrip() for line in f"⚠️ {notice.text}".splitlines()))
    if body:
        parts.append(body)
    if cited:
        lines = [f"[{i}] {_source(citation, articles)}" for i, citation in enumerate(cited, start=1)]
        parts.append("Sources:\n\n" + "\n\n".join(lines))
    parts += [f"*{note}*" for note in notes]
    return "\n\n".join(parts)


def _source(citation: Citation, articles: Mapping[str, Article]) -> str:
    exercise, section = articles[citation.article].exercise, citation.section.replace(" > ", " › ")
    return f"{exercise} › {section}: “{' '.join(citation.quote.split())}”"


def reply_json(reply: Any, *, debug: bool = False) -> dict[str, Any]:
    """The reply in the shape of `assistant/reply.schema.json`; `debug` adds hits, draft and replaced claims."""
    data = asdict(reply)
    hidden = {"hits", "draft", "replaced"}
    return {"schema": SCHEMA, **{name: value for name, value in data.items() if debug or name not in hidden}}
