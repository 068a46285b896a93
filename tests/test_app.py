import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

import app
from app import Chat, Opening, Panels, View
from assistant.conversation import Conversation, Exchange, read_conversation
from assistant.feedback import kept
from assistant.page import Page
from assistant.pipeline import WORDS_ALONE, Assistant
from assistant.settings import ROOT, Settings
from assistant.types import Citation, Claim, Notice, Reply, SpotterError, Triage, Turn

CALM = Triage()
GRAVE = Triage("emergency", "now")
TEXT = "# Plank\n\n## Form\n\nKeep your hips level. Rest."
QUOTE = Citation("plank", "Form", 18, 39, "Keep your hips level.")
ANSWER = Reply(
    outcome="answered",
    text="Keep your hips level.[1]\n\nSources:\n\n[1] Plank › Form: “Keep your hips level.”",
    answer="Keep your hips level.[1]",
    claims=(Claim("Keep your hips level.", (QUOTE,)),),
    triage=CALM,
    notice=Notice(),
    question="How?",
    suggestions=("Which muscles?", "How long?"),
)
REFERRED = replace(
    ANSWER, outcome="referred", text="> **Stop.**", answer="", claims=(), triage=GRAVE, notice=Notice("**Stop.**")
)
PAGE = Page()


class FakeAssistant:
    """Gives its replies in turn, the last one for ever; raises those that are errors; remembers what it was asked."""

    classifier = None

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, list[str], Triage]] = []
        article = SimpleNamespace(stem="plank", title="The Plank & You", text=TEXT)
        library = SimpleNamespace(articles=(article,), passages=(1, 2), problems=(), by_stem={"plank": article})
        self.index = SimpleNamespace(library=library)

    def reply(self, question: str, history: Sequence[Turn] = (), floor: Triage = CALM) -> Reply:
        self.asked.append((question, [turn.text for turn in history], floor))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


class FakeOpening(Opening):
    """Screens without rules: a message with "chest" is an emergency, and the floor is never left."""

    def screen(self, turns: Sequence[Turn], floor: Triage) -> tuple[Triage, str]:
        triage = GRAVE if any("chest" in turn.text for turn in turns if turn.role == "user") else floor
        return triage, "**Stop.** Call for help." if triage.level == "emergency" else ""


def opened(assistant: FakeAssistant) -> Chat:
    opening = FakeOpening(Settings())
    opening.assistant = cast(Assistant, assistant)
    opening._over.set()
    return Chat(opening, PAGE)


def event(view: View | None = None, text: Any = None, at: Any = None) -> gr.EventData:
    return gr.EventData(None, {"conversation": view and view["conversation"], "text": text, "at": at})


def all_views(views: AsyncIterator[View]) -> list[View]:
    async def collect() -> list[View]:
        return [view async for view in views]

    return asyncio.run(collect())


def ask(chat: Chat, text: str, view: View | None = None, at: int | None = None) -> View:
    return all_views(chat.submit(event(view, text, at)))[-1]


def conversation(view: View) -> Conversation:
    return read_conversation(view["conversation"])


def test_an_answer_ends_the_conversation_that_the_browser_keeps() -> None:
    first, last = all_views(opened(FakeAssistant(ANSWER)).submit(event(text="How?")))
    assert (first["busy"], last["busy"]) == (True, False)
    assert conversation(first).exchanges == (Exchange("How?"),)
    assert conversation(last).exchanges == (Exchange("How?", ANSWER),)
    assert conversation(first).id == conversation(last).id != ""


