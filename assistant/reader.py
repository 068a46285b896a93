"""Reads an article with a question in mind: how likely each of its passages is to be part of the answer.

The question's word pieces are held against every passage's (late interaction, after Khattab and Zaharia, ColBERT, 2020)
in the space of an encoder whose upper layers were trained on questions about many exercises' articles. What the list,
the section and the neighbours of a passage say counts too, and "none of these" competes with all of them.
`python -m assistant train` makes the weights.
"""

import hashlib
import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, get_args
from uuid import uuid4

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from assistant.condense import Question
from assistant.encoder import TunedLayers, all_cores
from assistant.index import generic, heading_of, search_text, tokenize
from assistant.knowledge import Article
from assistant.types import Passage, PassageKind, SpotterError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

FILE = "reader.safetensors"
SIZE = 128
"""How many numbers tell what a word piece means where it stands."""
KEPT = 64
"""How many articles stay in memory, the latest used."""
TERSE = 5
"""Shorter questions count as having so many words: that one is short says no more of whether it is covered."""
KINDS: tuple[PassageKind, ...] = get_args(PassageKind)


@dataclass(frozen=True, slots=True)
class Page:
    """All that is known of an article before a question is asked; n passages, h headings."""

    passages: tuple[Passage, ...]
    """Those that can be part of an answer: all but table headers and the byline."""
    pieces: torch.Tensor
    """Unit vectors, shape (n, most pieces, SIZE), padded with zeros."""
    real: torch.Tensor
    """Which pieces are no padding, shape (n, most pieces)."""
    headings: torch.Tensor
    """A unit vector for each passage's heading, shape (n, SIZE)."""
    traits: torch.Tensor
    """Kind, nesting, label and length of each passage, shape (n, len(KINDS) + 3)."""
    around: torch.Tensor
    """What averages over a passage's list, its section and its two neighbours, shape (3, n, n)."""
    stems: tuple[frozenset[str], ...]
    """The stemmed content words of each passage."""

    def with_pieces(self, pieces: Sequence[torch.Tensor], headings: Sequence[torch.Tensor]) -> "Page":
        """The same page with other pieces."""
        padded, real = _padded(pieces)
        mean = torch.stack([functional.normalize(one.mean(dim=0), dim=0) for one in headings])
        return replace(self, pieces=padded, real=real, headings=mean)


def page_texts(article: Article) -> tuple[tuple[Passage, ...], list[str], list[str]]:
    """The passages that can answer, what is encoded for each, and the heading of each."""
    passages = tuple(passage for passage in article.passages if passage.kind not in ("header", "byline"))
    headings = [generic(heading_of(passage), article.names) for passage in passages]
    return passages, [search_text(article, passage) for passage in passages], headings


def make_page(article: Article, pieces: Sequence[torch.Tensor], headings: Sequence[torch.Tensor]) -> Page:
    """The page of an article from its texts' and headings' pieces, both in the order of `page_texts`."""
    passages, texts, _ = page_texts(article)
    n = len(passages)
    traits = torch.zeros(n, len(KINDS) + 3)
    for row, passage in zip(traits, passages, strict=True):
        row[KINDS.index(passage.kind)] = 1.0
        length = min(len(passage.text.split()), 40) / 40
        row[len(KINDS) :] = torch.tensor([float(bool(passage.parents)), float(bool(passage.label)), length])
    lists = [(passage.group, 0) if passage.group else (0, i) for i, passage in enumerate(passages)]
    sections = [passage.section for passage in passages]
    places = torch.arange(n)
    around = torch.stack([_alike(lists), _alike(sections), ((places[:, None] - places).abs() == 1).float() / 2])
    padded, real = _padded(pieces)
    mean = torch.stack([functional.normalize(one.mean(dim=0), dim=0) for one in headings])
    return Page(passages, padded, real, mean, traits, around, tuple(frozenset(tokenize(text)) for text in texts))


def _alike(keys: Sequence[object]) -> torch.Tensor:
    same = torch.tensor([[float(one == other) for other in keys] for one in keys])
    return same / same.sum(dim=1, keepdim=True)


