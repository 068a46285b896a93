"""Speed: every time beside a yardstick taken in the same run, since machines differ and are noisy."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from statistics import median, quantiles
from typing import Any

from assistant.encoder import packaged_model
from assistant.pipeline import Assistant
from assistant.settings import ROOT, Settings
from assistant.types import SpotterError
from evals.cases import load_cases
from evals.figures import Figure, Row

ROUNDS = 3
PAGE_PORT = 7871
ASKED = 40
QUESTION = "What muscles does it work?"
BARE = """
import sentence_transformers, langchain_chroma
sentence_transformers.SentenceTransformer({model!r}, device="cpu", local_files_only=True).encode(["warm"])
"""


CATEGORY = ""


def run(settings: Settings, limit: int | None = None) -> dict[str, list[Row]]:
    """Seconds and ratios: a warm answer to one encoder pass, the first answer and the page to their bare imports."""
    model = settings.encoder or str(packaged_model())
    answer, encoder_pass = _warm(settings)
    bare = _fastest([sys.executable, "-c", BARE.format(model=model)])
    first = _fastest([sys.executable, "-m", "assistant", "ask", QUESTION])
    gradio = _fastest([sys.executable, "-c", "import gradio"])
    page = min(_page() for _ in range(ROUNDS))
    shown = _shown()
    p50, p95 = median(answer), quantiles(answer, n=20)[-1]
    measured = {
        "encoder_pass_p50": encoder_pass,
        "answer_p50": p50,
        "answer_p95": p95,
        "answer_p50_in_passes": p50 / encoder_pass,
        "answer_p95_in_passes": p95 / encoder_pass,
        "bare_imports_and_load": bare,
        "first_answer": first,
        "first_answer_ratio": first / bare,
        "import_gradio": gradio,
        "page_usable": page,
        "page_after_gradio": page - gradio,
        "enter_to_answer_p50": median(shown),
        "enter_to_answer_p95": quantiles(shown, n=20)[-1],
    }
    return {"this machine": [{"id": name, "right": None, "value": value} for name, value in measured.items()]}


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """What was measured, in seconds or as a ratio."""
    return {row["id"]: Figure(row["value"], 1, share=False) for row in rows}


def _warm(settings: Settings) -> tuple[list[float], float]:
    questions = [case.turns[0] for case in load_cases("heel-kicks-dev")]
    assistant = Assistant.open(settings)
    try:
        for question in questions[:10]:
            assistant.reply(question)
        answers, passes = [], []
        for question in questions:
            passes.append(_timed(lambda asked=question: assistant.index.embed([asked])))
            answers.append(_timed(lambda asked=question: assistant.reply(asked)))
    finally:
        assistant.close()
    return answers, median(passes)


def _timed(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _fastest(command: list[str]) -> float:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return min(
        _timed(lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True))
        for _ in range(ROUNDS)
    )


@contextmanager
def _served() -> Iterator[str]:
    """The page in a process of its own; gives its address as soon as it is served."""
    address = f"http://127.0.0.1:{PAGE_PORT}/"
    environment, begun = {**os.environ, "SPOTTER_PORT": str(PAGE_PORT)}, time.perf_counter()
    page = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - begun < 120:
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    yield address
                    return
            time.sleep(0.05)
        raise TimeoutError("the page did not come up in two minutes")
    finally:
        page.terminate()
        page.wait()


def _page() -> float:
    """Seconds from starting `python app.py` until the page is served."""
    begun = time.perf_counter()
    with _served():
        return time.perf_counter() - begun


def _shown() -> list[float]:
    """Seconds from Enter until the answer is on the screen of a Chromium, for each question."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        raise SpotterError("The time to an answer on the screen needs Chromium: apt-get install chromium")
    questions = [case.turns[0] for case in load_cases("heel-kicks-dev")][:ASKED]
    times = []
    with _served() as address, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.goto(address)
        page.wait_for_selector("#ready[data-state=ready]", state="attached", timeout=120_000)
        for number, question in enumerate(questions):
            if number % 5 == 0:
                page.click("#toolbar [data-do=new]")
                page.wait_for_selector(".welcome")
            page.fill("#question", question)
            begun = time.perf_counter()
            page.press("#question", "Enter")
            page.wait_for_selector(f'.exchange[data-number="{number % 5}"] .answer', state="attached")
            times.append(time.perf_counter() - begun)
    return times
