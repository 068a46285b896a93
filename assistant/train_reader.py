"""`python -m assistant train`: the reader's weights from labelled questions about many articles, seeded and offline."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from assistant.answer import LIKELY
from assistant.condense import Speller, condense
from assistant.encoder import TunedLayers, all_cores
from assistant.kinds import Kinds
from assistant.knowledge import Article, Library, name_pattern, plain, read_article
from assistant.reader import FILE, Network, asked_text, make_page, page_texts, shared_words, signals
from assistant.types import SpotterError, Turn

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

Set = TypeVar("Set")

EPOCHS, BATCH = 4, 100
RATE, ENCODER_RATE = 2e-3, 8e-5
HELD_OUT = 10
"""Every how many-th article is kept out of the training, to set the threshold by."""
DECLINED = 0.03
"""The share of answerable questions about those articles that the threshold may decline."""
AGAIN = 6
"""How many questions about an article are asked again with its exercise's name, and how many mistyped."""
STRANGE = {"other_exercise": 4, "far": 4, "instructions": 1, "small_talk": 1}
"""How many questions from elsewhere, which it does not answer, are put to each article."""
NEEDED = 5.0
"""What a passage that is needed counts for beside one that is not."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A conversation about an article and the lines that answer its last message."""

    id: str
    turns: tuple[str, ...]
    style: str
    needs: tuple[frozenset[int], ...]
    """The facts of a good answer, each as the places in `article.passages` that state it; none if nothing does."""
    okay: frozenset[int] = frozenset()
    """Further passages that may stand in the answer."""


def load_labelled(path: Path, exercises: re.Pattern[str] | None = None) -> tuple[Article, list[Labelled]]:
    """The article beside a file of questions, and these; SpotterError names a line that no passage of it begins."""
    article = read_article(path.with_suffix(".md").read_text(encoding="utf-8"), path.stem, exercises)
    labels = [_bare(passage.label) if passage.kind == "faq" else "" for passage in article.passages]
    starts = [_bare(article.text[passage.start : passage.end]) for passage in article.passages]

    def place(line: str, number: int) -> int:
        found = [i for i, start in enumerate(starts) if start.startswith(_bare(line))]
        found = found or [
            i
            for i, label in enumerate(labels)
            if label and (label.startswith(_bare(line)) or _bare(line).startswith(label))
        ]
        found = found or [i for i, start in enumerate(starts) if _bare(line) in start]
        if not found:
            raise SpotterError(f"{path}: line {number}: no line of the article begins with {line!r}.")
        return found[0]

    result = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(text)
        needs = tuple(frozenset(place(line, number) for line in fact) for fact in row["needs"])
        okay = frozenset(place(line, number) for line in row.get("okay", []))
        result.append(Labelled(f"{path.stem}-{number:02}", tuple(row["turns"]), row["style"], needs, okay))
    return article, result


def _bare(text: str) -> str:
    """A line without markup and table bars at its ends, as its label and the article may differ in them."""
    return plain(text).strip("| ").lower()


