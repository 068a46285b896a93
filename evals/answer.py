"""Answer: is every needed fact stated and cited, and is what the articles do not cover declined?"""

from pathlib import Path
from typing import Any

from assistant.pipeline import Assistant
from assistant.settings import Settings
from evals import scorers
from evals.cases import load_cases, replay

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


def run(settings: Settings) -> dict[str, Any]:
    """The scores of every case set, the FAQ held out."""
    result: dict[str, Any] = {}
    for name, folder in SETS.items():
        chosen = settings if folder is None else settings.model_copy(update={"articles": folder})
        assistant = Assistant.open(chosen, hold_out_faq=True)
        try:
            articles = assistant.index.library.by_stem
            result[name] = [
                {
                    "id": case.id,
                    "style": case.style,
                    "outcome": reply.outcome,
                    "outcome_right": scorers.outcome_right(case, reply),
                    "facts": scorers.facts(case, reply),
                    "strict": scorers.strict(case, reply, articles),
                    "gold_cited": scorers.gold_cited(case, reply),
                    "citations_valid": scorers.citations_valid(reply, articles),
                    "words": scorers.words(reply),
                    "seconds": reply.seconds,
                }
                for case in load_cases(name)
                for reply in [replay(assistant, case.turns)]
            ]
        finally:
            assistant.close()
    return result
