"""What readers said of the answers, in a local SQLite file; messages and replies only where they agreed to it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from assistant.conversation import Conversation, cited_by
from assistant.types import SpotterError

Verdict = Literal["up", "down"]
LONGEST_REASON = 200
TABLE = """CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, outcome TEXT NOT NULL,
    level TEXT NOT NULL, cited TEXT NOT NULL, turns TEXT, reply TEXT)"""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One verdict on one reply; `turns` and `reply` are None without the person's consent."""

    at: str
    """When it was given: UTC, ISO 8601, to the second."""
    verdict: Verdict
    reason: str
    outcome: str
    level: str
    cited: tuple[tuple[str, int, int], ...]
    """The places that the reply cites: article, start and end in code points."""
    turns: tuple[str, ...] | None = None
    reply: str | None = None


def feedback_on(conversation: Conversation, number: int, verdict: str, reason: str, consent: bool) -> Feedback:
    """The verdict on the reply of exchange `number`; SpotterError when there is no such reply or verdict."""
    exchanges = conversation.exchanges
    reply = exchanges[number].reply if 0 <= number < len(exchanges) else None
    if reply is None or verdict not in get_args(Verdict):
        raise SpotterError("There is no such reply to give feedback on.")
    said: Verdict = "up" if verdict == "up" else "down"
    return Feedback(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=said,
        reason=reason[:LONGEST_REASON],
        outcome=reply.outcome,
        level=reply.triage.level,
        cited=tuple((one.article, one.start, one.end) for one in cited_by(reply.claims)),
        turns=tuple(one.asked for one in exchanges[: number + 1]) if consent else None,
        reply=reply.text if consent else None,
    )


def keep(feedback: Feedback, path: Path) -> None:
    """Adds it to the file, which is made if need be; SpotterError when it cannot be written."""
    row = {
        **asdict(feedback),
        "cited": json.dumps(feedback.cited),
        "turns": feedback.turns and json.dumps(feedback.turns),
    }
    with _opened(path) as database, database:
        database.execute(TABLE)
        database.execute(
            "INSERT INTO feedback (at, verdict, reason, outcome, level, cited, turns, reply) "
            "VALUES (:at, :verdict, :reason, :outcome, :level, :cited, :turns, :reply)",
            row,
        )


def kept(path: Path) -> list[Feedback]:
    """All that was kept, oldest first; SpotterError when the file cannot be read."""
    if not path.is_file():
        return []
    with _opened(path) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM feedback ORDER BY id")]
    for row in rows:
        del row["id"]
        row["cited"] = tuple((article, start, end) for article, start, end in json.loads(row["cited"]))
        row["turns"] = row["turns"] and tuple(json.loads(row["turns"]))
    return [Feedback(**row) for row in rows]


def as_cases(feedback: list[Feedback]) -> list[dict[str, Any]]:
    """Eval cases, to be completed by hand, of what may be used: the expected outcome is that of a praised reply."""
    return [
        {
            "id": f"feedback-{number}",
            "turns": list(one.turns),
            "style": "feedback",
            "expect": one.outcome if one.verdict == "up" else "",
            "article": one.cited[0][0] if one.cited else "",
            "note": one.reason,
        }
        for number, one in enumerate(feedback, start=1)
        if one.turns
    ]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database:
            yield database
    except (sqlite3.Error, OSError) as error:
        raise SpotterError(
            f"{path} cannot be used for feedback ({error}). Set SPOTTER_FEEDBACK to another file."
        ) from error
