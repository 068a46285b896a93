"""Step 1: how grave a conversation is, decided from the reviewed words in knowledge/safety.

A match of a rule's wording counts unless the words around it say otherwise: denied, past, supposed, asked about, told
of an animal or in a story. What one message adds stays for the conversation until a later message takes it back.
"""

import re
import tomllib
import unicodedata
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from symspellpy import SymSpell, Verbosity

from assistant.types import Level, Reason, SpotterError, Triage, Turn, Urgency

LEVELS: tuple[Level, ...] = get_args(Level)
"""From the mildest to the gravest, like URGENCIES."""
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
SCREEN_FAILED = "screen_failed"

WordList = Literal["gap_stops", "fillers", "connectors", "clause_starts", "own_clause", "self", "others", "agents"]
Cue = Literal[
    "negation", "noun_negation", "not_negation", "negation_after", "neutral", "hypothesis", "not_hypothesis",
    "history", "not_history", "ongoing", "information", "prevention", "where_written", "article_says", "animals",
    "stories", "idioms", "asks_for_other", "correction", "slip", "typo", "detail", "mention", "denial",
    "healed", "cleared",
]  # fmt: skip
NoticeName = Literal["emergency", "crisis", "past", "today", "failed", "hypothetical", "routine", "because"]
"""The most pressing first."""
Status = Literal["present", "past", "hypothetical", "denied", "idiom", "elsewhere", "information", "healed"]
Span = tuple[int, int]
"""A range of word numbers in one message, end exclusive."""

_COUNTS: Mapping[tuple[str, Status], tuple[Level, Urgency]] = {
    ("emergency", "present"): ("emergency", "now"),
    ("emergency", "past"): ("consult", "today"),
    ("emergency", "hypothetical"): ("consult", "routine"),
    ("consult", "past"): ("consult", "routine"),
    ("consult", "hypothetical"): ("consult", "routine"),
}
"""What a match comes to. A consult that is present keeps its rule's urgency; every other status comes to nothing."""


class _Reviewed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Reviewed):
    """One sign, condition, history or question, in the words that lay people use for it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    level: Literal["consult", "emergency"]
    urgency: Literal["routine", "today", "now"]
    kind: Literal["sign", "history", "condition", "question"] = "sign"
    notice: NoticeName | None = None
    wordings: tuple[str, ...] = Field(min_length=1)
    unless: tuple[str, ...] = ()
    examples: tuple[str, ...] = Field(min_length=1)
    advice: str = Field(min_length=1)
    source: str = Field(min_length=1)
    corrected_to: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _urgency_fits(self) -> Self:
        if (self.level == "emergency") != (self.urgency == "now"):
            raise ValueError("an emergency is 'now'; a consult is 'routine' or 'today'")
        return self


class _File(_Reviewed):
    spelling: dict[str, str] = {}
    words: dict[str, tuple[str, ...]] = {}
    cues: dict[Cue | WordList, tuple[str, ...]] = {}
    notices: dict[NoticeName, str] = {}
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: re.Pattern[str]
    keys: frozenset[str]
    """A message without any of these words cannot match; `word*` stands for a beginning."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The reviewed words, compiled once by `load_rules`."""

    rules: Mapping[str, Rule]
    notices: Mapping[str, str]
    wordings: tuple[tuple[str, tuple[_Pattern, ...]], ...]
    """Rule id and parts: all parts must have been said in the conversation, one of them in the message at hand."""
    places: Mapping[str, Sequence[Span]]
    """By key: where in `wordings` the patterns stand that need it, as (wording, part)."""
    unless: Mapping[str, tuple[_Pattern, ...]]
    """By rule: words that look like the rule's but are something else."""
    cues: Mapping[str, tuple[_Pattern, ...]]
    words: Mapping[str, frozenset[str]]
    read_word: Callable[[str], tuple[str, ...]]
    """The plain words behind one word as typed: lower case, no accents, contractions and slips resolved."""


