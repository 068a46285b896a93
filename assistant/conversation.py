"""A conversation as the browser keeps it: read and checked, answered further, and written out for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from assistant.knowledge import Library
from assistant.types import Citation, Claim, Notice, Reply, SpotterError, Triage, Turn

NO_TRIAGE = Triage()


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked, and the reply to it, or the notice and the words that stand where no reply came."""

    asked: str
    reply: Reply | None = None
    triage: Triage = NO_TRIAGE
    notice: str = ""
    """The notice alone, as long as there is no reply."""
    trouble: str = ""
    """Why there is no reply; empty while it is being made."""
    changed: bool = False
    """Whether a line that the reply cites is no longer what its article says there."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The exchange as turns of the conversation."""
        user = Turn("user", self.asked)
        return (user, Turn("assistant", self.reply.text)) if self.reply else (user,)


@dataclass(frozen=True, slots=True)
class Conversation:
    """All exchanges in order and the triage reached, which no edit, retry or stop forgets."""

    id: str = ""
    floor: Triage = NO_TRIAGE
    exchanges: tuple[Exchange, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The whole conversation as turns."""
        return tuple(turn for exchange in self.exchanges for turn in exchange.turns)

    def asking(self, text: str, at: int | None = None) -> "Conversation":
        """The conversation with a message at its end, or in the place of the one numbered `at` and all that follow."""
        return replace(self, exchanges=(*self.exchanges[:at], Exchange(text)))

    def with_last(self, **changed: Any) -> "Conversation":
        """The conversation with its last exchange changed, and that exchange's triage reached."""
        last = replace(self.exchanges[-1], **changed)
        return replace(self, exchanges=(*self.exchanges[:-1], last), floor=changed.get("triage", self.floor))

    def checked(self, library: Library) -> "Conversation":
        """The same with those replies marked whose cited lines their articles no longer hold."""
        return replace(self, exchanges=tuple(replace(one, changed=not _holds(one, library)) for one in self.exchanges))


def _holds(exchange: Exchange, library: Library) -> bool:
    cited = (*cited_by(exchange.reply.claims), *exchange.reply.notice.citations) if exchange.reply else ()
    texts = {one.article: library.by_stem[one.article].text for one in cited if one.article in library.by_stem}
    return all(texts.get(one.article, "")[one.start : one.end] == one.quote for one in cited)


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Conversation)


def read_conversation(data: Any) -> Conversation:
    """The conversation in what a browser sent; SpotterError when it is none."""
    from pydantic import ValidationError

    try:
        conversation: Conversation = _adapter().validate_python(data or {})
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise SpotterError(f"This conversation cannot be read ({place}: {fault['msg']}). Start a new chat.") from error
    return conversation


def as_data(conversation: Conversation) -> dict[str, Any]:
    """What `read_conversation` reads, in JSON's types; without what only a developer looks at."""
    lean = tuple(
        replace(one, reply=one.reply and replace(one.reply, hits=(), draft=(), replaced=()))
        for one in conversation.exchanges
    )
    data: dict[str, Any] = _adapter().dump_python(replace(conversation, exchanges=lean), mode="json")
    return data


def cited_by(claims: Sequence[Claim]) -> list[Citation]:
    """The claims' citations in the order of their first use, which is the order of the `[n]` marks."""
    return list(dict.fromkeys(citation for claim in claims for citation in claim.citations))


def behind(notice: Notice, claims: Sequence[Claim]) -> list[Citation]:
    """The lines that only the notice quotes."""
    claimed = cited_by(claims)
    return [citation for citation in notice.citations if citation not in claimed]


def body(reply: Reply) -> str:
    """The answer, or the wording in its place: the reply's text without its notice, sources and notes."""
    notes = {f"*{note}*" for note in reply.notes}
    parts = [part for part in re.split(r"\n{2,}", reply.text) if not part.startswith("> ") and part not in notes]
    return "\n\n".join(parts).partition("Sources:\n")[0].strip()


def as_markdown(conversation: Conversation, words: dict[str, str]) -> str:
    """The whole conversation as Markdown, notices and sources included."""
    parts = [f"# {words['export_title']}", f"*{words['standing']}*"]
    for one in conversation.exchanges:
        parts += [f"## {_one_line(one.asked)}", one.reply.text if one.reply else f"{_quoted(one.notice)}{one.trouble}"]
        if one.changed:
            parts.append(f"*{words['changed']}*")
    return "\n\n".join(part for part in parts if part) + "\n"


def as_summary(conversation: Conversation, words: dict[str, str], library: Library) -> str:
    """What a professional may want to know: the person's own words, the flags, the lines shown, and what to ask.

    It interprets nothing: every sentence is the person's, an article's, or fixed wording.
    """
    reasons = dict.fromkeys(reason for one in conversation.exchanges for reason in one.triage.reasons)
    flags = [
        f"- “{_one_line(reason.quote)}” ({reason.rule.replace('_', ' ')})"
        + ("" if reason in conversation.floor.reasons else f" – {words['summary_taken_back']}")
        for reason in dict.fromkeys((*reasons, *conversation.floor.reasons))
        if reason.quote
    ]
    replies = [one.reply for one in conversation.exchanges if one.reply]
    cited = dict.fromkeys(one for reply in replies for one in (*reply.notice.citations, *cited_by(reply.claims)))
    places = dict.fromkeys(_place(one, library) for one in cited)
    shown = [
        f"{place}:\n\n" + "\n".join(f"- “{_one_line(one.quote)}”" for one in cited if _place(one, library) == place)
        for place in places
    ]
    level = f"- {words['summary_level']} {words[f'level_{conversation.floor.level}']}"
    sections = {
        "summary_flags": "\n".join((*flags, level)),
        "summary_said": "\n".join(f"- {_one_line(one.asked)}" for one in conversation.exchanges),
        "summary_lines": "\n\n".join(shown) or words["summary_no_lines"],
        "summary_ask": "\n".join(f"- {question}" for question in words["summary_questions"].splitlines()),
    }
    parts = [f"# {words['summary_title']}", words["summary_about"]]
    return "\n\n".join((*parts, *(f"## {words[title]}\n\n{text}" for title, text in sections.items()))) + "\n"


def _place(citation: Citation, library: Library) -> str:
    article = library.by_stem.get(citation.article)
    return f"{article.title if article else citation.article} › {citation.section.replace(' > ', ' › ')}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(notice: str) -> str:
    return "".join(f"> {line}\n" for line in notice.splitlines()) + ("\n" if notice else "")
