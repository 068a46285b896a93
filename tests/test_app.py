import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

import app
from app import NOTHING, Chat, Opening, Session, View
from assistant import page
from assistant.pipeline import WORDS_ALONE, Assistant
from assistant.settings import ROOT, Settings
from assistant.types import Citation, Claim, Notice, Reply, SpotterError, Triage, Turn

CALM = Triage()
GRAVE = Triage("emergency", "now")
QUOTE = Citation("plank", "Form > Hips", 10, 31, "Keep <b>hips</b> level.")
ANSWER = Reply(
    outcome="answered",
    text="unused",
    answer="Keep hips level.[1]",
    claims=(Claim("Keep hips level.", (QUOTE,)),),
    triage=CALM,
    notice=Notice(),
    question="How?",
    suggestions=("Which muscles?", "How long?"),
)


class FakeAssistant:
    """Gives its replies in turn, the last one for ever; raises those that are errors; remembers what it was asked."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, tuple[Turn, ...], Triage]] = []
        articles = (SimpleNamespace(stem="plank", title="The Plank & You"),)
        self.index = SimpleNamespace(library=SimpleNamespace(articles=articles, passages=(1, 2), problems=()))

    def reply(self, question: str, history: Sequence[Turn] = (), floor: Triage = CALM) -> Reply:
        self.asked.append((question, tuple(history), floor))
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
    return Chat(opening)


def all_views(views: AsyncIterator[View]) -> list[View]:
    async def collect() -> list[View]:
        return [view async for view in views]

    return asyncio.run(collect())


def texts(view: View) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in view.messages]


def edit(index: int, value: str) -> gr.EditData:
    return gr.EditData(None, {"index": index, "value": value, "previous_value": ""})


def retry(index: int) -> gr.RetryData:
    return gr.RetryData(None, {"index": index, "value": ""})


def undo(index: int) -> gr.UndoData:
    return gr.UndoData(None, {"index": index, "value": ""})


EMERGENCY = page.notice("**Stop.** Call for help.", GRAVE)
REFERRED = replace(ANSWER, outcome="referred", answer="", claims=(), triage=GRAVE, notice=Notice("**Stop.**"))


def test_an_answer_comes_with_its_numbered_sources_and_suggestions() -> None:
    chat = opened(FakeAssistant(ANSWER))
    last = all_views(chat.submit("How?", [], Session()))[-1]
    card = (
        '<article class="source"><h3><span class="mark">[1]</span> Form › Hips</h3>'
        "<blockquote>Keep &lt;b&gt;hips&lt;/b&gt; level.</blockquote>"
        '<p class="title">The Plank &amp; You</p></article>'
    )
    options = [{"value": text, "label": text} for text in ("Which muscles?", "How long?")]
    assert last == View(
        messages=[
            {"role": "user", "content": "How?"},
            {"role": "assistant", "content": "Keep hips level.[1]", "options": options},
        ],
        box=gr.update(submit_btn="Ask", stop_btn=False),
        session=Session(CALM, (card,)),
        sources=card,
        alert='<div role="alert" class="unseen"></div>',
    )


def test_the_text_box_is_emptied_at_once_and_never_again() -> None:
    first, *others = all_views(opened(FakeAssistant(ANSWER)).submit("How?", [], Session()))
    assert first.box["value"] == ""
    assert all("value" not in view.box for view in others)


def test_an_empty_message_changes_nothing() -> None:
    assistant = FakeAssistant(ANSWER)
    assert all_views(opened(assistant).submit("  \n", [], Session())) == [NOTHING]
    assert assistant.asked == []


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SpotterError("No <model>. Run: python -m assistant doctor"), "No &lt;model>. Run: python -m assistant doctor"),
        (RuntimeError("the user's words"), page.BROKEN),
    ],
)
def test_a_reply_that_fails_is_a_clear_state_and_not_an_exception(
    error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    last = all_views(opened(FakeAssistant(error)).submit("How?", [], Session()))[-1]
    assert texts(last) == [("user", "How?"), ("assistant", shown)]
    assert last.box == gr.update(submit_btn="Ask", stop_btn=False)
    assert "the user's words" not in caplog.text


def test_a_reply_that_fails_keeps_the_notice_and_the_triage() -> None:
    last = all_views(opened(FakeAssistant(RuntimeError())).submit("my chest", [], Session()))[-1]
    assert texts(last)[-1] == ("assistant", f"{EMERGENCY}\n\n{page.BROKEN}")
    assert last.session.floor == GRAVE


def test_a_question_waits_until_the_assistant_is_open() -> None:
    may_open = threading.Event()
    assistant = FakeAssistant(ANSWER)

    def slow(settings: Settings, progress: Any) -> Assistant:
        progress(12, 64)
        may_open.wait(10)
        return cast(Assistant, assistant)

    opening = FakeOpening(Settings(), slow)

    async def ask() -> list[str]:
        shown = []
        async for view in Chat(opening).submit("How?", [], Session()):
            shown.append(view.messages[-1]["content"])
            if "Indexing" in shown[-1]:
                may_open.set()
            elif "Loading" in shown[-1]:
                opening.start()
        return shown

    assert asyncio.run(ask()) == [
        "How?",
        "*Getting ready. Loading the encoder…*",
        "*Getting ready. Indexing 12 of 64 passages…*",
        "Keep hips level.[1]",
    ]


def test_an_emergency_does_not_wait_for_the_assistant() -> None:
    last = all_views(Chat(FakeOpening(Settings())).submit("my chest", [], Session()))[-1]
    assert texts(last) == [("user", "my chest"), ("assistant", EMERGENCY)]
    assert last.session.floor == GRAVE
    assert last.alert == '<div role="alert" class="unseen">Stop. Call for help.</div>'


def test_the_floor_is_handed_on_and_the_replys_triage_is_the_next_one() -> None:
    assistant = FakeAssistant(REFERRED, ANSWER)
    chat = opened(assistant)
    first = all_views(chat.submit("my chest", [], Session()))[-1]
    second = all_views(chat.submit("It passed", first.messages, first.session))[-1]
    assert [floor for _, _, floor in assistant.asked] == [CALM, GRAVE]
    assert assistant.asked[1][:2] == (
        "It passed",
        (Turn("user", "my chest"), Turn("assistant", page.notice("**Stop.**", GRAVE))),
    )
    assert (first.session.floor, second.session.floor) == (GRAVE, CALM)


def test_the_floor_survives_edit_retry_undo_and_stop_and_ends_with_a_new_chat() -> None:
    assistant = FakeAssistant(REFERRED)
    chat = opened(assistant)
    asked = all_views(chat.submit("my chest", [], Session()))[-1]

    edited = all_views(chat.edit(asked.messages, asked.session, edit(0, "How?")))[-1]
    assert assistant.asked[-1] == ("How?", (), GRAVE)
    retried = all_views(chat.retry(edited.messages, edited.session, retry(1)))[-1]
    assert assistant.asked[-1] == ("How?", (), GRAVE)
    undone = chat.undo(retried.messages, retried.session, undo(1))
    assert (undone.messages, undone.box["value"]) == ([], "How?")
    stopped = chat.stop([{"role": "user", "content": "How?"}], undone.session)
    assert texts(stopped)[-1] == ("assistant", f"{EMERGENCY}\n\n{page.STOPPED}")
    floors = [view.session.floor for view in (asked, edited, retried, undone, stopped)]
    assert floors == [GRAVE] * 5
    assert chat.clear().session == Session()


def test_a_message_that_was_stopped_or_undone_unanswered_still_counts() -> None:
    chat = opened(FakeAssistant(ANSWER))
    messages = [{"role": "user", "content": "my chest"}]
    assert chat.stop(messages, Session()).session.floor == GRAVE
    assert chat.undo(messages, Session(), undo(0)).session.floor == GRAVE


def test_undo_shows_the_sources_of_the_answer_that_is_now_the_last() -> None:
    chat = opened(FakeAssistant(ANSWER, replace(ANSWER, claims=()), REFERRED))
    first = all_views(chat.submit("One?", [], Session()))[-1]
    second = all_views(chat.submit("Two?", first.messages, first.session))[-1]
    undone = chat.undo(second.messages, second.session, undo(3))
    assert texts(undone) == texts(first)
    assert undone.sources == first.sources != second.sources
    assert chat.undo(undone.messages, undone.session, undo(1)).sources == page.NO_SOURCES


def test_an_edit_replaces_the_message_and_all_that_followed() -> None:
    assistant = FakeAssistant(ANSWER)
    chat = opened(assistant)
    view = View([], None, Session(), None, None)
    for question in ("One?", "Two?", "Three?"):
        view = all_views(chat.submit(question, view.messages, view.session))[-1]
    view = all_views(chat.edit(view.messages, view.session, edit(2, "Second?")))[-1]
    assert [text for role, text in texts(view) if role == "user"] == ["One?", "Second?"]
    assert len(view.session.cards) == 2


def test_an_example_and_a_suggestion_are_asked() -> None:
    assistant = FakeAssistant(ANSWER)
    chat = opened(assistant)
    for value in ({"text": "Which muscles?"}, "Which muscles?"):
        all_views(chat.choose([], Session(), gr.SelectData(None, {"index": 0, "value": value})))
    assert [question for question, _, _ in assistant.asked] == ["Which muscles?"] * 2


def test_what_a_user_types_is_shown_as_typed_and_heard_as_typed() -> None:
    typed = "a < b <img src=x onerror=y> ![z](http://example.com/z.png) & <3"
    assistant = FakeAssistant(ANSWER)
    chat = opened(assistant)
    first = all_views(chat.submit(typed, [], Session()))[-1]
    shown = "a < b &lt;img src=x onerror=y> !\\[z](http://example.com/z.png) & <3"
    assert first.messages[0]["content"] == shown
    all_views(chat.submit("And?", first.messages, first.session))
    all_views(chat.edit(first.messages, first.session, edit(0, shown)))
    assert [asked[0] for asked in assistant.asked] == [typed, "And?", typed]
    assert assistant.asked[1][1][0] == Turn("user", typed)


def test_a_message_may_be_a_string_or_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "One."}, "Two.", {"type": "file"}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": parts}]
    assert page.turns_of(messages) == (Turn("user", "How?"), Turn("assistant", "One.\n\nTwo."))


def test_the_notice_stands_above_the_answer_and_the_notes_below() -> None:
    notice = Notice("**Check first.**\n\nThe article says: “<i>rest</i>”", (QUOTE,))
    reply = replace(ANSWER, triage=Triage("consult", "routine"), notice=notice, notes=("The model was slow.",))
    assert page.message(reply) == (
        "> #### ⚠️ Safety notice\n>\n> **Check first.**\n>\n> The article says: “&lt;i>rest&lt;/i>”\n\n"
        "Keep hips level.[1]\n\n*The model was slow.*"
    )


def test_a_wording_in_place_of_an_answer_is_shown_without_the_notice_that_its_text_repeats() -> None:
    text = "> ⚠️ Check first.\n>\n> Rest.\n\nThe articles don't cover that.\n\n*A note.*"
    reply = replace(ANSWER, outcome="not_covered", text=text, answer="", claims=(), notes=("A note.",))
    assert page.body(reply) == "The articles don't cover that."


def test_lines_that_only_the_notice_quotes_have_cards_without_a_number() -> None:
    other = replace(QUOTE, start=40, end=45, quote="Rest.")
    shown = page.sources(replace(ANSWER, notice=Notice("Check.", (QUOTE, other))), {})
    assert shown.count('class="source"') == 2
    assert shown.count('class="mark"') == 1
    assert shown.endswith(
        '<h3 class="behind">Quoted by the safety notice</h3>\n<article class="source"><h3>Form › Hips</h3>'
        '<blockquote>Rest.</blockquote><p class="title">plank</p></article>'
    )


def test_sources_are_numbered_by_first_use() -> None:
    other = replace(QUOTE, start=40, end=45, quote="Rest.")
    claims = (Claim("One", (other, QUOTE)), Claim("Two", (QUOTE,)))
    assert page.cited(claims) == [other, QUOTE]


def test_the_status_line_says_what_is_going_on() -> None:
    def refuse(settings: Settings, progress: Any) -> Assistant:
        raise SpotterError("No articles in <here>. Add a .md file.")

    def break_down(settings: Settings, progress: Any) -> Assistant:
        raise RuntimeError("secret")

    loading = FakeOpening(Settings())
    states = [loading.status()]
    loading._progress(12, 64)
    states.append(loading.status())
    for open_assistant in (refuse, break_down):
        opening = FakeOpening(Settings(), open_assistant)
        opening._open()
        states.append(opening.status())
    states.append(opened(FakeAssistant(ANSWER)).opening.status())
    assert states == [
        '<div class="status loading" role="status">Loading the encoder…</div>',
        '<div class="status loading" role="status">Indexing 12 of 64 passages…</div>',
        '<div class="status failed" role="status">No articles in &lt;here&gt;. Add a .md file.</div>',
        '<div class="status failed" role="status">'
        "Spotter could not start (RuntimeError). Run: python -m assistant doctor</div>",
        '<div class="status ready" role="status">Ready: 1 article, 2 passages</div>',
    ]


def test_the_status_line_names_the_files_that_could_not_be_read() -> None:
    assistant = FakeAssistant(ANSWER)
    assistant.index.library.problems = ("a<b>.pdf: not an article",)
    assert opened(assistant).opening.status() == (
        '<div class="status ready" role="status">Ready: 1 article, 2 passages'
        "<details><summary>1 file left out</summary><ul><li>a&lt;b&gt;.pdf: not an article</li></ul></details></div>"
    )


def test_a_question_after_a_failed_start_is_told_what_to_do() -> None:
    def refuse(settings: Settings, progress: Any) -> Assistant:
        raise SpotterError("No articles. Add a .md file.")

    opening = FakeOpening(Settings(), refuse)
    opening._open()
    last = all_views(Chat(opening).submit("How?", [], Session()))[-1]
    assert texts(last)[-1] == ("assistant", f"No articles. Add a .md file.\n\n*{WORDS_ALONE}*")


def test_the_examples_are_four_questions_that_the_library_suggests() -> None:
    replies = [replace(ANSWER, suggestions=tuple(names)) for names in ("abc", "bcd", "ace", "abf")]
    assistant = FakeAssistant(*replies)
    assert app._examples(cast(Assistant, assistant)) == ["a", "b", "c", "d"]
    assert [question for question, _, _ in assistant.asked] == ["Hello", "a", "b", "c"]


def test_a_screen_without_rules_gives_the_cautious_notice(tmp_path: Any) -> None:
    opening = Opening(Settings(safety=tmp_path, emergency_number="555"))
    triage, advice = opening.screen([Turn("user", "How?")], CALM)
    assert (triage.level, triage.urgency) == ("consult", "today")
    assert advice == page.UNSCREENED.format(emergency_number="555")


def test_no_event_of_the_page_is_offered_as_an_api() -> None:
    async def build() -> gr.Blocks:  # where no event loop runs, Gradio makes one and leaves it open
        return app.build_page(FakeOpening(Settings()))

    blocks = asyncio.run(build())
    assert {event["api_visibility"] for event in blocks.config["dependencies"]} == {"private"}


def test_the_page_can_be_served_before_anything_heavy_is_loaded() -> None:
    heavy = {"torch", "chromadb", "langchain_core", "transformers", "sentence_transformers"}
    code = f"import app, sys; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
