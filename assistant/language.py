"""English words, and whether a text is in another language."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

NEIGHBOURS = ("en", "es", "fr", "de", "pt", "it")
"""Among these few a short text is told apart that among a hundred could be anything."""
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


@cache
def english() -> dict[str, int]:
    """English words and their counts, the commonest first."""
    listing = files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt").read_text(encoding="utf-8-sig")
    return {word: int(count) for word, count in map(str.split, listing.splitlines())}


def foreign(text: str) -> bool:
    """Whether a text is in another language than English, as far as that can be told: in doubt it is not."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    if len(LATIN.findall(text)) < len("".join(words)) / 2:
        return True
    if len(words) < 3 or sum(word in english() for word in words) > len(words) / 2:
        return False
    every = _languages().classify(text)
    neighbours = _languages(NEIGHBOURS).classify(text)
    return any(str(name) != "en" and chance >= least for (name, chance), least in ((every, 0.9), (neighbours, 0.8)))


@cache
def _languages(only: tuple[str, ...] = ()) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    languages = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if only:
        languages.set_languages(list(only))
    return languages
