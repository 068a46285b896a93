"""The order of the six steps: safety → condense → retrieve → answer → verify → respond."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from assistant import respond, safety
from assistant.answer import Draft, beside, closest, compose, together
from assistant.classifier import Classifier, load_classifier
from assistant.condense import GO_ON, Question, Speller, apart, asks, condense
from assistant.encoder import encoder_id
from assistant.index import Index, Progress, open_index
from assistant.kinds import load_kinds
from assistant.knowledge import read_library
from assistant.language import foreign
from assistant.retrieve import Retrieved, retrieve
from assistant.rules import Rules, load_rules
from assistant.settings import Settings
from assistant.types import Citation, Claim, Notice, Outcome, Passage, Reply, SpotterError, Triage, Turn
from assistant.verify import verify

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from assistant.reader import Reader

log = logging.getLogger(__name__)

Notes = tuple[str, ...]
WORDS_ALONE = "The safety check runs on its word lists alone, since its learned part could not be loaded."
LONGEST_MESSAGE = 4000
"""In characters; a longer message is screened whole and then refused."""


class Assistant:
    """Answers questions from one library; safe to call from several threads."""

    def __init__(
        self, index: Index, reader: "Reader", rules: Rules, classifier: Classifier | None, settings: Settings
    ) -> None:
        """Without a classifier the words alone decide on safety, and every reply says so."""
        self.index = index
        self.reader = reader
        self.rules = rules
        self.classifier = classifier
        self.settings = settings
        self.speller = Speller(index.library, index.kinds)
        self.without: frozenset[Passage] = frozenset()
        """Passages that no answer may use: evals hold out the answer keys by it."""

    @classmethod
    def open(cls, settings: Settings, *, hold_out_faq: bool = False, progress: Progress | None = None) -> "Assistant":
        """The assistant over the settings' articles, its index opened or built; SpotterError names what to fix."""
        from assistant.reader import load_reader  # brings torch, which the page is served without

        rules = load_rules(settings.safety)
        kinds = load_kinds(settings.questions)
        library = read_library(settings.articles, kinds.exercises)
        for problem in library.problems:
            log.warning("%s", problem)
        if hold_out_faq:
            library = library.without_faq()
        index = open_index(library, kinds, settings.cache, settings.encoder, progress)
        reader = load_reader(settings.models, index.encoder, encoder_id(settings.encoder), settings.cache)
        classifier = None
        try:
            classifier = load_classifier(settings.models, index.encoder, encoder_id(settings.encoder), rules)
        except SpotterError as error:
            log.error("%s", error)  # the words alone decide; every reply says so
        return cls(index, reader, rules, classifier, settings)

    def reply(self, question: str, history: Sequence[Turn] = (), floor: Triage | None = None) -> Reply:
        """The reply to a message, given the turns before it and the triage that was reached so far."""
        begun = time.perf_counter()
        turns, floor = [*history, Turn("user", question)], floor or Triage()
        triage = self.screen(turns, floor)
        before = self.screen(history, floor) if triage.level != "emergency" else triage
        notes = _notes(before, triage, self.classifier)
        if triage.level == "emergency":
            reply = self._referred(question, triage, notes)
        elif not question.strip() or len(question) > LONGEST_MESSAGE:
            reply = self._unreadable(question, triage, notes)
        elif foreign(question):
            body = respond.english_only_text(self.settings.emergency_number)
            reply = self._reply("not_covered", body, triage, question, notes)
        elif safety.taken_back(before, triage) and not asks(question):
            reply = self._reply("small_talk", respond.TAKEN_BACK, triage, question, notes)
        else:
            asked = condense(turns, self.index.library, self.speller)
            found = self._retrieve(asked)
            draft = self._draft(asked, found, triage)
            claims = verify(draft.claims, self.index.library)
            reply = self._respond(asked, draft, claims, triage, notes, [turn.text for turn in turns])
            reply = replace(reply, hits=found.hits, draft=draft.claims)
        return replace(reply, seconds=round(time.perf_counter() - begun, 4))

    def screen(self, turns: Sequence[Turn], floor: Triage) -> Triage:
        """The conversation's triage; the cautious one where the screen fails."""
        return screened(turns, floor, self.rules, self.classifier)

    def as_runnable(self) -> "Runnable[Any, Reply]":
        """The same as a LangChain Runnable: takes a question or {"question", "history"}, and gives a Reply."""
        from langchain_core.runnables import RunnableLambda

        def run(asked: str | dict[str, Any]) -> Reply:
            if isinstance(asked, str):
                return self.reply(asked)
            return self.reply(asked["question"], asked.get("history", ()), asked.get("floor"))

        return RunnableLambda(run, name="spotter")

    def close(self) -> None:
        """Lets go of the index's files."""
        self.index.close()

    def _retrieve(self, asked: Question) -> Retrieved:
        return retrieve(asked, self.index, self.reader, self.without)

    def _draft(self, asked: Question, found: Retrieved, triage: Triage) -> Draft:
        """What answers the message as a whole, with what answers its parts; next to a sign only what is safe there."""
        rules = {reason: self.rules.rules.get(reason.rule) for reason in triage.reasons if reason.turn == asked.turn}
        signs = {reason: rule for reason, rule in rules.items() if rule is None or rule.kind != "question"}
        draft = compose(asked, found, self.index, replace(triage, reasons=tuple(signs)))
        if triage.urgency == "today":
            return draft
        quotes = [self.speller.fold(reason.quote) for reason in signs]
        parts = apart(asked, quotes, self.index.library) if signs else asked.parts
        read = [(part, self._retrieve(part)) for part in parts]
        if not signs:
            drafts = [compose(part, hits, self.index, Triage()) for part, hits in read]
            return together(draft, drafts) if drafts else draft
        if all(rule and rule.mendable for rule in signs.values()) and not GO_ON.search(asked.message):
            read.append((asked, found))
        return beside(draft, [compose(part, closest(hits), self.index, Triage()) for part, hits in read])

    def _respond(
        self,
        asked: Question,
        draft: Draft,
        claims: tuple[Claim, ...],
        triage: Triage,
        notes: Notes,
        said: Sequence[str],
    ) -> Reply:
        if draft.outcome == "answered" and not claims:
            draft = Draft("not_covered")
        stem = claims[0].citations[0].article if claims else (asked.articles or (None,))[0]
        answer, cited = respond.answer_text(draft, claims)
        body = {
            "answered": lambda: "\n\n".join(filter(None, (answer, respond.missing_text(draft)))),
            "clarify": lambda: respond.clarify_text(draft, self.index),
            "not_covered": lambda: respond.not_covered_text(draft, asked, self.index),
            "small_talk": lambda: respond.small_talk_text(asked.focus, self.index),
        }[draft.outcome]()
        suggestions = respond.suggestions_for(draft, self.index, stem, asked.focus, said)
        return self._reply(draft.outcome, body, triage, asked.text, notes, claims, answer, cited, suggestions, stem)

    def _referred(self, question: str, triage: Triage, notes: Notes) -> Reply:
        return self._reply("referred", "", triage, question, notes)

    def _unreadable(self, question: str, triage: Triage, notes: Notes) -> Reply:
        if question.strip():
            body = f"That message is longer than {LONGEST_MESSAGE} characters. Please ask in fewer words."
        else:
            body = "Please type a question."
        return self._reply("clarify", body, triage, question.strip()[:LONGEST_MESSAGE], notes)

    def _reply(
        self,
        outcome: Outcome,
        body: str,
        triage: Triage,
        question: str,
        notes: Notes,
        claims: tuple[Claim, ...] = (),
        answer: str = "",
        cited: Sequence[Citation] = (),
        suggestions: tuple[str, ...] = (),
        stem: str | None = None,
    ) -> Reply:
        advice = advice_for(triage, self.rules, self.settings)
        only = self.index.library.articles[0].stem if len(self.index.library.articles) == 1 else None
        notice = respond.notice_for(triage, advice, self.index, stem or only, claims)
        text = respond.full_text(notice, body, cited, self.index.library.by_stem, notes)
        return Reply(outcome, text, answer, claims, triage, notice, question, suggestions, notes)


