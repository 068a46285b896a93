import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import chromadb
import pytest
from filelock import FileLock

from assistant import index as index_module
from assistant.index import KEPT, DamagedIndexError, Index, bare, generic, open_index, search_text, tokenize
from assistant.kinds import Example, Kinds
from assistant.knowledge import Library, read_article
from assistant.pipeline import Assistant
from assistant.settings import ROOT
from assistant.types import SpotterError

Open = Callable[..., Index]
PLANK = (
    "# Plank\n\n## How to do a plank\n\n1. Rest on the forearms.\n2. Lift the hips.\n\n## Muscles\n\n- Core: Holds.\n"
)
SQUAT = "# Squat\n\n## How to squat\n\n1. Bend the knees.\n2. Lift the hips.\n"


def library(*texts: str) -> Library:
    return Library(tuple(read_article(text, f"article-{n}") for n, text in enumerate(texts)))


@pytest.fixture
def few_kinds(kinds: Kinds) -> Kinds:
    """The real headings with few examples, so that building is quick."""
    from dataclasses import replace

    return replace(kinds, examples=(Example("steps", True, "how do I do it?"), Example("muscles", True, "muscles?")))


@pytest.fixture
def opened(tmp_path: Path, few_kinds: Kinds, fake_encoder: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens an index in one cache with the fake encoder, and closes it at the end."""
    monkeypatch.setattr(index_module, "load_encoder", lambda name="": fake_encoder)
    indexes: list[Index] = []

    def open_one(*texts: str, **options: Any) -> Index:
        found = open_index(
            library(*(texts or (PLANK,))), options.pop("kinds", few_kinds), tmp_path / "cache", **options
        )
        indexes.append(found)
        return found

    yield open_one
    for one in indexes:
        one.close()


def store(index: Index) -> Path:
    return next(index.folder.glob("chroma-*/chroma.sqlite3"))


def test_an_unchanged_index_is_opened_without_encoding_anything(opened: Open, fake_encoder: Any) -> None:
    first = opened()
    encoded = len(fake_encoder.asked)
    second = opened()
    assert (second.folder, len(fake_encoder.asked)) == (first.folder, encoded)


def test_a_change_of_article_encoder_or_kinds_makes_another_index(opened: Open, kinds: Kinds) -> None:
    folders = {opened().folder, opened(SQUAT).folder, opened(encoder_name="other").folder, opened(kinds=kinds).folder}
    assert len(folders) == 4


def test_the_example_vectors_are_encoded_once_for_all_libraries(opened: Open, fake_encoder: Any) -> None:
    opened()
    opened(SQUAT)
    assert fake_encoder.asked.count("muscles?") == 1


def cut(*paths: Path) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def drop_a_row(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("delete from embeddings where id = 1")
    database.close()


def change_a_text(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("update embedding_metadata set string_value = 'x' where id = 1 and key = 'chroma:document'")
    database.close()


DAMAGES: dict[str, Callable[[Index], object]] = {
    "the database is cut": lambda index: cut(store(index)),
    "the database is garbage": lambda index: store(index).write_bytes(b"x" * 5000),
    "the database is gone": lambda index: store(index).unlink(),
    "a row is missing": lambda index: drop_a_row(store(index)),
    "a text is another": lambda index: change_a_text(store(index)),
    "the words are gone": lambda index: shutil.rmtree(index.folder / "words"),
    "the words are cut": lambda index: cut(*(index.folder / "words").iterdir()),
    "the examples are cut": lambda index: cut(index.folder / "examples.npy"),
    "the examples are empty": lambda index: (index.folder / "examples.npy").write_bytes(b""),
    "the state is broken": lambda index: (index.folder / "state.json").write_text("{"),
    "the state is gone": lambda index: (index.folder / "state.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_rebuilt_by_itself(damage: str, opened: Open, fake_encoder: Any) -> None:
    index = opened()
    index.close()
    DAMAGES[damage](index)
    encoded = len(fake_encoder.asked)
    mended = opened()
    assert len(fake_encoder.asked) > encoded
    assert len(mended.by_meaning(mended.embed(["hips"])[0], 9)) == len(mended.passages)
    assert list(mended.folder.parent.glob("building-*")) == []


def test_a_cut_vector_file_does_no_harm(opened: Open) -> None:
    index = opened()
    index.close()
    for path in index.folder.rglob("data_level0.bin"):
        cut(path)
    mended = opened()
    assert len(mended.by_meaning(mended.embed(["hips"])[0], 9)) == len(mended.passages)


def test_vectors_that_are_not_as_they_were_written_never_reach_chroma(
    opened: Open, few_kinds: Kinds, fake_encoder: Any
) -> None:
    """With a thousand passages Chroma writes its vectors out, and a damaged file of them would end the process."""
    told: list[tuple[int, int]] = []
    text = "# Plank\n\n## Steps\n\n" + "".join(f"{n}. Lift hip number {n}.\n" for n in range(1, 1001))
    index = opened(text, progress=lambda done, total: told.append((done, total)))
    assert told == [(min(done, 1000), 1000) for done in range(64, 1064, 64)]
    index.close()
    Index(index.library, few_kinds, fake_encoder, index.folder).close()
    vectors = next(index.folder.glob("chroma-*/*/data_level0.bin"))
    whole = vectors.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", (b"garbage!" * len(whole))[: len(whole)]):
        vectors.write_bytes(damaged)
        with pytest.raises(DamagedIndexError, match="its files are not those that were written"):
            Index(index.library, few_kinds, fake_encoder, index.folder)
    vectors.unlink()
    with pytest.raises(DamagedIndexError, match="its files are not those that were written"):
        Index(index.library, few_kinds, fake_encoder, index.folder)


def test_what_is_left_of_a_build_that_was_killed_is_removed(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "cache" / "building-1" / "words").mkdir(parents=True)
    (tmp_path / "cache" / "building-1" / "state.json").write_text("{}")
    folder = opened().folder
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [folder.name]


@pytest.mark.parametrize("error", [chromadb.errors.InternalError("disk full"), sqlite3.OperationalError("disk full")])
def test_a_build_that_fails_says_what_to_look_at(
    error: Exception, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(index_module, "_section_kinds", fail)
    with pytest.raises(SpotterError, match=r"No index can be built in .*cache: disk full. Is the disk full\?"):
        opened()
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_an_index_that_never_holds_is_an_error_for_the_operator(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Index) -> None:
        raise ValueError("a stored passage does not find itself")

    monkeypatch.setattr(Index, "_verify", fail)
    with pytest.raises(SpotterError, match="a stored passage does not find itself"):
        opened()


def test_articles_without_a_passage_are_an_error_that_says_what_to_do(few_kinds: Kinds, tmp_path: Path) -> None:
    nothing = library("# FAQ\n\n## Hard?\n\nNo, never.\n").without_faq()
    with pytest.raises(SpotterError, match=r"nothing outside their FAQ sections\. Add an article"):
        open_index(nothing, few_kinds, tmp_path / "cache")


def test_the_lock_is_let_go_once_the_index_is_open(opened: Open, tmp_path: Path) -> None:
    opened()
    with FileLock(tmp_path / "cache" / "index.lock", timeout=0) as lock:
        assert lock.is_locked


@pytest.mark.parametrize("damaged", [b"", b"garbage"])
def test_kept_example_vectors_that_are_damaged_are_made_again(damaged: bytes, opened: Open, fake_encoder: Any) -> None:
    kept = next(opened().folder.parent.glob("examples-*.npy"))
    kept.write_bytes(damaged)
    assert opened(SQUAT).example_vectors.tolist() == opened().example_vectors.tolist()
    assert fake_encoder.asked.count("muscles?") == 2


def test_a_build_that_is_interrupted_leaves_nothing_that_is_taken_for_an_index(
    opened: Open, fake_encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(index_module, "_section_kinds", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            opened()
    assert list((tmp_path / "cache").glob("index-*")) == []
    assert len(opened().passages) == 3


def test_old_indexes_are_pruned_and_the_one_in_use_is_kept(opened: Open, tmp_path: Path) -> None:
    folders = [opened(PLANK + f"- Extra: Number {n}.\n").folder for n in range(KEPT + 2)]
    left = set((tmp_path / "cache").glob("index-????????????????"))
    assert left == set(folders[-KEPT:])


def test_the_index_that_is_opened_is_kept_whatever_the_clock_says(opened: Open) -> None:
    for n in range(KEPT):
        os.utime(opened(PLANK + f"- Extra: Number {n}.\n").folder, (4e9, 4e9))
    index = opened()
    assert index.folder.is_dir()
    assert len(list(index.folder.parent.glob("index-????????????????"))) == KEPT


def test_two_who_open_at_once_both_get_the_index(opened: Open, fake_encoder: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: opened(), range(2))
    assert first.folder == second.folder
    assert fake_encoder.asked.count("muscles?") == 1


def test_a_cache_that_cannot_be_written_is_named(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(SpotterError, match="Set SPOTTER_CACHE to another folder"):
        opened()


def test_identical_lines_in_two_articles_pass_the_check(opened: Open) -> None:
    same = "# Plank\n\n## Steps\n\n1. Lift the hips.\n2. Breathe out.\n"
    assert len(opened(same, same).passages) == 4


def test_lines_that_the_encoder_cannot_tell_apart_pass_the_check(opened: Open) -> None:
    assert len(opened("# Plank\n\n## Steps\n\n1. Lift the hips.\n2. Lift the Hips!\n3. The hips lift.\n").passages) == 3


def test_passages_are_found_by_meaning_closest_first(opened: Open) -> None:
    index = opened(PLANK, SQUAT)
    vector = index.embed(["How to squat. Bend the knees."])[0]
    found = index.by_meaning(vector, 3)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert index.passages[next(iter(found))].text == "Bend the knees."


def test_passages_are_found_by_the_stems_of_their_words(opened: Open) -> None:
    index = opened(PLANK, SQUAT)
    assert index.passages[int(index.by_words("knee bending").argmax())].text == "Bend the knees."
    assert not index.by_words("").any()
    assert not index.by_words("the zzz").any()


def test_progress_is_told_up_to_the_end(opened: Open) -> None:
    told: list[tuple[int, int]] = []
    opened(progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)


def test_an_index_of_other_passages_is_not_opened(opened: Open, few_kinds: Kinds, fake_encoder: Any) -> None:
    with pytest.raises(DamagedIndexError):
        Index(library(SQUAT), few_kinds, fake_encoder, opened().folder)


def test_the_exercise_reads_generic_in_what_is_encoded() -> None:
    planks = library(PLANK)
    assert search_text(planks.articles[0], planks.passages[0]) == "How to do a this exercise. Rest on the forearms."
    assert generic("Are planks hard?", ("Plank",)) == "Are this exercise hard?"
    assert bare("muscles in this exercise") == "muscles in"
    assert tokenize("The hips are lifted") == ["hip", "lift"]


def test_sections_are_of_the_kind_that_their_headings_mean(assistant: Assistant) -> None:
    index = assistant.index
    kinds = {p.section[-1]: kind for p, kind in zip(index.passages, index.section_kinds, strict=True)}
    assert {
        "Muscles Worked": "muscles",
        "Benefits of Heel Kicks": "benefits",
        "Step-by-Step Guide: How to Perform Heel Kicks": "steps",
        "Common Mistakes to Avoid": "mistakes",
        "Variations and Progressions": "variations",
        "Incorporating Heel Kicks into Your Workout": "dose",
        "Who Should Do Heel Kicks?": "audience",
        "When to Consult a Professional": "consult",
        "Key Takeaways": "summary",
    }.items() <= kinds.items()


def test_every_process_gives_an_index_the_same_name() -> None:
    code = (
        "from assistant.index import _fingerprint; from assistant.kinds import load_kinds;"
        "from assistant.knowledge import read_library; from assistant.settings import Settings; s = Settings();"
        "k = load_kinds(s.questions); print(_fingerprint(read_library(s.articles, k.exercises), k, ''))"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(names) == 1
    assert all(len(name.strip()) == 16 for name in names)
