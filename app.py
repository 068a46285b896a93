"""The web page: `python app.py` serves the chat on SPOTTER_HOST and SPOTTER_PORT."""

import asyncio
import logging
import os
import socket
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import cached_property, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assistant import page as pages
from assistant import safety
from assistant.conversation import Conversation, as_data, as_markdown, as_summary, read_conversation
from assistant.encoder import encoder_id
from assistant.feedback import feedback_on, keep
from assistant.knowledge import Library
from assistant.page import Page
from assistant.pipeline import WORDS_ALONE, Assistant, advice_for, screened
from assistant.rules import Rules, load_rules
from assistant.settings import ROOT, Settings, read_settings
from assistant.types import Reply, SpotterError, Triage, Turn

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr

log = logging.getLogger(__name__)

EXAMPLES = 4
CSS, JS = Path(pages.__file__).with_suffix(".css"), Path(pages.__file__).with_suffix(".js")
REPORT = ROOT / "evals" / "results" / "report.html"
EVALS = "python -m evals --keep"
# Whatever a message or an article holds, the browser fetches nothing from another host.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
# The style stands in the head: what is given as `css` Gradio rewrites, losing borders that hold a variable.
HEAD = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<style>{{css}}</style>'


class Opening:
    """The assistant being opened in the background, and what can be said and screened meanwhile."""

    def __init__(self, settings: Settings, open_assistant: Callable[..., Assistant] = Assistant.open) -> None:
        self.settings = settings
        self.assistant: Assistant | None = None
        self.examples: list[str] = []
        self.problem = ""
        self.step = "Loading the encoder…"
        self._open_assistant = open_assistant
        self._over = threading.Event()

    def start(self) -> None:
        """Begins to open the assistant."""
        threading.Thread(target=self._open, name="opening", daemon=True).start()

    def _open(self) -> None:
        try:
            self.screen([], Triage())  # reads the rules, so that the first message need not wait for them
            assistant = self._open_assistant(self.settings, progress=self._progress)
            self.examples = _examples(assistant)
            self.assistant = assistant
        except SpotterError as error:
            log.error("%s", error)
            self.problem = str(error)
        except Exception as error:  # a background thread: raising would leave the page loading for ever
            log.exception("The assistant could not be opened.")
            self.problem = f"Spotter could not start ({type(error).__name__}). Run: python -m assistant doctor"
        finally:
            self._over.set()

    def _progress(self, done: int, total: int) -> None:
        self.step = f"Indexing {done} of {total} passages…"

    @property
    def over(self) -> bool:
        """Whether the assistant is open, or never will be."""
        return self._over.is_set()

    @property
    def library(self) -> Library | None:
        """The articles, as soon as they are read."""
        return self.assistant.index.library if self.assistant else None

    async def wait(self) -> AsyncIterator[str]:
        """What is being done, step by step, until the assistant is open; raises SpotterError if it cannot be."""
        told = ""
        while not self.over:
            if self.step != told:
                told = self.step
                yield told
            await asyncio.sleep(0.1)
        if self.problem:
            raise SpotterError(self.problem)

    def screen(self, turns: Sequence[Turn], floor: Triage) -> tuple[Triage, str]:
        """The conversation's triage and its notice; by the words alone until the encoder is there.

        What the words alone miss the reply's own screen finds: it waits for the encoder.
        """
        try:
            if self.assistant:
                triage = self.assistant.screen(turns, floor)
            else:
                triage = screened(turns, floor, self._rules, None)
            return triage, advice_for(triage, self._rules, self.settings)
        except Exception as error:  # whatever fails here, the reader gets a cautious notice
            log.error("The safety screen failed (%s); the cautious notice is given.", type(error).__name__)
            return safety.screen_failed(floor), ""

    @cached_property
    def _rules(self) -> Rules:
        return load_rules(self.settings.safety)


def _examples(assistant: Assistant) -> list[str]:
    """Questions that the library answers: what is suggested to a greeting, and what is suggested after those."""
    questions = list(assistant.reply("Hello").suggestions)
    for question in tuple(questions):
        questions += assistant.reply(question).suggestions
    return list(dict.fromkeys(questions))[:EXAMPLES]


View = dict[str, Any]
"""What the chat shows (`html`), what the browser keeps (`conversation`), and whether an answer is to come (`busy`)."""


