import math
from pathlib import Path

import numpy as np
import pytest
import torch
from langchain_core.embeddings import Embeddings
from safetensors.torch import load_file, save_file

from assistant import train_reader as training
from assistant.condense import Question
from assistant.encoder import TunedLayers
from assistant.kinds import Kinds
from assistant.knowledge import Article, read_article
from assistant.reader import FILE, SIZE, Network, Reader, load_reader, make_page, page_texts, shared_words
from assistant.settings import ROOT
from assistant.types import SpotterError

TEXT = """# Plank

## Form

1. Brace the belly.
2. Squeeze the buttocks.

## Times

| Level | Hold |
|---|---|
| Newcomer | 20 seconds |

Rest for a minute between holds.
"""


@pytest.fixture
def article() -> Article:
    return read_article(TEXT, "plank")


def question(text: str) -> Question:
    return Question(text, text, text, "", 0, ())


def open_reader(encoder: Embeddings, cache: Path) -> Reader:
    return load_reader(ROOT / "knowledge" / "models", encoder, "all-MiniLM-L6-v2@53aa51172d14", cache)


def test_a_page_has_every_passage_but_table_headers_under_its_heading(article: Article) -> None:
    passages, texts, headings = page_texts(article)
    assert [p.kind for p in passages] == ["step", "step", "row", "sentence"]
    assert texts[0] == "Form. Brace the belly."
    assert headings == ["Form", "Form", "Times", "Times"]


def test_a_page_averages_over_lists_sections_and_neighbours(article: Article) -> None:
    pieces = [torch.zeros(2, SIZE)] * 4
    in_list, in_section, beside = make_page(article, pieces, pieces).around
    assert in_list[0].tolist() == [0.5, 0.5, 0.0, 0.0]
    assert in_section[3].tolist() == [0.0, 0.0, 0.5, 0.5]
    assert beside[1].tolist() == [0.5, 0.0, 0.5, 0.0]


def test_rare_words_count_more_among_those_that_are_shared(article: Article) -> None:
    pieces = [torch.zeros(2, SIZE)] * 4
    page = make_page(article, pieces, pieces)
    shares = shared_words(["squeeze the belly, wizard"], page)[0, :, 0]
    known, unknown = math.log(5 / 1.5), math.log(5 / 0.5)
    assert shares.tolist() == pytest.approx([known / (2 * known + unknown)] * 2 + [0.0, 0.0])


def test_the_line_that_answers_scores_highest(article: Article, encoder: Embeddings, tmp_path: Path) -> None:
    reader = open_reader(encoder, tmp_path)
    (reading,) = reader.read(question("How long do I pause before the next one?"), [article])
    assert reading.page.passages[int(reading.scores.argmax())].text == "Rest for a minute between holds."
    assert reading.covered > 0


def test_what_no_line_answers_is_not_covered(article: Article, encoder: Embeddings, tmp_path: Path) -> None:
    (reading,) = open_reader(encoder, tmp_path).read(question("Which shoes should I wear?"), [article])
    assert reading.covered < 0


def test_a_page_is_kept_on_disk_and_a_damaged_one_is_read_anew(
    article: Article, encoder: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_reader(encoder, tmp_path).page(article)
    (kept,) = tmp_path.glob("page-*")
    monkeypatch.setattr(TunedLayers, "__call__", lambda *_: pytest.fail("it encoded again"))
    assert torch.equal(open_reader(encoder, tmp_path).page(article).pieces, first.pieces)
    monkeypatch.undo()
    for damaged in (b"", kept.read_bytes()[:-100]):
        kept.write_bytes(damaged)
        assert torch.equal(open_reader(encoder, tmp_path).page(article).pieces, first.pieces)
        assert set(load_file(kept)) == {"pieces", "lengths"}


def test_a_question_does_not_read_otherwise_for_being_read_with_others(encoder: Embeddings) -> None:
    layers = TunedLayers(encoder)
    alone = layers(["Where do the arms go?"])[0]
    among = layers(["Where do the arms go?", "A much longer text that makes the shorter one be padded in the pass."])[0]
    assert torch.allclose(alone, among, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "says"), [("", "cannot be read"), ("other@1", "was made with the encoder all-MiniLM-L6-v2@")]
)
def test_weights_that_do_not_fit_are_named_with_the_remedy(
    name: str, says: str, encoder: Embeddings, tmp_path: Path
) -> None:
    models = ROOT / "knowledge" / "models" if name else tmp_path
    with pytest.raises(SpotterError, match=says) as caught:
        load_reader(models, encoder, name, tmp_path)
    assert "python -m assistant train" in str(caught.value)


