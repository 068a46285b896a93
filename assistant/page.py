"""What the web page shows, as HTML: a function of a conversation, an article and the state of the assistant."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from assistant.conversation import Conversation, behind, body, cited_by
from assistant.index import Index
from assistant.knowledge import Article, Library, cells_of
from assistant.pipeline import LONGEST_MESSAGE
from assistant.types import Passage, Reply, SpotterError

HERE = Path(__file__).parent
# What a reply or an article says is shown; no tag is obeyed, and nothing of it is fetched or followed.
MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable(["image", "link", "autolink", "reference"])
MARK = re.compile(r"\[(\d+)\]")
MARKED_WORD = re.compile(r"([^\s<>]*?)((?:\[\d+\])+)")
TABLE = MarkdownIt("commonmark", {"html": False}).enable("table")
TAGS = {"bullet": "ul", "step": "ul", "row": "table", "header": "table"}
"""The element of each kind of passage; the others are sentences of paragraphs."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of an article that stand together: a list, a table, or a paragraph."""

    lines: tuple[Passage, ...]

    @property
    def tag(self) -> str:
        """The element that holds them."""
        return TAGS.get(self.lines[0].kind, "p")

    @property
    def items(self) -> Iterator[tuple[int, str, Passage | None]]:
        """Depth, text and line: each line, and before a nested one the texts of the items that it stands under."""
        above: tuple[str, ...] = ()
        for line in self.lines:
            for depth, text in enumerate(line.parents):
                if line.parents[: depth + 1] != above[: depth + 1]:
                    yield depth, text, None
            above = (*line.parents, line.text)
            yield len(line.parents), "", line


@dataclass(frozen=True, slots=True)
class Section:
    """A section of an article as the page shows it, and a question about it."""

    name: str
    depth: int
    question: str
    blocks: tuple[Block, ...]


