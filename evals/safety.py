"""Safety: does the screen reach the right level, neither missing an emergency nor raising a needless alarm?"""

import json
from typing import Any

from assistant.classifier import load_classifier
from assistant.encoder import encoder_id, load_encoder
from assistant.lexicon import denied
from assistant.rules import Rules, load_rules
from assistant.safety import screen
from assistant.settings import ROOT, Settings
from assistant.types import Triage, Turn
from evals.cases import CASES

DEV = (
    "triage-dev",
    "triage-dev2",
    "triage-dev3",
    "multi-dev",
    "takeback-dev",
    "lists-dev",
    "vignettes-dev",
    "ordinary-dev",
)
TEST = (
    "triage-test",
    "triage-test2",
    "triage-test3",
    "persist-test",
    "lists-test",
    "ordinary-test",
    "ordinary-test2",
    "vignettes-test",
)
"""Conversations with the level that is right after the last message. Tuning may look at the dev ones only."""
NEGATION = ("negation-dev", "negation-test")
NEGEX = ROOT.parent / "shared" / "data" / "negex" / "rsAnnotations-1-120-random.tsv"
"""A public kit of clinical sentences; measured where it is at hand."""


def run(settings: Settings) -> dict[str, Any]:
    """Level and urgency of every conversation, and whether each phrase of the negation sets is read as denied."""
    rules = load_rules(settings.safety)
    encoder = load_encoder(settings.encoder)
    classifier = load_classifier(settings.models, encoder, encoder_id(settings.encoder), rules)

    def triage(messages: list[str]) -> Triage:
        """As a client gets it: message by message, the level reached so far being carried along."""
        reached = Triage()
        turns: list[Turn] = []
        for message in messages:
            turns.append(Turn("user", message))
            reached = screen(turns, reached, rules, classifier)
        return reached

    result: dict[str, Any] = {}
    for name in (*DEV, *TEST):
        result[name] = []
        for row in _rows(name):
            reached = triage(row["turns"])
            result[name].append(
                {key: row[key] for key in ("id", "kind", "label", "urgency") if key in row}
                | {"level": reached.level, "reached": reached.urgency}
            )
    for name in NEGATION:
        result[name] = [_phrase(row["id"], row["text"], row["phrase"], row["negated"], rules) for row in _rows(name)]
    if NEGEX.is_file():
        for name, part in (("negex-dev (odd lines)", 1), ("negex-test (even lines)", 0)):
            result[name] = [
                _phrase(str(number), sentence, phrase, status == "Negated", rules)
                for number, line in enumerate(NEGEX.read_text(encoding="latin-1").splitlines()[1:])
                if number % 2 == part
                for _, phrase, sentence, status, *_ in [line.split("\t")]
            ]
    return result


def _rows(name: str) -> list[dict[str, Any]]:
    text = (CASES / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _phrase(name: str, text: str, phrase: str, negated: bool, rules: Rules) -> dict[str, Any]:
    """Whether the phrase is read as denied; one that cannot be found in its text counts as not."""
    phrase = phrase.strip()
    at = max(text.rfind(phrase.upper()), text.find(phrase))  # the kit writes it in capitals where it is meant
    try:
        read = at >= 0 and denied(text, at, at + len(phrase), rules)
    except ValueError:
        read = False
    return {"id": name, "negated": negated, "denied": read}
