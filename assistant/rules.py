"""The reviewed words in knowledge/safety: read, validated and compiled once."""

import re
import tomllib
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from symspellpy import SymSpell, Verbosity

from assistant.language import english
from assistant.types import URGENCIES, SpotterError

EVERYDAY = 10_000
"""How many of the commonest English words are taken for everyday ones."""

WordList = Literal[
    "gap_stops",
    "fillers",
    "connectors",
    "clause_starts",
    "own_clause",
    "scope_ends",
    "having",
    "self",
    "others",
    "agents",
]
Cue = Literal[
    "negation", "noun_negation", "not_negation", "negation_after", "neutral", "hypothesis", "not_hypothesis",
    "history", "not_history", "ongoing", "information", "prevention", "where_written", "article_says", "animals",
    "stories", "idioms", "asks_for_other", "correction", "slip", "typo", "detail", "mention", "denial",
    "healed", "cleared", "affirmed",
]  # fmt: skip
NoticeName = Literal["emergency", "crisis", "past", "today", "failed", "hypothetical", "routine", "because"]
"""The most pressing first."""
Span = tuple[int, int]
"""A range of word numbers in one message, end exclusive."""


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
    mendable: bool = False

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
class Pattern:
    """One wording or cue, ready to be looked for."""

    source: str
    """A regular expression; `compiled` when a message first has one of the keys, since most never do."""
    keys: frozenset[str]
    """A message without any of these words cannot match; `word*` stands for a beginning."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The reviewed words, compiled once by `load_rules`."""

    rules: Mapping[str, Rule]
    """By id, the most urgent first."""
    notices: Mapping[str, str]
    wordings: tuple[tuple[str, tuple[Pattern, ...]], ...]
    """Rule id and parts: all parts must have been said in the conversation, one of them in the message at hand."""
    places: Mapping[str, Sequence[Span]]
    """By key: where in `wordings` the patterns stand that need it, as (wording, part)."""
    unless: Mapping[str, tuple[Pattern, ...]]
    """By rule: words that look like the rule's but are something else."""
    cues: Mapping[str, tuple[Pattern, ...]]
    words: Mapping[str, frozenset[str]]
    everyday: frozenset[str]
    """The commonest English words, which name no sign by themselves."""
    read_word: Callable[[str], tuple[str, ...]]
    """The plain words behind one word as typed: lower case, no accents, contractions and slips resolved."""


def load_rules(folder: Path) -> Rules:
    """The rules of all `*.toml` files in the folder; SpotterError names the file and the rule that is wrong."""
    contents: dict[Path, _File] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            contents[path] = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise SpotterError(f"{path} cannot be read: {error.strerror}") from error
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
    wordings: list[tuple[str, tuple[Pattern, ...]]] = []
    unless: dict[str, tuple[Pattern, ...]] = {}
    cues: dict[str, list[Pattern]] = {name: [] for name in get_args(Cue)}
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
                    if entry.startswith("<") and entry[1:-1] not in named:
                        raise SpotterError(f"{path}: cues.{name}: there is no list [words] {entry[1:-1]}.")
                    words[name].update(named[entry[1:-1]] if entry.startswith("<") else (entry,))
            else:
                cues[name] += [parser.pattern(entry, f"{path}: cues.{name}") for entry in entries]
    for rule in rules.values():
        if unknown := set(rule.corrected_to) - set(rules):
            raise SpotterError(f"{folder}: rule {rule.id!r}: corrected_to names no rule: {', '.join(sorted(unknown))}")
    gravest_first = sorted(rules.values(), key=lambda rule: URGENCIES.index(rule.urgency), reverse=True)
    places: dict[str, list[Span]] = {}
    for number, (_, parts) in enumerate(wordings):
        for part, pattern in enumerate(parts):
            for key in pattern.keys:
                places.setdefault(key, []).append((number, part))
    return Rules(
        rules={rule.id: rule for rule in gravest_first},
        notices=notices,
        wordings=tuple(wordings),
        places=places,
        unless=unless,
        cues={name: tuple(patterns) for name, patterns in cues.items()},
        words={name: frozenset(entries) for name, entries in words.items()},
        everyday=frozenset(list(english())[:EVERYDAY]),
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
    """Compiles the wording language, which the head of knowledge/safety/emergency.toml explains."""

    ITEM = re.compile(r"\s*(\.\.\.|<\w+>|\)\?|[()|]|[^\s()|<>]+|.)")

    def __init__(self, named: Mapping[str, Sequence[str]], spelling: Mapping[str, str], stops: Sequence[str]) -> None:
        self.named, self.spelling = named, spelling
        self.words: dict[str, tuple[str, ...]] = {}
        """The plain words of each word in a wording."""
        self.read: dict[str, tuple[str, frozenset[str]]] = {}
        """What each named list came to."""
        self.vocabulary: set[str] = set()
        """Every word of every wording; a beginning ends in `*`."""
        stop = "|".join(re.escape(word) for word in (*stops, *".?,…"))
        aside = " [,…](?= (?:it|they|which|like|really|feels) )"  # "my chest, it hurts"
        self.gap = f"(?:{aside}| (?!(?:{stop}) )[^ ]+){{0,5}}?"

    def pattern(self, wording: str, where: str) -> Pattern:
        items = deque(self.ITEM.findall(wording.strip()))
        try:
            if not items or items[0] == "..." or items[-1] == "...":
                raise ValueError("a wording begins and ends with a word")
            source, keys = self._sequence(items, ())
            if items:
                raise ValueError("a bracket is closed that was never opened")
        except ValueError as error:
            raise SpotterError(f"{where}: the wording {wording!r} does not parse: {error}.") from error
        return Pattern(f"(?=((?:{source}) ))", keys)

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
        if name not in self.read:
            source, keys = self._sequence(deque(self.ITEM.findall("|".join(self.named[name]))), (*inside, name))
            self.read[name] = f"(?:{source})", keys
        return self.read[name]

    def _word(self, item: str) -> tuple[str, frozenset[str]]:
        ending = item.endswith("*")
        if item == "#":
            return r" \d+", frozenset(["#"])
        if item not in self.words:
            self.words[item] = plain(item.removesuffix("*"), self.spelling) or (item,)
        words = list(self.words[item])
        if "*" in item[:-1] or item in ("*", "<", ">"):
            raise ValueError(f"{item!r} is not a word")
        source = "".join(f" {re.escape(word)}" for word in words) + ("[^ ]*" if ending else "")
        words[-1] += "*" if ending else ""
        self.vocabulary.update(words)
        return source, frozenset([max(words, key=len)])


@cache
def compiled(source: str) -> re.Pattern[str]:
    """A pattern's regular expression."""
    return re.compile(source)


_SHORT_FORMS = {"n't": " not", "'m": " am", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would"}
_IS = {"it", "he", "she", "that", "what", "there", "who", "here", "where", "how", "everything"}
_STEMS = {"ca": "can", "wo": "will", "sha": "shall"}


def plain(word: str, spelling: Mapping[str, str]) -> tuple[str, ...]:
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
    ordinary = english()
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
        return tuple(nearest(plain) for plain in plain(word, spelling))

    return read
