"""`python -m assistant train`: the classifier's weights from the example messages, seeded and offline."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.classifier import FILE, joined
from assistant.encoder import InnerLayers, all_cores
from assistant.lexicon import Message, listen
from assistant.rules import Rules
from assistant.types import URGENCIES, SpotterError, Urgency

if TYPE_CHECKING:
    import torch

HEADS = 4
"""How many heads are trained, each without one part of the examples."""
ALONE, HIDDEN, ATTENTIONS = 96, 64, 6
EPOCHS, BATCH, RATE = 10, 32, 2e-3
DROPOUT = 0.5
RULE_WEIGHT, BACK_WEIGHT = 0.3, 0.5
"""What naming the rule and noticing a take-back count beside the urgency while training."""


class Example(BaseModel):
    """One message: its urgency and the rule it falls under, or whether it takes back what was said before, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    urgency: Urgency | None = None
    rule: str = ""
    takes_back: bool | None = None
    after: str = ""
    """What was said before, where the message is one that takes it back or seems to."""
    group: str = ""
    """Examples of one group differ in meaning only; they are held out together."""
    studied: bool = False
    """The word lists were widened with this one in view, so that it says nothing of how far they can be trusted."""


def read_examples(folder: Path, rules: Rules) -> list[Example]:
    """The examples in `*.jsonl`, and the rules' own; SpotterError names the file and line that is wrong."""
    examples = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                example = Example.model_validate_json(line)
            except ValidationError as error:
                fault = error.errors()[0]
                place = ".".join(map(str, fault["loc"]))
                raise SpotterError(f"{path}: line {number}: {place}: {fault['msg']}") from error
            if example.rule and example.rule not in rules.rules:
                raise SpotterError(f"{path}: line {number}: there is no rule {example.rule!r}.")
            examples.append(example)
    own = [
        Example(text=text, urgency=rule.urgency, rule=rule.id, studied=True)
        for rule in rules.rules.values()
        for text in rule.examples
    ]
    return list({(example.after, example.text): example for example in [*own, *examples]}.values())


def train(
    examples: Sequence[Example],
    rules: Rules,
    layers: InnerLayers,
    encoder_name: str,
    target: Path,
    progress: Callable[[str, int, int], None],
) -> dict[str, float]:
    """Writes the classifier's weights into `target`; gives the share of levels that the held-out parts get right.

    `progress(what, done, total)` is told how far it is. The same examples, encoder and machine give the same weights.
    """
    import torch
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    names = list(rules.rules)
    examples = [*examples, *_with_questions(examples)]
    examples = [*_alone(examples), *_after_others(examples)]
    encoded = _encoded(examples, layers, progress)
    folds = _folds(examples)
    seen_not = np.zeros((len(examples), len(URGENCIES)))
    heads = []
    with all_cores():
        for fold in range(HEADS):
            torch.manual_seed(fold)
            progress("Training", fold, HEADS)
            head = _fit([i for i in range(len(examples)) if folds[i] != fold], fold, examples, encoded, names)
            heads.append({name: value.numpy() for name, value in head.state_dict().items()})
            held_out = [i for i in range(len(examples)) if folds[i] == fold]
            seen_not[held_out] = _chances(head, held_out, encoded)
    said = [_said(example, rules) for example in examples]
    calibrating = [i for i, one in enumerate(examples) if one.urgency and not one.studied]
    evidence = np.hstack([np.log(seen_not + 1e-4), np.array([[one == u for u in URGENCIES] for one in said])])
    labels = np.array([URGENCIES.index(examples[i].urgency or "none") for i in calibrating])
    weigh = LogisticRegression(C=1.0, max_iter=1000).fit(evidence[calibrating], labels)

    weights = {name: np.stack([head[name] for head in heads]).astype(np.float16) for name in heads[0]}
    weights |= {"weigh.weight": weigh.coef_, "weigh.bias": weigh.intercept_}
    weights = {name: np.ascontiguousarray(value) for name, value in weights.items()}
    target.mkdir(parents=True, exist_ok=True)
    save_file(weights, target / FILE, metadata={"encoder": encoder_name, "rules": json.dumps(names)})

    def right(chances: np.ndarray) -> float:
        level = np.array([0, 1, 1, 2])  # routine and today are one level
        return float((level[chances.argmax(axis=1)] == level[labels]).mean())

    alone = np.eye(len(URGENCIES))[[URGENCIES.index(said[i]) for i in calibrating]]
    return {
        "words alone": right(alone),
        "examples alone": right(seen_not[calibrating]),
        "both": right(cross_val_predict(weigh, evidence[calibrating], labels, cv=5, method="predict_proba")),
    }