def load_rules(folder: Path) -> Rules:
    """The rules of all `*.toml` files in the folder; SpotterError names the file and the rule that is wrong."""
    contents: dict[Path, _File] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            contents[path] = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SpotterError(f"{path} is not valid TOML: {error}") from error
        except ValidationError as error:
            raise SpotterError(_what_is_wrong(path, error)) from error
    spelling = {typed: plain for content in contents.values() for typed, plain in content.spelling.items()}
    named = {name: wordings for content in contents.values() for name, wordings in content.words.items()}
    notices = {str(name): text for content in contents.values() for name, text in content.notices.items()}
    if not contents:
        raise SpotterError(f"No .toml files in {folder}. Spotter does not start without its safety rules.")
    if missing := set(get_args(NoticeName)) - set(notices):
        raise SpotterError(f"{folder}: [notices] lacks {', '.join(sorted(missing))}. Restore the safety files.")

    stops = [word for content in contents.values() for word in content.cues.get("gap_stops", ())]
    parser = _Parser(named, spelling, stops)
    rules: dict[str, Rule] = {}
    wordings: list[tuple[str, tuple[_Pattern, ...]]] = []
    unless: dict[str, tuple[_Pattern, ...]] = {}
    cues: dict[str, list[_Pattern]] = {name: [] for name in get_args(Cue)}
    words: dict[str, set[str]] = {name: set() for name in get_args(WordList)}
    for path, content in contents.items():
        for rule in content.rules:
            if rule.id in rules:
                raise SpotterError(f"{path}: rule {rule.id!r} is defined twice. Rename or merge one of the two.")
            rules[rule.id] = rule
            where = f"{path}: rule {rule.id!r}"
            unless[rule.id] = tuple(parser.pattern(wording, where) for wording in rule.unless)
            for wording in rule.wordings:
                wordings.append((rule.id, tuple(parser.pattern(part, where) for part in wording.split(" + "))))
        for name, entries in content.cues.items():
            if name in words:
                for entry in entries:
                    words[name].update(named.get(entry[1:-1], (entry,)))
            else:
                cues[name] += [parser.pattern(entry, f"{path}: cues.{name}") for entry in entries]
    for rule in rules.values():
        if unknown := set(rule.corrected_to) - set(rules):
            raise SpotterError(f"{folder}: rule {rule.id!r}: corrected_to names no rule: {', '.join(sorted(unknown))}")
    places: dict[str, list[Span]] = {}
    for number, (_, parts) in enumerate(wordings):
        for part, pattern in enumerate(parts):
            for key in pattern.keys:
                places.setdefault(key, []).append((number, part))
    return Rules(
        rules=rules,
        notices=notices,
        wordings=tuple(wordings),
        places=places,
        unless=unless,
        cues={name: tuple(patterns) for name, patterns in cues.items()},
        words={name: frozenset(entries) for name, entries in words.items()},
        read_word=_word_reader(spelling, parser.vocabulary),
    )


