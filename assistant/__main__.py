"""The command line: ask, chat, index, doctor, train, batch and feedback."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.types import SpotterError, Triage, Turn

if TYPE_CHECKING:
    from assistant.pipeline import Assistant, ScreenOnly

app = typer.Typer(
    help="Spotter answers exercise questions with the articles' own lines and exact citations.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help needs no rich, whose import is most of the time that --help takes
    pretty_exceptions_enable=False,
)

Articles = Annotated[Path | None, typer.Option("--articles", help="Answer from this folder of .md and .txt articles.")]
HoldOut = Annotated[bool, typer.Option("--hold-out-faq", help="Leave every FAQ section out of the index.")]
Debug = Annotated[bool, typer.Option("--debug", help="With JSON: also hits, draft and replaced claims.")]


class What(StrEnum):
    """What can be trained."""

    reader = "reader"
    safety = "safety"


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the reply as JSON.")] = False,
    articles: Articles = None,
    hold_out_faq: HoldOut = False,
    debug: Debug = False,
) -> None:
    """Answers one question."""
    if not question.strip():
        raise SpotterError('Ask something: python -m assistant ask "how do I start?"')
    from assistant.respond import reply_json

    with _answering(articles, hold_out_faq) as assistant:
        reply = assistant.reply(question)
        if as_json:
            print(json.dumps(reply_json(reply, debug=debug), ensure_ascii=False, indent=2))
        else:
            _show(reply.text, reply.suggestions)


@app.command()
def chat(articles: Articles = None) -> None:
    """Holds a conversation; an empty line or Ctrl-D ends it."""
    from rich.console import Console

    console = Console()
    with _answering(articles, False) as assistant:
        turns: list[Turn] = []
        triage = Triage()
        console.print("Ask about the exercise; an empty line ends. Not medical advice.", style="dim")
        while True:
            try:
                message = console.input("[bold]You:[/bold] ")
            except (EOFError, KeyboardInterrupt):
                console.print()
                return
            if not message.strip():
                return
            reply = assistant.reply(message, turns, triage)
            triage = reply.triage
            turns += [Turn("user", message), Turn("assistant", reply.text)]
            _show(reply.text, reply.suggestions)


@app.command()
def index(
    show: Annotated[str | None, typer.Option("--show", metavar="ARTICLE", help="Show how an article was read.")] = None,
    articles: Articles = None,
) -> None:
    """Builds the index if need be, and shows what it holds."""
    from rich.console import Console
    from rich.table import Table

    from assistant.answer import consult_lines

    console = Console()
    with closing(_open(articles, False)) as assistant:
        opened = assistant.index
        if show is None:
            table = Table("article", "exercise", "also called", "passages", title=str(opened.folder.name))
            for article in opened.library.articles:
                count = str(len(article.passages))
                table.add_row(article.stem, article.exercise, ", ".join(article.aliases), count)
            console.print(table)
            return
        if show not in opened.library.by_stem:
            raise SpotterError(f"There is no article {show!r}. There are: {', '.join(sorted(opened.library.by_stem))}.")
        article = opened.library.by_stem[show]
        pairs = zip(opened.passages, opened.section_kinds, strict=True)
        mine = [(passage, kind) for passage, kind in pairs if passage.article == show]
        table = Table("place", "kind", "section", "section's kind", "passage", title=article.title)
        for passage, kind in mine:
            place = f"{passage.start}–{passage.end}"
            table.add_row(place, passage.kind, " › ".join(passage.section), kind, passage.text)
        console.print(table)
        console.print("Consult lines:", style="bold")
        for passage in consult_lines(opened, show):
            console.print(f"  {passage.text}", markup=False)


@app.command()
def doctor(articles: Articles = None) -> None:
    """Checks versions, settings, encoder, rules and index, and says what is degraded; exit code 1 when something is."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from rich.console import Console
    from rich.table import Table

    from assistant.answer import consult_lines
    from assistant.settings import read_settings

    table = Table("what", "state", show_header=False, box=None)
    table.add_row("Python", platform.python_version())
    faults: list[str] = []
    for package in ("langchain-core", "chromadb", "sentence-transformers", "torch", "gradio"):
        try:
            table.add_row(package, version(package))
        except PackageNotFoundError:
            table.add_row(package, "missing")
            faults.append(f"{package} is not installed. Run `make install`.")
    settings = read_settings(articles)
    for name, value in settings.model_dump().items():
        table.add_row(f"SPOTTER_{name.upper()}", str(value))
    try:
        from assistant.encoder import encoder_id

        table.add_row("encoder", encoder_id(settings.encoder))
        with closing(_open(articles, False)) as assistant:
            opened = assistant.index
            table.add_row("articles", ", ".join(sorted(opened.library.by_stem)))
            table.add_row("index", f"{opened.folder.name}: {len(opened.passages)} passages, verified")
            table.add_row("safety rules", f"{len(assistant.rules.rules)} rules (no clinician has reviewed them)")
            table.add_row("safety classifier", "trained" if assistant.classifier else "missing")
            if not assistant.classifier:
                faults.append("The safety screen runs on its word lists alone. Run: python -m assistant train")
            faults += opened.library.problems
            for stem in opened.library.by_stem:
                if not consult_lines(opened, stem):
                    faults.append(f"{stem}: no lines on when to consult a professional were found.")
    except SpotterError as error:
        faults.append(str(error))
    table.add_row("answers", "the articles' own lines (no language model)")
    console = Console()
    console.print(table)
    for fault in faults:
        console.print(f"degraded: {fault}", style="red", markup=False)
    if faults:
        raise typer.Exit(1)
    console.print("Nothing is degraded.", style="green")