def _with_questions(examples: Sequence[Example]) -> list[Example]:
    """Some of the examples again, with an ordinary question before or after, as people write them."""
    rng = np.random.default_rng(0)
    questions = [e.text for e in examples if e.urgency == "none" and e.takes_back is False and e.text.endswith("?")]
    result = []
    for example in examples:
        later = bool(example.after)
        share = 0.6 if later else 0.12
        if example.text not in questions and len(example.text) < 200 and rng.random() < share:
            parts = [example.text, str(rng.choice(questions))]
            if rng.random() < 0.25 and not later:
                parts.reverse()
            joined = " ".join(part if part[-1] in ".!?" else f"{part}." for part in parts)
            held_out_with = example.group or example.text
            result.append(example.model_copy(update={"text": joined, "studied": True, "group": held_out_with}))
    return result


def _alone(examples: Sequence[Example]) -> list[Example]:
    """Every message with an urgency without what came before, and every one with what came before for that alone."""
    alone = [example.model_copy(update={"after": "", "takes_back": None}) for example in examples if example.urgency]
    paired = [example.model_copy(update={"urgency": None, "rule": ""}) for example in examples if example.after]
    return [*alone, *paired]


def _after_others(examples: Sequence[Example]) -> list[Example]:
    """Messages that take nothing back, each after one that reports something."""
    rng = np.random.default_rng(1)
    reports = [e.text for e in examples if e.urgency in URGENCIES[1:] and len(e.text) < 80]
    later = [e for e in examples if not e.after and (e.takes_back is False or e.urgency in URGENCIES[1:])]
    chosen: list[int] = rng.permutation(len(later))[: len(later) // 3].tolist() if reports else []
    return [
        Example(
            text=later[i].text, takes_back=False, after=str(rng.choice(reports)), group=later[i].group or later[i].text
        )
        for i in chosen
    ]


class _Encoded:
    """All examples' word pieces in one tensor, and where each example's begin."""

    def __init__(self, pieces: "torch.Tensor", starts: np.ndarray, lengths: np.ndarray) -> None:
        self.pieces, self.starts, self.lengths = pieces, starts, lengths

    def batch(self, chosen: Sequence[int]) -> "tuple[torch.Tensor, torch.Tensor]":
        """The examples' pieces padded to the longest, and which of them are real."""
        import torch

        steps = torch.arange(int(self.lengths[chosen].max()))
        lengths = torch.tensor(self.lengths[chosen])[:, None]
        at = torch.tensor(self.starts[chosen])[:, None] + torch.minimum(steps, lengths - 1)
        return self.pieces[at].float(), steps < lengths


def _encoded(examples: Sequence[Example], layers: InnerLayers, progress: Callable[[str, int, int], None]) -> _Encoded:
    import torch

    pieces, chunk = [], 256
    with all_cores():
        for first in range(0, len(examples), chunk):
            progress("Encoding", first, len(examples))
            texts = [joined(example.after, example.text) for example in examples[first : first + chunk]]
            pieces += [torch.from_numpy(windows[0].vectors) for windows in layers(texts)]  # examples fit in one
    lengths = np.array([len(one) for one in pieces])
    return _Encoded(torch.cat(pieces), np.concatenate([[0], lengths.cumsum()[:-1]]), lengths)


def _folds(examples: Sequence[Example]) -> np.ndarray:
    """The part that each example belongs to, every urgency spread evenly and a group kept together."""
    from sklearn.model_selection import StratifiedGroupKFold

    kinds = [f"{example.urgency} {example.takes_back}" for example in examples]
    groups = [example.group or example.text for example in examples]
    folds = np.zeros(len(examples), dtype=int)
    split = StratifiedGroupKFold(HEADS, shuffle=True, random_state=0).split(np.zeros(len(kinds)), kinds, groups)
    for number, (_, held_out) in enumerate(split):
        folds[held_out] = number
    return folds


def _head(width: int, outputs: int) -> "torch.nn.Module":
    """The network that `Classifier` computes without torch: project, join with the neighbours, attend, read."""
    import torch
    from torch import nn

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(width, ALONE)
            self.join = nn.Linear(3 * ALONE, HIDDEN)
            self.attend = nn.Linear(HIDDEN, ATTENTIONS)
            self.read = nn.Linear(HIDDEN * (ATTENTIONS + 1), outputs)
            self.thin, self.drop = nn.Dropout1d(0.2), nn.Dropout(DROPOUT)  # thin: a channel goes for all its pieces

        def forward(self, pieces: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
            thinned = pieces * self.thin(torch.ones(len(pieces), pieces.shape[2], 1)).mT
            alone = torch.relu(self.project(thinned)) * real[..., None]
            nothing = torch.zeros_like(alone[:, :1])
            before, after = torch.cat([nothing, alone[:, :-1]], 1), torch.cat([alone[:, 1:], nothing], 1)
            hidden = torch.relu(self.join(torch.cat([before, alone, after], 2)))
            attention = self.attend(hidden).masked_fill(~real[..., None], -1e4).softmax(1)
            gathered = torch.einsum("bpa,bph->bah", attention, hidden).flatten(1)
            mean = (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)
            out: torch.Tensor = self.read(self.drop(torch.cat([gathered, mean], 1)))
            return out

    return Head()


def _fit(
    chosen: list[int], seed: int, examples: Sequence[Example], encoded: _Encoded, names: Sequence[str]
) -> "torch.nn.Module":
    import torch
    from torch.nn import functional

    nowhere = -100  # what cross_entropy leaves out
    urgency = torch.tensor([URGENCIES.index(e.urgency) if e.urgency else nowhere for e in examples])
    rule = torch.tensor([names.index(e.rule) if e.rule else nowhere for e in examples])
    back = torch.tensor([float(e.takes_back or 0) for e in examples])
    asked = torch.tensor([float(bool(e.after)) for e in examples])
    head = _head(encoded.pieces.shape[1], len(URGENCIES) + 1 + len(names))
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.05)
    steps = EPOCHS * -(-len(chosen) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        order = sorted(chosen, key=lambda i: encoded.lengths[i] + rng.random() * 6)  # alike in length, for speed
        batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
        for number in rng.permutation(len(batches)):
            batch = batches[number]
            output = head(*encoded.batch(batch)).split([len(URGENCIES), 1, len(names)], dim=1)
            noticed = functional.binary_cross_entropy_with_logits(output[1][:, 0], back[batch], weight=asked[batch])
            loss = BACK_WEIGHT * noticed
            aims = ((output[0], urgency, 1.0, 0.05), (output[2], rule, RULE_WEIGHT, 0.0))
            for part, truth, weight, smoothing in aims:
                if bool((truth[batch] != nowhere).any()):
                    loss = loss + weight * functional.cross_entropy(part, truth[batch], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return head.eval()


def _chances(head: "torch.nn.Module", chosen: Sequence[int], encoded: _Encoded) -> np.ndarray:
    import torch

    with torch.inference_mode():
        outputs = [head(*encoded.batch(chosen[first : first + 64])) for first in range(0, len(chosen), 64)]
    return torch.cat(outputs)[:, : len(URGENCIES)].softmax(1).numpy()


def _said(example: Example, rules: Rules) -> Urgency:
    findings = listen(Message(example.text, rules), 0, set()).findings
    own = [finding.urgency for finding in findings if not finding.if_asked]
    return max(own, key=URGENCIES.index, default="none")
