import shutil
from pathlib import Path

import pytest

from assistant.kinds import Kinds, load_kinds
from assistant.settings import ROOT
from assistant.types import SpotterError

QUESTIONS = ROOT / "knowledge" / "questions"


def test_every_kind_of_section_has_headings_and_examples(kinds: Kinds) -> None:
    with_headings = {kind for kind, _ in kinds.headings}
    with_examples = {example.kind for example in kinds.examples}
    assert with_headings == with_examples - {"small_talk", "instructions"}


def test_no_example_stands_twice(kinds: Kinds) -> None:
    texts = [example.text.lower() for example in kinds.examples]
    assert sorted(texts) == sorted(set(texts))


def test_a_topic_is_found_by_any_ending_of_its_starred_words(kinds: Kinds) -> None:
    calories = next(topic for topic in kinds.topics if topic.name.startswith("calories"))
    assert calories.asks.search("how many CALORIES is that")
    assert not calories.asks.search("how many seconds is that")


@pytest.mark.parametrize("text", ["squats", "push up", "push-ups", "Planking", "jumping jacks"])
def test_an_exercise_is_found_in_any_spelling_of_its_name(text: str, kinds: Kinds) -> None:
    assert kinds.exercises.search(f"how do I do {text}?")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("what does the lying rear delt raise work?", "lying rear delt raise"),
        ("sets and reps for spider curls", "spider curls"),
        ("how do I raise my knees?", None),
        ("is there a press in this?", None),
        ("do I curl up in the end", None),
    ],
)
def test_a_longer_name_is_found_where_a_noun_stands(text: str, name: str | None, kinds: Kinds) -> None:
    found = kinds.longer_names.search(text)
    assert (found and found[1]) == name


def test_words_of_the_same_meaning_are_brought_along(kinds: Kinds) -> None:
    assert "gluteus" in kinds.same_as("what does my bum do?").split()
    assert kinds.same_as("nothing of the kind") == ""


@pytest.mark.parametrize(
    ("name", "broken", "says"),
    [
        ("kinds.toml", "[kind.steps]\nheadings = []", "kind.steps.all"),
        ("topics.toml", "this is not toml", "not valid TOML"),
        ("kinds.toml", None, "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_entry(name: str, broken: str | None, says: str, tmp_path: Path) -> None:
    shutil.copytree(QUESTIONS, tmp_path / "questions")
    path = tmp_path / "questions" / name
    path.unlink() if broken is None else path.write_text(broken)
    with pytest.raises(SpotterError, match=says) as caught:
        load_kinds(tmp_path / "questions")
    assert name in str(caught.value)
