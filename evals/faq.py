"""FAQ: are the article's own questions, and ten paraphrases of each, answered with every fact of the FAQ's answer?"""

from typing import Any

from assistant.pipeline import Assistant
from assistant.settings import Settings
from evals import scorers
from evals.cases import load_cases, replay


def run(settings: Settings) -> dict[str, Any]:
    """The scores with the FAQ indexed, which measures copying, and held out, which measures answering."""
    cases = load_cases("faq")
    result: dict[str, Any] = {}
    for name, hold_out in (("indexed", False), ("held_out", True)):
        assistant = Assistant.open(settings, hold_out_faq=hold_out)
        try:
            articles = assistant.index.library.by_stem
            rows = [
                {
                    "id": case.id,
                    "split": "verbatim" if case.style == "verbatim" else case.split,
                    "outcome": reply.outcome,
                    "facts": scorers.facts(case, reply),
                    "strict": scorers.strict(case, reply, articles),
                    "citations_valid": scorers.citations_valid(reply, articles),
                    "words": scorers.words(reply),
                    "seconds": reply.seconds,
                }
                for case in cases
                for reply in [replay(assistant, case.turns)]
            ]
        finally:
            assistant.close()
        result[name] = rows
    return result
