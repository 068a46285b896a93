"""The page as a person uses it, in a real headless Chromium; all but the first test run by `make test-page`."""

import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

import app
from assistant.feedback import kept
from assistant.pipeline import LONGEST_MESSAGE, Assistant
from assistant.settings import Settings
from assistant.types import Reply, SpotterError, Triage, Turn

PATIENCE = 30_000
"""In milliseconds, for a slow machine."""
# A browser for one page and nothing else: no sandbox (there is none in a container) and no errands of its own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


class StandIn:
    """The real assistant, whose answer step can be held up or made to fail."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.assistant, name)

    def reply(self, question: str, history: Sequence[Turn] = (), floor: Triage | None = None) -> Reply:
        self.may_answer.wait(60)
        if self.error:
            raise self.error
        return self.assistant.reply(question, history, floor)


class Site:
    """The page on a port of its own."""

    def __init__(self, assistant: Assistant, settings: Settings, *, opens: bool = True) -> None:
        parts = (assistant.index, assistant.reader, assistant.rules, assistant.classifier)
        self.stand_in = StandIn(Assistant(*parts, settings))
        self.may_open = threading.Event()
        if opens:
            self.may_open.set()
        self.settings = settings
        self.opening = app.Opening(settings, self._open)
        self.blocks, self.address = app.launch(self.opening, "127.0.0.1", settings.port)

    def _open(self, settings: Settings, progress: Any) -> Assistant:
        progress(12, 64)
        self.may_open.wait(60)
        return cast(Assistant, self.stand_in)

    def close(self) -> None:
        self.stand_in.may_answer.set()
        self.may_open.set()
        self.blocks.close(verbose=False)


def chromium() -> str | None:
    """The browser's path; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = chromium()
    if not found and os.environ.get("CI") == "true":
        pytest.fail("CI has no Chromium: apt-get install chromium")
    if not found:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def site(assistant: Assistant, tmp_path: Path) -> Iterator[Site]:
    settings = Settings(port=0, feedback=tmp_path / "feedback.sqlite", emergency_number="555")
    served = Site(assistant, settings)
    yield served
    served.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person's browser; fails the test if any of its pages asks another host for anything or breaks."""
    opened = browser.new_context(viewport=DESK, accept_downloads=True)
    hosts: set[str | None] = set()
    broken: list[str] = []
    opened.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    opened.on("weberror", lambda error: broken.append(str(error.error)))
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield opened
    opened.close()
    assert hosts <= {"127.0.0.1", "", None}
    assert broken == []


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Page:
    return visit(context.new_page(), site)


def visit(page: Page, site: Site, state: str = "ready") -> Page:
    page.goto(site.address)
    expect(page.locator("#ready")).to_have_attribute("data-state", state)
    return page


def ask(page: Page, text: str, *, wait: bool = True) -> Locator:
    """Asks, and gives the last exchange when its answer is there."""
    count = page.locator(".exchange").count()
    page.get_by_role("textbox", name="Your question").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".exchange")).to_have_count(count + 1)
    if wait:
        answered(page)
    return page.locator(".exchange").last


def answered(page: Page) -> None:
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    expect(page.locator(".exchange").last.get_by_role("button", name="Retry")).to_be_visible()


def notice(page: Page) -> Locator:
    return page.locator(".exchange").last.locator(".notice:not(.earlier)")


def test_a_question_is_answered_with_sources_and_an_emergency_is_an_alert(page: Page) -> None:
    first = ask(page, "What muscles do heel kicks work?")
    first.get_by_role("button", name="Source 1: Muscles Worked").click()
    expect(first.locator(".source.marked blockquote")).to_contain_text("Hamstrings")
    expect(page.locator("#article .lit")).to_contain_text("Hamstrings")
    ask(page, "my chest feels tight")
    expect(page.get_by_role("alert")).to_contain_text("Get help now")
    expect(page.locator(".exchange").last.locator(".answer")).to_have_text("")


