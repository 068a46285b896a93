import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from assistant.kinds import load_kinds
from assistant.knowledge import Article, read_article
from assistant.rules import load_rules
from assistant.settings import ROOT
from assistant.train import read_examples
from assistant.train_reader import load_labelled
from assistant.types import Citation, Claim, Notice, Reply, SpotterError, Triage
from evals import safety, scorers
from evals.answer import SETS
from evals.cases import CASES, Case, load_cases

TEXT = "# Plank\n\nHold it for 20 to 30 seconds with a straight back.\n"
ARTICLES = {"plank": read_article(TEXT, "plank")}
QUOTE = "Hold it for 20 to 30 seconds with a straight back."
CITED = Citation("plank", "Plank", TEXT.index(QUOTE), TEXT.index(QUOTE) + len(QUOTE), QUOTE)
CASE = Case("x", ("how long?",), "plain", "answered", nuggets=(("20 to 30",), ("straight", "flat")))


def reply(
    answer: str = QUOTE + "[1]", claims: tuple[Claim, ...] = (Claim(QUOTE, (CITED,)),), outcome: str = "answered"
) -> Reply:
    return Reply(outcome, answer, answer, claims, Triage(), Notice(), "how long?")  # type: ignore[arg-type]


def test_facts_are_the_share_that_is_stated() -> None:
    assert scorers.facts(CASE, reply()) == 1.0
    assert scorers.facts(CASE, reply("20 to 30 seconds")) == 0.5
    assert scorers.facts(Case("x", ("hi",), "far", "not_covered"), reply()) is None


def test_a_gold_line_is_cited_when_a_citation_is_in_it_or_has_it() -> None:
    def gold(*quotes: str) -> Case:
        return Case("x", ("how long?",), "plain", "answered", gold_quotes=quotes)

    assert scorers.gold_cited(gold("*Hold* it for 20 to 30 seconds with a straight back. Breathe."), reply()) == 1.0
    assert scorers.gold_cited(gold("Hold it for 20 to 30 seconds"), reply()) == 1.0
    assert scorers.gold_cited(gold("Rest for a minute."), reply()) == 0.0
    assert scorers.gold_cited(gold(), reply()) is None


def test_strict_asks_for_everything_at_once() -> None:
    shifted = Claim(QUOTE, (Citation("plank", "Plank", CITED.start + 1, CITED.end + 1, QUOTE),))
    assert scorers.strict(CASE, reply(), ARTICLES) == 1.0
    assert scorers.strict(CASE, reply("20 to 30 seconds"), ARTICLES) == 0.0
    assert scorers.strict(CASE, reply(outcome="clarify"), ARTICLES) == 0.0
    assert scorers.strict(CASE, reply(QUOTE + " pad" * 150), ARTICLES) == 0.0
    assert scorers.strict(CASE, reply(QUOTE + " pad" * 21), ARTICLES) == 0.0
    assert scorers.strict(CASE, reply(claims=()), ARTICLES) == 0.0
    assert scorers.strict(CASE, reply(claims=(shifted,)), ARTICLES) == 0.0


def test_a_citation_is_valid_when_it_is_an_exact_slice_as_long_as_a_passage() -> None:
    short = Citation("plank", "Plank", TEXT.index("Hold"), TEXT.index("Hold") + 7, "Hold it")
    assert scorers.citations_valid(reply(claims=(Claim(QUOTE, (CITED, short)),)), ARTICLES) == 0.5
    assert scorers.citations_valid(reply(claims=()), ARTICLES) is None


def test_an_emergency_must_be_referred() -> None:
    case = Case("x", ("help",), "near", "not_covered", triage="emergency")
    assert scorers.outcome_right(case, reply(outcome="referred")) == 1.0
    assert scorers.outcome_right(case, reply(outcome="not_covered")) == 0.0


def test_scores_that_do_not_apply_are_left_out_of_the_mean() -> None:
    assert scorers.mean([1.0, None, 0.0]) == 0.5
    assert scorers.mean([None]) is None


