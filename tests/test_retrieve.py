from dataclasses import replace

import pytest

from assistant.condense import Question
from assistant.pipeline import Assistant
from assistant.retrieve import WEIGHTS, Retrieved, retrieve


@pytest.fixture
def found(held_out: Assistant):  # type: ignore[no-untyped-def]
    def find(text: str, *articles: str) -> Retrieved:
        return retrieve(Question(text, text, text, "", 0, articles), held_out.index)

    return find


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("What do the calves do in heel kicks?", "Calves (Gastrocnemius and Soleus)"),
        ("What is the marching version?", "Marching Heel Kicks"),
        ("How long is an interval in HIIT?", "HIIT Workouts"),
        ("I lean too far forward, what is wrong with that?", "Leaning Too Far Forward"),
    ],
)
def test_the_passage_that_answers_comes_first(found, question: str, label: str) -> None:  # type: ignore[no-untyped-def]
    assert found(question).hits[0].passage.label == label


def test_hits_come_in_the_order_of_their_scores_which_are_made_of_their_parts(found) -> None:  # type: ignore[no-untyped-def]
    hits = found("What are the benefits of heel kicks?").hits
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == sum(WEIGHTS[name] * part for name, part in hits[0].parts.items())


def test_the_kinds_are_shares_of_the_closest_examples(found) -> None:  # type: ignore[no-untyped-def]
    kinds = found("Which muscles are worked?").kinds
    assert next(iter(kinds)) == "muscles"
    assert sum(kinds.values()) == pytest.approx(1.0)


def test_a_whole_list_is_told_from_one_thing_in_it(found) -> None:  # type: ignore[no-untyped-def]
    assert found("What muscles do heel kicks work?").whole > 0.5 > found("What do the calves do?").whole


def test_a_lead_in_or_a_byline_is_never_a_hit(found) -> None:  # type: ignore[no-untyped-def]
    kinds = {hit.passage.kind for hit in found("Who benefits from a wide range of advantages?").hits}
    assert kinds <= {"sentence", "bullet", "step"}


def test_the_byline_is_a_hit_for_the_author(found) -> None:  # type: ignore[no-untyped-def]
    assert any(hit.passage.kind == "byline" for hit in found("Who wrote this article?").hits)


def test_nothing_of_a_held_out_faq_is_found(found) -> None:  # type: ignore[no-untyped-def]
    assert not any("Frequently" in hit.passage.section[0] for hit in found("What are heel kicks?").hits)


def test_only_the_named_article_is_searched(found, held_out: Assistant) -> None:  # type: ignore[no-untyped-def]
    named = found("What muscles does it work?", "heel-kicks")
    assert {hit.passage.article for hit in named.hits} == {"heel-kicks"}
    assert found("What muscles does it work?", "no-such-article").hits == ()


def test_the_same_question_gives_the_same_result(found) -> None:  # type: ignore[no-untyped-def]
    first, second = found("how long do I rest?"), found("how long do I rest?")
    assert replace(first, hits=()) == replace(second, hits=())
    assert [(hit.passage, hit.score) for hit in first.hits] == [(hit.passage, hit.score) for hit in second.hits]