def _what_is_wrong(path: Path, error: ValidationError) -> str:
    """One line per fault, with the rule's id where the fault lies in a rule."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    lines = []
    for fault in error.errors():
        place = list(fault["loc"])
        rule = content["rules"][place[1]] if place[0] == "rules" and len(place) > 1 else None
        if isinstance(rule, dict):
            place[:2] = [f"rule {rule.get('id', place[1])!r}"]
        lines.append(f"{path}: {' > '.join(map(str, place))}: {fault['msg']}")
    return "\n".join(lines)


class _Parser:
    """Compiles the wording language, which the head of knowledge/safety/rules.toml explains."""

    ITEM = re.compile(r"\s*(\.\.\.|<\w+>|\)\?|[()|]|[^\s()|<>]+|.)")

    def __init__(self, named: Mapping[str, Sequence[str]], spelling: Mapping[str, str], stops: Sequence[str]) -> None:
        self.named, self.spelling = named, spelling
        self.vocabulary: set[str] = set()
        """Every word of every wording; a beginning ends in `*`."""
        stop = "|".join(re.escape(word) for word in (*stops, *".?,…"))
        aside = " [,…](?= (?:it|they|which|like|really|feels) )"  # "my chest, it hurts"
        self.gap = f"(?:{aside}| (?!(?:{stop}) )[^ ]+){{0,5}}?"

    def pattern(self, wording: str, where: str) -> _Pattern:
        items = deque(self.ITEM.findall(wording.strip()))
        try:
            if not items or items[0] == "..." or items[-1] == "...":
                raise ValueError("a wording begins and ends with a word")
            source, keys = self._sequence(items, ())
            if items:
                raise ValueError("a bracket is closed that was never opened")
        except ValueError as error:
            raise SpotterError(f"{where}: the wording {wording!r} does not parse: {error}.") from error
        return _Pattern(re.compile(f"(?=((?:{source}) ))"), keys)

    def _sequence(self, items: deque[str], inside: tuple[str, ...]) -> tuple[str, frozenset[str]]:
        """Regular expression and keys of the items up to the closing bracket, which is left in place."""
        options: list[tuple[str, frozenset[str]]] = [("", frozenset())]
        while items and items[0] not in (")", ")?"):
            item, keys = items.popleft(), frozenset[str]()
            if item == "|":
                options.append(("", frozenset()))
                continue
            if item == "...":
                source = self.gap
            elif item == "(":
                source, keys = self._sequence(items, inside)
                if not items:
                    raise ValueError("a bracket is not closed")
                source, keys = (f"(?:{source})?", frozenset()) if items.popleft() == ")?" else (f"(?:{source})", keys)
            elif item.startswith("<"):
                source, keys = self._named(item[1:-1], inside)
            else:
                source, keys = self._word(item)
            before, best = options[-1]
            options[-1] = (before + source, max(best, keys, key=lambda some: min(map(len, some), default=0)))
        if not all(keys for _, keys in options):
            raise ValueError("an alternative has no word that must be there")
        return "|".join(source for source, _ in options), frozenset().union(*(keys for _, keys in options))

    def _named(self, name: str, inside: tuple[str, ...]) -> tuple[str, frozenset[str]]:
        if name not in self.named or name in inside:
            raise ValueError(f"there is no list [words] {name}")
        source, keys = self._sequence(deque(self.ITEM.findall("|".join(self.named[name]))), (*inside, name))
        return f"(?:{source})", keys

    def _word(self, item: str) -> tuple[str, frozenset[str]]:
        ending = item.endswith("*")
        if item == "#":
            return r" \d+", frozenset(["#"])
        words = list(_plain(item.removesuffix("*"), self.spelling)) or [item]
        if "*" in item[:-1] or item in ("*", "<", ">"):
            raise ValueError(f"{item!r} is not a word")
        source = "".join(f" {re.escape(word)}" for word in words) + ("[^ ]*" if ending else "")
        words[-1] += "*" if ending else ""
        self.vocabulary.update(words)
        return source, frozenset([max(words, key=len)])


_SHORT_FORMS = {"n't": " not", "'m": " am", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would"}
_IS = {"it", "he", "she", "that", "what", "there", "who", "here", "where", "how", "everything"}
_STEMS = {"ca": "can", "wo": "will", "sha": "shall"}


def _plain(word: str, spelling: Mapping[str, str]) -> tuple[str, ...]:
    """A word in lower case, without accents, its contractions and known phone spellings written out."""
    decomposed = unicodedata.normalize("NFKD", word.replace("’", "'")).lower()
    word = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    for short, full in _SHORT_FORMS.items():
        if word.endswith(short):
            stem = word.removesuffix(short)
            word = (_STEMS.get(stem, stem) if short == "n't" else stem) + full
    if word.endswith("'s"):
        word = word[:-2] + (" is" if word[:-2] in _IS else "")
    return tuple(plain for part in word.replace("'", " ").split() for plain in spelling.get(part, part).split())


def _word_reader(spelling: Mapping[str, str], vocabulary: set[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads a word as typed; one that is no ordinary English word becomes the lexicon's word it nearly is."""
    listing = files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt").read_text(encoding="utf-8-sig")
    ordinary = {word: int(count) for word, count in map(str.split, listing.splitlines())}
    beginnings = tuple(word[:-1] for word in vocabulary if word.endswith("*") and len(word) > 4)
    lexicon = {word for word in vocabulary if len(word) >= 4 and word.isalpha()}
    lexicon |= {word for word, count in ordinary.items() if word.startswith(beginnings) and count > 50_000}
    speller = SymSpell(max_dictionary_edit_distance=2)
    for word in sorted(lexicon):
        speller.create_dictionary_entry(word, ordinary.get(word, 1))
    known = ordinary.keys() | lexicon

    def nearest(word: str) -> str:
        if len(word) < 5 or not word.isalpha() or word in known:
            return word
        short = re.sub(r"(.)\1{2,}", r"\1", word)
        if short in known:
            return short
        found = speller.lookup(word, Verbosity.CLOSEST, max_edit_distance=1 if len(word) < 8 else 2)
        return next((near.term for near in found if near.term[0] == word[0]), word)

    @lru_cache(maxsize=20_000)
    def read(word: str) -> tuple[str, ...]:
        return tuple(nearest(plain) for plain in _plain(word, spelling))

    return read


