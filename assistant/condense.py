"""The question as understood: spelling folded, the asking sentence found, and a follow-up made to stand alone."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from assistant.kinds import Kinds
from assistant.knowledge import Library, name_pattern, sentence_spans
from assistant.types import Turn


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with what the conversation before it adds."""

    text: str
    """The message, spelling folded, standing alone."""
    message: str
    """The last message alone, spelling folded."""
    focus: str
    """The sentence or two of the last message that ask."""
    context: str
    """The earlier questions that a follow-up leans on; empty when the message stands alone."""
    turn: int
    """The number of the user's message that asks, from 0."""
    articles: tuple[str, ...]
    """The articles whose exercise is named, in this message or, for a follow-up, before it."""
    parts: tuple["Question", ...] = ()
    """The questions that are asked in one message, when there are several."""


class Speller:
    """Folds misspelt words into the library's vocabulary, and else into common English."""

    COMMON = 20_000
    """How many of the most frequent English words a misspelling may stand for."""

    def __init__(self, library: Library, kinds: Kinds) -> None:
        from symspellpy import SymSpell

        lines = (
            (files("symspellpy") / "frequency_dictionary_en_82_765.txt").read_text(encoding="utf-8-sig").splitlines()
        )
        english = [line.split()[0] for line in lines]
        own = Counter(
            word for text in [*(p.text for p in library.passages), *kinds.vocabulary] for word in words_of(text)
        )
        self._known = {*english, *own, *_function_words()}
        self._symspell = SymSpell(max_dictionary_edit_distance=2)
        for rank, word in enumerate(english[: self.COMMON]):
            self._symspell.create_dictionary_entry(word, self.COMMON - rank)
        for word, count in own.items():
            self._symspell.create_dictionary_entry(word, self.COMMON * (count + 1))
        for rank, word in enumerate(QUESTION_WORDS):
            self._symspell.create_dictionary_entry(word, self.COMMON**2 * (len(QUESTION_WORDS) - rank))

    def fold(self, text: str) -> str:
        """The text with each unknown word replaced by the closest known one, the library's own first."""
        return re.sub(r"\b[a-z]+(?:['’][a-z]+)?\b", lambda found: self._word(found[0]), text)

    def _word(self, word: str) -> str:
        from symspellpy import Verbosity

        stem = re.split("['’]", word)[0]
        if len(word) < 3 or stem in self._known or stem.removesuffix("s") in self._known:
            return word
        found = self._symspell.lookup(word, Verbosity.CLOSEST, max_edit_distance=1 if len(word) <= 4 else 2)
        return str(found[0].term) if found and (len(word) > 3 or found[0].term in QUESTION_WORDS) else word


QUESTION_WORDS = ("how", "what", "when", "where", "which", "who", "why")
"""What a misspelling stands for before anything else that is as close, the first before the next."""


def words_of(text: str) -> list[str]:
    """The lower-case words of a text, letters only."""
    return re.findall(r"[a-z]+", text.lower())


def condense(turns: Sequence[Turn], library: Library, speller: Speller) -> Question:
    """The last of the user's messages as a question that stands alone; without a language model."""
    messages = [speller.fold(turn.text.strip()) for turn in turns if turn.role == "user"]
    message = messages[-1]
    earlier = [text for text in messages[:-1] if not SMALL.fullmatch(text)]
    named = _named(message, library)
    context: list[str] = []
    leaning = _leans(message, bool(named))
    for text in reversed(earlier):
        if not leaning and ASKING.search(text):
            break  # an earlier question, and this one stands alone; what was merely told still counts
        context.insert(0, text)
        leaning = _leans(text, bool(_named(text, library))) or not ASKING.search(text)
        if len(context) == 3 or not leaning:
            break
    for text in reversed(messages[:-1]):
        named = named or _named(text, library)
    focus = _asking(message, library)
    text = " ".join([*(_sentence(part) for part in context), message])
    whole = Question(text, message, focus, " ".join(context), len(messages) - 1, named)
    parts = [part for part in _parts(focus) if content_words(part)]
    return replace(whole, parts=tuple(replace(whole, text=part, focus=part) for part in parts if len(parts) > 1))


SMALL = re.compile(
    r"\W*(?:(?:hi|hello|hey|hiya|yo|thanks|thank you|thx|cheers|ta|ok|okay|cool|great|nice|got it|sure|yes|yeah|no|"
    r"nope|lol|haha|good (?:morning|evening|afternoon)|there|right|alright|then|and|so|very much|so much)\W*)+",
    re.IGNORECASE,
)
"""A message that asks nothing."""

