"""The web page: `python app.py` serves the chat on SPOTTER_HOST and SPOTTER_PORT."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from assistant import page, safety
from assistant.pipeline import WORDS_ALONE, Assistant, advice_for, screened
from assistant.rules import Rules, load_rules
from assistant.settings import Settings, read_settings
from assistant.types import SpotterError, Triage, Turn

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr

log = logging.getLogger(__name__)

EXAMPLES = 4
CSS = Path(page.__file__).with_suffix(".css")
# Whatever a message or an article holds, the browser fetches nothing from another host.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
# The style stands in the head: what is given as `css` Gradio rewrites, losing borders that hold a variable.
HEAD = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<style>{{css}}</style>'

# A reply is read from its top, where a safety notice stands.
TO_THE_QUESTION = """() => setTimeout(() => {
  const log = document.querySelector("#chat [role=log]");
  const asked = [...log.querySelectorAll(".user-row")].pop();
  if (asked) log.scrollTop += asked.getBoundingClientRect().top - log.getBoundingClientRect().top - 12;
}, 50)"""


class Opening:
    """The assistant being opened in the background, and what can be said and screened meanwhile."""

    def __init__(self, settings: Settings, open_assistant: Callable[..., Assistant] = Assistant.open) -> None:
        self.settings = settings
        self.assistant: Assistant | None = None
        self.examples: list[str] = []
        self.problem = ""
        self._open_assistant = open_assistant
        self._step = "Loading the encoder…"
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
        self._step = f"Indexing {done} of {total} passages…"

    @property
    def over(self) -> bool:
        """Whether the assistant is open, or never will be."""
        return self._over.is_set()

    async def wait(self) -> AsyncIterator[str]:
        """What is being done, again and again until the assistant is open; raises SpotterError if it cannot be."""
        while not self.over:
            yield self._step
            await asyncio.sleep(0.2)
        if self.problem:
            raise SpotterError(self.problem)

    def status(self) -> str:
        """The status line, as HTML."""
        if self.assistant:
            library = self.assistant.index.library
            text = page.ready(len(library.articles), len(library.passages))
            return page.status(text, "ready", library.problems)
        return page.status(self.problem or self._step, "failed" if self.problem else "loading")

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
            return safety.screen_failed(floor), page.UNSCREENED.format(emergency_number=self.settings.emergency_number)

    @cached_property
    def _rules(self) -> Rules:
        return load_rules(self.settings.safety)


def _examples(assistant: Assistant) -> list[str]:
    """Questions that the library answers: what is suggested to a greeting, and what is suggested after those."""
    questions = list(assistant.reply("Hello").suggestions)
    for question in tuple(questions):
        questions += assistant.reply(question).suggestions
    return list(dict.fromkeys(questions))[:EXAMPLES]


class Session(NamedTuple):
    """What the server remembers of one conversation besides its messages."""

    floor: Triage = Triage()
    """The triage reached so far; only a new chat forgets it."""
    cards: tuple[str, ...] = ()
    """The sources of each question's reply, as HTML."""


class View(NamedTuple):
    """What an event changes on the page."""

    messages: Any
    box: Any
    session: Any
    sources: Any
    alert: Any


NOTHING = View(*[gr.skip()] * 5)
BUSY: dict[str, Any] = {"submit_btn": False, "stop_btn": "Stop"}
FREE: dict[str, Any] = {"submit_btn": "Ask", "stop_btn": False}


