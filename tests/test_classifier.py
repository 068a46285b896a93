"""The learned half of the screen: what it adds to the words, what it costs, and what stops it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings
from safetensors.numpy import load_file, save_file

from assistant.classifier import FILE, Classifier, Estimate, gravest, load_classifier
from assistant.encoder import InnerLayers, Window, encoder_id
from assistant.rules import load_rules
from assistant.safety import screen
from assistant.settings import ROOT
from assistant.train import (
    ALONE,
    ATTENTIONS,
    HEADS,
    HIDDEN,
    Example,
    _after_others,
    _alone,
    _head,
    _with_questions,
    read_examples,
    train,
)
from assistant.types import URGENCIES, SpotterError, Triage, Turn

RULES = load_rules(ROOT / "knowledge" / "safety")
MODELS = ROOT / "knowledge" / "models"
NAME = encoder_id("")


@pytest.fixture(scope="module")
def classifier(encoder: Embeddings) -> Classifier:
    return load_classifier(MODELS, encoder, NAME, RULES)


def level(classifier: Classifier | None, *messages: str) -> str:
    return screen([Turn("user", message) for message in messages], Triage(), RULES, classifier).level


def test_wording_that_no_list_foresees_is_heard(classifier: Classifier) -> None:
    message = "felt like a wardrobe got dropped on my ribcage at the end of the last round and it is still there"
    assert level(None, message) != "emergency"
    assert level(classifier, message) == "emergency"


def test_the_reason_of_what_only_the_examples_know_is_in_the_users_words(classifier: Classifier) -> None:
    message = "felt like a wardrobe got dropped on my ribcage at the end of the last round and it is still there"
    reasons = screen([Turn("user", message)], Triage(), RULES, classifier).reasons
    assert all(reason.quote in message for reason in reasons)
    assert "emergency" in {RULES.rules[reason.rule].level for reason in reasons}


def counting(encoder: Embeddings) -> tuple[Classifier, list[list[str]]]:
    """A classifier without memory of earlier tests, and the texts of each encoder pass it makes."""
    layers = InnerLayers(encoder)
    asked: list[list[str]] = []

    def counted(texts: list[str]) -> list[list[Window]]:
        asked.append(list(texts))
        return layers(texts)

    return Classifier(counted, load_file(MODELS / FILE), list(RULES.rules), RULES), asked  # type: ignore[arg-type]


def test_one_new_message_costs_one_pass_and_the_earlier_ones_none(encoder: Embeddings) -> None:
    classifier, asked = counting(encoder)
    classifier.estimates(["one new message", "and a second"])
    classifier.estimates(["one new message", "and a second", "and a third"])
    classifier.estimates(["and a third"])
    assert asked == [["one new message", "and a second"], ["and a third"]]


def test_after_a_symptom_a_message_still_costs_one_pass(encoder: Embeddings) -> None:
    classifier, asked = counting(encoder)
    turns = [Turn("user", "I fainted after the set")]
    first = screen(turns, Triage(), RULES, classifier)
    screen([*turns, Turn("user", "ok, and how many sets?")], first, RULES, classifier)
    assert first.level == "emergency"
    assert len(asked) == 2


def test_a_lone_surrogate_is_read_like_any_odd_letter(classifier: Classifier) -> None:
    assert level(classifier, "\ud800 I fainted just now") == "emergency"


def test_a_long_message_is_as_grave_as_its_gravest_window() -> None:
    calm = Estimate((0.93, 0.02, 0.02, 0.03), {}, 0, 0.9)
    today = Estimate((0.01, 0.03, 0.95, 0.01), {}, 7, 0.1)
    assert gravest([calm, today, calm]) == today


def test_a_long_text_is_read_to_its_end_in_windows(encoder: Embeddings) -> None:
    text = "Kick your heels to your glutes. " * 80 + "I fainted."
    (windows,) = InnerLayers(encoder)([text])
    assert len(windows) > 2
    assert text[windows[-1].starts[-3] :] in ("fainted.", "I fainted.", "ed.")
    assert all(len(window.vectors) == len(window.starts) for window in windows)


def test_what_numpy_computes_is_what_torch_has_learned() -> None:
    torch.manual_seed(0)
    names = ["chest_pain", "fainting"]
    heads = [_head(20, len(URGENCIES) + 1 + len(names)).eval() for _ in range(2)]
    stacked = {key: np.stack([head.state_dict()[key].numpy() for head in heads]) for key in heads[0].state_dict()}
    pieces = torch.randn(7, 20).half()
    estimate = Classifier(None, stacked, names, RULES)._estimate(  # type: ignore[arg-type]
        Window(pieces.numpy(), (-1, 0, 4, 9, 11, 15, -1))
    )
    with torch.inference_mode():
        outputs = torch.cat([head(pieces.float()[None], torch.ones(1, 7, dtype=torch.bool)) for head in heads])
    chances = outputs[:, : len(URGENCIES)].softmax(1).mean(0)
    assert np.allclose(estimate.chances, chances.numpy(), atol=1e-5)
    assert np.isclose(estimate.takes_back, outputs[:, len(URGENCIES)].sigmoid().mean().item(), atol=1e-5)
    assert np.allclose(list(estimate.rules.values()), outputs[:, len(URGENCIES) + 1 :].mean(0).numpy(), atol=1e-5)
    assert estimate.place in (0, 4, 9, 11, 15)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_an_emergency_in_the_words_never_makes_the_decision_milder(chances: list[float]) -> None:
    classifier = Classifier(None, load_file(MODELS / FILE), [], RULES)  # type: ignore[arg-type]
    total = sum(chances)
    estimate = Estimate(tuple(chance / total for chance in chances), {}, 0, 0.0)
    milder, graver = (URGENCIES.index(classifier.decide(estimate, said)) for said in (URGENCIES[0], URGENCIES[-1]))
    assert milder <= graver


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "another@1"}, "was made with the encoder another@1"),
        ({"rules": '["no_such_rule"]'}, "knows rules that are gone: no_such_rule"),
    ],
)
def test_weights_made_for_something_else_are_refused(change: dict[str, str], message: str, tmp_path: Path) -> None:
    about = {"encoder": NAME, "rules": json.dumps(list(RULES.rules))} | change
    save_file(load_file(MODELS / FILE), tmp_path / FILE, metadata=about)
    with pytest.raises(SpotterError, match=message) as caught:
        load_classifier(tmp_path, None, NAME, RULES)  # type: ignore[arg-type]
    assert "python -m assistant train" in str(caught.value)


def test_missing_or_damaged_weights_are_refused(tmp_path: Path) -> None:
    save_file({"weigh.bias": np.zeros(4, dtype=np.float32)}, tmp_path / "few")
    for content in (None, b"not weights", (tmp_path / "few").read_bytes()):
        if content:
            (tmp_path / FILE).write_bytes(content)
        with pytest.raises(SpotterError, match="Make it: python -m assistant train"):
            load_classifier(tmp_path, None, NAME, RULES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "my knee hurts", "urgency": "soon"}', "line 2: urgency"),
        ('{"text": "my knee hurts", "urgency": "routine", "rule": "kneee"}', "line 2: there is no rule 'kneee'"),
        ("{", "line 2: "),
    ],
)
def test_a_faulty_example_is_refused_by_its_line(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(f'{{"text": "hi", "urgency": "none"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(SpotterError, match=message):
        read_examples(tmp_path, RULES)


def test_the_shipped_examples_are_sound_and_bring_in_every_rules_own() -> None:
    examples = read_examples(ROOT / "knowledge" / "safety" / "examples", RULES)
    texts = [(example.after, example.text) for example in examples]
    assert len(texts) == len(set(texts))
    assert {example.rule for example in examples} - {""} == set(RULES.rules)
    assert all((example.urgency or example.takes_back is not None) for example in examples)
    assert {("", text) for rule in RULES.rules.values() for text in rule.examples} <= set(texts)
    assert all(example.takes_back is not None for example in examples if example.after)


def test_a_question_is_added_to_some_examples_and_changes_no_label() -> None:
    questions = [Example(text=f"How many sets of {n}?", urgency="none", takes_back=False) for n in range(3)]
    back = [Example(text=f"typo {n}", after="my chest hurts", urgency="none", takes_back=True) for n in range(50)]
    added = _with_questions([*questions, *back])
    assert 10 < len(added) < 50
    assert {(one.urgency, one.takes_back, one.group) for one in added} == {("none", True, one.group) for one in added}
    assert all(one.text.startswith(f"{one.group}. How many sets of ") for one in added)


def test_what_takes_back_is_learned_from_pairs_and_the_urgency_from_each_message_alone() -> None:
    ours = [
        Example(text="I fainted", urgency="now", rule="fainting"),
        Example(text="fasted, I mean", after="I fainted", urgency="none", takes_back=True),
        Example(text="never mind", after="I fainted", takes_back=False),
        *(Example(text=f"how many sets, {n}?", urgency="none", takes_back=False) for n in range(6)),
    ]
    alone = _alone(ours)
    assert {(one.after, one.text) for one in alone if one.urgency} == {
        ("", one.text) for one in ours if one.text != "never mind"
    }
    assert [(one.after, one.text, one.takes_back) for one in alone if not one.urgency] == [
        ("I fainted", "fasted, I mean", True),
        ("I fainted", "never mind", False),
    ]
    added = _after_others(ours)
    assert added
    assert {(one.after, one.takes_back, one.urgency) for one in added} == {("I fainted", False, None)}


class Layers:
    """Stands for the encoder: a word is one piece, and its direction is that of its first letter."""

    def __call__(self, texts: list[str]) -> list[list[Window]]:
        result = []
        for text in texts:
            words = text.split()
            starts = [sum(len(word) + 1 for word in words[:number]) for number in range(len(words))]
            vectors = np.eye(26, dtype=np.float16)[[ord(word[0].lower()) % 26 for word in words]]
            result.append([Window(vectors, tuple(starts))])
        return result


def test_training_twice_gives_the_same_weights_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.train.EPOCHS", 25)
    kinds = (("now", "xylo"), ("today", "quux"), ("routine", "vex"), ("none", "jam"))
    examples = [
        Example(text=f"{word} a{n} b{n * 7 % 5}", urgency=urgency, rule="" if urgency == "none" else "chest_pain")  # type: ignore[arg-type]
        for urgency, word in kinds
        for n in range(40)
    ] + [Example(text=f"why c{n}?", urgency="none", takes_back=False) for n in range(20)]
    shares = [train(examples, RULES, Layers(), NAME, tmp_path / str(n), lambda *_: None) for n in range(2)]  # type: ignore[arg-type]
    one, other = (load_file(tmp_path / str(n) / FILE) for n in range(2))
    assert {name: value.tobytes() for name, value in one.items()} == {
        name: value.tobytes() for name, value in other.items()
    }
    assert one["project.weight"].shape == (HEADS, ALONE, 26)
    assert one["attend.weight"].shape == (HEADS, ATTENTIONS, HIDDEN)
    assert shares[0]["examples alone"] > 0.9