OPENERS = re.compile(
    r"\W*(?:(?:ok(?:ay)?|cool|great|thanks|alright|right|hm+|so|oh|ah|lol|yes|yeah|no|got it|sure)\b\W*)*"
    r"(?:and|but|or|also|then|why|what about|how about|what if|same|which (?:one|of|is)|instead|else|because|just|only|"
    r"now)\b",
    re.IGNORECASE,
)
POINTERS = re.compile(
    r"\b(?:it|its|that|those|these|this|them|they|their|there|ones?|the same|the other|the (?:first|second|third|last)|"
    r"both|either|then|too|instead|either|else|so)\b(?! (?:exercise|article|drill|is (?:true|right)))",
    re.IGNORECASE,
)
ASKING = re.compile(
    r"\?\s*$|^\W*(?:(?:so|and|but|ok|now|please|also)\W+)*(?:what|which|who|whom|whose|when|where|why|how|is|are|am|do|does|did|can|"
    r"could|should|shall|will|would|may|tell|explain|show|list|give|describe|name|walk|talk|teach|any|help|fix)\b",
    re.IGNORECASE,
)


def asks(message: str) -> bool:
    """Whether any sentence of a message asks for something."""
    return any(ASKING.search(message[start:end]) for start, end in sentence_spans(message))


def _leans(message: str, names_an_exercise: bool) -> bool:
    """Whether a message needs the ones before it: it opens or points like a reply, or is too short to stand alone."""
    content = content_words(message)
    if OPENERS.match(message):
        return not (names_an_exercise and len(content) >= 4)
    if names_an_exercise:
        return False
    return len(content) <= (6 if POINTERS.search(message) else 2)


def _asking(message: str, library: Library) -> str:
    """The sentences of a message that ask; all of it when none does, or when they say too little alone."""
    sentences = [message[start:end] for start, end in sentence_spans(message)]
    asking = " ".join(sentence for sentence in sentences if ASKING.search(sentence))
    names = name_pattern(tuple(name for article in library.articles for name in article.names))
    return asking if len(content_words(names.sub(" ", asking))) > 2 else message


def _parts(focus: str) -> list[str]:
    """The questions in the asking sentences: one a sentence, and one for each "and" that a question word follows."""
    sentences = [focus[start:end] for start, end in sentence_spans(focus)]
    sentences = [sentence for sentence in sentences if ASKING.search(sentence)]
    return [part.strip(" ,") for sentence in sentences for part in JOINED.split(sentence) if part.strip(" ,?.!")]


def apart(question: Question, quotes: Sequence[str], library: Library) -> tuple[Question, ...]:
    """What is asked besides the signs that are quoted: the clauses that ask, name none of them, and not how to go on.

    What leans on a sign ("do I just push through?", "what am I doing wrong?") is not asked apart from it.
    """
    signs = {word for quote in quotes for word in content_words(quote)}
    names = name_pattern(tuple(name for article in library.articles for name in article.names))
    clauses = [clause.strip() for clause in CLAUSE.split(question.message) if ASKING.search(clause.strip())]
    own = [clause for clause in clauses if set(content_words(names.sub(" ", clause))) - LEANING - signs]
    own = [clause for clause in own if signs.isdisjoint(content_words(clause))]
    return tuple(replace(question, text=clause, focus=clause, context="", parts=()) for clause in own)


GO_ON = re.compile(
    r"\b(?:push(?:ing)? (?:on|through)|(?:keep|carry|go|going|carrying) (?:going|on|training)|"
    r"(?:work|train|run) through|continue|ignore it)\b",
    re.IGNORECASE,
)
"""Asks whether to go on in spite of something."""
CLAUSE = re.compile(
    r"(?<=[.?!…;:,\n])\s+|\s+(?:but|and|so)\s+(?=(?:how|what|which|when|where|why|can|should|do|is|are)\b)"
)
_LEANING = """bad better carry cause causing continue doing dangerous exercise exercising fine fix going gone happen
    happening hurt hurting hurts injured injury keep matter normal ok okay pain push pushing rest resting risk risky
    safe serious should stop stopping through train training wait worry worse wrong"""
LEANING = frozenset(_LEANING.split())
"""Words of a clause that asks about the sign itself."""
JOINED = re.compile(
    r"[\s,]+(?:and|also|plus)\s+(?=(?:how|what|which|when|where|why|who|can|should|does|do|is|are)\b)", re.IGNORECASE
)


def _named(text: str, library: Library) -> tuple[str, ...]:
    """The articles whose exercise a text names, by its title's name or an alias."""
    names = {article.stem: name_pattern(article.names) for article in library.articles}
    return tuple(stem for stem, pattern in names.items() if pattern.search(text))


def _sentence(text: str) -> str:
    return text if re.search(r"[.?!…]\W*$", text) else f"{text}."


def content_words(text: str) -> list[str]:
    """The words of a text that carry its topic."""
    return [word for word in words_of(text) if word not in _function_words()]


@cache
def _function_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    chat = """also anyone anything ask could else ever every get gets getting give go goes going gonna got gotta help
        hey hi im ive keep kind know let like lot make makes many may maybe mean might much must need oh ok okay one
        ones please pls put really right say see shall someone something still sure take tell thank thanks thing
        things think though thx try u us use wanna want way well whats without would yes"""
    apart = [word.replace("'", "") for word in STOPWORDS_EN_PLUS]  # "doesnt", as phones have it
    return frozenset([*STOPWORDS_EN_PLUS, *apart, *chat.split()])
