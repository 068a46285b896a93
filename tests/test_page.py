import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from assistant.settings import ROOT

PATIENCE = 120_000
"""In milliseconds; the encoder may have to be loaded and the articles indexed on a slow machine."""
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


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found and os.environ.get("CI") == "true":
        pytest.fail("CI has no Chromium: apt-get install chromium")
    if not found:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    return found


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The real page in a process of its own, with an empty cache."""
    settings = {"SPOTTER_HOST": "127.0.0.1", "SPOTTER_PORT": "0", "SPOTTER_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().removeprefix("Spotter: ").strip()
        finally:
            server.terminate()


@pytest.fixture
def opened(chromium: str, address: str) -> Iterator[tuple[Page, set[str | None]]]:
    """The page in a browser, and the hosts that it asks for anything."""
    hosts: set[str | None] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(address)
        yield page, hosts
        browser.close()


def test_a_conversation_in_a_real_browser(opened: tuple[Page, set[str | None]]) -> None:
    page, hosts = opened
    box = page.get_by_role("textbox", name="Your question")
    replies = page.locator("#chat [data-testid=bot]")
    cards = page.locator("#sources .source")

    def ask(question: str) -> None:
        box.fill(question)
        box.press("Enter")

    # The question is put while the encoder is still being loaded, and answered when it is.
    ask("What muscles do heel kicks work?")
    expect(page.get_by_text("Ready: ")).to_be_visible()
    expect(replies.last).to_contain_text("[1]")
    expect(cards.first).to_contain_text("[1]")
    assert cards.first.locator("blockquote").inner_text().strip()
    expect(page.get_by_role("alert")).to_be_empty()

    ask("my chest feels tight")
    expect(replies).to_have_count(2)
    expect(replies.last.locator("blockquote h3")).to_contain_text("Get help now")
    expect(page.get_by_role("alert")).not_to_be_empty()

    ask("How do I do heel kicks?")
    expect(replies).to_have_count(3)
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()  # the reply is whole: it would close the edit
    page.get_by_role("button", name="Edit").last.click()
    page.locator("#chat textarea").fill("What are the benefits of heel kicks?")
    page.get_by_role("button", name="Submit").first.click()
    expect(page.locator("#chat [data-testid=user]").last).to_contain_text("benefits")
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()
    page.get_by_role("button", name="Edit").nth(1).click()
    page.locator("#chat textarea").fill("Which mistakes are common?")
    page.get_by_role("button", name="Submit").first.click()
    expect(replies).to_have_count(2)
    expect(page.get_by_text("my chest feels tight", exact=True)).to_have_count(0)

    # No edit took the notice away, and there is no coaching: no line of an article, in the chat or beside it.
    expect(replies.last.locator("blockquote h3")).to_contain_text("Get help now")
    assert replies.last.inner_text() == replies.last.locator("blockquote").inner_text()
    expect(cards).to_have_count(0)

    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#chat .example")).to_have_count(4)
    page.locator("#chat .example").first.click()
    expect(cards.first).to_be_visible()
    page.locator("#chat .option").first.click()
    expect(replies).to_have_count(2)
    expect(page.locator("#chat blockquote")).to_have_count(0)
    expect(box).to_be_editable()
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()
    assert hosts == {"127.0.0.1"}
