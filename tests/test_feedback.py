import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_conversation import REPLY, TALK
from typer.testing import CliRunner

from assistant.__main__ import app
from assistant.conversation import Conversation, Exchange
from assistant.feedback import as_cases, feedback_on, keep, kept
from assistant.types import SpotterError

PRAISED = feedback_on(TALK, 0, "up", "It is clear and short", consent=True)
BLAMED = feedback_on(TALK, 2, "down", "x" * 500, consent=False)


def test_without_consent_only_the_outcome_and_the_places_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "feedback.sqlite"
    keep(PRAISED, path)
    keep(BLAMED, path)
    assert kept(path) == [PRAISED, BLAMED]
    assert (PRAISED.turns, PRAISED.reply, PRAISED.cited) == (
        ("my back hurts,\nhow?",),
        REPLY.text,
        (("plank", 18, 39),),
    )
    assert (BLAMED.turns, BLAMED.reply, BLAMED.outcome, BLAMED.level) == (None, None, "answered", "consult")
    assert len(BLAMED.reason) == 200
    assert b"joke" not in path.read_bytes()


@pytest.mark.parametrize(("number", "verdict"), [(1, "up"), (3, "up"), (-1, "up"), (0, "sideways")])
def test_feedback_on_what_is_no_reply_is_refused(number: int, verdict: str) -> None:
    with pytest.raises(SpotterError, match="no such reply"):
        feedback_on(TALK, number, verdict, "", consent=True)


def test_there_is_none_before_there_is_a_file_and_another_file_is_refused(tmp_path: Path) -> None:
    assert kept(tmp_path / "none.sqlite") == []
    other = tmp_path / "notes.txt"
    other.write_text("not a database, and long enough to be read as one" * 20)
    with pytest.raises(SpotterError, match="Set SPOTTER_FEEDBACK to another file"):
        kept(other)


def test_only_what_may_be_used_becomes_a_case() -> None:
    blamed = replace(BLAMED, turns=("one", "two"), cited=(), reason="no")
    assert as_cases([PRAISED, BLAMED, blamed]) == [
        {
            "id": "feedback-1",
            "turns": ["my back hurts,\nhow?"],
            "style": "feedback",
            "expect": "answered",
            "article": "plank",
            "note": "It is clear and short",
        },
        {
            "id": "feedback-3",
            "turns": ["one", "two"],
            "style": "feedback",
            "expect": "",
            "article": "",
            "note": "no",
        },
    ]


def test_the_command_lists_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cases = tmp_path / "feedback.sqlite", tmp_path / "cases.jsonl"
    monkeypatch.setenv("SPOTTER_FEEDBACK", str(path))
    monkeypatch.setenv("COLUMNS", "200")
    keep(feedback_on(Conversation("1", exchanges=(Exchange("[b]how?", REPLY),)), 0, "down", "Wrong lines", True), path)
    keep(BLAMED, path)
    listed = CliRunner().invoke(app, ["feedback"]).output
    for words in ("Wrong lines", "plank", "[b]how?", "(not kept)"):
        assert words in listed
    assert "1 of 2 with their messages" in CliRunner().invoke(app, ["feedback", "--export", str(cases)]).output
    assert [json.loads(line)["turns"] for line in cases.read_text().splitlines()] == [["[b]how?"]]