_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|\.\.+|[.!?;,:()\n…—–]|(?<=\s)-+(?=\s)")
_MARKS = {"?": "?", "…": "…", **dict.fromkeys(".!;\n", "."), **dict.fromkeys(",:()—–-", ",")}


class _Message:
    """One user message as plain words; punctuation is a word of its own: `.`, `?`, `,` or `…`."""

    def __init__(self, text: str, rules: Rules) -> None:
        self.text, self.rules = text, rules
        self.words: list[str] = []
        self.places: list[Span] = []
        for token in _TOKEN.finditer(text):
            mark = "…" if token[0][:2] == ".." else _MARKS.get(token[0][0])
            for word in (mark,) if mark else rules.read_word(token[0]):
                self.words.append(word)
                self.places.append(token.span())
        self.words.append(".")
        self.places.append((len(text), len(text)))
        self.line = f" {' '.join(self.words)} "
        self.starts = [0]
        for word in self.words:
            self.starts.append(self.starts[-1] + len(word) + 1)
        self.keys = {word[:size] + "*" for word in set(self.words) for size in range(1, len(word) + 1)}
        self.keys.update(self.words, ["#"] if any(word.isdigit() for word in self.words) else [])
        self._cues: dict[tuple[Cue, Cue | None], list[Span]] = {}

    def find(self, patterns: Iterable[_Pattern]) -> list[Span]:
        found = [
            match.span(1)
            for pattern in patterns
            if not pattern.keys.isdisjoint(self.keys)
            for match in pattern.regex.finditer(self.line)
        ]
        return sorted((bisect_left(self.starts, start), bisect_left(self.starts, end - 1)) for start, end in found)

    def cue(self, name: Cue, unless: Cue | None = None) -> list[Span]:
        """Where the cue stands, in order, apart from those that are part of an exception."""
        if (name, unless) not in self._cues:
            exceptions = _covered(self.cue(unless)) if unless else set()
            found = self.find(self.rules.cues[name])
            self._cues[name, unless] = [span for span in found if exceptions.isdisjoint(range(*span))]
        return self._cues[name, unless]

    def cue_within(self, stretch: Span, name: Cue, unless: Cue | None = None) -> list[Span]:
        found = self.cue(name, unless)
        return found[bisect_left(found, (stretch[0], 0)) : bisect_left(found, (stretch[1], 0))]

    def has(self, name: WordList, start: int, end: int) -> bool:
        return not self.rules.words[name].isdisjoint(self.words[start:end])

    def only(self, start: int, end: int, *names: WordList) -> bool:
        return all(any(word in self.rules.words[name] for name in names) for word in self.words[start:end])

    def stretch(self, span: Span, ends: Collection[str]) -> Span:
        """The words around the span up to the nearest of the ends, at most 60 on each side."""
        start, end = span
        while start > max(0, span[0] - 60) and self.words[start - 1] not in ends:
            start -= 1
        while end < min(len(self.words), span[1] + 60) and self.words[end] not in ends:
            end += 1
        return start, end

    def quote(self, span: Span) -> str:
        """The clause as it was written, or the matched words alone where the clause is long."""
        start, end = self.stretch(span, self.rules.words["clause_starts"])
        start, end = (start, end) if end - start <= 12 else span
        return self.text[self.places[start][0] : self.places[end - 1][1]]


def _covered(spans: Iterable[Span]) -> set[int]:
    return {at for span in spans for at in range(*span)}