def test_the_server_is_told_the_conversation_with_every_message_and_keeps_none() -> None:
    assistant = FakeAssistant(REFERRED, ANSWER)
    first = ask(opened(assistant), "my chest")
    second = ask(opened(assistant), "It passed", first)  # as after a restart
    assert assistant.asked == [("my chest", [], CALM), ("It passed", ["my chest", "> **Stop.**"], GRAVE)]
    assert [conversation(view).floor for view in (first, second)] == [GRAVE, CALM]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SpotterError("No <model>. Run: python -m assistant doctor"), "No <model>. Run: python -m assistant doctor"),
        (RuntimeError("the user's words"), PAGE.words["broken"]),
    ],
)
def test_a_reply_that_fails_is_a_clear_state_and_not_an_exception(
    error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    last = ask(opened(FakeAssistant(error)), "How?")
    assert conversation(last).exchanges == (Exchange("How?", trouble=shown),)
    assert not last["busy"]
    assert "the user's words" not in caplog.text


def test_a_reply_that_fails_keeps_the_notice_and_the_triage() -> None:
    last = conversation(ask(opened(FakeAssistant(RuntimeError())), "my chest"))
    assert last.exchanges[-1].notice == "**Stop.** Call for help."
    assert (last.exchanges[-1].triage, last.floor) == (GRAVE, GRAVE)


def test_a_question_waits_until_the_assistant_is_open() -> None:
    may_open = threading.Event()
    assistant = FakeAssistant(ANSWER)

    def slow(settings: Settings, progress: Any) -> Assistant:
        progress(12, 64)
        may_open.wait(10)
        return cast(Assistant, assistant)

    opening = FakeOpening(Settings(), slow)

    async def watch() -> list[str]:
        shown = []
        async for view in Chat(opening, PAGE).submit(event(text="How?")):
            if "Loading" in view["html"]:
                shown.append("loading")
                opening.start()
            elif "Indexing 12 of 64 passages…" in view["html"]:
                shown.append("indexing")
                assert conversation(view).exchanges == (Exchange("How?"),)
                may_open.set()
            else:
                shown.append("answer" if "hips" in view["html"] else "asked")
        return shown

    assert asyncio.run(watch()) == ["asked", "loading", "indexing", "answer"]


def test_an_emergency_does_not_wait_for_the_assistant() -> None:
    last = ask(Chat(FakeOpening(Settings()), PAGE), "my chest")
    assert conversation(last).exchanges == (Exchange("my chest", None, GRAVE, "**Stop.** Call for help."),)
    assert 'role="alert"' in last["html"]
    assert PAGE.words["lost"] not in last["html"]


def test_the_triage_survives_edit_retry_stop_and_restoring() -> None:
    assistant = FakeAssistant(REFERRED)
    chat = opened(assistant)
    asked = ask(chat, "my chest")
    edited = ask(chat, "How?", asked, 0)
    assert assistant.asked[-1] == ("How?", [], GRAVE)
    retried = ask(chat, "How?", edited, 0)
    stopped = chat.stop(event(retried, "Why?"))
    assert conversation(stopped).exchanges[-1] == Exchange(
        "Why?", None, GRAVE, "**Stop.** Call for help.", PAGE.words["stopped"]
    )
    shown = chat.show(event(stopped))
    assert [conversation(view).floor for view in (asked, edited, retried, stopped, shown)] == [GRAVE] * 5
    assert conversation(chat.show(event())).floor == CALM


def test_a_message_that_is_replaced_before_it_was_answered_still_counts() -> None:
    chat = opened(FakeAssistant(ANSWER))
    waiting = all_views(chat.submit(event(text="my chest")))[0]
    waiting["conversation"]["floor"] = {}
    assistant = FakeAssistant(ANSWER)
    ask(opened(assistant), "How?", waiting, 0)
    assert assistant.asked[-1][2] == GRAVE


def test_what_is_stopped_before_the_browser_heard_of_it_is_kept() -> None:
    chat = opened(FakeAssistant(ANSWER))
    stopped = chat.stop(event(None, "my chest"))
    assert [one.asked for one in conversation(stopped).exchanges] == ["my chest"]
    assert conversation(stopped).floor == GRAVE


def test_stopping_while_the_answer_is_made_adds_no_second_question() -> None:
    chat = opened(FakeAssistant(ANSWER))
    first = all_views(chat.submit(event(text="How?")))[0]
    assert [one.asked for one in conversation(chat.stop(event(first, "How?"))).exchanges] == ["How?"]


def test_an_edit_replaces_the_message_and_all_that_followed() -> None:
    chat = opened(FakeAssistant(ANSWER))
    view = None
    for question in ("One?", "Two?", "Three?"):
        view = ask(chat, question, view)
    assert view
    edited = conversation(ask(chat, "Second?", view, 1))
    assert [one.asked for one in edited.exchanges] == ["One?", "Second?"]
    assert edited.id == conversation(view).id


@pytest.mark.parametrize("sent", [{"exchanges": "x"}, {"floor": {"level": "bad"}}, []])
def test_a_conversation_that_cannot_be_read_is_told_and_not_raised(sent: Any) -> None:
    chat = opened(FakeAssistant(ANSWER))
    broken = gr.EventData(None, {"conversation": sent or "x", "text": "How?"})
    for view in (all_views(chat.submit(broken))[-1], chat.show(broken), chat.stop(broken)):
        assert "This conversation cannot be read" in view["html"]
        assert not view["busy"]


def test_a_message_of_a_conversation_that_cannot_be_read_is_screened_all_the_same() -> None:
    broken = gr.EventData(None, {"conversation": "x", "text": "my chest"})
    view = all_views(opened(FakeAssistant(ANSWER)).submit(broken))[-1]
    assert conversation(view).floor == GRAVE
    assert 'role="alert"' in view["html"]


@pytest.mark.parametrize(("text", "at"), [(None, None), ("How?", -1), ("How?", "0")])
def test_a_message_that_cannot_be_read_is_told_and_not_raised(text: Any, at: Any) -> None:
    view = all_views(opened(FakeAssistant(ANSWER)).submit(event(None, text, at)))[-1]
    assert "This message cannot be read" in view["html"]


def test_a_restored_answer_whose_article_has_changed_is_marked() -> None:
    assistant = FakeAssistant(ANSWER)
    chat = opened(assistant)
    view = ask(chat, "How?")
    assert PAGE.words["changed"] not in chat.show(event(view))["html"]
    assistant.index.library.by_stem["plank"].text = TEXT.replace("Keep", "Hold")
    assert PAGE.words["changed"] in chat.show(event(view))["html"]
    assistant.index.library.by_stem.clear()
    assert PAGE.words["changed"] in chat.show(event(view))["html"]


def test_the_status_says_what_is_going_on() -> None:
    def refuse(settings: Settings, progress: Any) -> Assistant:
        raise SpotterError("No articles in <here>. Add a .md file.")

    def break_down(settings: Settings, progress: Any) -> Assistant:
        raise RuntimeError("secret")

    loading = FakeOpening(Settings())
    states = [Panels(loading, PAGE).ready("")]
    loading._progress(12, 64)
    states.append(Panels(loading, PAGE).ready(""))
    for open_assistant in (refuse, break_down):
        opening = FakeOpening(Settings(), open_assistant)
        opening._open()
        states.append(Panels(opening, PAGE).ready(""))
    states.append(Panels(opened(FakeAssistant(ANSWER)).opening, PAGE).ready(""))
    assert states == [
        {"text": "Loading the encoder…", "state": "loading"},
        {"text": "Indexing 12 of 64 passages…", "state": "loading"},
        {"text": "No articles in <here>. Add a .md file.", "state": "failed"},
        {"text": "Spotter could not start (RuntimeError). Run: python -m assistant doctor", "state": "failed"},
        {"text": "Ready", "state": "ready"},
    ]


def test_the_status_names_what_is_degraded() -> None:
    assistant = FakeAssistant(ANSWER)
    assistant.index.library.problems = ("a<b>.pdf: not an article",)
    shown = Panels(opened(assistant).opening, PAGE).status("")
    assert "<li>a&lt;b&gt;.pdf: not an article</li>" in shown
    assert f"<li>{WORDS_ALONE}</li>" in shown
    assert "The Plank &amp; You" in shown


def test_a_question_after_a_failed_start_is_told_what_to_do() -> None:
    def refuse(settings: Settings, progress: Any) -> Assistant:
        raise SpotterError("No articles. Add a .md file.")

    opening = FakeOpening(Settings(), refuse)
    opening._open()
    last = conversation(ask(Chat(opening, PAGE), "How?"))
    assert last.exchanges[-1].trouble == f"No articles. Add a .md file. {WORDS_ALONE}"


def test_the_examples_are_four_questions_that_the_library_suggests() -> None:
    replies = [replace(ANSWER, suggestions=tuple(names)) for names in ("abc", "bcd", "ace", "abf")]
    assistant = FakeAssistant(*replies)
    assert app._examples(cast(Assistant, assistant)) == ["a", "b", "c", "d"]
    assert [question for question, _, _ in assistant.asked] == ["Hello", "a", "b", "c"]


def test_a_screen_without_rules_gives_the_cautious_notice(tmp_path: Path) -> None:
    chat = Chat(Opening(Settings(safety=tmp_path, emergency_number="555")), PAGE)
    chat.opening.problem = "No rules."
    chat.opening._over.set()
    first = conversation(ask(chat, "How?"))
    assert (first.floor.level, first.floor.urgency) == ("consult", "today")
    assert first.exchanges[-1].notice == PAGE.words["unscreened"].format(emergency_number="555")


def test_feedback_is_kept_and_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    chat = opened(FakeAssistant(ANSWER))
    data = {"conversation": ask(chat, "How?")["conversation"], "number": 0, "verdict": "up", "reason": "", "consent": 0}
    for path, told in ((tmp_path / "kept.sqlite", "thanks"), (tmp_path, "no_feedback")):
        opening = FakeOpening(Settings(feedback=path))
        assert Panels(opening, PAGE).feedback(data) == PAGE.words[told]
    assert [one.verdict for one in kept(tmp_path / "kept.sqlite")] == ["up"]


def test_the_evals_are_those_of_the_readme() -> None:
    shown = Panels(FakeOpening(Settings()), PAGE).evals("")["html"]
    assert "<td>unseen articles: every needed fact stated and cited</td>" in shown
    assert "python -m evals --keep" in shown


def test_no_event_of_the_page_is_offered_as_an_api() -> None:
    async def build() -> gr.Blocks:  # where no event loop runs, Gradio makes one and leaves it open
        return app.build_page(FakeOpening(Settings()))

    blocks = asyncio.run(build())
    assert {event["api_visibility"] for event in blocks.config["dependencies"]} == {"private"}


def test_a_language_without_a_file_of_words_is_refused() -> None:
    with pytest.raises(SpotterError, match="Set SPOTTER_LANGUAGE to one of: en"):
        app.build_page(FakeOpening(Settings(language="xx")))


def test_the_page_can_be_served_before_anything_heavy_is_loaded() -> None:
    heavy = {"torch", "chromadb", "langchain_core", "transformers", "sentence_transformers"}
    code = f"import app, sys; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