@pytest.mark.page
class TestAsk:
    def test_the_first_screen_invites_and_says_what_it_is(self, page: Page, site: Site) -> None:
        for words in ("answers from its articles alone", "does not diagnose", "No medical advice", "Articles it knows"):
            expect(page.get_by_text(words).first).to_be_visible()
        examples = page.locator(".welcome [data-ask]")
        expect(examples).to_have_count(4)
        examples.first.click()
        answered(page)
        expect(page.locator(".cite").first).to_be_visible()

    def test_every_example_is_answered(self, page: Page, site: Site) -> None:
        for text in site.opening.examples:
            expect(ask(page, text).locator(".cite").first).to_be_visible()

    def test_a_citation_shows_its_source_by_click_and_by_keyboard(self, page: Page) -> None:
        last = ask(page, "What muscles do heel kicks work?")
        quotes = last.locator(".source.marked blockquote")
        last.locator(".cite").nth(1).click()
        expect(quotes).to_contain_text("Gluteus Maximus: Assists in hip extension and stabilization")
        expect(last.locator(".source.marked")).to_contain_text("What Are Heel Kicks? › Muscles Worked")
        expect(last.locator(".source.marked")).to_contain_text("Heel Kicks: How to Do Them, Benefits, and Variations")
        page.keyboard.press("Tab")
        expect(quotes).to_contain_text("Calves")


@pytest.mark.page
class TestRead:
    def test_the_cited_line_is_scrolled_to_and_highlighted(self, page: Page) -> None:
        last = ask(page, "When should I consult a professional?")
        last.locator(".cite").last.click()
        expect(page.locator("#article .lit").first).to_be_in_viewport()
        quote = last.locator(".source.marked blockquote").inner_text()
        assert quote in page.locator("#article .lit").first.inner_text()

    def test_the_contents_lead_to_a_section_and_a_section_to_a_question(self, page: Page) -> None:
        page.locator(".contents").get_by_role("link", name="Common Mistakes to Avoid").click()
        heading = page.get_by_role("heading", name="Common Mistakes to Avoid")
        expect(heading).to_be_in_viewport()
        expect(heading).to_be_focused()
        page.get_by_role("button", name="Ask about Common Mistakes to Avoid").click()
        expect(page.locator("#question")).to_have_value("What are common mistakes in heel kicks?")
        page.keyboard.press("Enter")
        answered(page)
        expect(page.locator(".cite").first).to_be_visible()


@pytest.mark.page
class TestSafety:
    def test_the_notice_says_why_and_what_to_do_with_the_number_of_the_settings(self, page: Page) -> None:
        ask(page, "my chest feels tight")
        alert = page.get_by_role("alert")
        for words in ("Get help now", "my chest feels tight", "555", "If it was a slip"):
            expect(alert).to_contain_text(words)
        expect(alert.get_by_role("link", name="555")).to_have_attribute("href", "tel:555")

    def test_it_stays_over_questions_retry_edit_stop_reload_and_restoring(self, page: Page, site: Site) -> None:
        ask(page, "my knee hurts")
        ask(page, "which muscles do heel kicks work?")
        expect(notice(page)).to_contain_text("my knee hurts")
        page.get_by_role("button", name="Retry").last.click()
        answered(page)
        expect(notice(page)).to_contain_text("my knee hurts")
        page.get_by_role("button", name="Edit my knee hurts").click()
        page.locator("#question").fill("what are the benefits?")
        page.keyboard.press("Enter")
        expect(page.locator(".exchange")).to_have_count(1)
        answered(page)
        expect(notice(page)).to_contain_text("my knee hurts")
        site.stand_in.may_answer.clear()
        ask(page, "how long should I do it?", wait=False)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Stopped before there was an answer.")).to_be_visible()
        expect(notice(page)).to_contain_text("my knee hurts")
        site.stand_in.may_answer.set()
        page.reload()
        expect(notice(page)).to_contain_text("my knee hurts")
        page.get_by_role("button", name="New chat").click()
        expect(page.locator(".notice")).to_have_count(0)
        page.locator("#conversations button").first.click()
        expect(notice(page)).to_contain_text("my knee hurts")

    def test_it_ends_when_the_person_takes_it_back(self, page: Page) -> None:
        ask(page, "my knee hurts")
        last = ask(page, "sorry, I meant my dog's knee hurts, not mine")
        expect(last).to_contain_text("You took back")
        expect(notice(page)).to_have_count(0)

    def test_a_page_left_while_the_answer_is_made_comes_back_with_the_notice(self, page: Page, site: Site) -> None:
        site.stand_in.may_answer.clear()
        ask(page, "my chest feels tight", wait=False)
        expect(page.get_by_role("alert")).to_be_visible()
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("my chest feels tight")


