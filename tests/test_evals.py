import json
import re

import pytest

from assistant.knowledge import Article, read_article
from assistant.settings import ROOT
from assistant.types import Citation, Claim, Notice, Reply, SpotterError, Triage
from evals import scorers
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


def test_an_unknown_case_file_is_named_with_those_there_are() -> None:
    with pytest.raises(SpotterError, match=r"There are: .*faq"):
        load_cases("nothing")


def library() -> dict[str, Article]:
    folders = [ROOT / "knowledge" / "articles", ROOT / "evals" / "articles"]
    paths = [path for folder in folders for path in folder.iterdir()]
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