class Chat:
    """The page's events; none raises, and whatever is edited, retried or stopped, the triage stays.

    The server keeps nothing of a conversation: the browser sends it along with what its reader does.
    """

    def __init__(self, opening: Opening, page: Page) -> None:
        self.opening, self.page = opening, page

    def view(self, conversation: Conversation, *, busy: bool = False) -> View:
        """The chat as the browser shows and keeps it."""
        html = self.page.chat(conversation, self.opening.library, busy=busy, examples=self.opening.examples)
        return {"html": html, "conversation": as_data(conversation), "busy": busy}

    async def submit(self, sent: gr.EventData) -> AsyncIterator[View]:
        """Answers a message; while the assistant is being opened it says so."""
        try:
            conversation = self._asking(sent)
        except SpotterError as error:
            yield self._unread(error, sent)
            return
        async for view in self._answer(conversation):
            yield view

    async def _answer(self, conversation: Conversation) -> AsyncIterator[View]:
        words, floor, opening = self.page.words, conversation.floor, self.opening
        words_alone = opening.assistant is None
        triage, notice = await asyncio.to_thread(self._screen, conversation)
        conversation = conversation.with_last(triage=triage, notice=notice)
        yield self.view(conversation, busy=True)
        alone = f" {WORDS_ALONE}" if words_alone else ""
        try:
            if triage.level == "emergency" and words_alone:
                yield self.view(conversation)
                return
            async for step in opening.wait():
                waiting = conversation.with_last(trouble=f"{words['getting_ready']} {step}")
                yield {**self.view(waiting, busy=True), "conversation": as_data(conversation)}
            assert opening.assistant
            floor = triage if words_alone else floor  # what was shown already is not lowered
            *history, asked = conversation.turns
            reply: Reply = await asyncio.to_thread(opening.assistant.reply, asked.text, history, floor)
            yield self.view(conversation.with_last(reply=reply, triage=reply.triage))
        except SpotterError as error:
            yield self.view(conversation.with_last(trouble=f"{error}{alone}"))
        except Exception as error:  # a chat function that raises would leave the page stuck
            log.error("The reply failed (%s).", type(error).__name__)
            yield self.view(conversation.with_last(trouble=words["broken"]))

    def stop(self, sent: gr.EventData) -> View:
        """Keeps what was asked and the notice on it, and says that there is no answer."""
        try:
            conversation = read_conversation(sent._data.get("conversation"))
            last = conversation.exchanges[-1:]
            if not last or last[0].reply or last[0].trouble:  # stopped before the browser had heard of it
                conversation = self._asking(sent)
        except SpotterError as error:
            return self._unread(error, sent)
        triage, notice = self._screen(conversation)
        return self.view(conversation.with_last(triage=triage, notice=notice, trouble=self.page.words["stopped"]))

    def show(self, sent: gr.EventData) -> View:
        """A conversation that the browser kept, or a new one; answers whose lines have changed are marked."""
        try:
            conversation = read_conversation(sent._data.get("conversation"))
        except SpotterError as error:
            return self._unread(error, sent)
        return self.view(conversation.checked(self.opening.library) if self.opening.library else conversation)

    def _asking(self, sent: gr.EventData) -> Conversation:
        """The sent conversation with the sent message; SpotterError when they cannot be read."""
        data = sent._data
        conversation, text, at = read_conversation(data.get("conversation")), data.get("text"), data.get("at")
        if not isinstance(text, str) or not (at is None or (isinstance(at, int) and at >= 0)):
            raise SpotterError("This message cannot be read. Please send it again.")
        if at is not None:  # what a message said that is now replaced still counts
            triage, _ = self._screen(conversation)
            conversation = replace(conversation, floor=triage)
        return replace(conversation.asking(text, at), id=conversation.id or uuid.uuid4().hex)

    def _screen(self, conversation: Conversation) -> tuple[Triage, str]:
        triage, notice = self.opening.screen(conversation.turns, conversation.floor)
        number = self.opening.settings.emergency_number
        failed = self.page.words["unscreened"].format(emergency_number=number) if triage.level != "none" else ""
        return triage, notice or failed

    def _unread(self, error: SpotterError, sent: gr.EventData) -> View:
        """A new conversation that says what is wrong with what was sent; its message is screened all the same."""
        text = sent._data.get("text")
        conversation = Conversation(id=uuid.uuid4().hex).asking(text if isinstance(text, str) else "")
        triage, notice = self._screen(conversation)
        return self.view(conversation.with_last(triage=triage, notice=notice, trouble=str(error)))