@app.command()
def batch(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT.jsonl", help='Lines of {"id", "turns": ["user message", …]}.')
    ],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT.jsonl", help='Lines of {"id", "replies": [reply, …]}.')],
    articles: Articles = None,
    hold_out_faq: HoldOut = False,
    debug: Debug = False,
) -> None:
    """Replays conversations and writes every reply, in input order; a bad line is named and the others are answered."""
    from rich.console import Console
    from rich.progress import track

    from assistant.respond import reply_json

    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpotterError(f"{source} cannot be read: {error}") from error
    cases, faults = _cases(lines)
    for fault in faults:
        print(fault, file=sys.stderr)
    with _answering(articles, hold_out_faq) as assistant:
        console = Console(stderr=True)
        try:
            with target.open("w", encoding="utf-8", errors="replace") as output:
                for case in track(cases, "Answering", console=console, disable=not console.is_terminal):
                    turns: list[Turn] = []
                    triage = Triage()
                    replies: list[dict[str, Any]] = []
                    for message in case["turns"]:
                        reply = assistant.reply(message, turns, triage)
                        triage = reply.triage
                        turns += [Turn("user", message), Turn("assistant", reply.text)]
                        replies.append(reply_json(reply, debug=debug))
                    output.write(json.dumps({"id": case["id"], "replies": replies}, ensure_ascii=False) + "\n")
        except OSError as error:
            raise SpotterError(f"{target} cannot be written: {error.strerror}") from error
    if faults:
        raise typer.Exit(1)


