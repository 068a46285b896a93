"""What the tests share: one real encoder for the session, a fake one that counts, settings whose cache is temporary."""

import hashlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from langchain_core.embeddings import Embeddings

from assistant.kinds import Kinds, load_kinds
from assistant.knowledge import Library, read_library
from assistant.settings import ROOT, Settings

if TYPE_CHECKING:
    from assistant.pipeline import Assistant

for name in [name for name in os.environ if name.startswith("SPOTTER_")]:
    del os.environ[name]  # the tests are about the project as it is shipped, not about this machine's settings


class FakeEncoder(Embeddings):
    """Hashes each word of a text to one of 64 directions and remembers every text that it was asked to encode."""

    dimensions = 64

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def _vector(self, text: str) -> list[float]:
        counts = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()) or [""]:
            counts[hashlib.sha256(word.encode()).digest()[0] % self.dimensions] += 1.0
        length = math.sqrt(sum(count * count for count in counts))
        return [count / length for count in counts]


@pytest.fixture
def fake_encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture(scope="session")
def encoder() -> Embeddings:
    """The packaged encoder; its import takes long, so that every test shares it."""
    from assistant.encoder import load_encoder

    return load_encoder()


@pytest.fixture(scope="session")
def kinds() -> Kinds:
    return load_kinds(ROOT / "knowledge" / "questions")


@pytest.fixture(scope="session")
def library(kinds: Kinds) -> Library:
    """The real articles."""
    return read_library(ROOT / "knowledge" / "articles", kinds.exercises)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache")


@pytest.fixture(scope="session")
def session_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose cache lives as long as the session, so that the real index is built once."""
    return Settings(cache=tmp_path_factory.mktemp("session") / "cache")


@pytest.fixture(scope="session")
def assistant(session_settings: Settings) -> Iterator["Assistant"]:
    """The assistant as it is shipped: real encoder, real articles."""
    from assistant.pipeline import Assistant

    opened = Assistant.open(session_settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def held_out(session_settings: Settings) -> Iterator["Assistant"]:
    """The same without the articles' FAQ sections."""
    from assistant.pipeline import Assistant

    opened = Assistant.open(session_settings, hold_out_faq=True)
    yield opened
    opened.close()