def _status(message: _Message, span: Span) -> Status:
    """How one match is meant, from the words around it."""
    start, end = span
    words, lists = message.words, message.rules.words
    sentence = message.stretch(span, ".?")
    clause = message.stretch(span, lists["clause_starts"])

    def near(name: Cue, unless: Cue | None = None) -> list[Span]:
        return message.cue_within(sentence, name, unless)

    def leads(cue: Span, most: int) -> bool:
        """Whether the cue comes before the match, in the same clause and at most so many words away."""
        return cue[1] <= start <= cue[1] + most and not message.has("clause_starts", cue[1], start)

    def about_me(since: int) -> bool:
        return message.has("self", since, end)

    if not _covered(near("idioms")).isdisjoint(range(start, end)):
        return "idiom"

    own_clause = message.has("own_clause", start, end)
    denials = near("noun_negation", "not_negation") + near("negation", "not_negation")
    if not own_clause and any(leads(cue, 6) and message.only(cue[1], start, "fillers") for cue in denials):
        return "denied"
    if any(cue[1] == start for cue in near("negation", "not_negation")):
        return "denied"
    if any(cue[0] == end for cue in message.cue_within((end, end + 1), "negation_after")):
        return "denied"
    if any(leads(cue, 3) for cue in near("mention")) and any(cue[0] >= end for cue in message.cue("correction")):
        return "denied"

    for cue in near("animals"):
        is_subject = cue[0] == message.stretch(cue, lists["clause_starts"])[0]
        if (is_subject or clause[0] <= cue[0]) and cue[0] < end and not about_me(cue[1]):
            return "elsewhere"
    stories = message.cue("stories")
    agents = [at for at in range(sentence[0], end) if words[at] in lists["agents"]]
    if agents and stories and stories[0][0] < sentence[1]:
        told = max([agents[-1], *(cue[1] for cue in near("stories") if cue[1] <= start)])
        if not about_me(told):
            return "elsewhere"

    if any(leads(cue, 4) and not about_me(cue[1]) for cue in near("information")):
        return "information"
    if any(
        cue[1] <= start <= cue[1] + 14 and not about_me(cue[1]) for cue in near("where_written") + near("article_says")
    ):
        return "information"
    if any(leads(cue, 4) for cue in near("prevention")):
        return "information"

    people = lists["self"] | lists["others"]
    for cue in near("hypothesis", "not_hypothesis"):
        if leads(cue, 6):  # "if I run my chest hurts" supposes the run: a second person comes before the match
            named = [words[at] in people and words[at - 1] not in people for at in range(cue[1], start + 1)]
            if sum(named) <= 1:
                return "hypothetical"

    if not near("ongoing"):
        for cue in near("history", "not_history"):
            before = cue[1] <= start
            gap = (cue[1], start) if before else (end, cue[0])
            opens = before and message.only(sentence[0], cue[0], "fillers", "connectors")
            trails = not before and message.only(end + 1, cue[0], "fillers")
            if (opens or trails) and words[gap[0] : gap[0] + 1] == [","]:
                gap = (gap[0] + 1, gap[1])
            if not message.has("clause_starts", *gap):
                return "past"
    return "present"


def _statuses(message: _Message, spans: set[Span]) -> dict[Span, Status]:
    """How each match is meant; along a list ("no fever, chills or cough") each is meant like the one before."""
    read: dict[Span, Status] = {}
    before: Span | None = None
    for span in sorted(spans | set(message.cue("neutral"))):
        read[span] = _status(message, span)
        if before and read[span] == "present":
            listed = message.only(before[1], span[0], "connectors", "fillers")
            own = message.has("own_clause", *span) or (read[before] == "information" and message.has("self", *span))
            if listed and not own and read[before] in ("denied", "information", "hypothetical"):
                read[span] = read[before]
        before = span
    return read


@dataclass(frozen=True, slots=True)
class _Finding:
    reason: Reason
    level: Level
    urgency: Urgency
    if_asked: bool = False
    """Somebody else's history or condition: counts once advice is asked for them."""


@dataclass(frozen=True, slots=True)
class _Heard:
    findings: list[_Finding]
    statuses: dict[str, set[Status]]
    """By rule: how its words were meant in this message."""


