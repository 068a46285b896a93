"""Articles in, passages out: every citable line of a Markdown or plain-text article with its place in the text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assistant.types import Passage, PassageKind, SpotterError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

SHORTEST_PASSAGE, LONGEST_PASSAGE = 3, 80
"""In words; a longer bullet or FAQ answer is cited sentence by sentence, a shorter sentence with the next."""

SUFFIXES = (".md", ".txt")
CONVERTED = (".html", ".htm", ".docx", ".pdf")
"""Read as the Markdown that markitdown makes of them, from which citations are cut."""
FAQ_NAME = r"(?:frequently asked questions|faqs?|q ?(?:&|and) ?as?|common questions)"
FAQ_HEADING = re.compile(rf"(?:the )?{FAQ_NAME}\b|.*\b{FAQ_NAME}\W*$", re.IGNORECASE)
"""A heading that begins or ends with a name of an FAQ section: "FAQ", "Common Questions About Planks", "Plank Q&A"."""

BlockKind = Literal["heading", "paragraph", "bullet", "step", "header", "row"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the article that its layout sets apart; `depth` is the heading's level or the list's nesting."""

    kind: BlockKind
    depth: int
    start: int
    end: int
    list_id: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Article:
    """One article as stored (`\\n` line ends), what it is about, and its passages in reading order."""

    stem: str
    title: str
    text: str
    exercise: str
    """The exercise's name as the title has it, without "How to do" and the like: "Wall Sit"."""
    aliases: tuple[str, ...]
    passages: tuple[Passage, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The exercise's name and its aliases."""
        return (self.exercise, *self.aliases)


@dataclass(frozen=True, slots=True)
class Library:
    """The articles that could be read, by stem, and a line for each file that could not."""

    articles: tuple[Article, ...]
    problems: tuple[str, ...] = ()
    by_stem: dict[str, Article] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_stem", {article.stem: article for article in self.articles})

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages of all articles, article by article, in reading order."""
        return tuple(passage for article in self.articles for passage in article.passages)

    def without_faq(self) -> "Library":
        """The same library with every FAQ section left out of the passages (the texts stay, so offsets hold)."""
        kept = (
            replace(article, passages=tuple(p for p in article.passages if not in_faq(p))) for article in self.articles
        )
        return replace(self, articles=tuple(kept))


def in_faq(passage: Passage) -> bool:
    """Whether a passage stands in an FAQ section."""
    return any(FAQ_HEADING.match(heading) for heading in passage.section)


def read_library(folder: Path, exercises: re.Pattern[str] | None = None) -> Library:
    """Every article in a folder and the folders below it; `exercises` finds the names of well-known exercises.

    A file that cannot be read as an article is named in `problems`, and the others are used.
    Raises SpotterError when no article is left.
    """
    if not folder.is_dir():
        raise SpotterError(f"There is no folder {folder}. Make it and put .md or .txt articles in, or pass --articles.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    by_stem: dict[str, list[Path]] = {}
    for path in files:
        by_stem.setdefault(path.stem, []).append(path)
    articles, problems = [], []
    for stem, paths in by_stem.items():
        readable = [path for path in paths if path.suffix.lower() in SUFFIXES + CONVERTED]
        others = [path.relative_to(folder) for path in paths if path not in readable]
        formats = ", ".join(SUFFIXES + CONVERTED)
        problems += [f"{name}: not an article: Spotter reads {formats} files" for name in others]
        if len(readable) > 1:
            names = " and ".join(str(path.relative_to(folder)) for path in readable)
            problems.append(f"{names}: two articles of the same name cannot be told apart in citations; rename one")
            continue
        for path in readable:
            name = path.relative_to(folder)
            try:
                articles.append(read_article(_text(path), stem, exercises))
            except UnicodeDecodeError as error:
                problems.append(f"{name}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8")
            except OSError as error:
                problems.append(f"{name}: cannot be read: {error.strerror}")
            except SpotterError as error:
                problems.append(f"{name}: {error}")
    if not articles:
        reasons = "".join(f"\n  {problem}" for problem in problems)
        raise SpotterError(f"No articles in {folder}. Add a .md or .txt file or pass --articles.{reasons}")
    return Library(tuple(articles), tuple(problems))


def _text(path: Path) -> str:
    if path.suffix.lower() in SUFFIXES:
        return path.read_text(encoding="utf-8")
    try:
        from markitdown import MarkItDown, MarkItDownException
    except ImportError:
        raise SpotterError('needs the extra "formats": pip install "spotter[formats]"') from None
    try:
        return MarkItDown(enable_plugins=False).convert_local(path).markdown
    except MarkItDownException as error:
        raise SpotterError(f"cannot be converted: {type(error).__name__}; save it as Markdown or plain text") from error


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_article(text: str, stem: str, exercises: re.Pattern[str] | None = None) -> Article:
    """The passages of one article's text; raises SpotterError when it holds no sentence to cite."""
    if "\0" in text:
        raise SpotterError("not text: it holds NUL bytes")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    source = " " + text[1:] if text.startswith("\ufeff") else text  # as long as the text: offsets hold in both
    blocks = list(_markdown_blocks(source) if _is_markdown(source) else _plain_blocks(source))
    title = next((plain(source[b.start : b.end]) for b in blocks if b.kind == "heading" and b.depth == 1), "")
    title = title or _front_matter_title(source) or re.sub(r"[-_\s]+", " ", stem).strip().title() or stem
    passages = tuple(passage for passage in _passages(source, stem, title, blocks) if WORD.search(passage.text))
    if not passages:
        raise SpotterError("it holds no sentence, bullet, step or table row to cite")
    exercise = _exercise(title)
    aliases = _aliases(exercise, [passage.text for passage in passages])
    last = exercise.split()[-1]
    if exercises and last != exercise and exercises.fullmatch(last):
        aliases = (*aliases, last)  # a "Forearm Plank" is mostly called a plank
    return Article(stem, title, text, exercise, aliases, passages)


def sentence_spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends, white space around it left out, shifted by `start`."""
    from sentencex import segment

    spans, position = [], 0
    for sentence in segment("en", text):
        begin = text.index(sentence, position)
        position = begin + len(sentence)
        stripped = sentence.strip()
        if stripped:
            begin += len(sentence) - len(sentence.lstrip())
            spans.append((start + begin, start + begin + len(stripped)))
    return spans


def citable_spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """The same, a sentence of fewer than SHORTEST_PASSAGE words ("Explosive power.") joined to the next or the last."""
    spans: list[tuple[int, int]] = []
    for begin, end in sentence_spans(text, start):
        short = spans and len(text[spans[-1][0] - start : spans[-1][1] - start].split()) < SHORTEST_PASSAGE
        spans[-1:] = [(spans[-1][0], end)] if short else [*spans[-1:], (begin, end)]
    if len(spans) > 1 and len(text[spans[-1][0] - start : spans[-1][1] - start].split()) < SHORTEST_PASSAGE:
        spans[-2:] = [(spans[-2][0], spans[-1][1])]
    return spans


def plain(markup: str) -> str:
    """A piece of Markdown as it reads: emphasis, links and line breaks resolved, white space collapsed."""
    tokens = _markdown().parseInline(QUOTE_MARK.sub("\n", markup))
    words = []
    for token in tokens[0].children or []:
        if token.type in ("softbreak", "hardbreak") or token.content.lower().startswith("<br"):
            words.append(" ")
        elif token.type != "html_inline":
            words.append(token.content)
    return " ".join(CUT_EMPHASIS.sub("", "".join(words)).split())


QUOTE_MARK = re.compile(r"\n[ \t]*(?:>[ \t]*)+")
CUT_EMPHASIS = re.compile(r"(?<![\w*])\*{1,3}(?=[^\W\d_])|(?:(?<=[^\W\d_])|(?<=[.!?:,)]))\*{1,3}(?![\w*])|^\*+ ")
"""The marks that are left where emphasis runs on past the end of a sentence."""


WORD = re.compile(r"[^\W_]")
LABEL = re.compile(
    r"(?:(?P<mark>\*\*|__)(?P<bold>.+?)(?P=mark):?|(?P<label>(?:\([^()\n]*\)|[^().:;!?\n]){1,80}):)(?=\s)\s*"
)


def label_of(markup: str) -> tuple[str, int]:
    """The "Label:" or bold opening of a line with the offset at which the rest begins; ("", 0) without one."""
    found = LABEL.match(markup)
    if not found or not markup[found.end() :].strip():
        return "", 0
    label = plain(found["bold"] or found["label"]).rstrip(":")
    return (label, found.end()) if len(re.sub(r"\(.*?\)", "", label).split()) <= 10 else ("", 0)


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("code")  # an indented line is prose here


def _is_markdown(text: str) -> bool:
    return bool(
        _front_matter(text) or re.search(r"^ {0,3}#{1,6} |^\|.*\|\s*$|^ {0,3}\S.*\n(=+|-{3,})\s*$", text, re.MULTILINE)
    )


def _front_matter(text: str) -> re.Match[str] | None:
    return re.match(r" ?---[ \t]*\n(?=[\w-]+:)(.*?\n)---[ \t]*(?:\n|$)", text, re.DOTALL)


def _front_matter_title(text: str) -> str:
    matter = _front_matter(text)
    found = matter and re.search(r"^title:\s*[\"']?(.+?)[\"']?\s*$", matter[1], re.MULTILINE)
    return found[1] if found else ""


MARKS = r"(?:[>\s]|[-*+]\s|\d+[.)]\s)*"
"""What may stand before the text of a line in lists and quotations."""


def _markdown_blocks(text: str) -> Iterator[Block]:
    matter = _front_matter(text)
    # Front matter is blanked, not cut, so that every line keeps its place.
    text = re.sub(r"[^\n]", " ", matter[0]) + text[matter.end() :] if matter else text
    text = re.sub(r"^([ \t>]*)[•‣◦▪](?=\s)", r"\1-", text, flags=re.MULTILINE)
    lines = _line_starts(text)
    containers: list[tuple[str, int, int]] = []  # (kind, list_id, number of the item)
    lists = 0
    fresh_item = False
    in_header = False
    for token in _markdown().parse(text):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            lists += 1
            first = int(token.attrs.get("start", 1)) if token.type.startswith("ordered") else 0
            containers.append((token.type, lists, first - 1))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            containers.pop()
        elif token.type == "list_item_open":
            kind, list_id, number = containers.pop()
            containers.append((kind, list_id, number + 1))
            fresh_item = True
        elif token.type == "table_open":
            lists += 1
        elif token.type in ("thead_open", "thead_close"):
            in_header = token.type == "thead_open"
        elif token.type == "heading_open" and token.map:
            start, end = _slice(text, lines, token.map)
            start += len(text[start:end]) - len(re.sub(rf"^{MARKS}#*\s*", "", text[start:end]))
            end = start + len(re.sub(r"\s#+$|\n[>\s]*(=+|-+)$", "", text[start:end]).rstrip())
            if start < end:
                yield Block("heading", int(token.tag[1]), start, end)
        elif token.type == "tr_open" and token.map:
            start, end = _slice(text, lines, token.map)
            # The outer bars alone: an empty first cell still counts.
            row = re.match(r"[>\s]*\|?\s*(.*?)\s*(?<!\\)\|?$", text[start:end])
            if row and row[1]:
                start, end = start + row.start(1), start + row.end(1)
                yield Block("header" if in_header else "row", 0, start, end, lists)
        elif token.type == "paragraph_open" and token.map:
            start, end = _slice(text, lines, token.map)
            marker = re.compile(MARKS if fresh_item else r"[>\s]*").match(text, start, end)
            start = marker.end() if marker else start
            if containers and fresh_item:
                ordered = containers[-1][0].startswith("ordered")
                fresh_item = False
                number = max(containers[-1][2], 0) if ordered else 0
                yield Block("step" if ordered else "bullet", len(containers), start, end, containers[0][1], number)
            else:
                yield Block("paragraph", len(containers), start, end)


def _plain_blocks(text: str) -> Iterator[Block]:
    """The blocks of the raw layout: bare heading lines, bullets and numbered lines nested by their indent."""
    lines = _line_starts(text)
    rows = [(start, text[start:end].rstrip("\n")) for start, end in pairwise(lines)]
    headings = [i for i, (_, line) in enumerate(rows) if _heading_like(rows, i)]
    title = _title_row(rows, headings)
    lists, in_faq_section = 0, False
    indents: list[int] = []
    current: Block | None = None  # the paragraph or item that the next line may go on with
    in_list: BlockKind | None = None
    for i, (start, line) in enumerate(rows):
        body = line.strip()
        begin = start + line.find(body)
        item = ITEM.match(line)
        if current and (not body or item or i in headings):
            yield current
            current = None
        if not body:
            continue
        if item:
            number = int(item["number"] or 0)
            kind: BlockKind = "step" if item["number"] else "bullet"
            indent = len(item["indent"].expandtabs(4))
            indents = [known for known in indents if known <= indent]
            if not indents or indents[-1] < indent:
                indents.append(indent)
            if in_list is None or (len(indents) == 1 and in_list != kind):
                lists, in_list = lists + 1, kind
            current = Block(kind, len(indents), start + item.end(), begin + len(body), lists, number)
        elif current:
            current = replace(current, end=begin + len(body))
        else:
            indents, in_list = [], None
            if i in headings:
                depth = 1 if i == title else 3 if in_faq_section and body.endswith("?") else 2
                if depth == 2:
                    in_faq_section = bool(FAQ_HEADING.match(body))
                yield Block("heading", depth, begin, begin + len(body))
            else:
                current = Block("paragraph", 0, begin, begin + len(body))
    if current:
        yield current


ITEM = re.compile(r"(?P<indent>\s*)(?:[•‣◦▪*–-]|(?P<number>\d{1,2})[.)])\s+(?=\S)")
BYLINE = re.compile(
    r"(?i:by|author:|written by)\s+[^\Wa-z\d_].{0,80}(?:[^.!?:]|\b(?:[A-Z]|[DJS]r)\.)$"  # not "By Friday you rest."
    r"|(?i:.{0,60}(\b\d+[ -]min(ute)?s?( of)? read\b|\breading time\b).{0,20}$)"
)


def _heading_like(rows: list[tuple[int, str]], i: int) -> bool:
    line = rows[i][1].strip()
    alone = (i == 0 or not rows[i - 1][1].strip()) and (i + 1 < len(rows) and not rows[i + 1][1].strip())
    return bool(
        line
        and alone
        and not ITEM.match(rows[i][1])
        and not BYLINE.match(line)
        and (line[-1] not in ".!:;," or re.fullmatch(rf"{FAQ_NAME}:", line, re.IGNORECASE))
        and not line[0].islower()
        and len(line.split()) <= 14
    )


def _title_row(rows: list[tuple[int, str]], headings: list[int]) -> int:
    """The line before the byline where there is one (a category may stand above it), else the first heading."""
    byline = next((i for i, (_, line) in enumerate(rows) if BYLINE.match(line.strip())), 0)
    above = [i for i in headings if i < byline]
    return (above or headings or [-1])[-1 if above else 0]


def _line_starts(text: str) -> list[int]:
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    return [*starts, len(text)] if starts[-1] != len(text) else starts


def _slice(text: str, lines: list[int], line_map: list[int]) -> tuple[int, int]:
    start, end = lines[line_map[0]], lines[min(line_map[1], len(lines) - 1)]
    return start, start + len(text[start:end].rstrip())


def _passages(text: str, stem: str, title: str, blocks: list[Block]) -> Iterator[Passage]:
    section: list[tuple[int, str]] = []
    parents: list[tuple[int, str]] = []
    header: Block | None = None
    asked = ""  # the question of an FAQ section without a heading for each
    for i, block in enumerate(blocks):
        following = blocks[i + 1] if i + 1 < len(blocks) else None
        markup = text[block.start : block.end]
        path = tuple(heading for _, heading in section) or (title,)
        passage = partial(_passage, text, stem, path)

        if block.kind == "heading":
            parents, asked = [], ""
            if not plain(markup):
                continue
            if block.depth == 1 and plain(markup) == title:
                section = [(1, title)] if FAQ_HEADING.match(title) else []
                continue
            section = [(depth, heading) for depth, heading in section if depth < block.depth]
            section.append((block.depth, plain(markup)))
        elif block.kind == "header":
            header = block
            yield passage("header", block.start, block.end, group=block.list_id)
        elif block.kind == "row":
            label, text_of_row = _row(text, header, block)
            yield replace(passage("row", block.start, block.end, label, block.list_id), text=text_of_row)
        elif block.kind in ("bullet", "step"):
            parents = [(depth, parent) for depth, parent in parents if depth < block.depth]
            nested = following and following.kind in ("bullet", "step") and following.depth > block.depth
            bare = markup.rstrip("*_ ")
            if nested and (bare.endswith(":") or (len(markup.split()) <= 4 and bare[-1:] not in tuple(".!?"))):
                parents.append((block.depth, plain(markup).rstrip(":")))
                continue
            label, _ = label_of(markup)
            for start, end in _pieces(text, block):
                yield passage(block.kind, start, end, label, block.list_id, block.number, parents)
            if nested or (following and following.kind == "paragraph" and following.depth):
                parents.append((block.depth, label or plain(markup)))
        else:
            parents = [(depth, parent) for depth, parent in parents if 0 < depth <= block.depth]
            words = plain(markup)
            if BYLINE.match(words.strip("()")) and len(words.split()) <= 16:
                yield passage("byline", block.start, block.end)
                continue
            if not section and not re.search(r"[.!?]$|:", words) and len(words.split()) <= 4:
                continue  # a category or a tag line around the title
            leads = following and following.kind in ("bullet", "step", "header") and not block.depth
            group = following.list_id if following and leads else 0
            if any(FAQ_HEADING.match(heading) for heading in path):
                question, offset = ("", 0) if path[-1].endswith("?") else _question(markup)
                asked = question or asked or path[-1]
                answer = markup[offset:].removeprefix("A: ")
                if not answer:
                    parents = [(0, asked)]  # the answer follows, in paragraphs or as a list
                    continue
                for start, end in _pieces(text, replace(block, start=block.end - len(answer))):
                    yield passage("faq", start, end, asked)
                continue
            spans = citable_spans(markup, block.start)
            for start, end in spans:
                last = (start, end) == spans[-1]
                if group and last and text[start:end].rstrip("*_ ").endswith(":"):
                    if len(text[start:end].split()) <= 3:
                        parents = [(0, plain(text[start:end]).rstrip(":"))]  # "Easier:" says what its items are
                    else:
                        yield passage("lead", start, end, group=group)
                else:
                    yield passage("sentence", start, end, parents=parents)


def _passage(
    text: str,
    stem: str,
    section: tuple[str, ...],
    kind: PassageKind,
    start: int,
    end: int,
    label: str = "",
    group: int = 0,
    number: int = 0,
    parents: Sequence[tuple[int, str]] = (),
) -> Passage:
    words = plain(text[start:end])
    return Passage(stem, section, kind, label, words, start, end, tuple(t for _, t in parents), group, number)


def _question(markup: str) -> tuple[str, int]:
    """The question that a paragraph opens with (bold, after "Q:" or alone) and the offset of the answer; ("", 0)."""
    label, offset = label_of(markup)
    if label.endswith("?"):
        return label, offset
    found = QUESTION.match(markup)
    return (plain(found["marked"] or found["alone"]), found.end()) if found else ("", 0)


QUESTION = re.compile(
    r"(?:\*\*|__)?(?:Q\d*[.:]\s+(?P<marked>[^?]+\?)(?:\*\*|__)?(?:\s+|$)"
    r"|(?P<alone>[^?]+\?)(?:\*\*|__)?$)"
)


def _pieces(text: str, block: Block) -> list[tuple[int, int]]:
    """The block whole, or its sentences where it is too long to be cited in one."""
    if len(text[block.start : block.end].split()) <= LONGEST_PASSAGE:
        return [(block.start, block.end)]
    return citable_spans(text[block.start : block.end], block.start)


def cells_of(row: str) -> list[str]:
    """The cells of a table row's Markdown, without their markup."""
    return [plain(cell) for cell in re.split(r"(?<!\\)\|", row)]


def _row(text: str, header: Block | None, row: Block) -> tuple[str, str]:
    """A table row's first cell, and the row as "Header: cell; …"."""
    cells = cells_of(text[row.start : row.end])
    heads = cells_of(text[header.start : header.end]) if header else []
    heads += [""] * (len(cells) - len(heads))
    named = [f"{head}: {cell}" if head else cell for head, cell in zip(heads, cells, strict=False) if cell]
    return cells[0], "; ".join(named)


TITLE_WORDS = re.compile(
    r"^(the |a |an )?((complete|ultimate|full|beginner'?s?|step-by-step|quick|short|practical) )*"
    r"(guide|introduction|intro) (to|for|on) (the |a |an )?"
    r"|^how to (do|perform|master|use|hold|improve) (the |a |an )?|^what (is|are) (the |a |an )?|^(the|a|an) "
    r"|[?.!]+$|\s+(exercise|drill)?\s*(guide|explained|101|tutorial|basics|for beginners)$"
    r"|\s+(correctly|properly|safely|with (good|proper|perfect) form)$",
    re.IGNORECASE,
)


def _exercise(title: str) -> str:
    """What the article is about: the title up to its first colon or dash, without "How to do" and the like."""
    name = re.split(r":\s|\s[–—|-]\s|,\s|\s\(", title)[0].strip()
    while (shorter := TITLE_WORDS.sub("", name).strip()) != name and shorter:
        name = shorter
    return name or title


ALIAS = re.compile(
    r"(?:also|often|sometimes|commonly|otherwise) (?:known|referred to|called|named)(?: as)? (?:the |a |an )?"
    r"(?P<names>[^.;:()]{3,80}?)(?=,|\.|;|:|\(|\)| is | are | was | or simply |$)",
    re.IGNORECASE,
)


def _aliases(exercise: str, sentences: list[str]) -> tuple[str, ...]:
    """The other names that the article gives its exercise ("also known as …")."""
    found: dict[str, str] = {}
    about = name_pattern((exercise,))
    for sentence in sentences:
        for match in ALIAS.finditer(sentence):
            if not about.search(sentence[: match.start()]):
                continue
            for name in re.split(r",| or\b| and\b", match["names"]):
                name = re.sub(r"^(simply |just |the |a |an )+", "", name.strip(" \"'“”‘’*"), flags=re.IGNORECASE)
                if 0 < len(name.split()) <= 4 and name.casefold() != exercise.casefold():
                    found.setdefault(name.casefold(), name)
    return tuple(found.values())


@cache
def name_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that finds any of the names, singular or plural, spaced, hyphened or run together."""
    alternatives = []
    for name in sorted(names, key=len, reverse=True):
        words = [re.escape(word) for word in re.findall(r"\w+", name)]
        if words:
            alternatives.append(r"[\s-]*".join([*words[:-1], _either_number(words[-1])]))
    return re.compile(rf"\b(?:{'|'.join(alternatives) or '(?!)'})\b", re.IGNORECASE)


def _either_number(word: str) -> str:
    """A pattern of a word in the singular and the plural: lunge and lunges, press and presses, fly and flies."""
    if len(word) < 3:
        return word + "(?:es|s)?"
    if re.search(r"[^aeiou](?:ies|y)$", word, re.IGNORECASE):
        return re.sub(r"(?:ies|y)$", "", word, flags=re.IGNORECASE) + "(?:y|ies)"
    return re.sub(r"(?<=ss|ch|sh)es$|(?<=x)es$|(?<!s)s$", "", word, flags=re.IGNORECASE) + "(?:es|s)?"
