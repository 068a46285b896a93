from assistant.answer import Draft
from assistant.pipeline import Assistant
from assistant.respond import answer_text, clarify_text, full_text, notice_for, small_talk_text, suggestions_for
from assistant.types import Citation, Claim, Notice, Reason, Triage


def cited(quote: str) -> Citation:
    return Citation("heel-kicks", "Steps", 0, len(quote), quote)


ONE, TWO = cited("Arms: Pump them."), cited("Breathe out.")


def test_marks_are_numbered_by_first_use_and_stick_to_the_last_word() -> None:
    claims = (Claim("Arms: Pump them.", (ONE,)), Claim("Breathe out.", (TWO,)), Claim("Pump.", (ONE, TWO)))
    text, numbered = answer_text(Draft("answered"), claims)
    assert text == "**Arms:** Pump them.[1]\n\nBreathe out.[2]\n\nPump.[1][2]"
    assert numbered == [ONE, TWO]


def test_steps_are_numbered_and_lists_are_lists() -> None:
    claims = (Claim("Arms: Pump them.", (ONE,)), Claim("Breathe out.", (TWO,)))
    assert answer_text(Draft("answered", layout="steps"), claims)[0] == "1. **Arms:** Pump them.[1]\n2. Breathe out.[2]"
    assert answer_text(Draft("answered", layout="list"), claims)[0] == "- **Arms:** Pump them.[1]\n- Breathe out.[2]"
    assert answer_text(Draft("answered", layout="list"), claims[1:])[0] == "Breathe out.[1]"


def test_a_sentence_after_an_item_stands_apart_from_it() -> None:
    claims = (Claim("Arms: Pump them.", (ONE,)), Claim("See someone if:", (TWO,)), Claim("Breathe out.", (TWO,)))
    text, _ = answer_text(Draft("answered", layout="list"), claims)
    assert text == "- **Arms:** Pump them.[1]\n\nSee someone if:[2]\n\n- Breathe out.[2]"


def test_the_notice_stands_above_the_answer_and_the_sources_below(assistant: Assistant) -> None:
    text = full_text(Notice("Stop.\n\nCall."), "Breathe out.[1]", [TWO], assistant.index.library.by_stem, ["a note"])
    assert text == (
        "> ⚠️ Stop.\n>\n> Call.\n\nBreathe out.[1]\n\nSources:\n\n[1] Heel Kicks › Steps: “Breathe out.”\n\n*a note*"
    )


def test_a_consult_notice_quotes_the_article_unless_the_answer_does(assistant: Assistant) -> None:
    triage = Triage("consult", "routine", (Reason("knee_pain", 0, "my knee hurts"),))
    quoting = notice_for(triage, "See someone.", assistant.index, "heel-kicks", ())
    assert "Any sharp or persistent pain in the knees" in quoting.text
    line = next(citation for citation in quoting.citations if citation.quote.startswith("Pain:"))
    referring = notice_for(triage, "See someone.", assistant.index, "heel-kicks", (Claim(line.quote, (line,)),))
    assert referring == Notice("See someone. The answer below holds the article's own lines on this.", (line,))


def test_there_is_no_notice_without_a_reason(assistant: Assistant) -> None:
    assert notice_for(Triage(), "", assistant.index, "heel-kicks", ()) == Notice()


def test_an_emergency_notice_is_the_advice_alone(assistant: Assistant) -> None:
    triage = Triage("emergency", "now", (Reason("chest_pain", 0, "chest is tight"),))
    assert notice_for(triage, "Call now.", assistant.index, "heel-kicks", ()) == Notice("Call now.")


def test_suggestions_are_of_other_kinds_and_name_the_exercise(assistant: Assistant) -> None:
    draft = Draft("answered", kind="steps")
    assert suggestions_for(draft, assistant.index, "heel-kicks", "how?") == (
        "Which muscles work in heel kicks?",
        "What are the benefits of heel kicks?",
        "What are common mistakes in heel kicks?",
    )
    asked = ("Which muscles work in heel kicks?", "else?")
    assert (
        suggestions_for(draft, assistant.index, "heel-kicks", "how?", asked)[0]
        == "What are the benefits of heel kicks?"
    )


def test_a_choice_is_offered_by_the_exercises_names(assistant: Assistant) -> None:
    draft = Draft("clarify", candidates=("heel-kicks", "heel-kicks"))
    assert clarify_text(draft, assistant.index) == "Which exercise do you mean: Heel Kicks or Heel Kicks?"
    assert suggestions_for(draft, assistant.index, None, "arms?")[0] == "Heel Kicks: arms?"


def test_small_talk_answers_in_kind(assistant: Assistant) -> None:
    texts = [small_talk_text(message, assistant.index) for message in ("hello", "thanks", "bye", "cool")]
    assert [text.split()[0] for text in texts] == ["Hello!", "You're", "Bye,", "Glad"]
