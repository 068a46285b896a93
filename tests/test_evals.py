import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.kinds import load_kinds
from assistant.knowledge import Article, read_article
from assistant.pipeline import Assistant
from assistant.rules import load_rules
from assistant.settings import ROOT, Settings
from assistant.train import read_examples
from assistant.train_reader import load_labelled
from assistant.types import Citation, Claim, Hit, Notice, Reply, SpotterError, Triage
from evals import baselines, faq, figures, report, results, safety, scorers, verify
from evals.__main__ import EVALS
from evals.answer import SETS
from evals.cases import CASES, Case, load_cases, stated
from evals.figures import Figure, Row

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


def test_scores_that_do_not_apply_are_left_out() -> None:
    assert figures.mean([1.0, None, 0.0]) == Figure(0.5, 2, share=False)
    assert figures.share([True, None, False, True]) == Figure(2 / 3, 3)
    assert str(figures.mean([None])) == "–"


def test_the_wilson_interval_is_the_published_one() -> None:
    low, high = figures.wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert str(figures.share([True] * 8 + [False] * 2)) == "0.80 (0.49–0.94)"


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert figures.quantile([5, 1, 4, 2, 3], 0.5).value == 3
    assert figures.quantile([5, 1, 4, 2], 0.95).value == 5
    assert figures.quantile([], 0.5).value is None


def test_flips_are_told_apart_and_tested_in_pairs() -> None:
    before = [{"id": str(i), "right": 1.0 if i < 7 else 0.0} for i in range(10)]
    after = [{"id": str(i), "right": 0.0 if i < 6 else 1.0} for i in range(10)] + [{"id": "new", "right": 0.0}]
    lost, won, p = figures.flipped(before, after)
    assert (lost, won) == ([str(i) for i in range(6)], ["7", "8", "9"])
    assert p == pytest.approx(2 * sum(math.comb(9, k) for k in range(4)) / 2**9)
    assert figures.flipped(before, before)[2] == 1.0


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
    {"label": "not_emergency", "level": "consult"},
    {"label": "not_emergency", "level": "emergency"},
]


def test_triage_is_scored_by_level_by_direction_of_error_and_by_urgency() -> None:
    rows = [
        {
            **row,
            "sticky": {"emergency": 1.0}.get(row["level"]),
            "right": float(
                row["level"] == row["label"] or (row["label"], row["level"]) == ("not_emergency", "consult")
            ),
        }
        for row in ROWS
    ]
    found = safety.figures(rows)
    assert {key: (figure.value, figure.count) for key, figure in found.items()} == {
        "recall emergency": (1 / 3, 3),
        "recall consult": (2 / 3, 3),
        "recall none": (2 / 3, 3),
        "emergencies shown as none": (1 / 3, 3),
        "specificity for emergencies": (6 / 8, 8),
        "safety of advice": (9 / 11, 11),
        "over-triage among errors": (3 / 5, 5),
        "level kept": (1.0, 1),
        "urgency of consults": (0, 1),
    }


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


def test_the_claims_that_answer_are_told_from_the_others() -> None:
    other = Claim("Breathe out.", (Citation("plank", "Plank", 0, 7, "# Plank"),))
    assert scorers.claim_precision(CASE, reply(claims=(Claim(QUOTE, (CITED,)), other))) == 0.5
    assert scorers.claim_precision(CASE, reply(claims=())) is None


def test_a_citation_must_say_the_claim_and_be_needed_for_it() -> None:
    title = Citation("plank", "Plank", 0, 7, "# Plank")
    two = reply(claims=(Claim(QUOTE, (CITED, title)), Claim("Hold it for an hour.", (CITED,))))
    assert (scorers.citation_recall(two), scorers.citation_precision(two)) == (0.5, 2 / 3)
    assert scorers.citation_recall(reply(claims=())) is None


def test_numbers_and_denials_must_be_those_of_the_citation() -> None:
    false = reply(claims=(Claim("Hold it for 20 to 40 seconds.", (CITED,)), Claim("Do not hold it.", (CITED,))))
    assert (scorers.number_fidelity(false), scorers.polarity(false)) == (0.5, 0.5)
    assert scorers.number_fidelity(reply(claims=(Claim("Hold it.", (CITED,)),))) is None


def test_a_level_that_falls_again_is_not_sticky() -> None:
    assert scorers.sticky(["none", "emergency", "consult"]) == 0.0
    assert scorers.sticky(["consult", "emergency", "emergency"]) == 1.0
    assert scorers.sticky(["none", "none"]) is scorers.sticky(["consult"]) is None


def test_the_facts_that_were_missed_are_named() -> None:
    assert scorers.missed(CASE, reply("20 to 30 seconds")) == ["straight"]


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


def rows(*right: float) -> list[Row]:
    return [{"id": str(i), "frame": "x", "right": one, "outcome": "not_covered"} for i, one in enumerate(right)]


def test_a_figure_below_its_floor_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    floors = tmp_path / "floors.toml"
    floors.write_text('[abstain."other exercises"]\ndeclined = {least = 0.75, goal = 0.95}\n', encoding="utf-8")
    monkeypatch.setattr(results, "FLOORS", floors)
    assert results.below_floor({"abstain": {"other exercises": rows(1, 1, 1, 0)}}, EVALS) == []
    fallen = results.below_floor({"abstain": {"other exercises": rows(1, 1, 0, 0)}}, EVALS)
    assert fallen == ["abstain, other exercises: declined is 0.50 (0.15–0.85), not at least 0.75"]


