"""The settings, read once at the doors and passed by hand."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from assistant.types import SpotterError

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What an operator may set in the environment, each name with the prefix SPOTTER_."""

    model_config = SettingsConfigDict(env_prefix="SPOTTER_", frozen=True)

    articles: Path = ROOT / "knowledge" / "articles"
    """The folder of articles."""
    safety: Path = ROOT / "knowledge" / "safety"
    """The folder of the reviewed safety rules."""
    questions: Path = ROOT / "knowledge" / "questions"
    """The folder of the kinds of questions."""
    models: Path = ROOT / "knowledge" / "models"
    """The folder of what `python -m assistant train` learned."""
    cache: Path = ROOT / ".spotter"
    """Where the index is kept; everything in it can be deleted at any time."""
    encoder: str = ""
    """A sentence-transformers name or path; empty for the packaged all-MiniLM-L6-v2."""
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    language: str = "en"
    """The page's words: the code of a file page.<code>.toml."""
    feedback: Path = ROOT / "feedback.sqlite"
    """Where the page keeps what its readers say of the answers."""
    emergency_number: str = "your local emergency number (112, 911 or 999)"
    crisis_contact: str = "your local crisis line (988 in the US and Canada, 116 123 in the UK and much of Europe)"


def read_settings(articles: Path | None = None) -> Settings:
    """The settings from the environment, the folder of articles by hand; SpotterError names the variable at fault."""
    try:
        return Settings(articles=articles) if articles else Settings()
    except ValidationError as error:
        faults = "; ".join(f"SPOTTER_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise SpotterError(f"A setting is wrong: {faults}") from error
