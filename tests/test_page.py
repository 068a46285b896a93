import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from test_conversation import BACK, REPLY, TALK

from assistant import page as pages
from assistant.conversation import Conversation, Exchange
from assistant.knowledge import Library, read_article
from assistant.page import Page
from assistant.pipeline import Assistant
from assistant.types import Claim, Notice, Triage

PAGE = Page()
LIBRARY = Library((read_article("# Plank & Co\n\n## Form\n\nKeep your hips level.", "plank"),))


def shown(*exchanges: Exchange, busy: bool = False) -> str:
    return PAGE.chat(Conversation("1", exchanges=exchanges), LIBRARY, busy=busy)


def test_the_first_screen_says_what_it_does_and_offers_questions_and_articles() -> None:
    html = PAGE.chat(Conversation(), LIBRARY, examples=["How <i>?"])
    for words in (PAGE.words["does"], PAGE.words["does_not"]):
        assert words in unescape(html)
    assert 'data-ask="How &lt;i&gt;?"' in html
    assert '<button type="button" data-article="plank">Plank &amp; Co</button>' in html


def test_a_mark_becomes_a_button_for_the_source_of_its_number() -> None:
    html = shown(Exchange("How?", REPLY))
    label = 'aria-label="Source 1: Form">1</button>'
    assert f'<span class="whole">level.<button type="button" class="cite" data-cite="0-1" {label}' in html
    assert 'id="source-0-1"' in html
    assert "<blockquote>Keep your hips level.</blockquote>" in html
    assert 'data-article="plank" data-start="18" data-end="39"' in html


def test_a_number_in_brackets_that_is_no_citation_stays_as_it_is() -> None:
    html = shown(Exchange("How?", replace(REPLY, text="Level.[1][9] See [7].", answer="Level.[1][9] See [7].")))
    text = re.sub(r"<[^>]+>", "", html)
    assert "Level.1[9] See [7]." in text


def test_the_notice_stands_above_the_answer_and_its_own_lines_below() -> None:
    html = shown(Exchange("How?", REPLY, REPLY.triage))
    order = [
        html.index(part) for part in ('class="notice consult"', 'class="answer"', "Quoted by the safety notice (1)")
    ]
    assert order == sorted(order)
    claimed = replace(REPLY, claims=(*REPLY.claims, Claim("Stop if your back hurts.", (BACK,))))
    assert "Quoted by the safety notice" not in shown(Exchange("How?", claimed, REPLY.triage))


def test_an_emergency_is_an_alert_and_only_the_last_notice_is_spelled_out() -> None:
    grave = Exchange("chest", replace(REPLY, notice=Notice("**Stop.**")), Triage("emergency", "now"))
    html = shown(grave, grave)
    assert html.count('role="alert"') == 1
    assert html.count("<h3><span") == 1
    assert html.count('<details class="notice earlier emergency"><summary>Get help now (shown at this point)') == 1
    assert html.count("<strong>Stop.</strong>") == 2


def test_a_number_in_an_emergency_can_be_called() -> None:
    page = Page(helplines="112 or 911, 116 123 in the UK")
    grave = replace(REPLY, notice=Notice("Call 112 or 116 123 now. I say this because you wrote “did 400 squats”."))
    talk = Conversation("1", exchanges=(Exchange("chest", grave, Triage("emergency", "now")),))
    called = 'Call <a href="tel:112">112</a> or <a href="tel:116123">116 123</a> now.'
    assert f"{called} I say this because you wrote “did 400 squats”." in page.chat(talk, LIBRARY)
    calm = Conversation("1", exchanges=(Exchange("knee", grave, Triage("consult", "routine")),))
    assert "tel:" not in page.chat(calm, LIBRARY)


def test_nothing_that_a_person_or_an_article_says_is_obeyed() -> None:
    bad = "<img src=x onerror=y> ![z](http://example.com/z.png) [l](http://example.com) {{ t.you }} ${value}"
    reply = replace(REPLY, text=bad, answer=bad, notes=(bad,), suggestions=(bad,), notice=Notice(bad))
    html = shown(Exchange(bad, reply, REPLY.triage), Exchange(bad, trouble=bad))
    assert not re.search(r"<(img|a)\b", html)
    assert html.count("{{ t.you }} ${value}") >= 6


