"""The learned half of the safety screen: what example messages teach about wordings that no list foresees.

A message's word pieces, as the encoder's inner layers see them, are joined with their neighbours and gathered by a few
learned attentions into one vector, from which the urgency, the likeliest rule and the chance that something is taken
back are read. Several such heads, each trained without one part of the examples, are averaged; what they say of the
part that they have not seen calibrates how much they count beside the words. `python -m assistant train` makes them.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assistant.encoder import InnerLayers, Window
from assistant.rules import Rules
from assistant.types import URGENCIES, SpotterError, Urgency

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

FILE = "safety.safetensors"
THRESHOLDS = (0.0, 0.4, 0.5, 0.22)
"""The chance of at least each urgency from which it is given; chosen on the dev halves of evals/cases."""
KEPT = 512
"""How many messages' estimates are remembered, by the hash of their text, since every turn screens the earlier ones."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the examples say of one message."""

    chances: tuple[float, ...]
    """Of each urgency, in the order of URGENCIES."""
    rules: Mapping[str, float]
    """How well each rule fits, higher being better."""
    place: int
    """Where in the text the word begins that weighed most."""
    takes_back: float
    """For an earlier message and a later one, joined: the chance that the later takes back the earlier."""


class Classifier:
    """The trained heads over one encoder; safe to call from several threads."""

    def __init__(
        self, layers: InnerLayers, weights: Mapping[str, np.ndarray], names: Sequence[str], rules: Rules
    ) -> None:
        """`names` are the rules that the rows of the weights stand for."""
        self._layers, self._names, self._rules = layers, names, rules.rules
        self._weights = {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}
        self._heads, _, width = self._weights["project.weight"].shape
        # The first step is the longest: one product for all heads.
        self._project = np.ascontiguousarray(self._weights["project.weight"].reshape(-1, width).T)
        self._known: OrderedDict[bytes, Estimate] = OrderedDict()
        self._lock = threading.Lock()

    def estimates(self, texts: Sequence[str]) -> list[Estimate]:
        """One estimate a text, in at most one encoder pass for those not seen lately."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        with self._lock:
            new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
            if new:
                for key, windows in zip(new, self._layers(list(new.values())), strict=True):
                    self._known[key] = gravest([self._estimate(window) for window in windows])
            found = [self._known[key] for key in keys]
            for key in keys:
                self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def takes_back(self, earlier: str, later: str) -> float:
        """The chance that a message takes back what was written earlier."""
        return self.estimates([joined(earlier, later)])[0].takes_back

    def decide(self, estimate: Estimate, said: Urgency) -> Urgency:
        """The urgency of a message whose words alone come to `said`."""
        weights = self._weights
        evidence = np.concatenate([np.log(np.array(estimate.chances) + 1e-4), [said == one for one in URGENCIES]])
        chances = _softmax(weights["weigh.weight"] @ evidence + weights["weigh.bias"])
        reached = np.cumsum(chances[::-1])[::-1] >= THRESHOLDS  # the chance of at least this urgency
        return URGENCIES[int(np.flatnonzero(reached)[-1])]

    def rule_of(self, estimate: Estimate, urgency: Urgency) -> str:
        """The rule that fits a message of this urgency best; a red flag's rule where it is past or supposed."""
        fitting = [rule for rule in estimate.rules if self._rules[rule].urgency in (urgency, "now")]
        return max(fitting, key=estimate.rules.__getitem__)

    def _estimate(self, window: Window) -> Estimate:
        weights, pieces = self._weights, window.vectors.astype(np.float32)

        def linear(name: str, values: np.ndarray) -> np.ndarray:
            product = values @ weights[f"{name}.weight"].transpose(0, 2, 1)
            return np.asarray(product + weights[f"{name}.bias"][:, None])

        projected = (pieces @ self._project).reshape(len(pieces), self._heads, -1).transpose(1, 0, 2)
        alone = np.maximum(projected + weights["project.bias"][:, None], 0)  # heads, pieces, channels
        nothing = np.zeros_like(alone[:, :1])
        before, after = np.hstack([nothing, alone[:, :-1]]), np.hstack([alone[:, 1:], nothing])
        hidden = np.maximum(linear("join", np.concatenate([before, alone, after], axis=2)), 0)
        scores = linear("attend", hidden)
        attention = _softmax(scores, axis=1)  # heads, pieces, attentions
        gathered = (attention.transpose(0, 2, 1) @ hidden).reshape(len(hidden), -1)
        features = np.concatenate([gathered, hidden.mean(axis=1)], axis=1)
        output = np.einsum("kof,kf->ko", weights["read.weight"], features) + weights["read.bias"]
        urgency, takes_back, rules = np.split(output, [len(URGENCIES), len(URGENCIES) + 1], axis=1)
        weight = attention.mean(axis=(0, 2)) * (np.array(window.starts) >= 0)
        return Estimate(
            chances=tuple(map(float, _softmax(urgency).mean(axis=0))),
            rules=dict(zip(self._names, map(float, rules.mean(axis=0)), strict=True)),
            place=max(window.starts[int(weight.argmax())], 0),
            takes_back=float((1 / (1 + np.exp(-takes_back))).mean()),
        )


def joined(earlier: str, later: str) -> str:
    """What someone wrote and what they wrote after it as the encoder reads a pair of sentences."""
    return f"{earlier} [SEP] {later}" if earlier else later


def gravest(estimates: Sequence[Estimate]) -> Estimate:
    """What a text comes to whose windows were estimated one by one; it takes back only what all of them do."""
    grave = max(estimates, key=lambda one: float(np.dot(one.chances, range(len(URGENCIES)))))
    return replace(grave, takes_back=min(one.takes_back for one in estimates))


def _softmax(values: np.ndarray, axis: int = -1) -> np.ndarray:
    raised = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(raised / raised.sum(axis=axis, keepdims=True))


TENSORS = {f"{part}.{what}" for part in ("project", "join", "attend", "read", "weigh") for what in ("weight", "bias")}


def load_classifier(models: Path, encoder: "Embeddings", encoder_name: str, rules: Rules) -> Classifier:
    """The trained classifier; SpotterError when it is missing, damaged or made for another encoder or other rules."""
    from safetensors import SafetensorError, safe_open

    path = models / FILE
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        names, made_with = json.loads(about["rules"]), about["encoder"]
        if set(weights) != TENSORS or weights["weigh.weight"].shape != (len(URGENCIES), 2 * len(URGENCIES)):
            raise ValueError("it holds other weights than these")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise SpotterError(f"{path} cannot be read: {error}. Make it: python -m assistant train") from error
    if made_with != encoder_name:
        raise SpotterError(
            f"{path} was made with the encoder {made_with}, not {encoder_name}. Run: python -m assistant train"
        )
    if unknown := set(names) - set(rules.rules):
        gone = ", ".join(sorted(unknown))
        raise SpotterError(f"{path} knows rules that are gone: {gone}. Run: python -m assistant train")
    return Classifier(InnerLayers(encoder), weights, names, rules)