def _listen(message: _Message, turn: int, said: set[tuple[int, int]]) -> _Heard:
    """What one message adds; `said` remembers the parts of many-part wordings that the conversation has had."""
    rules = message.rules
    places = sorted({place for key in message.keys & rules.places.keys() for place in rules.places[key]})
    matches: list[tuple[int, int, Span]] = []
    for number, part in places:
        rule_id, parts = rules.wordings[number]
        if spans := message.find(parts[part : part + 1]):
            other_things = _covered(message.find(rules.unless[rule_id]))
            matches += [(number, part, span) for span in spans if other_things.isdisjoint(range(*span))]
    read = _statuses(message, {span for *_, span in matches})
    healed = bool(message.cue("healed") and message.cue("cleared") and not message.cue("ongoing"))
    best: dict[str, _Finding] = {}
    statuses: dict[str, set[Status]] = {}
    said.update((number, part) for number, part, span in matches if read[span] == "present")
    for number, _part, span in matches:
        rule, parts = rules.rules[rules.wordings[number][0]], rules.wordings[number][1]
        status = read[span]
        if rule.kind == "question":
            status = status if status in ("idiom", "elsewhere") or message.cue("where_written") else "present"
        if healed and (rule.kind == "history" or status == "past"):
            status = "healed"
        statuses.setdefault(rule.id, set()).add(status)
        if len(parts) > 1 and (status != "present" or any((number, other) not in said for other in range(len(parts)))):
            continue
        own: tuple[Level, Urgency] = ("consult", rule.urgency)
        counts = own if (rule.level, status) == ("consult", "present") else _COUNTS.get((rule.level, status))
        if counts:
            if_asked = (rule.kind in ("history", "condition") or status == "past") and _about_another(message, span)
            finding = _Finding(Reason(rule.id, turn, message.quote(span)), *counts, if_asked)
            best[rule.id] = max(best.get(rule.id, finding), finding, key=_weight)
    return _Heard(list(best.values()), statuses)


def _weight(finding: _Finding) -> tuple[int, bool, int]:
    return LEVELS.index(finding.level), not finding.if_asked, URGENCIES.index(finding.urgency)


def _about_another(message: _Message, span: Span) -> bool:
    """Whether the nearest person named before or in the match is somebody else."""
    first, _ = message.stretch(span, ".?")
    for word in reversed(message.words[first : span[1]]):
        if word in message.rules.words["self"] or word in message.rules.words["others"]:
            return word in message.rules.words["others"]
    return False


def _taken_back(message: _Message, heard: _Heard, earlier: list[_Finding]) -> list[_Finding]:
    """Those earlier findings that this message clearly takes back; playing down and correcting a detail do not."""
    affirmed = {finding.reason.rule for finding in heard.findings}
    last = [finding for finding in earlier if finding.reason.turn == max(known.reason.turn for known in earlier)]
    if message.cue("healed") and message.cue("cleared") and not message.cue("ongoing"):
        named = [finding for finding in earlier if finding.reason.rule in heard.statuses]
        return named or ([] if message.cue("detail") else last)
    leads = message.cue("correction") + message.cue("slip")
    if not leads:
        return []
    denied = {rule for rule, read in heard.statuses.items() if read <= {"denied", "idiom", "elsewhere"}}
    if named := [finding for finding in earlier if finding.reason.rule in denied]:
        return named
    if affirmed:
        return [one for one in last if affirmed & set(message.rules.rules[one.reason.rule].corrected_to)]
    slipped = message.cue("slip") or (message.cue("typo") and message.cue("correction"))
    other_matter = message.cue("animals") + message.cue("stories") + message.cue("idioms") + message.cue("denial")
    if any(cue >= min(leads) for cue in other_matter) or (slipped and not message.cue("detail")):
        return last
    return []