def held_out(sets: Sequence[Set]) -> Sequence[Set]:
    """Those of the articles in order that are kept out of the training."""
    return sets[HELD_OUT // 2 :: HELD_OUT]


def _strange(article: Article, sets: Sequence[tuple[Article, Sequence[Labelled]]], kinds: Kinds) -> list[Labelled]:
    """Messages that an article does not answer: about other articles' exercises, far ones, and no questions at all."""
    own = name_pattern(article.names)
    others = [(other, one) for other, labelled in sets for one in labelled if other is not article]
    named = [one.turns[-1] for other, one in others if name_pattern(other.names).search(one.turns[-1])]
    found = {"other_exercise": named, "far": [one.turns[-1] for _, one in others if one.style == "far"]}
    found |= {kind: [e.text for e in kinds.examples if e.kind == kind] for kind in ("instructions", "small_talk")}
    rng = np.random.default_rng(len(article.text))
    result = []
    for style, texts in found.items():
        texts = [text for text in texts if not own.search(text)]
        chosen = rng.permutation(len(texts))[: STRANGE[style]]
        result += [Labelled(f"{article.stem}-{style}-{i}", (texts[i],), style, ()) for i in chosen]
    return result


def _again(article: Article, labelled: Sequence[Labelled]) -> list[Labelled]:
    """Some of the questions once more: naming the exercise, as people do who ask out of the blue, and mistyped."""
    rng = np.random.default_rng(len(article.text))
    about = [i for i, one in enumerate(labelled) if one.style not in STRANGE]
    chosen = rng.permutation(about)[: 2 * AGAIN].tolist()
    name = article.exercise.lower()
    frames = (f"{name} {{}}", f"{name}: {{}}", f"{{}} {name}", f"in {name}, {{}}", f"{{}} (for {name})")
    result = []
    for number, i in enumerate(chosen):
        one = labelled[i]
        last = str(rng.choice(frames)).format(one.turns[-1]) if number < AGAIN else _mistyped(one.turns[-1], rng)
        result.append(replace(one, id=f"{one.id}-again", turns=(*one.turns[:-1], last)))
    return result


def _mistyped(text: str, rng: np.random.Generator) -> str:
    """The text with a quarter of its longer words misspelt: two letters swapped, one left out, or one doubled."""

    def slip(found: re.Match[str]) -> str:
        word, at = found[0], int(rng.integers(1, len(found[0]) - 1))
        slips = (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at - 1 :],
        )
        return str(rng.choice(slips)) if rng.random() < 0.25 else word

    return re.sub(r"[a-z]{4,}", slip, text)


class Lesson:
    """One article with its questions; what the layers below the trained ones make of them is computed once."""

    def __init__(self, article: Article, labelled: Sequence[Labelled], kinds: Kinds, layers: TunedLayers) -> None:
        self.article, self.labelled = article, labelled
        library = Library((article,))
        speller = Speller(library, kinds)
        turns = [[Turn("user", text) for text in one.turns] for one in labelled]
        self.texts = [asked_text(condense(one, library, speller), article) for one in turns]
        passages, texts, headings = page_texts(article)
        self._distinct = list(dict.fromkeys(headings))
        self._heading_of = [self._distinct.index(heading) for heading in headings]
        self._lower = [one.half() for one in layers.lower([*self.texts, *texts, *self._distinct])]
        self._page = make_page(article, [torch.zeros(1, 1)] * len(texts), [torch.zeros(1, 1)] * len(texts))
        self.shared = shared_words(self.texts, self._page)
        place = {article.passages.index(passage): number for number, passage in enumerate(passages)}
        self.needed = torch.zeros(len(labelled), len(passages))
        self.counts = torch.ones(len(labelled), len(passages))
        for row, one in enumerate(labelled):
            self.counts[row, [place[i] for i in one.okay if i in place]] = 0.0
            needs = [place[i] for fact in one.needs for i in fact if i in place]
            self.needed[row, needs] = self.counts[row, needs] = 1.0

    def published(self, layers: TunedLayers) -> torch.Tensor:
        """All its pieces as the encoder sees them before it is trained, shape (pieces, width)."""
        with torch.inference_mode():
            return torch.cat(layers.upper_of([one.float() for one in self._lower]))

    def scores(self, rows: Sequence[int], layers: TunedLayers, network: Network) -> torch.Tensor:
        """What the network says of some of the questions, shape (rows, passages)."""
        asked, lines = [self._lower[row] for row in rows], self._lower[len(self.labelled) :]
        pieces = network.pieces(layers.upper_of([one.float() for one in (*asked, *lines)]))
        texts, distinct = pieces[len(rows) : -len(self._distinct)], pieces[-len(self._distinct) :]
        page = self._page.with_pieces(texts, [distinct[i] for i in self._heading_of])
        scores: torch.Tensor = network(pieces[: len(rows)], self.shared[list(rows)], page)
        return scores

    def loss(self, rows: Sequence[int], layers: TunedLayers, network: Network) -> torch.Tensor:
        """How wrong the scores of some questions are, passage by passage and as one choice among all and none."""
        scores = self.scores(rows, layers, network)
        needed, counts = self.needed[list(rows)], self.counts[list(rows)]
        weights = counts * (1 + (NEEDED - 1) * needed)
        each = functional.binary_cross_entropy_with_logits(scores, needed, weights, reduction="sum")
        nothing = torch.zeros(len(rows), 1)
        among = torch.cat([scores.masked_fill(counts == 0, -1e4), nothing], dim=1).log_softmax(dim=1)
        right = torch.cat([needed, (needed.sum(dim=1, keepdim=True) == 0).float()], dim=1)
        choice = -(among * right).sum(dim=1) / right.sum(dim=1)
        return each / (8 * len(rows)) + choice.mean()