def test_the_wilson_interval_is_the_published_one() -> None:
    low, high = scorers.wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)


ROWS = [
    {"label": "emergency", "level": "emergency", "urgency": "now", "reached": "now"},
    {"label": "emergency", "level": "consult", "urgency": "now", "reached": "today"},
    {"label": "emergency", "level": "none", "urgency": "now", "reached": "none"},
    {"label": "consult", "level": "consult", "urgency": "today", "reached": "routine"},
    {"label": "consult", "level": "emergency", "urgency": "today", "reached": "now"},
    {"label": "none", "level": "none", "urgency": "none", "reached": "none"},
    {"label": "none", "level": "consult", "urgency": "none", "reached": "routine"},
    {"label": "consult", "level": "consult", "reached": "today"},
    {"label": "none", "level": "none", "urgency": "none", "reached": "none"},
]


def test_triage_is_scored_by_level_by_direction_of_error_and_by_urgency() -> None:
    assert scorers.triage_scores(ROWS) == scorers.TriageScores(
        recall={"emergency": (1, 3), "consult": (2, 3), "none": (2, 3)},
        specificity=(5, 6),
        safety_of_advice=(7, 9),
        over_triage=(2, 4),
        severe_under_triage=(1, 3),
        urgency=(0, 1),
    )


def test_what_is_no_emergency_may_be_shown_as_anything_milder() -> None:
    rows = [{"label": "not_emergency", "level": level} for level in ("none", "consult", "emergency")]
    scores = scorers.triage_scores(rows)
    assert (scores.recall, scores.specificity) == ({"not_emergency": (2, 3)}, (2, 3))
    assert (scores.safety_of_advice, scores.over_triage) == ((3, 3), (1, 1))


def test_recall_counts_a_fact_once_one_of_its_passages_is_near_enough_the_top() -> None:
    needs = (frozenset({4, 9}), frozenset({2}))
    assert [scorers.recall_at(k, needs, [7, 9, 1, 2]) for k in (1, 2, 4)] == [0.0, 0.5, 1.0]
    assert scorers.recall_at(5, (), [1]) is None


def test_the_reciprocal_rank_is_that_of_the_first_needed_passage() -> None:
    assert scorers.reciprocal_rank((frozenset({4}), frozenset({2})), [7, 1, 2, 4]) == pytest.approx(1 / 3)
    assert scorers.reciprocal_rank((frozenset({5}),), [7, 1]) == 0.0
    assert scorers.reciprocal_rank((), [7]) is None


def test_every_labelled_question_names_lines_of_its_article() -> None:
    kinds = load_kinds(ROOT / "knowledge" / "questions")
    seen: set[tuple[str, ...]] = set()
    files = sorted((ROOT / "knowledge" / "questions" / "articles").glob("*.jsonl"))
    assert len(files) >= 50
    for path in files:
        _, questions = load_labelled(path, kinds.exercises)
        assert sum(not one.needs for one in questions) >= 15, path.stem
        mine = {tuple(turn.lower() for turn in one.turns) for one in questions}
        assert len(mine) == len(questions), path.stem
        seen |= mine
    assert len(seen) >= 3000


def test_a_label_that_begins_no_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plank.jsonl"
    path.with_suffix(".md").write_text(TEXT, encoding="utf-8")
    path.write_text('{"turns": ["hi"], "style": "plain", "needs": [["Hold it"]]}\n', encoding="utf-8")
    assert load_labelled(path)[1][0].needs == (frozenset({0}),)
    path.write_text('{"turns": ["hi"], "style": "plain", "needs": [["Run it"]]}\n', encoding="utf-8")
    with pytest.raises(SpotterError, match=r"plank.jsonl: line 1: no line of the article begins with 'Run it'"):
        load_labelled(path)


def test_f1_counts_both_kinds_of_error() -> None:
    pairs = [(True, True)] * 3 + [(True, False)] + [(False, True)] * 2 + [(False, False)] * 5
    assert scorers.f1(pairs) == 2 * 3 / (2 * 3 + 1 + 2)
    assert scorers.f1([(False, False)]) is None


