"""Answer: is every needed fact stated and cited, and is what the articles do not cover declined?"""

from collections.abc import Sequence
from pathlib import Path

from assistant.pipeline import Assistant
from assistant.settings import Settings
from assistant.types import Reply
from evals import baselines, scorers
from evals.cases import Case, each, load_cases, replay
from evals.figures import Figure, Row, by, mean, quantile, share

HERE = Path(__file__).parent
UNSEEN = ("bulgarian-split-squat", "good-morning", "pallof-press", "tuck-jump")
SETS = {
    "heel-kicks-dev": None,
    "heel-kicks-test": None,
    "heel-kicks-test2": None,
    "other-articles-dev": HERE / "articles",
    **{f"{stem}-test": HERE / "unseen" / stem for stem in UNSEEN},
}
"""The case files and the folder they are asked of; None is the settings' own. Tuning may look at the dev ones only."""
CATEGORY = "style"
POOLED = {"unseen articles": tuple(f"{stem}-test" for stem in UNSEEN)}
"""Sets that are also reported as one."""


def run(settings: Settings, limit: int | None = None, cases: Path | None = None) -> dict[str, list[Row]]:
    """The scores of every case set, or of one's own cases about the settings' articles, the FAQ held out."""
    sets = {cases.stem: load_cases(cases)} if cases else {name: load_cases(name) for name in SETS}
    result = {}
    for name, mine in sets.items():
        folder = SETS.get(name) if not cases else None
        chosen = settings if folder is None else settings.model_copy(update={"articles": folder})
        assistant = Assistant.open(chosen, hold_out_faq=True)
        try:
            result[name] = [scored(case, replay(assistant, case.turns), assistant) for case in each(mine, name, limit)]
        finally:
            assistant.close()
    return result


def scored(case: Case, reply: Reply, assistant: Assistant) -> Row:
    """All scores of one reply, beside those of what a user would otherwise have."""
    articles = assistant.index.library.by_stem
    strict = None if case.triage == "emergency" else scorers.strict(case, reply, articles)
    others = baselines.replies(assistant.index, case.turns[-1]) if case.nuggets else {}
    return {
        "id": case.id,
        "style": case.style,
        "expect": case.expect,
        "outcome": reply.outcome,
        "right": scorers.outcome_right(case, reply) if strict is None else strict,
        "strict": strict,
        "facts": scorers.facts(case, reply),
        "gold_cited": scorers.gold_cited(case, reply),
        "claim_precision": scorers.claim_precision(case, reply),
        "citations_valid": scorers.citations_valid(reply, articles),
        "citation_recall": scorers.citation_recall(reply),
        "citation_precision": scorers.citation_precision(reply),
        "number_fidelity": scorers.number_fidelity(reply),
        "polarity": scorers.polarity(reply),
        "declined": scorers.declined(reply),
        "words": scorers.words(reply),
        **{name: scorers.strict(case, other, articles) for name, other in others.items()},
        "seconds": reply.seconds,
        "detail": shown(case, reply),
    }


def shown(case: Case, reply: Reply) -> Row:
    """What the report shows of a reply."""
    return {
        "turns": case.turns,
        "reply": reply.text,
        "expected": case.gold_quotes,
        "missed": scorers.missed(case, reply),
        "cited": [citation.quote for claim in reply.claims for citation in claim.citations],
        "confidence": max((hit.score for hit in reply.hits), default=None),
    }


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    asked = [row for row in rows if row["expect"] == "answered"]
    outside = [row for row in rows if row["expect"] == "not_covered"]
    answered = [row for row in rows if row["outcome"] == "answered"]
    follow_ups = mean(row["strict"] for row in asked if row["style"] == "followup").value
    alone = mean(row["strict"] for row in asked if row["style"] != "followup").value
    distance = by(outside, "style")
    drop = None if follow_ups is None or alone is None else alone - follow_ups
    return {
        "strict": share(row["strict"] for row in asked),
        "facts": mean(row["facts"] for row in asked),
        "gold cited": share(row["gold_cited"] for row in asked),
        "declined right": share(row["right"] for row in outside),
        "declined wrong": share(row["declined"] for row in asked),
        "median words": quantile((row["words"] for row in answered), 0.5),
        "claim precision": mean(row["claim_precision"] for row in rows),
        "citations valid": mean(row["citations_valid"] for row in rows),
        "citation recall": mean(row["citation_recall"] for row in rows),
        "citation precision": mean(row["citation_precision"] for row in rows),
        "number fidelity": mean(row["number_fidelity"] for row in rows),
        "polarity": mean(row["polarity"] for row in rows),
        "follow-up drop": Figure(drop, len(asked), share=False),
        **{f"declined right, {style}": share(row["right"] for row in mine) for style, mine in distance.items()},
        **{f"strict, {name}": share(row.get(name) for row in asked) for name in baselines.NAMES},
        "p50 ms": _milliseconds(rows, 0.5),
        "p95 ms": _milliseconds(rows, 0.95),
    }


def _milliseconds(rows: Sequence[Row], at: float) -> Figure:
    return quantile((1000 * row["seconds"] for row in rows if "seconds" in row), at)
