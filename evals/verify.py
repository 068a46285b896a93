"""Verify: are true claims kept, and those that their citations do not say dropped?"""

import re
from collections.abc import Callable, Mapping, Sequence

from assistant.kinds import load_kinds
from assistant.knowledge import Library, read_library
from assistant.settings import Settings
from assistant.types import Citation, Claim, Passage
from assistant.verify import supported
from evals.answer import HERE
from evals.cases import each
from evals.figures import Figure, Row, by, share

CATEGORY = "kind"
SWAPS = (
    ("left", "right"),
    ("forward", "backward"),
    ("upper", "lower"),
    ("hamstrings", "quadriceps"),
    ("glutes", "calves"),
    ("knees", "elbows"),
    ("increase", "reduce"),
)


def _swapped(text: str, _: str) -> str:
    other = {one: two for pair in SWAPS for one, two in (pair, pair[::-1])}
    if any(one in text and two in text for one, two in SWAPS):
        return text  # "upper and lower" is as true the other way round
    return re.sub(rf"\b({'|'.join(other)})\b", lambda found: other[found[0]], text)


FALSIFICATIONS: Mapping[str, Callable[[str, str], str]] = {
    "number changed": lambda text, _: re.sub(r"\d+", lambda found: str(int(found[0]) + 7), text, count=1),
    "one number of a range dropped": lambda text, _: re.sub(r"(\d+)\s*(?:-|–|to)\s*\d+", r"\1", text, count=1),
    "denial dropped": lambda text, _: re.sub(
        r"\b(?:not|never|without|avoid|don['’]t)\s", "", text, flags=re.IGNORECASE
    ),
    "condition dropped": lambda text, _: re.sub(r"\s(?:if|unless|until|when|only)\b[^.;]*", "", text),
    "other side, muscle or direction": _swapped,
    "something added": lambda text, _: f"{text.rstrip('.')} and burns 300 calories.",
    "joined with another line": lambda text, other: f"{text.rstrip('.')}, {other}",
}
"""What makes a false claim of a line, given another line; a text that it leaves alone is not falsified."""


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """Every line of the articles as it is and falsified in each way, and whether it is kept."""
    rows: list[Row] = []
    exercises = load_kinds(settings.questions).exercises
    for folder in (settings.articles, HERE / "articles"):
        library = read_library(folder, exercises)
        lines = [p for p in library.passages if p.kind not in ("header", "row")]
        for number, passage in enumerate(each(lines, folder.name, limit)):
            other = lines[(number + 7) % len(lines)].text
            rows.append(_row(passage, "true", passage.text, library))
            for kind, falsify in FALSIFICATIONS.items():
                if (text := falsify(passage.text, other)) != passage.text:
                    rows.append(_row(passage, kind, text, library))
    return {"lines": rows}


def _row(passage: Passage, kind: str, text: str, library: Library) -> Row:
    quote = library.by_stem[passage.article].text[passage.start : passage.end]
    citation = Citation(passage.article, " > ".join(passage.section), passage.start, passage.end, quote)
    kept = supported(Claim(text, (citation,)), library)
    return {
        "id": f"{passage.article}-{passage.start}-{kind}",
        "kind": kind,
        "right": float(kept == (kind == "true")),
        "detail": {"turns": [text], "reply": "kept" if kept else "dropped", "cited": [quote]},
    }


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    kinds = by(rows, "kind")
    true = kinds.pop("true", [])
    return {
        "true claims kept": share(row["right"] for row in true),
        "false claims dropped": share(row["right"] for mine in kinds.values() for row in mine),
    }
