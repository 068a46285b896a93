"""What a message's words say: the rules' wordings in it, and how each is meant.

A match counts unless the words around it say otherwise: denied, past, supposed, asked about, told of an animal or in a
story (the cues of knowledge/safety/language.toml, after Harkema and others, ConText, 2009).
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from assistant.rules import Cue, Pattern, Rules, Span, WordList, compiled
from assistant.types import LEVELS, URGENCIES, Level, Reason, Urgency

Status = Literal["present", "past", "hypothetical", "denied", "idiom", "elsewhere", "information", "healed"]

_COUNTS: Mapping[tuple[str, Status], tuple[Level, Urgency]] = {
    ("emergency", "present"): ("emergency", "now"),
    ("emergency", "past"): ("consult", "today"),
    ("emergency", "hypothetical"): ("consult", "routine"),
    ("consult", "past"): ("consult", "routine"),
    ("consult", "hypothetical"): ("consult", "routine"),
}
"""What a match comes to. A consult that is present keeps its rule's urgency; every other status comes to nothing."""

_TOKEN = re.compile(
    r"\d+(?:[.,:]\d+)*|(?:[^\W\d_][\u0300-\u036f]*)+(?:['’](?:[^\W\d_][\u0300-\u036f]*)+)*|\.\.+|[.!?;,:()\n…—–/•❌✗✘🚫]|(?<=\s)-+(?=\s)"
)
MARKS = (".", "?", ",", "…")
LONGEST = 24
"""How many letters of a word may be a beginning that a wording asks for."""
_MARKS = {"?": "?", "…": "…", **dict.fromkeys(".!;\n", "."), **dict.fromkeys(",:()—–-/•", ",")}