def test_each_state_of_an_exchange_is_said_in_words() -> None:
    assert PAGE.words["looking"] in shown(Exchange("How?"), busy=True)
    assert PAGE.words["lost"] in shown(Exchange("How?"))
    assert "No rules." in shown(Exchange("How?", trouble="No rules."))
    assert PAGE.words["changed"] in shown(Exchange("How?", REPLY, changed=True))


def test_an_article_holds_every_line_at_its_place_and_a_question_to_each_section(assistant: Assistant) -> None:
    html = PAGE.article("", assistant.index)
    article = assistant.index.library.articles[0]
    places = [(int(start), int(end)) for start, end in re.findall(r'data-start="(\d+)" data-end="(\d+)"', html)]
    assert places == [(passage.start, passage.end) for passage in article.passages]
    text = unescape(re.sub(r"<[^>]+>", "", html))
    assert all(passage.text in text for passage in article.passages)
    sections = dict.fromkeys(passage.section for passage in article.passages)
    assert html.count("data-fill=") == html.count('href="#section-') == len(sections)
    assert 'data-fill="Which muscles work in heel kicks?"' in html


def test_tables_lists_and_paragraphs_keep_their_shape(assistant: Assistant) -> None:
    text = (
        "# Toe Taps\n\nStand in front of a step. Tap it with one foot.\n\nThen change feet.\n\n"
        "- A\n  - B\n\n1. Go\n\n| level | sets |\n|---|---|\n| new | 2 |\n"
    )
    article = read_article(text, "toe-taps")
    (section,) = PAGE._sections(article, assistant.index)
    assert [(block.tag, len(block.lines)) for block in section.blocks] == [("p", 2), ("p", 1), ("ul", 2), ("table", 2)]
    html = str(PAGE._macros.article(article, (article,), (section,)))
    assert "<th>level</th><th>sets</th></tr>" in html
    assert "<td>new</td><td>2</td></tr>" in html
    assert re.sub(r"</?span[^>]*>", "", html).count('<li class="deep-0">A</li><li class="deep-1">B</li>') == 1
    assert 'data-number="1"' in html


def test_an_article_that_is_gone_is_said_to_be(assistant: Assistant) -> None:
    assert PAGE.words["no_article"] in PAGE.article("gone", assistant.index)


def test_every_word_of_the_page_is_in_the_file_of_words_and_every_word_of_it_is_used() -> None:
    here = Path(pages.__file__).parent
    code = "".join((here / name).read_text() for name in ("page.html", "page.js", "page.py", "conversation.py"))
    code += (here.parent / "app.py").read_text()
    used = set(
        re.findall(
            r"(?:\bt\.|words\.)(\w+)|words\[\"(\w+)\"\]|words\['(\w+)'\]|\"(summary_\w+|status_screen\w*)\"", code
        )
    )
    names = {name for found in used for name in found if name}
    composed = {f"level_{level}" for level in ("none", "consult", "emergency")}
    composed |= {f"view_{view}" for view in ("chat", "article", "evals", "status")} | {"export", "summary"}
    assert names | composed == set(PAGE.words)


def test_the_summary_and_the_page_can_be_in_another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("page.html", "page.en.toml"):
        text = (pages.HERE / name).read_text().replace('ask = "Ask"', 'ask = "Fragen"')
        (tmp_path / name.replace(".en.", ".de.")).write_text(text)
    monkeypatch.setattr(pages, "HERE", tmp_path)
    assert ">Fragen</button>" in Page("de").composer()


def test_a_whole_conversation_is_shown_in_order() -> None:
    html = PAGE.chat(TALK, LIBRARY)
    asked = re.findall(r'<div class="asked"><p>([^<]+)</p>', html)
    assert asked == [one.asked for one in TALK.exchanges]