def test_weights_of_another_shape_are_refused(encoder: Embeddings, tmp_path: Path) -> None:
    save_file({"network.scale": torch.tensor(1.0)}, tmp_path / FILE, {"encoder": "x"})
    with pytest.raises(SpotterError, match="cannot be read"):
        load_reader(tmp_path, encoder, "x", tmp_path)


def test_training_gives_the_same_weights_twice(
    kinds: Kinds, encoder: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "articles"
    folder.mkdir()
    rows = [
        '{"turns": ["how long do I rest?"], "style": "plain", "needs": [["Rest for a minute"]]}',
        '{"turns": ["what do I tighten?"], "style": "plain", "needs": [["Brace the belly"], ["Squeeze the"]]}',
        '{"turns": ["which shoes?"], "style": "near", "needs": []}',
    ]
    for stem in ("plank", "side-plank"):
        (folder / f"{stem}.md").write_text(TEXT.replace("# Plank", f"# {stem.title()}"))
        (folder / f"{stem}.jsonl").write_text("\n".join(rows))
    monkeypatch.setattr(training, "EPOCHS", 2)
    monkeypatch.setattr(training, "HELD_OUT", 2)
    found = [
        training.train_reader(folder, kinds, encoder, "x", tmp_path / name, lambda *_: None) for name in ("one", "two")
    ]
    assert found[0] == found[1]
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()
    (reading,) = load_reader(tmp_path / "one", encoder, "x", tmp_path).read(
        question("rest?"), [read_article(TEXT, "plank")]
    )
    assert np.isfinite(reading.scores).all()
    trained = load_file(tmp_path / "one" / FILE)["layers.0.attention.self.query.weight"]
    assert not torch.equal(trained, TunedLayers(encoder).upper[0].attention.self.query.weight.half())


def test_the_loss_falls_while_one_article_is_learned(kinds: Kinds, encoder: Embeddings, article: Article) -> None:
    labelled = [
        training.Labelled("a", ("how long do I rest?",), "plain", (frozenset({4}),)),
        training.Labelled("b", ("which shoes?",), "near", ()),
    ]
    torch.manual_seed(0)
    layers = TunedLayers(encoder)
    lesson, network = training.Lesson(article, labelled, kinds, layers), Network(layers.width)
    network.begin(lesson.published(layers))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = lesson.loss([0, 1], layers, network)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_the_network_begins_with_the_directions_that_differ_most() -> None:
    network = Network(SIZE + 1)
    published = torch.eye(SIZE + 1)[:SIZE].repeat(3, 1)
    network.begin(published)
    assert torch.allclose(network.project(published).norm(dim=1), torch.ones(3 * SIZE), atol=1e-4)


def test_questions_from_elsewhere_are_learned_as_not_answered(kinds: Kinds) -> None:
    def labelled(*texts: str) -> list[training.Labelled]:
        return [training.Labelled(text, (text,), "plain", (frozenset({0}),)) for text in texts]

    plank, squat = read_article(TEXT, "plank"), read_article(TEXT.replace("Plank", "Squat"), "squat")
    far = training.Labelled("far", ("how do I bake bread?",), "far", ())
    asked = labelled("squat depth?", "is a squat or plank best", "how low?")
    sets = [(plank, labelled("how long do I hold a plank?")), (squat, [*asked, far])]
    strange = {one.style: one for one in training._strange(plank, sets, kinds)}
    assert set(strange) == {"other_exercise", "far", "instructions", "small_talk"}
    assert strange["other_exercise"].turns == ("squat depth?",)
    assert strange["far"].turns == ("how do I bake bread?",)
    assert not any(one.needs for one in strange.values())
