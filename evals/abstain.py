"""Abstain: are a thousand questions about exercises that no article treats declined?"""

import json
from collections.abc import Sequence

import numpy as np

from assistant.pipeline import Assistant
from assistant.settings import ROOT, Settings
from evals import scorers
from evals.cases import each
from evals.figures import Figure, Row, share

NAMES = ROOT.parent / "shared" / "data" / "free_exercise_db" / "exercises.json"
"""Names of 873 exercises (public domain); measured where they are at hand."""
COUNT = 1000
FRAMES = (
    "how do I do a {}?",
    "What muscles does the {} work?",
    "how many sets and reps for {}",
    "is {} good for beginners",
    "common mistakes with the {}?",
    "{} form tips pls",
    "what are the benefits of the {}",
    "Can you explain the {} to me step by step?",
    "should I do {} before or after a run",
    "where do my arms go in a {}",
    "how long do I rest between sets of {}?",
    "whats an easier version of {}",
    "does the {} hit the hamstrings?",
    "My coach put {} in my plan. What does it train?",
    "how fast should a {} be",
    "{} for warm up?",
    "When is the {} not a good idea?",
    "do I need to lean forward in the {}",
    "what should I feel during {}",
    "I've just started training and a friend swears by the {}. How do I breathe during it?",
)


CATEGORY = "frame"


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """The outcome of each question; one frame and one name drawn at random, with a fixed seed."""
    if not NAMES.is_file():
        return {}
    names = [exercise["name"].lower() for exercise in json.loads(NAMES.read_text(encoding="utf-8"))]
    rng = np.random.default_rng(0)
    drawn = [(FRAMES[rng.integers(len(FRAMES))], names[rng.integers(len(names))]) for _ in range(COUNT)]
    assistant = Assistant.open(settings, hold_out_faq=True)
    rows = []
    try:
        for number, (frame, name) in enumerate(each(drawn, "other exercises", limit)):
            reply = assistant.reply(frame.format(name))
            detail = {"turns": [frame.format(name)], "reply": reply.text}
            rows.append(
                {
                    "id": f"other-{number:04}",
                    "frame": frame,
                    "outcome": reply.outcome,
                    "right": float(scorers.declined(reply)),
                    "detail": detail,
                }
            )
    finally:
        assistant.close()
    return {"other exercises": rows}


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    return {"declined": share(row["right"] for row in rows)}
