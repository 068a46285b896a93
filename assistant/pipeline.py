"""The order of the six steps: safety → condense → retrieve → answer → verify → respond."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from assistant import respond, safety
from assistant.answer import Draft, compose
from assistant.condense import Question, Speller, condense
from assistant.index import Index, Progress, open_index
from assistant.kinds import load_kinds
from assistant.knowledge import read_library
from assistant.retrieve import retrieve
from assistant.settings import Settings
from assistant.types import Citation, Claim, Outcome, Reply, Triage, Turn
from assistant.verify import verify

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

log = logging.getLogger(__name__)

LONGEST_MESSAGE = 4000
"""In characters; a longer message is screened whole and then refused."""


class Assistant:
    """Answers questions from one library; safe to call from several threads."""

    def __init__(self, index: Index, rules: safety.Rules, settings: Settings) -> None:
        self.index = index
        self.rules = rules
        self.settings = settings
        self.speller = Speller(index.library, index.kinds)

    @classmethod
    def open(cls, settings: Settings, *, hold_out_faq: bool = False, progress: Progress | None = None) -> "Assistant":
        """The assistant over the settings' articles, its index opened or built; SpotterError names what to fix."""
        rules = safety.load_rules(settings.safety)
        kinds = load_kinds(settings.questions)
        library = read_library(settings.articles, kinds.exercises)
        for problem in library.problems:
            log.warning("%s", problem)
        if hold_out_faq:
            library = library.without_faq()
        return cls(open_index(library, kinds, settings.cache, settings.encoder, progress), rules, settings)

    def reply(self, question: str, history: Sequence[Turn] = (), floor: Triage | None = None) -> Reply:
        """The reply to a message, given the turns before it and the triage that was reached so far."""
        begun = time.perf_counter()
        turns = [*history, Turn("user", question)]
        triage = self._screen(turns, floor or Triage())
        if triage.level == "emergency":
            reply = self._referred(question, triage)
        elif not question.strip() or len(question) > LONGEST_MESSAGE:
            reply = self._unreadable(question, triage)
        else:
            asked = condense(turns, self.index.library, self.speller)
            found = retrieve(asked, self.index)
            draft = compose(asked, found, self.index, triage)
            claims = verify(draft.claims, self.index.library)
            reply = replace(
                self._respond(asked, found.question, draft, claims, triage), hits=found.hits, draft=draft.claims
            )
        return replace(reply, seconds=round(time.perf_counter() - begun, 4))

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

    def _screen(self, turns: Sequence[Turn], floor: Triage) -> Triage:
        try:
            return safety.screen(turns, floor, self.rules)
        except Exception as error:  # whatever fails here, the reader gets the cautious notice
            log.error("The safety screen failed (%s); the cautious notice is given.", type(error).__name__)
            return safety.screen_failed(floor)

    def _respond(
        self, asked: Question, understood: str, draft: Draft, claims: tuple[Claim, ...], triage: Triage
    ) -> Reply:
        if draft.outcome == "answered" and not claims:
            draft = Draft("not_covered")
        stem = claims[0].citations[0].article if claims else (asked.articles or (None,))[0]
        answer, cited = respond.answer_text(draft, claims)
        body = {
            "answered": lambda: answer,
            "clarify": lambda: respond.clarify_text(draft, self.index),
            "not_covered": lambda: respond.not_covered_text(draft, asked, self.index),
            "small_talk": lambda: respond.small_talk_text(asked.focus, self.index),
        }[draft.outcome]()
        suggestions = respond.suggestions_for(draft, self.index, stem, asked.focus)
        return self._reply(draft.outcome, body, triage, understood, claims, answer, cited, suggestions, stem)

    def _referred(self, question: str, triage: Triage) -> Reply:
        return self._reply("referred", "", triage, question)

    def _unreadable(self, question: str, triage: Triage) -> Reply:
        if question.strip():
            body = f"That message is longer than {LONGEST_MESSAGE} characters. Please ask in fewer words."
        else:
            body = "Please type a question."
        return self._reply("clarify", body, triage, question.strip()[:LONGEST_MESSAGE])

    def _reply(
        self,
        outcome: Outcome,
        body: str,
        triage: Triage,
        question: str,
        claims: tuple[Claim, ...] = (),
        answer: str = "",
        cited: Sequence[Citation] = (),
        suggestions: tuple[str, ...] = (),
        stem: str | None = None,
    ) -> Reply:
        settings = self.settings
        advice = safety.advice(triage, self.rules, settings.emergency_number, settings.crisis_contact)
        only = self.index.library.articles[0].stem if len(self.index.library.articles) == 1 else None
        notice = respond.notice_for(triage, advice, self.index, stem or only, claims)
        text = respond.full_text(notice, body, cited, self.index, ())
        return Reply(outcome, text, answer, claims, triage, notice, question, suggestions)
