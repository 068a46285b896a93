"""What the web page shows of a reply: Markdown for the chat, escaped HTML for the cards and the status line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from assistant.types import Citation, Claim, Notice, Reply, Triage, Turn

TITLE = "Spotter"
HEADER = (
    f"<h1>{TITLE}</h1><p>Answers come only from the articles. Not medical advice. "
    "No clinician has reviewed the safety rules.</p>"
)
UNSCREENED = (
    "**The safety check did not work, so please be careful.** If anything feels wrong, stop and contact a doctor "
    "today; in an emergency call {emergency_number}."
)
PLACEHOLDER = "## What would you like to know?\n\nSpotter quotes its articles and shows you the lines."
NO_SOURCES = '<p class="empty">The lines that an answer quotes are shown here.</p>'
BROKEN = "Something went wrong on our side, and there is no answer to this message. Please try it again."
STOPPED = "Stopped before there was an answer. Retry asks again."
HEADINGS = {"emergency": "### ⚠️ Get help now", "consult": "#### ⚠️ Safety notice"}
"""Each level's heading; page.css tells the two apart by their rank."""


def turns_of(messages: Iterable[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """The conversation in the chat's messages, whose content is a string or a list of strings and parts."""
    turns = []
    for message in messages:
        content = message["content"]
        parts = content if isinstance(content, list) else [content]
        texts = [part if isinstance(part, str) else part.get("text", "") for part in parts]
        text = "\n\n".join(filter(None, texts))
        turns.append(Turn("user", as_typed(text)) if message["role"] == "user" else Turn("assistant", text))
    return tuple(turns)


def messages_of(turns: Iterable[Turn], suggestions: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The chat's messages; the suggestions are offered under the last one."""
    texts = [(turn.role, harmless(turn.text) if turn.role == "user" else turn.text) for turn in turns]
    messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in texts]
    if suggestions:
        messages[-1]["options"] = [{"value": text, "label": text} for text in suggestions]
    return messages


def before(turns: Sequence[Turn], index: int | Sequence[int]) -> Sequence[Turn]:
    """The turns before the question that a message of the chat, named by its index, is or answers."""
    last = index if isinstance(index, int) else index[0]
    asked = [at for at, turn in enumerate(turns[: last + 1]) if turn.role == "user"]
    return turns[: asked[-1]] if asked else ()


def cards_before(turns: Sequence[Turn], cards: tuple[str, ...]) -> tuple[str, ...]:
    """The cards that belong to the questions before the last one."""
    return cards[: sum(turn.role == "user" for turn in turns) - 1]


def message(reply: Reply) -> str:
    """The reply in the chat, as Markdown: the notice, then the answer or other wording, then the notes."""
    notes = "\n\n".join(f"*{harmless(note)}*" for note in reply.notes)
    return joined(notice(reply.notice.text, reply.triage), harmless(body(reply)), notes)


def joined(*parts: str) -> str:
    """The parts that there are, as paragraphs."""
    return "\n\n".join(part for part in parts if part)


def notice(text: str, triage: Triage) -> str:
    """The notice as a block quote under a heading that says in words how grave it is; empty when there is none."""
    if not text:
        return ""
    lines = [HEADINGS.get(triage.level, HEADINGS["consult"]), "", *harmless(text).splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def body(reply: Reply) -> str:
    """The answer, or the wording in its place: the reply's text without its notice and notes."""
    if reply.answer or reply.outcome == "referred":
        return reply.answer
    notes = {f"*{note}*" for note in reply.notes}
    parts = re.split(r"\n{2,}", reply.text)
    return "\n\n".join(part for part in parts if not part.startswith("> ") and part not in notes)


def harmless(text: str) -> str:
    """Markdown that shows a tag or an image as it was typed, instead of obeying or fetching it."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text).replace("![", "!\\[")


def as_typed(text: str) -> str:
    """What was made harmless, as it was before."""
    return text.replace("!\\[", "![").replace("&lt;", "<")


def sources(reply: Reply, titles: Mapping[str, str]) -> str:
    """The cards of the quoted lines, numbered as in the answer, and of those that the notice quotes."""
    cards = [_card(citation, titles, number) for number, citation in enumerate(cited(reply.claims), start=1)]
    behind = [_card(citation, titles) for citation in _unclaimed(reply.notice, reply.claims)]
    if behind:
        cards += ['<h3 class="behind">Quoted by the safety notice</h3>', *behind]
    return "\n".join(cards) or '<p class="empty">This reply quotes no article.</p>'


def cited(claims: Iterable[Claim]) -> list[Citation]:
    """The claims' citations in the order of their first use, which is the order of the `[n]` marks."""
    return list(dict.fromkeys(citation for claim in claims for citation in claim.citations))


def _unclaimed(notice: Notice, claims: Iterable[Claim]) -> list[Citation]:
    claimed = cited(claims)
    return [citation for citation in notice.citations if citation not in claimed]


def _card(citation: Citation, titles: Mapping[str, str], number: int | None = None) -> str:
    mark = f'<span class="mark">[{number}]</span> ' if number else ""
    title = escape(titles.get(citation.article, citation.article))
    section = escape(citation.section.replace(" > ", " › "))
    return (
        f'<article class="source"><h3>{mark}{section}</h3><blockquote>{escape(citation.quote)}</blockquote>'
        f'<p class="title">{title}</p></article>'
    )


def status(text: str, state: str, problems: Sequence[str] = ()) -> str:
    """The status line; `state` is loading, ready or failed."""
    lines = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    shown = f"<details><summary>{_count(len(problems), 'file')} left out</summary><ul>{lines}</ul></details>"
    return f'<div class="status {state}" role="status">{escape(text)}{shown if problems else ""}</div>'


def alert(text: str, triage: Triage) -> str:
    """What a screen reader announces at once: an emergency's notice, or nothing."""
    words = re.sub(r"[*_#>]+", "", text) if triage.level == "emergency" else ""
    return f'<div role="alert" class="unseen">{escape(words)}</div>'


def ready(articles: int, passages: int) -> str:
    """The status of an open library."""
    return f"Ready: {_count(articles, 'article')}, {_count(passages, 'passage')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