class ScreenOnly:
    """What is left without an encoder: every message is screened by the words alone, and none is answered."""

    def __init__(self, settings: Settings, problem: str) -> None:
        self.settings, self.problem = settings, problem
        self.rules = load_rules(settings.safety)

    def reply(self, question: str, history: Sequence[Turn] = (), floor: Triage | None = None) -> Reply:
        """The notice that the words call for, and why there is no answer."""
        turns, floor = [*history, Turn("user", question)], floor or Triage()
        triage = screened(turns, floor, self.rules, None)
        notes = _notes(screened(history, floor, self.rules, None), triage, None)
        notice = Notice(advice_for(triage, self.rules, self.settings))
        referred = triage.level == "emergency"
        body = "" if referred else f"I cannot look anything up now. {self.problem}"
        text = respond.full_text(notice, body, (), {}, notes)
        return Reply("referred" if referred else "not_covered", text, "", (), triage, notice, question, notes=notes)

    def close(self) -> None:
        """Nothing is held."""


def screened(turns: Sequence[Turn], floor: Triage, rules: Rules, classifier: Classifier | None) -> Triage:
    """The triage of the conversation; where the screen fails, at least the cautious one and what the words say."""
    try:
        return safety.screen(turns, floor, rules, classifier)
    except Exception as error:  # whatever fails here, the reader gets the cautious notice
        log.error("The safety screen failed (%s); the cautious notice is given.", type(error).__name__)
    with suppress(Exception):  # the words may still know of an emergency
        floor = safety.screen(turns, floor, rules, None)
    return safety.screen_failed(floor)


def advice_for(triage: Triage, rules: Rules, settings: Settings) -> str:
    """The notice's words with the settings' numbers in them."""
    return safety.advice(triage, rules, settings.emergency_number, settings.crisis_contact)


def _notes(before: Triage, triage: Triage, classifier: Classifier | None) -> Notes:
    """What the reader is told of the screen itself: that something was taken back, and that a part of it is missing."""
    notes = []
    if taken := safety.taken_back(before, triage):
        notes.append(taken)
    if classifier is None:
        notes.append(WORDS_ALONE)
    return tuple(notes)