@pytest.mark.page
class TestKeepTalking:
    def test_a_suggestion_is_answered(self, page: Page) -> None:
        ask(page, "What are the benefits of heel kicks?")
        page.locator(".next button").first.click()
        expect(page.locator(".exchange")).to_have_count(2)
        answered(page)
        expect(page.locator(".exchange").last.locator(".cite").first).to_be_visible()

    def test_an_earlier_question_is_asked_again_only_after_a_warning(self, page: Page) -> None:
        for text in ("What are heel kicks?", "How long do I do heel kicks?"):
            ask(page, text)
        retry = page.get_by_role("button", name="Retry What are heel kicks?")
        page.once("dialog", lambda dialog: dialog.dismiss())
        retry.click()
        expect(page.locator(".exchange")).to_have_count(2)
        page.once("dialog", lambda dialog: dialog.accept())
        retry.click()
        expect(page.locator(".exchange")).to_have_count(1)
        answered(page)

    def test_a_draft_survives_a_reload(self, page: Page) -> None:
        page.locator("#question").fill("how high do my")
        page.reload()
        expect(page.locator("#question")).to_have_value("how high do my")

    def test_the_browsers_back_leads_back_to_the_chat(self, page: Page) -> None:
        page.get_by_role("button", name="Status").click()
        expect(page.locator("#question")).not_to_be_visible()
        page.go_back()
        expect(page.locator("#question")).to_be_visible()

    def test_an_answer_can_be_copied(self, page: Page, context: BrowserContext) -> None:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        ask(page, "What are the benefits of heel kicks?")
        page.get_by_role("button", name="Copy").click()
        expect(page.locator("#told")).to_have_text("Copied.")
        assert "Sources:" in page.evaluate("navigator.clipboard.readText()")

    def test_conversations_are_listed_opened_deleted_and_cleared(self, page: Page) -> None:
        listed = page.locator("#conversations [data-open]")
        for number, text in enumerate(("What are heel kicks?", "How long do I do heel kicks?"), start=1):
            ask(page, text)
            expect(listed).to_have_count(number)
            page.get_by_role("button", name="New chat").click()
            expect(page.locator(".exchange")).to_have_count(0)
        page.get_by_role("button", name="What are heel kicks?", exact=True).click()
        expect(page.locator(".asked")).to_have_text("What are heel kicks?")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete the conversation “What are heel kicks?”").click()
        expect(listed).to_have_text(["How long do I do heel kicks?"])
        expect(page.locator(".exchange")).to_have_count(0)
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Clear everything on this device").click()
        expect(page.locator("#conversations")).to_have_text("None yet.")
        assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('spotter')).length") == 0

    def test_an_answer_whose_article_has_changed_is_marked_when_it_is_restored(self, page: Page) -> None:
        ask(page, "What are the benefits of heel kicks?")
        page.evaluate(
            "Object.keys(localStorage).filter(key => key.startsWith('spotter')).forEach(key => "
            'localStorage.setItem(key, localStorage.getItem(key).replace(\'"quote":"\', \'"quote":"Once, \')))'
        )
        page.reload()
        expect(page.get_by_text("The article has changed since this answer was given.")).to_be_visible()

    def test_the_conversation_can_be_exported(self, page: Page) -> None:
        ask(page, "What are the benefits of heel kicks?")
        text = saved(page, "Export")
        assert text.startswith("# A conversation with Spotter")
        assert "## What are the benefits of heel kicks?" in text

    def test_feedback_is_kept_with_the_words_only_by_consent(self, page: Page, site: Site) -> None:
        ask(page, "What are the benefits of heel kicks?")
        for consent in (False, True):
            page.get_by_role("button", name="Not helpful").click()
            page.get_by_label("Something is missing").check()
            if consent:
                page.get_by_label("Keep my messages").check()
            page.get_by_role("button", name="Send").click()
            expect(page.locator("#told")).to_contain_text("Thank you")
            expect(page.locator(".exchange .feedback")).to_have_count(0)
            expect(page.get_by_role("button", name="Not helpful")).to_be_focused()
        found = [(one.verdict, one.reason, one.turns) for one in kept(site.settings.feedback)]
        assert found == [
            ("down", "Something is missing", None),
            ("down", "Something is missing", ("What are the benefits of heel kicks?",)),
        ]


