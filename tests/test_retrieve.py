import pytest

from assistant.condense import Question
from assistant.pipeline import Assistant
from assistant.retrieve import Retrieved, retrieve


@pytest.fixture
def found(held_out: Assistant):  # type: ignore[no-untyped-def]
    def find(text: str, *articles: str) -> Retrieved:
        return retrieve(Question(text, text, text, "", 0, articles), held_out.index, held_out.reader)

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


def test_hits_come_in_the_order_of_their_scores(found) -> None:  # type: ignore[no-untyped-def]
    scores = [hit.score for hit in found("What are the benefits of heel kicks?").hits]
    assert scores == sorted(scores, reverse=True)


def test_nothing_of_a_held_out_faq_is_found(found) -> None:  # type: ignore[no-untyped-def]
    assert not any("Frequently" in hit.passage.section[0] for hit in found("What are heel kicks?").hits)


def test_small_talk_is_closest_to_small_talk(found) -> None:  # type: ignore[no-untyped-def]
    assert found("thank you so much").example.kind == "small_talk"


def test_the_same_question_gives_the_same_result(found) -> None:  # type: ignore[no-untyped-def]
    first, second = found("how long do I rest?"), found("how long do I rest?")
    assert [(hit.passage, hit.score) for hit in first.hits] == [(hit.passage, hit.score) for hit in second.hits]
    assert (first.example, first.likeness) == (second.example, second.likeness)
