import logging

import pytest

from assistant.knowledge import Library, read_article
from assistant.types import Citation, Claim
from assistant.verify import supported, verify

TEXT = "# Plank\n\nHold **20 to 30** seconds. Never hold your breath.\n"
LIBRARY = Library((read_article(TEXT, "plank"),))


def cited(quote: str, shift: int = 0, article: str = "plank") -> Citation:
    start = TEXT.index(quote) + shift
    return Citation(article, "Plank", start, start + len(quote), quote)


def test_a_claim_in_the_articles_words_is_supported() -> None:
    assert supported(Claim("Hold 20 to 30 seconds.", (cited("Hold **20 to 30** seconds."),)), LIBRARY)


@pytest.mark.parametrize(
    "claim",
    [
        Claim("Hold 20 to 40 seconds.", (cited("Hold **20 to 30** seconds."),)),
        Claim("Hold 20 to 30 seconds.", (cited("Hold **20 to 30** seconds.", shift=1),)),
        Claim("Hold 20 to 30 seconds.", (cited("Hold **20 to 30** seconds.", article="squat"),)),
        Claim("Hold your breath, always.", (cited("Never hold your breath."),)),
        Claim("Hold your breath.", (cited("Never hold your breath."),)),
        Claim("Hold 20 to 30 seconds.", ()),
        Claim(" ", (cited("Never hold your breath."),)),
    ],
    ids=[
        "another number",
        "a shifted span",
        "another article",
        "an added word",
        "a dropped word",
        "no citation",
        "nothing said",
    ],
)
def test_a_claim_that_its_citation_does_not_say_is_dropped_and_logged(
    claim: Claim, caplog: pytest.LogCaptureFixture
) -> None:
    good = Claim("Never hold your breath.", (cited("Never hold your breath."),))
    with caplog.at_level(logging.ERROR):
        assert verify([claim, good], LIBRARY) == (good,)
    assert "does not say it" in caplog.text


def test_a_claim_may_borrow_from_all_that_it_cites() -> None:
    both = (cited("Hold **20 to 30** seconds."), cited("Never hold your breath."))
    assert supported(Claim("Hold 20 to 30 seconds. Never hold your breath.", both), LIBRARY)