def saved(page: Page, button: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


@pytest.mark.page
def test_the_evals_and_the_status_are_shown(page: Page) -> None:
    page.get_by_role("button", name="Evals").click()
    expect(page.get_by_role("cell", name="unseen articles: every needed fact stated and cited")).to_be_visible()
    expect(page.get_by_text("python -m evals --keep")).to_be_visible()
    page.get_by_role("button", name="Status").click()
    for words in ("all-MiniLM-L6-v2", "no language model", "nothing"):
        expect(page.locator("#status").get_by_text(words).first).to_be_visible()
    page.get_by_role("button", name="Chat", exact=True).click()
    expect(page.locator("#question")).to_be_visible()


@pytest.mark.page
class TestForEveryone:
    @pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")])
    def test_axe_finds_nothing_on_any_view(self, page: Page, size: Any, scheme: Any) -> None:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.reload()
        expect(page.locator("#ready")).to_have_attribute("data-state", "ready")
        expect(page.locator(".welcome [data-ask]")).to_have_count(4)
        found = {"first screen": violations(page)}
        for text in (
            "What muscles do heel kicks work?",
            "Which shoes do I need?",
            "my knee hurts",
            "my chest is tight",
        ):
            last = ask(page, text)
            if last.locator(".cite").count():
                last.locator(".cite").first.click()
            found[text] = violations(page)
        page.get_by_role("button", name="Not helpful").first.click()
        found["feedback"] = violations(page)
        for view in ("article", "evals", "status"):
            button = page.locator(f".views [data-view={view}]")
            if button.is_visible():
                button.click()
                expect(page.locator(f"#{view} h2").first).to_be_visible()
                found[view] = violations(page)
        assert found == {name: [] for name in found}

    def test_everything_can_be_done_with_the_keyboard_alone(self, page: Page) -> None:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the question")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.locator("#question").focus()
        page.keyboard.type("What muscles do heel kicks work?")
        page.keyboard.press("Enter")
        expect(page.locator(".exchange")).to_have_count(1)
        answered(page)
        for _ in range(40):
            if page.evaluate("document.activeElement.matches('.cite')"):
                break
            page.keyboard.press("Shift+Tab")
        expect(page.locator(".source.marked")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("#article .lit")).to_be_in_viewport()

    def test_the_order_for_a_screen_reader_is_question_notice_answer_sources(self, page: Page) -> None:
        last = ask(page, "my knee hurts, which muscles do heel kicks work?")
        order = last.evaluate(
            "one => [...one.querySelectorAll('.asked, .notice, .answer, .sources, .tools')].map(x => x.classList[0])"
        )
        assert order[:4] == ["asked", "notice", "answer", "sources"]
        assert order[-1] == "tools"

    @pytest.mark.parametrize("size", [PHONE, {"width": 640, "height": 400}, {"width": 320, "height": 640}])
    def test_nothing_is_cut_off_on_a_phone_or_at_200_percent(self, page: Page, size: Any) -> None:
        page.set_viewport_size(size)
        ask(page, "my knee hurts, which muscles do heel kicks work?")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        expect(page.get_by_role("button", name="Ask", exact=True)).to_be_in_viewport()
        assert page.evaluate("document.querySelector('.log').clientHeight") > size["height"] / 5

    def test_on_a_phone_the_article_is_a_view_of_its_own_with_a_way_back(self, page: Page) -> None:
        page.set_viewport_size(PHONE)
        last = ask(page, "my knee hurts, which muscles do heel kicks work?")
        last.locator(".cite").first.click()
        expect(notice(page)).to_be_attached()
        expect(page.locator("#reader")).not_to_be_visible()
        last.locator(".source.marked").get_by_role("button", name="Show it in the article").click()
        expect(page.locator("#article .lit").first).to_be_in_viewport()
        page.get_by_role("button", name="Back to the chat").click()
        expect(notice(page)).to_be_visible()

    def test_less_motion_is_kept_to(self, page: Page, site: Site) -> None:
        page.emulate_media(reduced_motion="reduce")
        site.stand_in.may_answer.clear()
        ask(page, "How do I do heel kicks?", wait=False)
        name = "getComputedStyle(document.querySelector('.looking'), '::after').animationName"
        assert page.evaluate(name) == "none"


def violations(page: Page) -> list[str]:
    result = Axe().run(page)
    return [f"{one['id']}: {node['html'][:100]}" for one in result.response["violations"] for node in one["nodes"]]


@pytest.mark.page
class TestTrouble:
    def test_a_slow_answer_shows_that_it_is_being_made_and_can_be_stopped(self, page: Page, site: Site) -> None:
        site.stand_in.may_answer.clear()
        ask(page, "How do I do heel kicks?", wait=False)
        expect(page.get_by_text("Looking through the articles…")).to_be_visible()
        expect(page.locator("#question")).to_be_editable()
        expect(page.get_by_text("Still looking. You can stop it.")).to_be_visible()
        page.locator("#question").fill("and the arms?")
        page.keyboard.press("Enter")
        expect(page.locator("#told")).to_contain_text("An answer is on its way")
        expect(page.locator("#question")).to_have_value("and the arms?")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Stopped before there was an answer.")).to_be_visible()
        expect(page.locator("#told")).to_be_empty()
        site.stand_in.may_answer.set()
        page.get_by_role("button", name="Retry").click()
        answered(page)
        expect(page.locator(".exchange").last.locator(".cite").first).to_be_visible()

    @pytest.mark.parametrize(
        ("error", "words"),
        [(SpotterError("Run the doctor."), "Run the doctor."), (OSError(), "went wrong")],
    )
    def test_a_failing_answer_is_a_clear_state(self, page: Page, site: Site, error: Exception, words: str) -> None:
        site.stand_in.error = error
        expect(ask(page, "How do I do heel kicks?").locator(".trouble")).to_contain_text(words)
        site.stand_in.error = None
        page.get_by_role("button", name="Retry").click()
        expect(page.locator(".cite").first).to_be_visible()

    def test_a_question_asked_while_the_index_is_built_waits_for_it(
        self, context: BrowserContext, assistant: Assistant
    ) -> None:
        site = Site(assistant, Settings(port=0), opens=False)
        try:
            page = visit(context.new_page(), site, "loading")
            ask(page, "How do I do heel kicks?", wait=False)
            expect(page.locator(".exchange").get_by_text("Indexing 12 of 64 passages…")).to_be_visible()
            site.may_open.set()
            answered(page)
            expect(page.locator(".cite").first).to_be_visible()
        finally:
            site.close()

    def test_a_message_that_is_too_long_is_said_to_be(self, page: Page) -> None:
        page.locator("#question").fill("heel kicks " * 400)
        expect(page.locator("#told")).to_contain_text(f"4400 of {LONGEST_MESSAGE} characters")
        page.keyboard.press("Enter")
        answered(page)
        expect(page.locator(".answer")).to_contain_text("longer than 4000 characters")
        expect(page.locator("#question")).to_have_value("heel kicks " * 400)

    def test_a_server_that_is_gone_loses_nothing(self, page: Page, site: Site, context: BrowserContext) -> None:
        ask(page, "What are heel kicks?")
        context.set_offline(True)
        page.locator("#question").fill("and the arms?")
        page.keyboard.press("Enter")
        expect(page.locator("#told")).to_contain_text("in an emergency call")
        expect(page.locator("#told")).to_contain_text("cannot be reached")
        expect(page.locator("#question")).to_have_value("and the arms?")
        expect(page.locator("#question")).to_be_editable()
        expect(page.locator(".exchange")).to_have_count(1)
        page.locator("#question").fill("")
        page.get_by_role("button", name="Retry").click()  # its answer is hidden while the new one is made
        expect(page.locator(".exchange:visible .cite").first).to_be_visible()
        expect(page.locator("#question")).to_have_value("What are heel kicks?")
        page.get_by_role("button", name="Cancel").click()
        page.locator("#question").fill("and the arms?")
        context.set_offline(False)
        expect(page.locator("#told")).to_contain_text("is back")
        expect(page.locator("#question")).to_have_value("and the arms?")
        expect(page.locator("#ready")).to_have_text("Ready")

    def test_two_tabs_keep_each_others_conversations_and_show_the_same_one_alike(
        self, page: Page, site: Site, context: BrowserContext
    ) -> None:
        other = visit(context.new_page(), site)
        ask(page, "What are heel kicks?")
        ask(other, "How long do I do heel kicks?")
        expect(page.locator("#conversations [data-open]")).to_have_count(2)
        other.locator("#conversations").get_by_role("button", name="What are heel kicks?", exact=True).click()
        expect(other.locator(".asked").first).to_have_text("What are heel kicks?")
        ask(other, "my knee hurts")
        expect(page.locator(".exchange")).to_have_count(2)
        expect(notice(page)).to_contain_text("my knee hurts")
        expect(page.locator("#told")).to_contain_text("in another tab")


@pytest.mark.page
def test_a_newcomer_does_it_all_in_twelve_clicks(page: Page) -> None:
    clicks = []

    def click(target: Locator) -> None:
        clicks.append(target)
        target.click()

    click(page.locator(".welcome [data-ask]").first)  # a form question
    answered(page)
    click(page.locator(".cite").first)  # where the answer stands
    expect(page.locator("#article .lit").first).to_be_in_viewport()
    ask(page, "my knee hurts")
    for _ in range(3):
        click(page.locator(".next button").first)
        answered(page)
        expect(notice(page)).to_contain_text("my knee hurts")
    page.reload()
    expect(notice(page)).to_contain_text("my knee hurts")
    with page.expect_download() as download:
        click(page.get_by_role("button", name="Summary for a professional"))
    summary = Path(download.value.path()).read_text(encoding="utf-8")
    assert "- “my knee hurts” (" in summary
    assert len(clicks) <= 12
    assert json.loads(page.evaluate("JSON.stringify(Object.keys(localStorage).length)")) >= 1
