"""Figures: what a set of scored conversations comes to, with its 95 % interval where it is a share."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""One scored conversation. `right` is the score that counts most; `detail` and `seconds` are shown, not kept."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, None where it does not apply, and of how many cases it speaks."""

    value: float | None
    count: int = 0
    share: bool = True
    """Whether it is a share of the cases, so that it has an interval; else a mean, a median or the like."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of a share (Wilson 1927); None for any other figure."""
        if not self.share or self.value is None:
            return None
        return wilson(self.value * self.count, self.count)

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        if self.interval is None:
            return f"{self.value:.3g}"
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f}–{high:.2f})"


def share(flags: Iterable[float | bool | None]) -> Figure:
    """The share of the cases that apply in which something holds."""
    applying = [float(flag) for flag in flags if flag is not None]
    return Figure(sum(applying) / len(applying) if applying else None, len(applying))


def mean(scores: Iterable[float | None]) -> Figure:
    """The mean of the scores that apply."""
    figure = share(scores)
    return Figure(figure.value, figure.count, share=False)


def quantile(values: Iterable[float], at: float) -> Figure:
    """The value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    place = max(math.ceil(at * len(ordered)), 1) - 1
    return Figure(ordered[place] if ordered else None, len(ordered), share=False)


def wilson(successes: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def by(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    """The rows by a category, in the order of their first appearance."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        if key in row:
            parts.setdefault(str(row[key]), []).append(row)
    return parts


def flipped(before: Iterable[Row], after: Iterable[Row]) -> tuple[list[str], list[str], float]:
    """The ids that were right and no longer are, those that now are, and McNemar's exact p of such a difference."""
    old = {row["id"]: row["right"] for row in before}
    pairs = [(row["id"], old[row["id"]], row["right"]) for row in after if row["id"] in old]
    lost = [name for name, was, now in pairs if was is not None and now is not None and now < was]
    won = [name for name, was, now in pairs if was is not None and now is not None and now > was]
    changed, fewer = len(lost) + len(won), min(len(lost), len(won))
    p = 2 * sum(math.comb(changed, k) for k in range(fewer + 1)) / 2**changed
    return lost, won, min(p, 1.0)