@app.command()
def train(what: Annotated[What | None, typer.Argument(help="Only one of the two.")] = None) -> None:
    """Trains the reader from knowledge/questions/articles and the safety classifier from knowledge/safety/examples."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from assistant.encoder import InnerLayers, encoder_id, load_encoder
    from assistant.kinds import load_kinds
    from assistant.rules import load_rules
    from assistant.settings import read_settings
    from assistant.train import read_examples
    from assistant.train import train as train_classifier
    from assistant.train_reader import train_reader

    settings = read_settings()
    rules = load_rules(settings.safety)
    examples = read_examples(settings.safety / "examples", rules)
    results = {}
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Loading the encoder", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        encoder, name = load_encoder(settings.encoder), encoder_id(settings.encoder)
        if what != What.safety:
            kinds, folder = load_kinds(settings.questions), settings.questions / "articles"
            results["reader, on articles held out of the training"] = train_reader(
                folder, kinds, encoder, name, settings.models, progress
            )
        if what != What.reader:
            results["safety classifier, levels right on examples held out of the training"] = train_classifier(
                examples, rules, InnerLayers(encoder), name, settings.models, progress
            )
    for trained, shares in results.items():
        print(f"{trained}:")
        for measured, share in shares.items():
            print(f"  {measured}: {share:.3f}")


@app.command()
def feedback(
    target: Annotated[
        Path | None, typer.Option("--export", metavar="CASES.jsonl", help="Write what may be used as eval cases.")
    ] = None,
) -> None:
    """Lists what readers said of the page's answers."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from assistant.feedback import as_cases, kept
    from assistant.settings import read_settings

    path = read_settings().feedback
    given = kept(path)
    if target:
        cases = as_cases(given)
        lines = [json.dumps(case, ensure_ascii=False) + "\n" for case in cases]
        target.write_text("".join(lines), encoding="utf-8")
        print(f"{len(cases)} of {len(given)} with their messages, to be completed by hand: {target}")
        return
    table = Table("when", "verdict", "reason", "outcome", "level", "articles", "last message", title=path.name)
    for one in given:
        articles = ", ".join(dict.fromkeys(article for article, _, _ in one.cited))
        asked = one.turns[-1] if one.turns else "(not kept)"
        table.add_row(one.at, one.verdict, one.reason, one.outcome, one.level, articles, escape(asked))
    Console().print(table)


def _cases(lines: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The good lines of a batch file, and `line N: reason` for each bad one; blank lines are neither."""
    cases: list[dict[str, Any]] = []
    faults: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        reason = ""
        try:
            case = json.loads(line)
        except ValueError as error:
            case, reason = None, f"not JSON: {error}"
        if not reason and not isinstance(case, dict):
            reason = "not an object"
        elif not reason and not isinstance(case.get("id"), str):
            reason = '"id" must be a string'
        elif not reason and case["id"] in seen:
            reason = f'the id "{case["id"]}" was used before'
        elif not reason:
            turns = case.get("turns")
            if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
                reason = '"turns" must be a non-empty list of strings'
        if reason:
            faults.append(f"line {number}: {reason}")
        else:
            seen.add(case["id"])
            cases.append(case)
    return cases, faults


def _open(articles: Path | None, hold_out_faq: bool) -> "Assistant":
    """The assistant, with a progress bar on standard error while the index is built."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from assistant.pipeline import Assistant
    from assistant.settings import read_settings

    bar = Bar(console=Console(stderr=True), transient=True)
    task = bar.add_task("Indexing", total=None)

    def progress(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        return Assistant.open(read_settings(articles), hold_out_faq=hold_out_faq, progress=progress)
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def _answering(articles: Path | None, hold_out_faq: bool) -> "Iterator[Assistant | ScreenOnly]":
    """The assistant, or without an encoder what still screens; then the problem is told and the exit code is 1."""
    from assistant.encoder import EncoderError
    from assistant.pipeline import ScreenOnly
    from assistant.settings import read_settings

    try:
        assistant = _open(articles, hold_out_faq)
    except EncoderError as error:
        print(f"spotter: {error}", file=sys.stderr)
        yield ScreenOnly(read_settings(articles), str(error))
        raise typer.Exit(1) from error
    with closing(assistant):
        yield assistant


def _show(text: str, suggestions: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text))
    if suggestions:
        console.print(f"\nYou could also ask: {' · '.join(suggestions)}", style="dim", markup=False)


def main() -> None:
    """Runs the command line; what an operator must fix is shown without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app()
    except SpotterError as error:
        print(f"spotter: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