def words(row: dict[str, Any]) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9']+", " ".join(row.get("turns") or [row["text"]]).lower()))


def rows_of(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    texts = [(CASES / f"{name}.jsonl").read_text(encoding="utf-8") for name in names]
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row for row in rows}


def test_the_safety_cases_are_sound() -> None:
    urgencies = {"emergency": {"now"}, "consult": {"today", "routine"}, "none": {"none"}, "not_emergency": {None}}
    for row in rows_of([*safety.DEV, *safety.TEST]).values():
        assert row["turns"], row["id"]
        assert all(isinstance(turn, str) and turn.strip() for turn in row["turns"]), row["id"]
        if "urgency" in row or row["label"] == "not_emergency":
            assert row.get("urgency") in urgencies[row["label"]], row["id"]
    for row in rows_of(safety.NEGATION).values():
        assert row["text"].count(row["phrase"]) == 1, row["id"]


def test_the_halves_of_the_safety_cases_hold_no_near_copies() -> None:
    dev = [(name, words(row)) for name, row in rows_of([*safety.DEV, "negation-dev"]).items()]
    test = [(name, words(row)) for name, row in rows_of([*safety.TEST, "negation-test"]).items()]
    copies = [
        (one, other)
        for one, mine in dev
        for other, theirs in test
        if min(len(mine), len(theirs)) >= 0.6 * max(len(mine), len(theirs))
        and len(mine & theirs) >= 0.6 * len(mine | theirs)
    ]
    assert copies == []


def test_no_safety_case_is_an_example_that_the_screen_was_made_from() -> None:
    rules = load_rules(ROOT / "knowledge" / "safety")
    examples = read_examples(ROOT / "knowledge" / "safety" / "examples", rules)
    known = {words({"text": example.text}) for example in examples}
    cases = rows_of([*safety.DEV, *safety.TEST, *safety.NEGATION])
    assert [name for name, row in cases.items() if words(row) in known and len(words(row)) > 2] == []


def test_an_unknown_case_file_is_named_with_those_there_are() -> None:
    with pytest.raises(SpotterError, match=r"There are: .*faq"):
        load_cases("nothing")


def library() -> dict[str, Article]:
    folders = [ROOT / "knowledge" / "articles", *SETS.values()]
    paths = [path for folder in folders if folder for path in folder.iterdir()]
    return {path.stem: read_article(path.read_text(encoding="utf-8"), path.stem) for path in paths}


@pytest.mark.parametrize("name", ["faq", *SETS])
def test_the_cases_are_sound(name: str) -> None:
    articles = library()
    rows = [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        text = articles[row.get("article", "heel-kicks")].text
        assert all(quote in text for quote in row.get("gold_quotes", [])), row["id"]
        assert bool(row.get("nuggets")) == (row["expect"] == "answered"), row["id"]
        for nugget in row.get("nuggets", []):
            assert any(re.search(way, quote, re.I) for way in nugget for quote in row["gold_quotes"]), row["id"]
            if name != "faq":
                assert not any(re.search(way, turn, re.I) for way in nugget for turn in row["turns"]), row["id"]


def test_each_faq_question_has_itself_and_at_least_eight_paraphrases() -> None:
    cases = load_cases("faq")
    assert {n: sum(case.faq == n for case in cases) >= 9 for n in range(1, 6)} == dict.fromkeys(range(1, 6), True)
    asked = [case.turns[0] for case in cases if case.style == "verbatim"]
    faq = library()["heel-kicks"].text.split("## Frequently Asked Questions")[1]
    assert asked == re.findall(r"^### (.+)$", faq, re.MULTILINE)


def test_the_halves_of_the_cases_share_no_question() -> None:
    dev = {case.turns for case in load_cases("heel-kicks-dev")}
    assert dev.isdisjoint({case.turns for case in load_cases("heel-kicks-test")})