class Chat:
    """The page's events; none raises, and whatever is edited, retried, undone or stopped, the triage stays."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening

    async def ask(self, turns: Sequence[Turn], session: Session, **box: Any) -> AsyncIterator[View]:
        """Answers the last turn; while the assistant is being opened it says so."""
        earlier = page.cards_before(turns, session.cards)
        words_alone = self.opening.assistant is None
        triage, advice = await asyncio.to_thread(self.opening.screen, turns, session.floor)
        notice, alert = page.notice(advice, triage), page.alert(advice, triage)

        def view(text: str, buttons: dict[str, Any], cards: str = page.NO_SOURCES, options: Sequence[str] = ()) -> View:
            shown = page.messages_of([*turns, Turn("assistant", text)] if text else turns, options)
            return View(shown, gr.update(**buttons, **box), Session(triage, (*earlier, cards)), cards, alert)

        yield view(notice, BUSY)
        box = {}  # set once, so that what is typed meanwhile stays
        try:
            if triage.level == "emergency" and not self.opening.assistant:
                yield view(notice, FREE)
                return
            told = ""
            async for step in self.opening.wait():
                if step != told:
                    yield view(page.joined(notice, f"*Getting ready. {step}*"), BUSY)
                told = step
            assert self.opening.assistant
            floor = triage if words_alone else session.floor  # what was shown already is not lowered
            reply = await asyncio.to_thread(self.opening.assistant.reply, turns[-1].text, turns[:-1], floor)
            triage, alert = reply.triage, page.alert(reply.notice.text, reply.triage)
            titles = {article.stem: article.title for article in self.opening.assistant.index.library.articles}
            yield view(page.message(reply), FREE, page.sources(reply, titles), reply.suggestions)
        except SpotterError as error:
            alone = f"*{WORDS_ALONE}*" if words_alone else ""
            yield view(page.joined(notice, page.harmless(str(error)), alone), FREE)
        except Exception as error:  # a chat function that raises would leave the page stuck
            log.error("The reply failed (%s).", type(error).__name__)
            yield view(page.joined(notice, page.BROKEN), FREE)

    async def submit(self, text: str, messages: Any, session: Session) -> AsyncIterator[View]:
        """Asks what is in the text box."""
        if not text.strip():
            yield NOTHING
            return
        async for view in self.ask([*page.turns_of(messages), Turn("user", text)], session, value=""):
            yield view

    async def choose(self, messages: Any, session: Session, chosen: gr.SelectData) -> AsyncIterator[View]:
        """Asks an example or a suggestion."""
        text = chosen.value["text"] if isinstance(chosen.value, dict) else chosen.value
        async for view in self.ask([*page.turns_of(messages), Turn("user", text)], session):
            yield view

    async def edit(self, messages: Any, session: Session, edited: gr.EditData) -> AsyncIterator[View]:
        """Asks a changed message in the place of the old one and all that followed."""
        before = page.before(page.turns_of(messages), edited.index)
        async for view in self.ask([*before, Turn("user", page.as_typed(edited.value))], session):
            yield view

    async def retry(self, messages: Any, session: Session, retried: gr.RetryData) -> AsyncIterator[View]:
        """Asks the message again that led to a reply."""
        turns = page.turns_of(messages)
        async for view in self.ask(turns[: len(page.before(turns, retried.index)) + 1], session):
            yield view

    def undo(self, messages: Any, session: Session, undone: gr.UndoData) -> View:
        """Takes a message and its reply back into the text box; what was said in it still counts."""
        turns = page.turns_of(messages)
        before = page.before(turns, undone.index)
        triage, _ = self.opening.screen(turns, session.floor)
        cards = page.cards_before([*before, turns[len(before)]], session.cards)
        box = gr.update(value=turns[len(before)].text, **FREE)
        return View(page.messages_of(before), box, Session(triage, cards), [page.NO_SOURCES, *cards][-1], gr.skip())

    def stop(self, messages: Any, session: Session) -> View:
        """Keeps what was asked and the notice on it, and says that there is no answer."""
        turns = page.turns_of(messages)
        asked = turns[: len(page.before(turns, len(turns))) + 1]
        triage, advice = self.opening.screen(asked, session.floor)
        text = page.joined(page.notice(advice, triage), page.STOPPED)
        shown = page.messages_of([*asked, Turn("assistant", text)])
        return NOTHING._replace(messages=shown, box=gr.update(**FREE), session=session._replace(floor=triage))

    def clear(self) -> View:
        """A new conversation."""
        return View([], gr.update(value="", **FREE), Session(), page.NO_SOURCES, "")


def build_page(opening: Opening) -> gr.Blocks:
    """The page: the chat on the left, the lines it quotes on the right."""
    blocks = gr.Blocks(title=page.TITLE, fill_width=True, analytics_enabled=False)
    with blocks:
        session, timer = gr.State(Session()), gr.Timer(0.5)
        with gr.Row(elem_id="top"):
            gr.HTML(page.HEADER, elem_id="name")
            status = gr.HTML(opening.status(), elem_id="status")
            new = gr.Button("New chat", size="sm", elem_id="new", scale=0)
        with gr.Row(elem_id="main"):
            with gr.Column(scale=3, min_width=340):
                messages = gr.Chatbot(
                    elem_id="chat",
                    show_label=False,
                    container=False,
                    placeholder=page.PLACEHOLDER,
                    editable="user",
                    buttons=["copy"],
                    layout="bubble",
                    latex_delimiters=[],
                    autoscroll=False,
                    feedback_options=None,
                )
                box = gr.Textbox(
                    elem_id="box",
                    label="Your question",
                    show_label=False,
                    placeholder="Ask about an exercise…",
                    submit_btn="Ask",
                    max_lines=6,
                )
            with gr.Column(scale=2, min_width=300, elem_id="aside"):
                gr.HTML("<h2>Sources</h2>")
                sources = gr.HTML(page.NO_SOURCES, elem_id="sources")
        alert = gr.HTML("", elem_id="alert")

        chat, state = Chat(opening), [messages, session]
        hidden: Any = {"show_progress": "hidden", "api_visibility": "private"}
        view: Any = {"outputs": [messages, box, session, sources, alert], **hidden}
        asking: Any = [
            box.submit(chat.submit, [box, *state], concurrency_limit=None, **view),
            messages.example_select(chat.choose, state, concurrency_limit=None, **view),
            messages.option_select(chat.choose, state, concurrency_limit=None, **view),
        ]
        asking += [
            messages.edit(chat.edit, state, cancels=asking, concurrency_limit=None, **view),
            messages.retry(chat.retry, state, cancels=asking, concurrency_limit=None, **view),
        ]
        for asked in asking:
            asked.then(js=TO_THE_QUESTION, **hidden)
        messages.undo(chat.undo, state, cancels=asking, **view)
        box.stop(chat.stop, state, cancels=asking, **view)
        gr.on([new.click, messages.clear], chat.clear, cancels=asking, **view)

        def refresh() -> tuple[str, Any, Any]:
            examples = gr.update(examples=[{"text": text} for text in opening.examples])
            return opening.status(), examples if opening.over else gr.skip(), gr.Timer(active=not opening.over)

        gr.on([blocks.load, timer.tick], refresh, outputs=[status, messages, timer], queue=False, **hidden)
    return blocks


def launch(opening: Opening, host: str, port: int) -> tuple[gr.Blocks, str]:
    """Serves the page and gives its address, then begins to open the assistant; raises SpotterError if it cannot."""
    font = ["system-ui", "sans-serif"]
    theme = gr.themes.Soft(primary_hue="teal", neutral_hue="slate", font=font, font_mono=["monospace"])
    head = HEAD.format(css=CSS.read_text(encoding="utf-8"))
    blocks = build_page(opening)
    try:
        address: str = blocks.launch(
            server_name=host,
            server_port=port or _free_port(host),
            theme=theme,
            head=head,
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
