import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assistant.__main__ import _cases, app
from assistant.pipeline import Assistant
from assistant.respond import reply_json
from assistant.settings import ROOT, Settings
from assistant.types import SpotterError

ARTICLE = (
    "# Toe Taps\n\n## How to do toe taps\n\n1. Stand in front of a step.\n2. Tap it with one foot, then the other.\n"
)


@pytest.fixture
def run(assistant: Assistant, session_settings: Settings, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Runs a command in this process, with the session's encoder, rules and cache."""
    monkeypatch.setattr("assistant.index.load_encoder", lambda name="": assistant.index.encoder)
    monkeypatch.setattr("assistant.pipeline.load_rules", lambda folder: assistant.rules)
    monkeypatch.setenv("SPOTTER_CACHE", str(session_settings.cache))
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return invoke


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom assistant.__main__ import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'torch', 'chromadb', 'gradio', 'langchain_core', 'numpy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_ask_prints_the_answer_with_its_sources(run) -> None:  # type: ignore[no-untyped-def]
    shown = run("ask", "What muscles do heel kicks work?")
    assert shown.exit_code == 0
    for words in ("Gluteus Maximus", "Hip Flexors", "[6]", "Sources"):
        assert words in shown.output


def test_ask_as_json_is_the_reply(run, assistant: Assistant) -> None:  # type: ignore[no-untyped-def]
    shown = json.loads(run("ask", "elbow angle?", "--json").stdout)
    expected = json.loads(json.dumps(reply_json(assistant.reply("elbow angle?"))))
    assert {**shown, "seconds": 0} == {**expected, "seconds": 0}


def test_index_shows_how_an_article_was_understood(run) -> None:  # type: ignore[no-untyped-def]
    shown = run("index", "--show", "heel-kicks")
    assert shown.exit_code == 0
    consult_lines = shown.output.split("Consult lines:")[1]
    assert "Pain: Any sharp or persistent pain" in consult_lines
    assert "Landing Heavily" not in consult_lines


def test_an_unknown_article_is_named_with_those_there_are(run) -> None:  # type: ignore[no-untyped-def]
    error = run("index", "--show", "squats").exception
    assert isinstance(error, SpotterError)
    assert str(error) == "There is no article 'squats'. There are: heel-kicks."


def test_doctor_finds_nothing_degraded(run) -> None:  # type: ignore[no-untyped-def]
    shown = run("doctor")
    assert (shown.exit_code, shown.output.splitlines()[-1]) == (0, "Nothing is degraded.")


def test_doctor_names_what_is_degraded(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "toe-taps.md").write_text(ARTICLE)
    (tmp_path / "broken.md").write_bytes(b"\xff\xfe")
    shown = run("doctor", "--articles", str(tmp_path))
    assert shown.exit_code == 1
    assert "broken.md: not UTF-8 text" in shown.output
    assert "toe-taps: no lines on when to consult a professional were found." in shown.output


def test_chat_holds_a_conversation(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    shown = CliRunner().invoke(app, ["chat"], input="my chest feels tight\nok, how many sets?\n\n")
    assert shown.exit_code == 0
    assert shown.output.count("Stop exercising") == 2


def test_batch_replays_each_line_and_names_the_bad_ones(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [
        '{"id": "a", "turns": ["How long should I do heel kicks in a warm-up?", "and for hiit?"]}',
        "not json",
        "",
        '{"id": "a", "turns": ["again"]}',
        '{"id": "b", "turns": ["my chest feels tight", "ok, how many sets?"]}',
    ]
    source.write_text("\n".join(lines))
    done = run("batch", str(source), str(target), "--hold-out-faq")
    assert done.exit_code == 1
    faults = done.stderr.splitlines()
    assert faults[0].startswith("line 2: not JSON")
    assert faults[1] == 'line 4: the id "a" was used before'
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], [reply["outcome"] for reply in row["replies"]]) for row in rows] == [
        ("a", ["answered", "answered"]),
        ("b", ["referred", "referred"]),
    ]
    assert "30-60 seconds" in rows[0]["replies"][1]["answer"]


def test_batch_answers_from_another_folder(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    articles = tmp_path / "articles"
    articles.mkdir()
    (articles / "toe-taps.md").write_text(ARTICLE)
    (articles / "photo.jpg").write_bytes(b"\x00")
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": "x", "turns": ["How do I do toe taps?"]}\n')
    assert run("batch", str(source), str(target), "--articles", str(articles)).exit_code == 0
    reply = json.loads(target.read_text())["replies"][0]
    assert [claim["citations"][0]["article"] for claim in reply["claims"]] == ["toe-taps", "toe-taps"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "not an object"),
        ('{"id": 1, "turns": ["x"]}', '"id" must be a string'),
        ('{"turns": ["x"]}', '"id" must be a string'),
        ('{"id": "x"}', '"turns" must be a non-empty list of strings'),
        ('{"id": "x", "turns": []}', '"turns" must be a non-empty list of strings'),
        ('{"id": "x", "turns": ["a", 1]}', '"turns" must be a non-empty list of strings'),
    ],
)
def test_a_bad_batch_line_is_named_with_its_reason(line: str, reason: str) -> None:
    good = '{"id": "good", "turns": ["hi"]}'
    assert _cases([good, line]) == ([{"id": "good", "turns": ["hi"]}], [f"line 2: {reason}"])


def test_what_an_operator_must_fix_is_shown_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "assistant", "ask", "x", "--articles", str(tmp_path / "none")]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 2
    assert shown.stderr.startswith("spotter: There is no folder")
    assert "Traceback" not in shown.stderr