class Panels:
    """What the browser asks for besides the chat; each takes one value, as Gradio's server functions do."""

    def __init__(self, opening: Opening, page: Page) -> None:
        self.opening, self.page = opening, page

    @property
    def methods(self) -> list[Callable[[Any], Any]]:
        """What page.js calls by name."""
        return [self.ready, self.article, self.evals, self.status, self.export_as, self.feedback]

    def ready(self, _: object) -> dict[str, str]:
        """Whether the assistant is open, in words and as loading, ready or failed."""
        if self.opening.assistant:
            return {"text": self.page.words["ready"], "state": "ready"}
        return {
            "text": self.opening.problem or self.opening.step,
            "state": "failed" if self.opening.over else "loading",
        }

    def article(self, stem: str) -> str:
        """An article to read; the first one for an empty stem."""
        return self.page.article(stem, self.opening.assistant.index) if self.opening.assistant else ""

    def evals(self, _: object) -> dict[str, str]:
        """The last kept figures, and the whole report as a document of its own."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").is_file() else ""
        headline = readme.partition("<!-- headline -->\n")[2].partition("<!-- /headline -->")[0]
        report = REPORT.read_text(encoding="utf-8") if REPORT.is_file() else ""
        return {"html": self.page.evals(headline, EVALS, bool(report)), "report": report}

    def status(self, _: object) -> str:
        """What is running, and what is degraded."""
        words, opening = self.page.words, self.opening
        rows: list[tuple[str, object]] = [(words["status_title"], self.ready(None)["text"])]
        faults = []
        if opening.assistant:
            library = opening.assistant.index.library
            whole = opening.assistant.classifier is not None
            rows += [
                (words["status_articles"], ", ".join(article.title for article in library.articles)),
                (words["status_passages"], len(library.passages)),
                (words["status_encoder"], encoder_id(opening.settings.encoder)),
                (words["status_mode"], words["status_mode_quote"]),
                (words["status_screen"], words["status_screen_whole" if whole else "status_screen_words"]),
                ("Spotter", version("spotter")),
            ]
            faults = [*library.problems, *(() if whole else (WORDS_ALONE,))]
        elif opening.problem:
            faults = [opening.problem]
        return self.page.status(rows, faults)

    def export_as(self, sent: dict[str, Any]) -> dict[str, str]:
        """The conversation as Markdown with a name for its file: all of it, or the summary for a professional."""
        conversation = read_conversation(sent["conversation"])
        if sent["what"] == "summary":
            library = self.opening.library or Library(())
            return {"name": "spotter-summary", "text": as_summary(conversation, self.page.words, library)}
        return {"name": "spotter-conversation", "text": as_markdown(conversation, self.page.words)}

    def feedback(self, sent: dict[str, Any]) -> str:
        """Keeps what the reader said of a reply; gives the words of thanks, or what went wrong."""
        try:
            given = feedback_on(
                read_conversation(sent["conversation"]),
                int(sent["number"]),
                str(sent["verdict"]),
                str(sent["reason"]),
                bool(sent["consent"]),
            )
            keep(given, self.opening.settings.feedback)
        except SpotterError as error:
            log.error("%s", error)
            return self.page.words["no_feedback"]
        return self.page.words["thanks"]


def _function(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method as a function, since Gradio marks what it serves with an attribute."""

    @wraps(method)
    def call(sent: Any) -> Any:
        return method(sent)

    return call


def build_page(opening: Opening) -> gr.Blocks:
    """The page: conversations on the left, the chat in the middle, the article on the right."""
    settings = opening.settings
    page = Page(settings.language, f"{settings.emergency_number}, {settings.crisis_contact}")
    chat, panels = Chat(opening, page), Panels(opening, page)
    plain: dict[str, Any] = {"apply_default_css": False, "js_on_load": None}
    with gr.Blocks(title=page.words["title"], fill_width=True, analytics_enabled=False) as blocks:
        with gr.Row(elem_id="page"):
            gr.HTML(page.rail(), elem_id="rail", **plain)
            with gr.Column(elem_id="talk", min_width=0):
                gr.HTML(page.toolbar(), elem_id="top", **plain)
                shown = gr.HTML(
                    chat.view(Conversation()),
                    elem_id="chat",
                    html_template="${value.html}",
                    apply_default_css=False,
                    js_on_load=JS.read_text(encoding="utf-8"),
                    server_functions=[_function(method) for method in panels.methods],
                )
                gr.HTML(page.composer(), elem_id="ask-box", **plain)
            gr.HTML(page.reader(), elem_id="reader", **plain)
            gr.HTML("", elem_id="evals", **plain)
            gr.HTML("", elem_id="status", **plain)
        hidden: Any = {"outputs": shown, "show_progress": "hidden", "api_visibility": "private"}
        asking = shown.submit(chat.submit, concurrency_limit=None, trigger_mode="multiple", **hidden)
        shown.stop(chat.stop, cancels=asking, **hidden)
        shown.select(chat.show, cancels=asking, concurrency_limit=None, trigger_mode="multiple", **hidden)
    return blocks


def launch(opening: Opening, host: str, port: int) -> tuple[gr.Blocks, str]:
    """Serves the page and gives its address, then begins to open the assistant; raises SpotterError if it cannot."""
    blocks = build_page(opening)
    try:
        address: str = blocks.launch(
            server_name=host,
            server_port=port or _free_port(host),
            head=HEAD.format(css=CSS.read_text(encoding="utf-8")),
            footer_links=[],
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
        )[1]
    except OSError as error:
        raise SpotterError(f"{host}:{port} cannot be used. Set SPOTTER_HOST and SPOTTER_PORT to a free one.") from error
    opening.start()
    return blocks, address


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    """Serves the page until it is interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings()
        blocks, address = launch(Opening(settings), settings.host, settings.port)
    except SpotterError as error:
        sys.exit(f"spotter: {error}")
    print(f"Spotter: {address}", flush=True)
    blocks.block_thread()


if __name__ == "__main__":
    main()
