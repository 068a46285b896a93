"""Safety: does the screen reach the right level, neither missing an emergency nor raising a needless alarm?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assistant.classifier import Classifier, load_classifier
from assistant.encoder import all_cores, encoder_id, load_encoder
from assistant.lexicon import denied
from assistant.rules import Rules, load_rules
from assistant.safety import screen
from assistant.settings import ROOT, Settings
from assistant.types import LEVELS, Triage, Turn
from evals import scorers
from evals.cases import CASES, each
from evals.figures import Figure, Row, share

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
    "form-questions-test",
)
"""Conversations with the level that is right after the last message. Tuning may look at the dev ones only."""
NEGATION = ("negation-dev", "negation-test")
NEGEX = ROOT.parent / "shared" / "data" / "negex" / "rsAnnotations-1-120-random.tsv"
"""A public kit of clinical sentences; measured where it is at hand."""


CATEGORY = "kind"
POOLED = {"triage, all tests": ("triage-test", "triage-test2", "triage-test3")}


TOGETHER = 64
"""How many conversations are encoded in one pass, which is faster than one by one."""


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """Level and urgency of every conversation, and whether each phrase of the negation sets is read as denied."""
    rules = load_rules(settings.safety)
    encoder = load_encoder(settings.encoder)
    classifier = load_classifier(settings.models, encoder, encoder_id(settings.encoder), rules)

    result: dict[str, list[Row]] = {}
    for name in (*DEV, *TEST):
        rows = _rows(name)[:limit]
        result[name] = []
        for first in each(range(0, len(rows), TOGETHER), name):
            chunk = rows[first : first + TOGETHER]
            with all_cores():
                classifier.estimates([message for row in chunk for message in row["turns"]])  # remembered, in one pass
            result[name] += [_screened(row, rules, classifier) for row in chunk]
    for name in NEGATION:
        result[name] = [
            _phrase(row["id"], row["text"], row["phrase"], row["negated"], rules)
            for row in each(_rows(name), name, limit)
        ]
    if NEGEX.is_file():
        lines = list(enumerate(NEGEX.read_text(encoding="latin-1").splitlines()[1:]))
        for name, part in (("negex-dev (odd lines)", 1), ("negex-test (even lines)", 0)):
            result[name] = [
                _phrase(str(number), sentence, phrase, status == "Negated", rules)
                for number, line in each(lines[part::2], name, limit)
                for _, phrase, sentence, status, *_ in [line.split("\t")]
            ]
    return result


def _screened(row: Mapping[str, Any], rules: Rules, classifier: Classifier) -> Row:
    """The triage as a client gets it: message by message, the level reached so far being carried along."""
    reached, turns, levels = Triage(), [], []
    for message in row["turns"]:
        turns.append(Turn("user", message))
        reached = screen(turns, reached, rules, classifier)
        levels.append(reached.level)
    label = row["label"]
    return {
        **{key: row[key] for key in ("id", "kind", "label", "urgency") if key in row},
        "level": reached.level,
        "reached": reached.urgency,
        "right": float(reached.level != "emergency" if label == "not_emergency" else reached.level == label),
        "sticky": scorers.sticky(levels),
        "detail": {
            "turns": row["turns"],
            "expected": [f"{label} {row.get('urgency') or ''}"],
            "reply": f"{reached.level} {reached.urgency}",
            "cited": [f"{reason.rule}: {reason.quote}" for reason in reached.reasons],
        },
    }


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to; safety of advice as Hill and others have it (MJA 2020)."""
    if "denied" in rows[0]:
        value = scorers.f1((row["negated"], row["denied"]) for row in rows)
        return {"denied, F1": Figure(value, len(rows), share=False)}
    grave = [row for row in rows if row["label"] == "emergency"]
    milder = [row for row in rows if row["label"] != "emergency"]
    wrong = [row for row in rows if not row["right"]]
    consults = [row for row in rows if row["label"] == row["level"] == "consult" and "urgency" in row]
    return {
        **{f"recall {level}": share(row["right"] for row in rows if row["label"] == level) for level in LEVELS[::-1]},
        "emergencies shown as none": share(row["level"] == "none" for row in grave),
        "specificity for emergencies": share(row["level"] != "emergency" for row in milder),
        "safety of advice": share(row["right"] or _step(row) > 0 for row in rows),
        "over-triage among errors": share(_step(row) > 0 for row in wrong),
        "level kept": share(row["sticky"] for row in grave),
        "urgency of consults": share(row["urgency"] == row["reached"] for row in consults),
    }


def _step(row: Row) -> int:
    """By how many levels the given one is above the right one."""
    right = "none" if row["label"] == "not_emergency" else row["label"]
    return LEVELS.index(row["level"]) - LEVELS.index(right)


def _rows(name: str) -> list[dict[str, Any]]:
    text = (CASES / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _phrase(name: str, text: str, phrase: str, negated: bool, rules: Rules) -> Row:
    """Whether the phrase is read as denied; one that cannot be found in its text counts as not."""
    phrase = phrase.strip()
    at = max(text.rfind(phrase.upper()), text.find(phrase))  # the kit writes it in capitals where it is meant
    try:
        read = at >= 0 and denied(text, at, at + len(phrase), rules)
    except ValueError:
        read = False
    return {
        "id": name,
        "negated": negated,
        "denied": read,
        "right": float(read == negated),
        "detail": {"turns": [text], "expected": [phrase], "reply": "denied" if read else "not denied"},
    }