def train_reader(
    folder: Path,
    kinds: Kinds,
    encoder: "Embeddings",
    encoder_name: str,
    target: Path,
    progress: Callable[[str, int, int], None],
) -> dict[str, float]:
    """Writes the reader's weights into `target`; gives what it does with the articles that are held out of training.

    `progress(what, done, total)` is told how far it is. The same questions, encoder and machine give the same weights.
    """
    torch.manual_seed(0)
    layers = TunedLayers(encoder)
    network = Network(layers.width)
    sets = [load_labelled(path, kinds.exercises) for path in sorted(folder.glob("*.jsonl"))]
    lessons = []
    with all_cores():
        for number, (article, labelled) in enumerate(sets):
            progress("Encoding", number, len(sets))
            more = [*_again(article, labelled), *_strange(article, sets, kinds)]
            lessons.append(Lesson(article, [*labelled, *more], kinds, layers))
        network.begin(lessons[0].published(layers))
        kept_out = held_out(lessons)
        _fit([lesson for lesson in lessons if lesson not in kept_out], layers, network, progress)
        signal_weights, found = _judge(kept_out, layers, network)
    weights = nn.ModuleDict({"layers": layers.upper, "network": network}).state_dict()
    target.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.half().contiguous() for name, value in weights.items()}
    tensors["covered"] = torch.tensor(signal_weights)
    save_file(tensors, target / FILE, metadata={"encoder": encoder_name})
    return found


def _fit(lessons: Sequence[Lesson], layers: TunedLayers, network: Network, progress: Callable[..., None]) -> None:
    rng = np.random.default_rng(0)
    batches = [(lesson, part) for lesson in lessons for part in range(-(-len(lesson.labelled) // BATCH))]
    optimizer = torch.optim.AdamW(
        [
            {"params": layers.upper.parameters(), "lr": ENCODER_RATE, "weight_decay": 0.01},
            {"params": network.parameters(), "lr": RATE, "weight_decay": 0.1},
        ]
    )
    steps = EPOCHS * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [ENCODER_RATE, RATE], total_steps=steps, pct_start=0.2)
    layers.upper.train()
    network.train()
    for epoch in range(EPOCHS):
        rows = {id(lesson): rng.permutation(len(lesson.labelled)) for lesson in lessons}
        for done, number in enumerate(rng.permutation(len(batches))):
            progress("Training", epoch * len(batches) + done, steps)
            lesson, part = batches[number]
            chosen = np.array_split(rows[id(lesson)], -(-len(lesson.labelled) // BATCH))[part].tolist()
            loss = lesson.loss(chosen, layers, network)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([*layers.upper.parameters(), *network.parameters()], 1.0)
            optimizer.step()
            schedule.step()
    layers.upper.eval()
    network.eval()


def _judge(lessons: Sequence[Lesson], layers: TunedLayers, network: Network) -> tuple[np.ndarray, dict[str, float]]:
    """What the signals of an answered question count for, so that 0 declines few of them, and what comes of it."""
    from sklearn.linear_model import LogisticRegression

    found, answered, every = [], [], []
    with torch.inference_mode():
        for lesson in lessons:
            scores = lesson.scores(range(len(lesson.labelled)), layers, network)
            rows = zip(scores, lesson.needed.bool(), lesson.shared, lesson.texts, strict=True)
            for row, needed, shared, text in rows:
                found.append(signals(row.numpy(), shared, text))
                answered.append(bool(needed.any()))
                every += [bool((row > LIKELY)[needed].all())] if answered[-1] else []
    is_answered = np.array(answered)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(np.array(found), is_answered)
    threshold = np.quantile(model.decision_function(np.array(found))[is_answered], DECLINED)
    weights = np.append(model.coef_[0], model.intercept_[0] - threshold)
    declined = np.array(found) @ weights[:-1] + weights[-1] < 0
    return weights, {
        "answerable questions whose every needed passage is likely": float(np.mean(every)),
        "answerable questions declined": float(declined[is_answered].mean()),
        "unanswerable questions declined": float(declined[~is_answered].mean()),
    }
