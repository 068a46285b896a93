"""`make screenshots`: the main states of the page in light, dark and phone width, as tests/screenshots/*.png."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from test_browser import ARGUMENTS, DESK, PHONE, ask, chromium

from assistant.settings import ROOT

TARGET = Path(__file__).parent / "screenshots"
WAYS = {"light": (DESK, "light"), "dark": (DESK, "dark"), "phone": (PHONE, "light")}


def states(page: Page, save: str) -> None:
    """Goes through the states and keeps a picture of each."""

    def keep(state: str) -> None:
        page.wait_for_timeout(500)  # the end of scrolling
        page.screenshot(path=TARGET / f"{state}-{save}.png")

    expect(page.locator(".welcome [data-ask]")).to_have_count(4)
    keep("first")
    last = ask(page, "What muscles do heel kicks work?")
    keep("answer")
    last.locator(".cite").first.click()
    keep("source")
    if save == "phone":
        last.locator(".source.marked").get_by_role("button", name="Show it in the article").click()
        keep("article")
        page.get_by_role("button", name="Back to the chat").click()
    ask(page, "Which shoes should I wear?")
    keep("not-covered")
    ask(page, "my knee hurts when I kick, how many sets?")
    keep("notice")
    page.get_by_role("button", name="Not helpful").last.click()
    keep("feedback")
    ask(page, "now my chest feels tight")
    keep("emergency")
    for view in ("evals", "status"):
        page.locator(f".views [data-view={view}]").click()
        keep(view)


def main() -> None:
    """Serves the page with a cache of its own and takes the pictures."""
    TARGET.mkdir(exist_ok=True)
    expect.set_options(timeout=120_000)
    with tempfile.TemporaryDirectory() as cache:
        settings = {"SPOTTER_HOST": "127.0.0.1", "SPOTTER_PORT": "0", "SPOTTER_CACHE": cache}
        command, environment = [sys.executable, "app.py"], {**os.environ, **settings}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            address = server.stdout.readline().removeprefix("Spotter: ").strip()
            try:
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
                    for name, (size, scheme) in WAYS.items():
                        page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
                        page.goto(address)
                        states(page, name)
                    browser.close()
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
