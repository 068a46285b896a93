"""The values that pass between the six steps, and the one error class an operator may see."""

from dataclasses import dataclass
from typing import Literal, get_args

Level = Literal["none", "consult", "emergency"]
Urgency = Literal["none", "routine", "today", "now"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the mildest to the gravest, like URGENCIES."""
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
PassageKind = Literal["sentence", "lead", "bullet", "step", "header", "row", "faq", "byline"]
Outcome = Literal["answered", "clarify", "not_covered", "small_talk", "referred"]


class SpotterError(Exception):
    """Something an operator must fix; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation, as it was written."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """The smallest unit that can be cited: `article_text[start:end]`, with what the structure says about it."""

    article: str
    section: tuple[str, ...]
    kind: PassageKind
    label: str
    """The bold or "Label:" opening of a bullet or step, a table row's header cell, an FAQ answer's question."""
    text: str
    """The cited slice without its markup, white space collapsed."""
    start: int
    end: int
    parents: tuple[str, ...] = ()
    """The texts of the list items above a nested one, outermost first."""
    group: int = 0
    """The list or table that the passage belongs to or leads into, numbered within the article; 0 for none."""
    number: int = 0
    """A step's number."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage with its score for one question; higher is always closer."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the screen spoke: the rule, the number of the user's message (from 0) and the user's own words."""

    rule: str
    turn: int
    quote: str


@dataclass(frozen=True, slots=True)
class Triage:
    """What the safety screen decided about the whole conversation."""

    level: Level = "none"
    urgency: Urgency = "none"
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of an article in code points, end exclusive: `article_text[start:end] == quote`, always."""

    article: str
    section: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of the answer and the spans that say it."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """The safety notice above (or in place of) the answer; empty text when there is none."""

    text: str = ""
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything a reader sees and everything needed to judge how it came about."""

    outcome: Outcome
    text: str
    answer: str
    claims: tuple[Claim, ...]
    triage: Triage
    notice: Notice
    question: str
    suggestions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mode: Literal["quote", "model"] = "quote"
    model: str | None = None
    seconds: float = 0.0
    hits: tuple[Hit, ...] = ()
    draft: tuple[Claim, ...] = ()
    replaced: tuple[Claim, ...] = ()