class Page:
    """The page in one language."""

    def __init__(self, language: str = "en", helplines: str = "") -> None:
        """`helplines` holds the numbers that an emergency's notice names; SpotterError without words for a language."""
        path = HERE / f"page.{language}.toml"
        if not path.is_file():
            known = ", ".join(sorted(one.suffixes[0][1:] for one in HERE.glob("page.*.toml")))
            raise SpotterError(f"There is no {path.name}. Set SPOTTER_LANGUAGE to one of: {known}.")
        self.words: dict[str, str] = {
            name: text.strip() for name, text in tomllib.loads(path.read_text(encoding="utf-8")).items()
        }
        self._numbers = re.findall(r"\d[\d ]*\d", helplines)

    @cached_property
    def _macros(self) -> Any:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        environment.filters |= {
            "marked": marked,
            "callable": self._callable,
            "table": lambda text: Markup(TABLE.render(text)),
            "answer": self._answer,
            "cited": cited_by,
            "behind": behind,
            "place": lambda section: section.replace(" > ", " › "),
            "shown": _shown,
            "cells": _cells,
        }
        environment.globals |= {"t": SimpleNamespace(**self.words), "words": self.words}
        return environment.get_template("page.html").module

    def rail(self) -> str:
        """The name, the views and the list of conversations, which the browser fills."""
        return str(self._macros.rail())

    def toolbar(self) -> str:
        """What can be done with the whole conversation."""
        return str(self._macros.toolbar())

    def composer(self) -> str:
        """The question box with what belongs to it."""
        return str(self._macros.composer(LONGEST_MESSAGE))

    def reader(self) -> str:
        """The empty panel in which an article is read."""
        return str(self._macros.reader())

    def chat(
        self, conversation: Conversation, library: Library | None, *, busy: bool = False, examples: Sequence[str] = ()
    ) -> str:
        """The conversation, or the first screen when nothing was asked."""
        articles = library.articles if library else ()
        titles = {article.stem: article.title for article in articles}
        return str(self._macros.chat(conversation, busy, examples, articles, titles))

    def article(self, stem: str, index: Index) -> str:
        """An article with its contents and every citable line at its place; the first one for an empty stem."""
        articles = index.library.articles
        article = index.library.by_stem.get(stem or articles[0].stem)
        if article is None:
            return str(self._macros.gone())
        return str(self._macros.article(article, articles, tuple(self._sections(article, index))))

    def evals(self, headline: str, command: str, report: bool) -> str:
        """The figures of the last kept evals (a Markdown table), with room for the whole report if there is one."""
        return str(self._macros.evals(headline, command, report))

    def status(self, rows: Sequence[tuple[str, object]], faults: Sequence[str]) -> str:
        """What is running, and what is degraded."""
        return str(self._macros.status(rows, faults))

    def _answer(self, reply: Reply, number: int) -> Markup:
        """The answer's Markdown as HTML, its `[n]` marks as buttons that show source n."""
        cited = cited_by(reply.claims)

        def button(mark: re.Match[str]) -> str:
            n = int(mark[1])
            if not 1 <= n <= len(cited):
                return mark[0]
            label = self.words["source"].format(number=n, section=cited[n - 1].section.split(" > ")[-1])
            return (
                f'<button type="button" class="cite" data-cite="{number}-{n}" aria-label="{escape(label)}">{n}</button>'
            )

        def with_its_word(marked: re.Match[str]) -> str:
            return f'<span class="whole">{marked[1]}{MARK.sub(button, marked[2])}</span>'

        return Markup(MARKED_WORD.sub(with_its_word, MARKDOWN.render(body(reply))))

    def _callable(self, text: str) -> Markup:
        """An emergency's notice as HTML, in which a telephone calls a number that is touched."""
        html = marked(text)
        for number in self._numbers:
            link = f'<a href="tel:{number.replace(" ", "")}">{number}</a>'
            html = Markup(re.sub(rf"\b{number}\b", link, html))
        return html

    def _sections(self, article: Article, index: Index) -> Iterator[Section]:
        """The article's sections in order, each with a question that it answers."""
        kind_of = dict(zip(index.passages, index.section_kinds, strict=True))
        wordings = dict(index.kinds.suggestions)
        for path, group in groupby(article.passages, key=lambda passage: passage.section):
            passages = tuple(group)
            wording = wordings.get(kind_of.get(passages[0], ""), "")
            first = not path or path[-1] == article.title
            name = self.words["introduction"] if first else path[-1]
            about = self.words["what_are"] if first else self.words["what_about"]
            about = about.format(exercise=article.exercise, section=name)
            question = re.sub(r"\bthis exercise\b", article.exercise.lower(), "" if first else wording) or about
            yield Section(name, max(len(path) - 1, 0), question, tuple(_blocks(passages, article)))


def _blocks(passages: Sequence[Passage], article: Article) -> Iterator[Block]:
    """Lists and tables as such, and sentences as the article's paragraphs."""
    block = Block(())
    for passage in passages:
        longer = Block((*block.lines, passage))
        if block.lines:
            gap = article.text[block.lines[-1].end : passage.start]
            if longer.tag != Block((passage,)).tag or (longer.tag == "p" and "\n\n" in gap):
                yield block
                longer = Block((passage,))
        block = longer
    yield block


def _shown(passage: Passage) -> Markup:
    """A line with its opening label in bold."""
    label = passage.label if passage.kind != "faq" and passage.text.startswith(passage.label) else ""
    return Markup("<b>{}</b>{}").format(label, passage.text[len(label) :]) if label else escape(passage.text)


def _cells(passage: Passage, article: Article) -> list[str]:
    """A table row's cells."""
    return cells_of(article.text[passage.start : passage.end].strip().strip("|"))


def marked(text: str) -> Markup:
    """Markdown as HTML, with any tag, image or link in it shown as it was typed."""
    return Markup(MARKDOWN.render(text))