def screen(turns: Sequence[Turn], floor: Triage, rules: Rules) -> Triage:
    """The gravest level in all user messages, never below the floor unless the user takes back what made it."""
    messages = [_Message(turn.text, rules) for turn in turns if turn.role == "user"]
    said: set[tuple[int, int]] = set()
    heard = [_listen(message, turn, said) for turn, message in enumerate(messages)]
    found = {(finding.reason.rule, finding.reason.turn) for one in heard for finding in one.findings}

    carried: list[tuple[int, _Finding]] = []
    for reason in floor.reasons:
        if (reason.rule, reason.turn) not in found:
            rule = rules.rules.get(reason.rule)
            level = min(rule.level if rule else floor.level, floor.level, key=LEVELS.index)
            still_there = 0 <= reason.turn < len(messages) and reason.quote in messages[reason.turn].text
            since = reason.turn if still_there else len(messages) - 2  # edited away: only the last message clears it
            carried.append((since, _Finding(reason, level, "now" if level == "emergency" else floor.urgency)))

    active = [finding for since, finding in carried if since < 0]
    for turn, (message, one) in enumerate(zip(messages, heard, strict=True)):
        gone = _taken_back(message, one, active) if active else []
        active = [finding for finding in active if finding not in gone]
        healed = (
            {finding.reason.rule for finding in gone} if message.cue("healed") and message.cue("cleared") else set()
        )
        active += [finding for finding in one.findings if finding.reason.rule not in healed]
        active += [finding for since, finding in carried if since == turn >= 0]

    if not any(message.cue("asks_for_other") for message in messages):
        active = [finding for finding in active if not finding.if_asked]
    standing = {(finding.reason.rule, finding.reason.turn) for finding in active}
    kept = tuple(reason for reason in floor.reasons if (reason.rule, reason.turn) in standing)
    known = {(reason.rule, reason.turn) for reason in kept}
    added = (finding.reason for finding in active if (finding.reason.rule, finding.reason.turn) not in known)
    at_least = floor if kept == floor.reasons else Triage()
    return Triage(
        level=max((at_least.level, *(finding.level for finding in active)), key=LEVELS.index),
        urgency=max((at_least.urgency, *(finding.urgency for finding in active)), key=URGENCIES.index),
        reasons=(*kept, *added),
    )


def screen_failed(floor: Triage) -> Triage:
    """The cautious answer when the screen itself broke: at least consult, today."""
    return Triage(
        level=max(floor.level, "consult", key=LEVELS.index),
        urgency=max(floor.urgency, "today", key=URGENCIES.index),
        reasons=(*floor.reasons, Reason(SCREEN_FAILED, 0, "")),
    )


def advice(triage: Triage, rules: Rules, emergency_number: str, crisis_contact: str) -> str:
    """The notice in Markdown: what to do, whom to see and when, and the user's own words that call for it."""
    if triage.level == "none":
        return ""
    chosen: dict[str, list[Reason]] = {}
    for reason in triage.reasons:
        chosen.setdefault(_notice_name(reason, triage, rules), []).append(reason)
    order: tuple[NoticeName, ...] = get_args(NoticeName)
    names: list[str] = [name for name in order if name in chosen]
    if not names or (triage.level == "emergency" and names[0] not in ("emergency", "crisis")):
        names = [_notice_name(None, triage, rules)]
    if names[:2] != ["emergency", "crisis"]:
        names = names[:1]
    paragraphs = []
    for name in names:
        reasons = sorted(chosen.get(name, ()), key=lambda reason: [*rules.rules, reason.rule].index(reason.rule))
        rule = rules.rules.get(reasons[0].rule) if reasons else None
        text = rules.notices[name].replace("{advice}", rule.advice if rule else "")
        text = text.replace("{emergency_number}", emergency_number).replace("{crisis_contact}", crisis_contact)
        quotes = list(dict.fromkeys(f"“{_shown(reason.quote)}”" for reason in reasons if reason.quote))[:2]
        because = rules.notices["because"].replace("{quotes}", " and ".join(quotes)) if quotes else ""
        paragraphs.append(f"{text} {because}".strip())
    return "\n\n".join(paragraphs)


def _notice_name(reason: Reason | None, triage: Triage, rules: Rules) -> str:
    rule = rules.rules.get(reason.rule) if reason else None
    if rule is None:
        return "emergency" if triage.level == "emergency" else "failed"
    if rule.notice:
        return rule.notice
    if rule.level == "emergency" and triage.level == "consult":
        return "past" if triage.urgency == "today" else "hypothetical"
    return {"now": "emergency"}.get(rule.urgency, rule.urgency)


def _shown(quote: str) -> str:
    """The user's words on one line, without the markup they may contain."""
    line = " ".join(quote.split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", line if len(line) <= 90 else line[:89] + "…")
