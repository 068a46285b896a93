"""Triage: does the screen reach the right level, neither missing an emergency nor raising a needless alarm?"""

import json
from typing import Any

from assistant import safety
from assistant.settings import Settings
from assistant.types import Triage, Turn
from evals.cases import CASES


def run(settings: Settings) -> dict[str, Any]:
    """The level of every labelled conversation after its last message."""
    rules = safety.load_rules(settings.safety)
    path = CASES / "triage-dev.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {
        path.stem: [
            {
                "id": row["id"],
                "kind": row["kind"],
                "label": row["label"],
                "level": safety.screen([Turn("user", text) for text in row["turns"]], Triage(), rules).level,
            }
            for row in rows
        ]
    }
