import json
from dataclasses import replace

import pytest

from assistant.conversation import (
    Conversation,
    Exchange,
    as_data,
    as_markdown,
    as_summary,
    body,
    cited_by,
    read_conversation,
)
from assistant.knowledge import Library, read_article
from assistant.page import Page
from assistant.pipeline import Assistant
from assistant.types import Citation, Claim, Notice, Reason, Reply, SpotterError, Triage, Turn

TEXT = "# Plank\n\n## Form\n\nKeep your hips level.\n\n## When to see a doctor\n\nStop if your back hurts."
ARTICLE = read_article(TEXT, "plank")
HIPS = Citation("plank", "Form", 18, 39, TEXT[18:39])
BACK = Citation("plank", "When to see a doctor", 66, 90, TEXT[66:90])
PAIN, CHEST = Reason("back_pain", 0, "my back\nhurts"), Reason("chest", 1, "chest is tight")
CONSULT = Triage("consult", "routine", (PAIN,))
REPLY = Reply(
    outcome="answered",
    text="> ⚠️ **Check first.**\n> \n> Rest.\n\nKeep your hips level.[1]\n\nSources:\n\n[1] Form: “…”\n\n*A note.*",
    answer="Keep your hips level.[1]",
    claims=(Claim("Keep your hips level.", (HIPS,)),),
    triage=CONSULT,
    notice=Notice("**Check first.**\n\nRest.", (BACK,)),
    question="How?",
    notes=("A note.",),
)
TALK = Conversation(
    "1",
    CONSULT,
    (
        Exchange("my back hurts,\nhow?", REPLY, CONSULT),
        Exchange("chest is tight", None, Triage("emergency", "now", (PAIN, CHEST)), "**Call.**", "Stopped."),
        Exchange("that was a joke", replace(REPLY, claims=()), CONSULT, changed=True),
    ),
)
WORDS = Page().words


def test_a_conversation_comes_back_from_json_as_it_was() -> None:
    assert read_conversation(json.loads(json.dumps(as_data(TALK)))) == TALK


def test_a_real_reply_comes_back_but_for_what_only_a_developer_looks_at(assistant: Assistant) -> None:
    reply = assistant.reply("my knee hurts, which muscles do heel kicks work?")
    kept = Conversation("1", reply.triage, (Exchange("?", reply, reply.triage),))
    back = read_conversation(json.loads(json.dumps(as_data(kept)))).exchanges[0].reply
    assert reply.hits
    assert back == replace(reply, hits=(), draft=(), replaced=())


def test_nothing_is_an_empty_conversation_and_rubbish_is_refused_with_its_place() -> None:
    assert read_conversation(None) == Conversation()
    with pytest.raises(SpotterError, match=r"exchanges\.0\.asked: .* Start a new chat"):
        read_conversation({"exchanges": [{"asked": 5}]})


def test_the_turns_are_what_was_asked_and_the_replies_that_came() -> None:
    roles = [turn.role for turn in TALK.turns]
    assert roles == ["user", "assistant", "user", "user", "assistant"]
    assert TALK.turns[:2] == (Turn("user", "my back hurts,\nhow?"), Turn("assistant", REPLY.text))


def test_a_reply_is_marked_only_when_a_line_that_it_cites_has_changed() -> None:
    def changed(text: str) -> list[bool]:
        library = Library((replace(ARTICLE, text=text),))
        return [one.changed for one in TALK.checked(library).exchanges]

    assert changed(TEXT) == [False, False, False]
    assert changed(TEXT + " More.") == [False, False, False]
    assert changed(TEXT.replace("level", "up")) == [True, False, True]
    assert changed(TEXT.replace("Stop", "Rest")) == [True, False, True]  # the third only has the notice's line


def test_the_body_is_the_reply_without_notice_sources_and_notes() -> None:
    assert body(REPLY) == "Keep your hips level.[1]"
    declined = "> ⚠️ Check first.\n> \n> Rest.\n\nThe articles don't cover that.\n\n*A note.*"
    assert body(replace(REPLY, text=declined, answer="", claims=())) == "The articles don't cover that."


def test_citations_are_numbered_by_first_use() -> None:
    assert cited_by((Claim("One", (BACK, HIPS)), Claim("Two", (HIPS,)))) == [BACK, HIPS]


def test_the_export_holds_every_notice_answer_and_trouble() -> None:
    assert as_markdown(TALK, WORDS) == (
        f"# A conversation with Spotter\n\n*{WORDS['standing']}*\n\n"
        f"## my back hurts, how?\n\n{REPLY.text}\n\n"
        "## chest is tight\n\n> **Call.**\n\nStopped.\n\n"
        f"## that was a joke\n\n{REPLY.text}\n\n*{WORDS['changed']}*\n"
    )


def test_the_summary_holds_the_persons_words_the_flags_the_lines_and_questions_and_nothing_else() -> None:
    questions = "\n".join(f"- {question}" for question in WORDS["summary_questions"].splitlines())
    assert as_summary(TALK, WORDS, Library((ARTICLE,))) == (
        f"# Summary for a professional\n\n{WORDS['summary_about']}\n\n"
        "## What the safety check noticed\n\n- “my back hurts” (back pain)\n"
        "- “chest is tight” (chest) – taken back later\n- How it stands: see a professional\n\n"
        "## What the person wrote, in order\n\n- my back hurts, how?\n- chest is tight\n- that was a joke\n\n"
        "## Lines of the articles that were shown\n\n"
        "Plank › When to see a doctor:\n\n- “Stop if your back hurts.”\n\n"
        "Plank › Form:\n\n- “Keep your hips level.”\n\n"
        f"## Questions to ask\n\n{questions}\n"
    )
