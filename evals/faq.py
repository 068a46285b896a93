"""FAQ: are the articles' own questions, and paraphrases of each, answered with every fact of the FAQ's answer?"""

import json
import re
from collections.abc import Sequence

from assistant.condense import words_of
from assistant.kinds import load_kinds
from assistant.knowledge import read_library
from assistant.pipeline import Assistant
from assistant.settings import Settings
from assistant.types import Passage, Reply, SpotterError
from evals import scorers
from evals.answer import shown
from evals.cases import Case, each, load_cases, replay
from evals.figures import Figure, Row, mean, quantile, share

CATEGORY = "split"
WAYS = ("indexed", "held out", "left out")
"""With the FAQ, which measures copying; without any FAQ, which measures answering; without the question's own entry."""


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """The scores in each of the ways; SpotterError when an answer key was used where it should not be at hand."""
    cases = load_cases("faq")
    library = read_library(settings.articles, load_kinds(settings.questions).exercises)
    keys = [passage for passage in library.passages if passage.kind == "faq"]
    result = {}
    for way in WAYS:
        assistant = Assistant.open(settings, hold_out_faq=way == "held out")
        try:
            result[way] = [_scored(case, way, keys, assistant) for case in each(cases, way, limit)]
        finally:
            assistant.close()
    return result


def _scored(case: Case, way: str, keys: Sequence[Passage], assistant: Assistant) -> Row:
    held: list[Passage] = []
    if way == "held out":
        held = list(keys)
    elif way == "left out":
        questions = list(dict.fromkeys(key.label for key in keys if key.article == case.article))
        held = [key for key in keys if key.article == case.article and key.label == questions[case.faq - 1]]
    assistant.without = frozenset(held)
    reply = replay(assistant, case.turns)
    check_clean(reply, held)
    articles = assistant.index.library.by_stem
    strict = scorers.strict(case, reply, articles)
    return {
        "id": case.id,
        "split": "verbatim" if case.style == "verbatim" else case.split,
        "outcome": reply.outcome,
        "right": strict,
        "facts": scorers.facts(case, reply),
        "citations_valid": scorers.citations_valid(reply, articles),
        "words": scorers.words(reply),
        "seconds": reply.seconds,
        "detail": shown(case, reply),
    }


def check_clean(reply: Reply, keys: Sequence[Passage]) -> None:
    """Raises SpotterError when the reply was made with one of these answer keys."""
    places = {(key.article, key.start, key.end) for key in keys}
    used = [hit.passage for hit in reply.hits if (hit.passage.article, hit.passage.start, hit.passage.end) in places]
    cited = [c for claim in reply.claims for c in claim.citations if (c.article, c.start, c.end) in places]
    if used or cited:
        raise SpotterError(f"The answer key of {reply.question!r} is in the index, where the eval holds it out.")


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What a set's rows come to."""
    return {
        "strict": share(row["right"] for row in rows),
        "facts": mean(row["facts"] for row in rows),
        "citations valid": mean(row["citations_valid"] for row in rows),
        "median words": quantile((row["words"] for row in rows if row["outcome"] == "answered"), 0.5),
    }


def draft(settings: Settings, stem: str) -> str:
    """Cases from an article's own FAQ, one JSON object on a line, for its author to check; SpotterError without any.

    Each sentence of an entry's answer is a fact, to be recognised by its numbers, or else by its two longest words.
    """
    library = read_library(settings.articles, load_kinds(settings.questions).exercises)
    if stem not in library.by_stem:
        raise SpotterError(f"There is no article {stem!r}. There are: {', '.join(sorted(library.by_stem))}.")
    article = library.by_stem[stem]
    entries: dict[str, list[Passage]] = {}
    for passage in article.passages:
        if passage.kind == "faq":
            entries.setdefault(passage.label, []).append(passage)
    if not entries:
        raise SpotterError(f"{stem} has no FAQ section to draft cases from.")
    lines = []
    for number, (question, passages) in enumerate(entries.items(), start=1):
        nuggets = [nugget for passage in passages if (nugget := _nugget(passage.text, question))]
        case = {
            "id": f"{stem}-faq-{number}",
            "faq": number,
            "turns": [question],
            "style": "verbatim",
            "split": "dev",
            "expect": "answered",
            "article": stem,
            "gold_quotes": [article.text[passage.start : passage.end] for passage in passages],
            "nuggets": nuggets,
            "triage": "none",
        }
        lines.append(json.dumps(case, ensure_ascii=False) + "\n")
    return "".join(lines)


def _nugget(sentence: str, question: str) -> list[str]:
    """What the sentence has and the question has not: two numbers, or else the two longest words, in any order."""
    numbers = [number for number in re.findall(r"\d+", sentence) if number not in re.findall(r"\d+", question)]
    words = set(words_of(sentence)) - set(words_of(question))
    told = sorted(words, key=lambda word: (-len(word), word))
    chosen = [rf"\b{one}" for one in (numbers or told)[:2]]
    return ["".join(f"(?=[\\s\\S]*{one})" for one in chosen)] if chosen else []
