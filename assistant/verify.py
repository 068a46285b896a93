"""Every claim against what it cites: one that its quotes do not say never reaches the reader."""

import logging
import re
from collections.abc import Iterable

from assistant.knowledge import Library, plain
from assistant.types import Claim

log = logging.getLogger(__name__)


def verify(claims: Iterable[Claim], library: Library) -> tuple[Claim, ...]:
    """The claims whose citations are exact slices of an article and hold every word of the claim."""
    kept = []
    for claim in claims:
        if supported(claim, library):
            kept.append(claim)
        else:
            log.error("A claim was dropped: its citation does not say it (%s)", claim.citations[:1])
    return tuple(kept)


def supported(claim: Claim, library: Library) -> bool:
    """Whether every citation is true, and the claim has no word that they lack and lacks none that the first has."""
    for citation in claim.citations:
        article = library.by_stem.get(citation.article)
        if article is None or article.text[citation.start : citation.end] != citation.quote:
            return False
    if not claim.citations or not claim.text.strip():
        return False
    first, *others = [set(_words(plain(citation.quote))) for citation in claim.citations]
    return first <= set(_words(claim.text)) <= first.union(*others)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
