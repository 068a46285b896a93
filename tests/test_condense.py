import pytest

from assistant.condense import Question, Speller, condense
from assistant.kinds import Kinds
from assistant.knowledge import Library
from assistant.types import Turn


@pytest.fixture(scope="module")
def speller(library: Library, kinds: Kinds) -> Speller:
    return Speller(library, kinds)


@pytest.fixture
def asked(library: Library, speller: Speller):  # type: ignore[no-untyped-def]
    def ask(*messages: str) -> Question:
        return condense([Turn("user", message) for message in messages], library, speller)

    return ask


def test_a_plain_question_stands_as_it_is(asked) -> None:  # type: ignore[no-untyped-def]
    text = "What muscles do heel kicks work?"
    assert asked(text) == Question(text, text, text, "", 0, ("heel-kicks",))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("wat muscels do heel kciks work", "muscles"), ("the hi knee comob", "combo"), ("how do i strech", "stretch")],
)
def test_misspelt_words_are_folded_into_known_ones(typed: str, meant: str, speller: Speller) -> None:
    assert meant in speller.fold(typed).split()


@pytest.mark.parametrize("text", ["are burpees better", "Pilates on Mondays", "my ACL", "10-15 reps x 3", "don't"])
def test_known_words_names_and_numbers_are_left_alone(text: str, speller: Speller) -> None:
    assert speller.fold(text) == text


def test_a_follow_up_brings_the_question_before_it(asked) -> None:  # type: ignore[no-untyped-def]
    question = asked("How long should I do heel kicks in a warm-up?", "and for hiit?")
    assert question.text == "How long should I do heel kicks in a warm-up? and for hiit?"
    assert question.context == "How long should I do heel kicks in a warm-up?"
    assert (question.turn, question.articles) == (1, ("heel-kicks",))


def test_a_new_topic_is_not_dragged_back(asked) -> None:  # type: ignore[no-untyped-def]
    question = asked("How long should I do heel kicks in a warm-up?", "What muscles do heel kicks work?")
    assert (question.text, question.context) == ("What muscles do heel kicks work?", "")


def test_what_was_told_before_a_question_still_counts(asked) -> None:  # type: ignore[no-untyped-def]
    question = asked("hi", "I play soccer for a local side", "would heel kicks suit me?")
    assert question.context == "I play soccer for a local side"


def test_the_asking_sentence_is_found_in_a_long_message(asked) -> None:  # type: ignore[no-untyped-def]
    question = asked("My coach is strict. We train on Mondays. How far apart should my feet be at the start?")
    assert question.focus == "How far apart should my feet be at the start?"


def test_a_question_that_says_too_little_keeps_its_background(asked) -> None:  # type: ignore[no-untyped-def]
    message = "I mean the big muscle behind my shin. Does it do anything?"
    assert asked(message).focus == message


def test_only_the_users_messages_are_read(library: Library, speller: Speller) -> None:
    turns = [Turn("user", "hello"), Turn("assistant", "Heel kicks burn calories."), Turn("user", "and then?")]
    question = condense(turns, library, speller)
    assert (question.text, question.context, question.articles) == ("and then?", "", ())


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            "What muscles do they work? And how long do I rest?",
            ["What muscles do they work?", "And how long do I rest?"],
        ),
        ("which muscles work and how many calories do I burn", ["which muscles work", "how many calories do I burn"]),
        ("I am new here. How do I warm up and cool down?", []),
        ("How long? Thanks!", []),
    ],
)
def test_several_questions_of_one_message_are_told_apart(asked, message: str, parts: list[str]) -> None:  # type: ignore[no-untyped-def]
    assert [part.focus for part in asked(message).parts] == parts


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("wich arm goes foward", "which arm goes forward"),
        ("woh is it for", "who is it for"),
        ("hwo do i do it", "how do i do it"),
        ("my abs and the hiit", "my abs and the hiit"),
    ],
)
def test_a_misspelt_question_word_stays_one(typed: str, meant: str, speller: Speller) -> None:
    assert speller.fold(typed) == meant
