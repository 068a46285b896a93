"""The same commit gives byte-equal results, whatever the process, its hash seed, its threads and its empty cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.settings import ROOT

EVALS = ("answer", "condense", "retrieve", "faq", "verify")
LIMIT = 4
CODE = """
import sys
from pathlib import Path

import torch

from assistant.settings import Settings
from evals import results
from evals.__main__ import EVALS

torch.set_num_threads(int(sys.argv[1]))
results.KEPT = Path(sys.argv[2])
settings = Settings(cache=results.KEPT / "cache")
results.keep({name: EVALS[name].run(settings, int(sys.argv[3])) for name in sys.argv[4:]}, {})
"""


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(tmp_path: Path) -> None:
    kept = []
    for seed, threads in (("1", "1"), ("2", "2")):
        target = tmp_path / seed
        target.mkdir()
        command = [sys.executable, "-c", CODE, threads, str(target), str(LIMIT), *EVALS]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        kept.append({name: (target / f"{name}.json").read_bytes() for name in EVALS})
    assert kept[0] == kept[1]
    assert all(b'"id"' in text for text in kept[0].values())