def test_every_floor_is_of_a_figure_that_there_is() -> None:
    kept = results.all_kept(EVALS)
    for name, title, figure, bounds in results.floors():
        found = EVALS[name].figures(results.pooled(EVALS[name], kept[name])[title])
        assert found[figure].value is not None, (name, title, figure)
        assert len(bounds.keys() & {"least", "most"}) == 1
        assert bounds.keys() <= {"least", "most", "goal", "name"}


def test_the_kept_results_are_at_or_above_their_floors() -> None:
    assert results.below_floor(results.all_kept(EVALS), EVALS) == []


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "evals" / "README.md"], ids=["main", "evals"])
def test_the_tables_are_those_of_the_kept_results(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "<!-- headline -->" in text or "<!-- tables -->" in text
    assert results.with_tables(text, EVALS, results.all_kept(EVALS)) == text


def test_what_is_kept_has_no_times_and_is_the_same_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "KEPT", tmp_path)
    mine = [{**rows(1)[0], "seconds": 0.1, "detail": {"turns": ["hi"]}}]
    results.keep({"abstain": {"a": mine}}, {"cores": 2})
    first = (tmp_path / "abstain.json").read_bytes()
    results.keep({"abstain": {"a": [{**mine[0], "seconds": 0.2}]}}, {"cores": 4})
    assert (tmp_path / "abstain.json").read_bytes() == first
    assert results.load(tmp_path / "abstain.json") == {"a": rows(1)}


def test_a_result_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    for name in ("x.json", "y.json"):
        with pytest.raises(SpotterError, match=rf"{name} is no kept result"):
            results.load(tmp_path / name)


def test_a_line_that_is_no_case_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    good = '{"id": "a", "turns": ["hi"], "style": "plain", "expect": "answered"}\n'
    for line, reason in (
        ("[]", "list indices must be integers"),
        ('{"id": "b"}', "'turns' is missing"),
        (good[:-2], "delimiter"),
    ):
        path.write_text(good + line + "\n", encoding="utf-8")
        with pytest.raises(SpotterError, match=rf"mine.jsonl: line 2: .*{reason}"):
            load_cases(path)


def test_the_report_holds_every_conversation_and_cannot_be_broken_out_of(tmp_path: Path) -> None:
    mean = {"turns": ["</script><b>x"], "reply": "No.", "cited": [], "confidence": 1.0}
    mine = [{**rows(1)[0], "detail": mean}, {**rows(1, 0)[1], "detail": {**mean, "turns": ["second"]}}]
    page = report.write({"abstain": {"a": mine}}, EVALS, tmp_path / "report.html").read_text(encoding="utf-8")
    inside = re.search(r'id="rows">(.*?)</script>', page, re.DOTALL)
    assert inside
    assert [row["turns"] for row in json.loads(inside[1])] == [["second"], ["</script><b>x"]]
    assert not re.search(r"(?:src|href)=|https?://", page)


def test_an_answer_key_that_is_in_use_fails_the_run(held_out: Assistant) -> None:
    passage = held_out.index.passages[3]
    citation = Citation(passage.article, "x", passage.start, passage.end, "y")
    faq.check_clean(reply(), [passage])
    with pytest.raises(SpotterError, match="answer key of 'how long"):
        faq.check_clean(reply(claims=(Claim("y", (citation,)),)), [passage])
    with pytest.raises(SpotterError, match="answer key"):
        faq.check_clean(replace(reply(), hits=(Hit(passage, 1.0),)), [passage])


def test_a_passage_that_is_left_out_is_in_no_answer(held_out: Assistant) -> None:
    question = "How long should one set last when warming up?"
    best = held_out.reply(question).hits[0].passage
    held_out.without = frozenset([best])
    try:
        assert best not in [hit.passage for hit in held_out.reply(question).hits]
    finally:
        held_out.without = frozenset()


def test_the_baselines_show_the_closest_passages(held_out: Assistant) -> None:
    found = baselines.replies(held_out.index, "Who should do heel kicks for hamstring development?")
    assert list(found) == list(baselines.NAMES)
    for other in found.values():
        assert len(other.claims) == baselines.SHOWN
        assert scorers.citations_valid(other, held_out.index.library.by_stem) == 1.0
        assert "Those Focused on Hamstring Development" in other.answer


def test_cases_can_be_drafted_from_an_articles_own_faq(tmp_path: Path) -> None:
    path = tmp_path / "draft.jsonl"
    path.write_text(faq.draft(Settings(), "heel-kicks"), encoding="utf-8")
    cases = load_cases(path)
    assert [case.turns[0] for case in cases] == [c.turns[0] for c in load_cases("faq") if c.style == "verbatim"]
    for case in cases:
        assert all(stated(nugget, " ".join(case.gold_quotes)) for nugget in case.nuggets)
    with pytest.raises(SpotterError, match="no article 'wall-sit'"):
        faq.draft(Settings(), "wall-sit")


def test_lines_are_falsified_in_every_way() -> None:
    text = "Do not lean to the left for 20-30 seconds if it hurts."
    made = {kind: falsify(text, "Rest.") for kind, falsify in verify.FALSIFICATIONS.items()}
    assert made == {
        "number changed": "Do not lean to the left for 27-30 seconds if it hurts.",
        "one number of a range dropped": "Do not lean to the left for 20 seconds if it hurts.",
        "denial dropped": "Do lean to the left for 20-30 seconds if it hurts.",
        "condition dropped": "Do not lean to the left for 20-30 seconds.",
        "other side, muscle or direction": "Do not lean to the right for 20-30 seconds if it hurts.",
        "something added": "Do not lean to the left for 20-30 seconds if it hurts and burns 300 calories.",
        "joined with another line": "Do not lean to the left for 20-30 seconds if it hurts, Rest.",
    }