def _padded(pieces: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    padded = nn.utils.rnn.pad_sequence(list(pieces), batch_first=True)
    lengths = torch.tensor([len(one) for one in pieces])
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def asked_text(question: Question, article: Article) -> str:
    """The question as the reader gets it: what is asked, and after it the whole message where that says more."""
    focus, text = generic(question.focus, article.names), generic(question.text, article.names)
    return focus if focus == text else f"{focus} [SEP] {text}"


def shared_words(texts: Sequence[str], page: Page) -> torch.Tensor:
    """How much of each question's content words, the rare ones counting more, each passage has.

    Shape (questions, passages, 2): as a share of the question, and as it is.
    """
    known = Counter(stem for stems in page.stems for stem in stems)
    result = torch.zeros(len(texts), len(page.passages), 2)
    for row, text in zip(result, texts, strict=True):
        rarity = {stem: np.log((len(page.stems) + 1) / (known[stem] + 0.5)) for stem in sorted(set(tokenize(text)))}
        total = sum(rarity.values()) or 1.0
        for cell, stems in zip(row, page.stems, strict=True):
            shared = sum(weight for stem, weight in rarity.items() if stem in stems)
            cell[0], cell[1] = float(shared / total), float(shared / 5)
    return result


class Network(nn.Module):
    """What is trained on top of the tuned layers; gives logits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, SIZE, bias=False)
        self.weigh = nn.Linear(SIZE, 1)
        traits = len(KINDS) + 3
        self.kind = nn.Sequential(nn.Dropout(0.3), nn.Linear(SIZE, traits))
        self.score = nn.Sequential(nn.Linear(25 + traits, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
        self.none = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
        self.scale = nn.Parameter(torch.tensor(5.0))

    def begin(self, published: torch.Tensor) -> None:
        """Begins with the directions in which published word pieces, shape (pieces, width), differ most."""
        unit = functional.normalize(published, dim=-1)
        _, directions = torch.linalg.eigh(unit.T @ unit)
        with torch.no_grad():
            self.project.weight.copy_(directions.T.flip(0)[:SIZE])
            self.weigh.weight.zero_()

    def pieces(self, layers: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Unit vectors of a text's word pieces, shape (pieces, SIZE)."""
        return [functional.normalize(self.project(one), dim=-1) for one in layers]

    def forward(self, questions: Sequence[torch.Tensor], shared: torch.Tensor, page: Page) -> torch.Tensor:
        """How much likelier each passage is part of the answer than that none is, shape (questions, passages)."""
        asked, real = _padded(questions)
        weights = self.weigh(asked)[..., 0].masked_fill(~real, -1e4).softmax(dim=1)
        cosines = torch.einsum("qih,pjh->qpij", asked, page.pieces)
        best = cosines.masked_fill(~page.real[None, :, None, :], -1).amax(dim=3)  # for each piece of the question
        forth = (best * weights[:, None]).sum(dim=2)
        back = cosines.masked_fill(~real[:, None, :, None], -1).amax(dim=2)
        back = (back * page.real).sum(dim=2) / page.real.sum(dim=1)
        meaning = functional.normalize((asked * weights[..., None]).sum(dim=1), dim=-1)
        passages = functional.normalize((page.pieces * page.real[..., None]).sum(dim=1), dim=-1)
        close = torch.stack([forth, back, meaning @ passages.T, meaning @ page.headings.T], dim=2) * self.scale
        top = close.amax(dim=1, keepdim=True)
        around = torch.einsum("kpn,qnf->qpkf", page.around, close).flatten(2)
        fitting = (self.kind(meaning)[:, None] * page.traits).sum(dim=2, keepdim=True)
        traits = page.traits.expand(len(asked), -1, -1)
        behind = shared.amax(dim=1, keepdim=True) - shared
        score = self.score(torch.cat([close, around, close - top, traits, fitting, shared, behind], dim=2))[..., 0]
        anywhere = best.amax(dim=1)
        missing = anywhere.masked_fill(~real, 2).topk(3, dim=1, largest=False).values
        covered = (anywhere * weights).sum(dim=1, keepdim=True)
        three = functional.pad(score, (0, 3), value=-20.0).topk(3, dim=1).values
        none = self.none(torch.cat([three, top[:, 0, :3], covered, missing], dim=1))
        logits: torch.Tensor = score - none
        return logits


def signals(scores: np.ndarray, shared: torch.Tensor, text: str) -> np.ndarray:
    """What tells whether a question is answered at all, from its scores, shared words and text; shape (4,)."""
    best, second = np.sort(np.append(scores, scores.min()))[:-3:-1]
    return np.array([best, second, float(shared[:, 0].max()), math.log(max(len(text.split()), TERSE) + 1)])


@dataclass(frozen=True, slots=True)
class Reading:
    """What an article holds for a question."""

    page: Page
    scores: np.ndarray
    """How much likelier each of the page's passages is part of the answer than that none is: logits."""
    covered: float
    """How much likelier it is that the article answers the question than that it does not: a logit."""


class Reader:
    """The trained network over one encoder, and the pages it has read; safe to call from several threads."""

    def __init__(self, layers: TunedLayers, network: Network, cache: Path, version: str, weights: np.ndarray) -> None:
        """`weights` are what each of the `signals` counts for, and the bias."""
        self._layers, self._network, self._cache, self._version = layers, network.eval(), cache, version
        self._weights = weights
        self._pages: OrderedDict[tuple[str, tuple[str, ...]], Page] = OrderedDict()
        self._lock = Lock()

    def read(self, question: Question, articles: Sequence[Article]) -> list[Reading]:
        """One encoder pass for the question, and one more for each article that was never read before."""
        texts = [asked_text(question, article) for article in articles]
        pages = [self.page(article) for article in articles]
        with torch.inference_mode():
            pieces = self._network.pieces(self._layers(texts))
            return [self._reading(*one) for one in zip(pages, texts, pieces, strict=True)]

    def _reading(self, page: Page, text: str, pieces: torch.Tensor) -> Reading:
        shared = shared_words([text], page)
        scores = self._network([pieces], shared, page)[0].numpy()
        covered = self._weights[:-1] @ signals(scores, shared[0], text) + self._weights[-1]
        return Reading(page, scores, float(covered))

    def page(self, article: Article) -> Page:
        """The article's page: from memory, from the cache on disk, or read now and kept there."""
        key = article.text, article.names
        with self._lock:
            if key not in self._pages:
                _, texts, headings = page_texts(article)
                digest = hashlib.sha256(repr((self._version, texts, headings)).encode()).hexdigest()[:16]
                pieces = self._pieces([*texts, *headings], self._cache / f"page-{digest}.safetensors")
                self._pages[key] = make_page(article, pieces[: len(texts)], pieces[len(texts) :])
            self._pages.move_to_end(key)
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
            return self._pages[key]

    def _pieces(self, texts: Sequence[str], path: Path) -> list[torch.Tensor]:
        """The texts' word pieces to within 1/127, as they are kept on disk; a damaged file is written anew."""
        try:
            kept = load_file(path)
            whole, lengths = kept["pieces"], kept["lengths"].tolist()
            if whole.shape != (sum(lengths), SIZE) or len(lengths) != len(texts):
                raise ValueError("it holds other texts")
        except (OSError, SafetensorError, KeyError, ValueError):
            with torch.inference_mode(), all_cores():
                pieces = self._network.pieces(self._layers(texts))
            lengths = [len(one) for one in pieces]
            whole = (torch.cat(pieces) * 127).round().to(torch.int8)
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_suffix(f".{uuid4().hex}")
            save_file({"pieces": whole, "lengths": torch.tensor(lengths)}, aside)
            aside.replace(path)
        return list(torch.split(whole.float() / 127, lengths))


def load_reader(models: Path, encoder: "Embeddings", encoder_name: str, cache: Path) -> Reader:
    """The trained reader; SpotterError when it is missing, damaged or made for another encoder."""
    path = models / FILE
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        made_with, signal_weights = about["encoder"], weights.pop("covered").numpy()
        if made_with == encoder_name:
            layers = TunedLayers(encoder)
            network = Network(layers.width)
            nn.ModuleDict({"layers": layers.upper, "network": network}).load_state_dict(weights)
            version = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise SpotterError(f"{path} cannot be read: {error}. Make it: python -m assistant train") from error
    if made_with != encoder_name:
        raise SpotterError(
            f"{path} was made with the encoder {made_with}, not {encoder_name}. Run: python -m assistant train"
        )
    return Reader(layers, network, cache, version, signal_weights)
