"""What people ask about exercises, as reviewed words: kinds of questions with examples, topics, names of exercises."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.types import SpotterError


@dataclass(frozen=True, slots=True)
class Example:
    """A question of a known kind; `whole` when it asks for everything in a section."""

    kind: str
    whole: bool
    text: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Something an article may or may not treat: how it is asked for, and how an article says it."""

    name: str
    asks: re.Pattern[str]
    says: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Example questions and headings by kind, the topics, and a pattern of well-known exercises' names."""

    examples: tuple[Example, ...]
    headings: tuple[tuple[str, str], ...]
    suggestions: tuple[tuple[str, str], ...]
    """A question worth suggesting, by kind, the best first."""
    topics: tuple[Topic, ...]
    terms: re.Pattern[str]
    """Names that an article must say itself to cover a question about them."""
    exercises: re.Pattern[str]
    """Names of well-known exercises, in the singular."""
    longer_names: re.Pattern[str]
    """What reads like the name of an exercise, however little known: the name, and the word it ends in."""
    synonyms: tuple[tuple[re.Pattern[str], str], ...]
    """For each group of words that mean the same: its pattern, and its words."""
    vocabulary: frozenset[str]
    """Every word in these files."""

    def same_as(self, text: str) -> str:
        """The words that mean the same as words of the text, to search with them too; empty without any."""
        return " ".join(words for pattern, words in self.synonyms if pattern.search(text))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Kind(_Strict):
    suggest: str = ""
    headings: list[str]
    all: list[str]
    one: list[str]


class _KindsFile(_Strict):
    kind: dict[str, _Kind]


class _Topic(_Strict):
    name: str
    asks: list[str] = Field(min_length=1)
    says: list[str] = []


class _Names(_Strict):
    names: list[str]


class _Exercises(_Names):
    heads: list[str] = []


class _Synonyms(_Strict):
    groups: list[list[str]]


class _TopicsFile(_Strict):
    topic: dict[str, _Topic]
    exercises: _Exercises
    terms: _Names
    synonyms: _Synonyms


File = TypeVar("File", bound=BaseModel)


def load_kinds(folder: Path) -> Kinds:
    """The words in `kinds.toml` and `topics.toml`; raises SpotterError naming the file and the entry that is wrong."""
    kinds = _read(folder / "kinds.toml", _KindsFile).kind
    topics = _read(folder / "topics.toml", _TopicsFile)
    examples = [
        Example(name, whole, text)
        for name, kind in kinds.items()
        for whole, texts in ((True, kind.all), (False, kind.one))
        for text in texts
    ]
    headings = [(name, heading) for name, kind in kinds.items() for heading in kind.headings]
    groups = topics.synonyms.groups
    said = [e.text for e in examples] + [w for t in topics.topic.values() for w in t.asks + t.says]
    said += [*topics.exercises.names, *topics.terms.names, *(word for group in groups for word in group)]
    return Kinds(
        tuple(examples),
        tuple(headings),
        tuple((name, kind.suggest) for name, kind in kinds.items() if kind.suggest),
        tuple(Topic(t.name, _pattern(t.asks), _pattern(t.says or t.asks)) for t in topics.topic.values()),
        _pattern(topics.terms.names),
        _pattern(topics.exercises.names, ending="(?:s|es|ing|ning|ting)?"),
        _longer_names(topics.exercises.heads),
        tuple((_pattern(group), " ".join(group)) for group in groups),
        frozenset(word for text in said for word in re.findall(r"[a-z]+", text.lower())),
    )


def _longer_names(heads: list[str]) -> re.Pattern[str]:
    """Matches one to four words and the head they lead to (both groups), where a noun stands: "the spider curl"."""
    no_name = (
        "the|an?|my|your|his|her|our|their|this|that|these|those|its?|i|you|we|they|me|he|she|and|or|of|in|on|to|for"
    )
    word = rf"(?!(?:{no_name}|with|how|so|much)\b)[\w-]+[\s-]+"
    before = r"\b(?:the|an?|of|do|doing|does|for|by|in|put)\s+"
    return re.compile(rf"{before}((?:{word}){{1,4}}?{_pattern(heads, ending='s?').pattern})", re.IGNORECASE)


def _pattern(wordings: list[str], ending: str = "") -> re.Pattern[str]:
    """Matches any of the wordings (the group) as whole words, a "*" being any ending, spaces and hyphens alike."""
    longest_first = sorted(wordings, key=len, reverse=True)
    parts = [re.sub(r"(?:\\ |\\-|\s|-)+", r"[\\s-]*", re.escape(w).replace(r"\*", r"\w*")) for w in longest_first]
    return re.compile(rf"(?<!\w)({'|'.join(parts)}){ending}(?!\w)", re.IGNORECASE)


def _read(path: Path, model: type[File]) -> File:
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpotterError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpotterError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SpotterError(f"{path}: {where}") from error