class Message:
    """One user message as plain words; punctuation is a word of its own: `.`, `?`, `,` or `…`."""

    def __init__(self, text: str, rules: Rules) -> None:
        self.text, self.rules = text, rules
        self.words: list[str] = []
        self.places: list[Span] = []
        for token in _TOKEN.finditer(text):
            mark = "…" if token[0][:2] == ".." else _MARKS.get(token[0][0])
            if token[0] in (":", "(") and self.words[-1:] in (["no"], ["none"], ["negative"]):
                continue  # "No: fainting", "no (fainting)"
            for word in (mark,) if mark else rules.read_word(token[0]):
                self.words.append(word)
                self.places.append(token.span())
        self.words.append(".")
        self.places.append((len(text), len(text)))
        self.line = f" {' '.join(self.words)} "
        self.starts = [0]
        for word in self.words:
            self.starts.append(self.starts[-1] + len(word) + 1)
        self.keys = {word[:size] + "*" for word in set(self.words) for size in range(1, min(len(word), LONGEST) + 1)}
        self.keys.update(self.words, ["#"] if any(word.isdigit() for word in self.words) else [])
        self.signs: set[int] = set()
        """The words that some rule has matched."""
        self._cues: dict[tuple[Cue, Cue | None], list[Span]] = {}

    def find(self, patterns: Iterable[Pattern]) -> list[Span]:
        """Where any of the patterns stands, in order."""
        found = [
            match.span(1)
            for pattern in patterns
            if not pattern.keys.isdisjoint(self.keys)
            for match in compiled(pattern.source).finditer(self.line)
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
        """The same within some words of the message."""
        found = self.cue(name, unless)
        return found[bisect_left(found, (stretch[0], 0)) : bisect_left(found, (stretch[1], 0))]

    def has(self, name: WordList, start: int, end: int) -> bool:
        """Whether a word of the list stands between two places."""
        return not self.rules.words[name].isdisjoint(self.words[start:end])

    def only(self, start: int, end: int, *names: WordList) -> bool:
        """Whether all words between two places are of the lists."""
        return all(any(word in self.rules.words[name] for name in names) for word in self.words[start:end])

    def stretch(self, span: Span, ends: Collection[str]) -> Span:
        """The words around the span up to the nearest of the ends, at most 60 on each side."""
        start, end = span
        while start > max(0, span[0] - 60) and self.words[start - 1] not in ends:
            start -= 1
        while end < min(len(self.words), span[1] + 60) and self.words[end] not in ends:
            end += 1
        return start, end

    def items(self, start: int, end: int) -> list[Span]:
        """The parts of a list between its commas and conjunctions."""
        breaks = [start - 1, *(at for at in range(start, end) if self.words[at] in self.rules.words["connectors"]), end]
        return [(one + 1, other) for one, other in pairwise(breaks) if other > one + 1]

    def list_end(self, start: int, end: int) -> int:
        """Where the list that goes on at `start` ends: after items of at most four words and its "or"."""
        at = start
        while at < end and self.words[at] in self.rules.words["connectors"]:
            closing = self.words[at] in ("or", "nor")
            at += 1 + (self.words[at + 1 : at + 2] == ["or"])
            item = at
            while at < end and self.words[at] not in self.rules.words["connectors"] and at < item + 5:
                at += 1
            if self.has("scope_ends", item, at):
                return start
            if closing or self.words[item - 1] == "or":
                return at
            if at > item + 4:
                return start
        return start

    def names_a_sign(self, start: int, end: int) -> bool:
        """Whether a list's item is one that a rule or the neutral words know."""
        return any(at in self.signs for at in range(start, end)) or bool(self.cue_within((start, end), "neutral"))

    def everyday(self, start: int, end: int) -> bool:
        """Whether a list's item holds common words only and names no sign."""
        rare = set(self.words[start:end]) - self.rules.everyday - self.rules.words["fillers"]
        return not rare and not self.names_a_sign(start, end)

    def quote_around(self, place: int) -> str:
        """The clause around the word that begins at a character, or its nearest words where the clause is long."""
        words = [at for at, (start, end) in enumerate(self.places) if end > start and self.words[at] not in MARKS]
        if not words:
            return self.text.strip()
        at = min(words, key=lambda number: abs(self.places[number][0] - place))
        start, end = self.stretch((at, at + 1), self.rules.words["clause_starts"])
        return self.quote((max(start, at - 5), min(end, at + 6)))

    def quote(self, span: Span) -> str:
        """The clause as it was written, or the matched words alone where the clause is long."""
        start, end = self.stretch(span, self.rules.words["clause_starts"])
        start, end = (start, end) if end - start <= 12 else span
        return self.text[self.places[start][0] : self.places[end - 1][1]]


def _covered(spans: Iterable[Span]) -> set[int]:
    return {at for span in spans for at in range(*span)}


def _status(message: Message, span: Span) -> Status:
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

    if _denied(message, span, sentence):
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


def _denied(message: Message, span: Span, sentence: Span) -> bool:
    """Whether a denial in the sentence reaches the match, before it ("no chest pain") or after it ("chest pain: no").

    A denial reaches over fillers ("no sign of"), over "any" ("did not notice any"), and along a list that names only
    signs or that its "or" or "nor" closes; it ends at a clause of its own ("no sleep, my chest hurts").
    """
    start, end = span
    words, lists = message.words, message.rules.words
    if any(cue[0] == end for cue in message.cue_within((end, end + 1), "negation_after")):
        return True
    nouns = message.cue_within((sentence[0], start + 1), "noun_negation", "not_negation")
    verbs = message.cue_within((sentence[0], start + 1), "negation", "not_negation")
    if any(cue[1] == start for cue in verbs):
        return True
    if message.has("own_clause", start, end):
        return False
    for cue in nouns + verbs:
        between = words[cue[1] : start]
        if cue[1] > start or not lists["scope_ends"].isdisjoint(between):
            continue
        if len(between) <= 6 and message.only(cue[1], start, "fillers"):
            return True
        if cue in verbs and lists["having"].isdisjoint(between):
            continue
        if "any" in between and lists["connectors"].isdisjoint(between):
            return True
        last = max((at for at in range(cue[1], start) if words[at] in lists["connectors"]), default=-1)
        if last >= 0 and start - last <= 4 and len(between) <= 40:
            items = message.items(cue[1], start)
            known = any(message.names_a_sign(*one) for one in items)
            signs = known and not any(message.everyday(*one) for one in items)
            if signs or not {"or", "nor"}.isdisjoint(words[last - 1 : start]):
                return True
            closing = message.list_end(end, sentence[1])
            if cue in nouns and "or" in words[end:closing] and not message.everyday(*items[0]):
                return True
    return False


def _statuses(message: Message, spans: set[Span]) -> dict[Span, Status]:
    """How each match is meant; along a list ("no fever, chills or cough") each is meant like the one before."""
    message.signs = _covered(spans)
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
class Finding:
    """What one rule adds to the conversation's level."""

    reason: Reason
    level: Level
    urgency: Urgency
    if_asked: bool = False
    """Somebody else's history or condition: counts once advice is asked for them."""
    across: bool = False
    """Rests on an earlier message too: two halves of one sign."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message says."""

    findings: list[Finding]
    statuses: dict[str, set[Status]]
    """By rule: how its words were meant in this message."""


def _matches(message: Message) -> list[tuple[int, int, Span]]:
    """Where the rules' wordings stand in the message, as (wording, part, words)."""
    rules = message.rules
    places = sorted({place for key in message.keys & rules.places.keys() for place in rules.places[key]})
    matches: list[tuple[int, int, Span]] = []
    for number, part in places:
        rule_id, parts = rules.wordings[number]
        if spans := message.find(parts[part : part + 1]):
            other_things = _covered(message.find(rules.unless[rule_id]))
            matches += [(number, part, span) for span in spans if other_things.isdisjoint(range(*span))]
    return matches


def listen(message: Message, turn: int, said: set[tuple[int, int]]) -> Heard:
    """What one message adds; `said` remembers the parts of many-part wordings that the conversation has had."""
    rules, matches = message.rules, _matches(message)
    read = _statuses(message, {span for *_, span in matches})
    healed = bool(message.cue("healed") and message.cue("cleared") and not message.cue("ongoing"))
    best: dict[str, Finding] = {}
    statuses: dict[str, set[Status]] = {}
    here = {(number, part) for number, part, span in matches if read[span] == "present"}
    said.update(here)
    for number, _part, span in matches:
        rule, parts = rules.rules[rules.wordings[number][0]], rules.wordings[number][1]
        status = read[span]
        if rule.kind == "question":
            status = status if status in ("idiom", "elsewhere") or message.cue("where_written") else "present"
        if healed and (rule.kind == "history" or status == "past"):
            status = "healed"
        if len(parts) == 1:
            statuses.setdefault(rule.id, set()).add(status)
        if len(parts) > 1 and (status != "present" or any((number, other) not in said for other in range(len(parts)))):
            continue
        own: tuple[Level, Urgency] = ("consult", rule.urgency)
        counts = own if (rule.level, status) == ("consult", "present") else _COUNTS.get((rule.level, status))
        if counts:
            if_asked = (rule.kind in ("history", "condition") or status == "past") and _about_another(message, span)
            across = len(parts) > 1 and any((number, other) not in here for other in range(len(parts)))
            finding = Finding(Reason(rule.id, turn, message.quote(span)), *counts, if_asked, across)
            best[rule.id] = max(best.get(rule.id, finding), finding, key=_weight)
    return Heard(list(best.values()), statuses)


def _weight(finding: Finding) -> tuple[int, bool, int, bool]:
    return LEVELS.index(finding.level), not finding.if_asked, URGENCIES.index(finding.urgency), not finding.across


def _about_another(message: Message, span: Span) -> bool:
    """Whether the nearest person named before or in the match is somebody else."""
    first, _ = message.stretch(span, ".?")
    for word in reversed(message.words[first : span[1]]):
        if word in message.rules.words["self"] or word in message.rules.words["others"]:
            return word in message.rules.words["others"]
    return False


def denied(text: str, start: int, end: int, rules: Rules) -> bool:
    """Whether a text denies what stands at `text[start:end]`, as the screen would read it; for measuring."""
    message = Message(text, rules)
    inside = [at for at, (first, last) in enumerate(message.places) if first >= start and last <= end]
    if not inside:
        raise ValueError(f"there is no word at {start}–{end}")
    span = inside[0], inside[-1] + 1
    known = {span for *_, span in _matches(message)}
    return _statuses(message, known | {span})[span] == "denied"
