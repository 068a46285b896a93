"""The index: a cache of passages in Chroma (meaning) and bm25s (words) that rebuilds itself when it is not right."""

import hashlib
import json
import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from assistant.encoder import all_cores, encoder_id, load_encoder
from assistant.kinds import Kinds
from assistant.knowledge import Article, Library, name_pattern
from assistant.types import Passage, SpotterError

if TYPE_CHECKING:
    from langchain_chroma import Chroma
    from langchain_core.embeddings import Embeddings

log = logging.getLogger(__name__)

FORMAT = 1
"""Part of the index's name; raised when the reader, the encoded text or what is stored changes."""
KEPT = 6
"""How many indexes stay on disk; of the others, the least recently used are pruned."""
BATCH = 64

Progress = Callable[[int, int], None]


class DamagedIndexError(Exception):
    """An index on disk does not hold what it should; it is rebuilt."""


class Index:
    """The passages of one library, searchable by meaning and by words; it never changes once it is open."""

    def __init__(self, library: Library, kinds: Kinds, encoder: "Embeddings", folder: Path) -> None:
        """Opens the index in `folder`, encoding nothing; raises DamagedIndexError when it is not of these passages."""
        import chromadb

        bm25s = _bm25s()

        self.library, self.kinds, self.encoder, self.folder = library, kinds, encoder, folder
        self.passages = library.passages
        self._client: Any = None
        try:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            if state["files"] != _files(folder):
                raise ValueError("its files are not those that were written")
            self.section_kinds: tuple[str, ...] = tuple(state["section_kinds"])
            self.example_vectors = np.load(folder / "examples.npy", allow_pickle=False)
            self._words = bm25s.BM25.load(folder / "words", show_progress=False)
            self._client = _client(folder / state["store"])
            self._store = _store(self._client, encoder)
            self._verify()
        except (OSError, ValueError, KeyError, TypeError, sqlite3.Error, chromadb.errors.ChromaError) as error:
            self.close()
            raise DamagedIndexError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Lets go of the store's files."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of the texts, shape (len(texts), dimensions), in one encoder pass."""
        return np.asarray(self.encoder.embed_documents(list(texts)), dtype=np.float32)

    def by_meaning(self, vector: np.ndarray, count: int) -> dict[int, float]:
        """The closest passages: their positions in `passages` with their cosines, closest first."""
        found = self._store.similarity_search_by_vector_with_relevance_scores(
            vector.tolist(), k=min(count, len(self.passages))
        )
        return {int(document.id or 0): 1.0 - distance for document, distance in found}

    def by_words(self, text: str) -> np.ndarray:
        """The BM25 score of every passage, shape (len(passages),)."""
        tokens = tokenize(text)
        return self._words.get_scores(tokens) if tokens else np.zeros(len(self.passages), dtype=np.float32)

    def _verify(self) -> None:
        """Raises ValueError unless the store holds these texts and a sample of their vectors finds itself."""
        collection = self._store._collection
        counts = {len(self.passages), len(self.section_kinds), collection.count()}
        if len(counts) > 1 or len(self.example_vectors) != len(self.kinds.examples):
            raise ValueError(f"the articles hold {len(self.passages)} passages, the store {collection.count()}")
        stored = collection.get(include=["documents", "metadatas"])
        texts = zip(stored["ids"], stored["documents"] or [], stored["metadatas"] or [], strict=True)
        expected = {
            str(i): (search_text(self.library.by_stem[p.article], p), p.article) for i, p in enumerate(self.passages)
        }
        if {i: (text, (metadata or {}).get("article")) for i, text, metadata in texts} != expected:
            raise ValueError("the store holds other texts than the articles")
        sample = collection.get(ids=list(expected)[:: max(1, len(expected) // 8)], include=["embeddings"])
        found = collection.query(query_embeddings=sample["embeddings"], n_results=1, include=["distances"])
        # By distance, not by text: to the encoder, "Lift the hips." and "Lift the Hips." are the same.
        if any(distances[0] > 1e-3 for distances in found["distances"] or [[1.0]]):
            raise ValueError("a stored passage does not find itself")


def open_index(
    library: Library, kinds: Kinds, cache: Path, encoder_name: str = "", progress: Progress | None = None
) -> Index:
    """The index of these passages with this encoder, from the cache when it is there and sound, else built anew.

    `progress(done, total)` is called while passages are encoded. Raises SpotterError when the cache cannot be written.
    """
    from filelock import FileLock

    if not library.passages:
        raise SpotterError("The articles hold nothing outside their FAQ sections. Add an article or keep the FAQ in.")
    encoder = load_encoder(encoder_name)
    folder = cache / f"index-{_fingerprint(library, kinds, encoder_name)}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "index.lock"):
            try:
                index = Index(library, kinds, encoder, folder)
            except DamagedIndexError as damage:
                if folder.exists():
                    log.warning("The index is damaged and is being rebuilt: %s", damage)
                index = _rebuild(library, kinds, encoder, folder, progress)
            os.utime(folder)
            _prune(cache, folder)
    except OSError as error:
        raise SpotterError(
            f"The index cannot be kept in {cache}: {error}. Set SPOTTER_CACHE to another folder."
        ) from error
    return index


def _rebuild(library: Library, kinds: Kinds, encoder: "Embeddings", folder: Path, progress: Progress | None) -> Index:
    """Builds aside, verifies, then switches by renaming; a half-built index never has the name that is looked for."""
    import chromadb

    building = folder.parent / f"building-{uuid4().hex}"
    try:
        _build(library, kinds, encoder, building, progress)
        Index(library, kinds, encoder, building).close()
        if folder.exists():
            folder.rename(folder.parent / f"building-{uuid4().hex}")
        building.rename(folder)
        return Index(library, kinds, encoder, folder)
    except (DamagedIndexError, sqlite3.Error, chromadb.errors.ChromaError) as error:
        raise SpotterError(f"No index can be built in {folder.parent}: {error}. Is the disk full?") from error
    finally:
        for leftover in folder.parent.glob("building-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _build(library: Library, kinds: Kinds, encoder: "Embeddings", folder: Path, progress: Progress | None) -> None:
    from langchain_core.documents import Document

    folder.mkdir(parents=True)
    texts = [search_text(library.by_stem[passage.article], passage) for passage in library.passages]
    documents = [
        Document(text, id=str(i), metadata={"article": passage.article})
        for i, (text, passage) in enumerate(zip(texts, library.passages, strict=True))
    ]
    # A name of its own: Chroma keeps a store that failed to open in mind by its path, and would not open it again.
    name = f"chroma-{uuid4().hex}"
    with closing(_client(folder / name)) as client, all_cores():
        store = _store(client, encoder)
        for start in range(0, len(documents), BATCH):
            store.add_documents(documents[start : start + BATCH])
            if progress:
                progress(min(start + BATCH, len(documents)), len(documents))
        examples = _example_vectors(kinds, encoder, folder.parent)
        section_kinds = _section_kinds(library, kinds, encoder)
    np.save(folder / "examples.npy", examples, allow_pickle=False)
    words = _bm25s().BM25()
    words.index([tokenize(text) for text in texts], show_progress=False)
    words.save(folder / "words", show_progress=False)
    state = {"store": name, "section_kinds": section_kinds, "files": _files(folder)}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")


def _files(folder: Path) -> dict[str, str]:
    """Checksums of the files that stay as they were written, by their place in the index.

    Chroma's native code ends the process over a damaged vector file; a damaged database it reports as an error.
    With few passages the vectors are still in the database, and it writes their files anew on every opening.
    """
    vectors = [path for written in folder.glob("chroma-*/*/index_metadata.pickle") for path in written.parent.iterdir()]
    files = [*folder.glob("*.npy"), *folder.glob("words/*"), *vectors]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _example_vectors(kinds: Kinds, encoder: "Embeddings", cache: Path) -> np.ndarray:
    """The vectors of the example questions, kept beside the indexes since every library needs the same many."""
    texts = [bare(example.text) for example in kinds.examples]
    one_vector = np.round(encoder.embed_query(texts[0]), 3).tolist()  # tells the encoder
    digest = hashlib.sha256(repr((one_vector, texts)).encode()).hexdigest()[:16]
    shared = cache / f"examples-{digest}.npy"
    with suppress(OSError, ValueError, EOFError):
        if len(vectors := np.load(shared, allow_pickle=False)) == len(texts):
            return np.asarray(vectors)
    vectors = np.asarray(encoder.embed_documents(texts), dtype=np.float32)
    for old in cache.glob("examples-*.npy"):
        old.unlink(missing_ok=True)
    np.save(shared, vectors, allow_pickle=False)
    return vectors


def _section_kinds(library: Library, kinds: Kinds, encoder: "Embeddings") -> list[str]:
    """The kind of each passage's section: that of the known heading closest to its innermost telling heading."""
    known = np.asarray(encoder.embed_documents([heading for _, heading in kinds.headings]), dtype=np.float32)
    headings = sorted({(p.article, heading) for p in library.passages for heading in p.section})
    texts = [generic(heading, library.by_stem[stem].names) for stem, heading in headings]
    cosines = np.asarray(encoder.embed_documents(texts), dtype=np.float32) @ known.T
    best = {
        key: (float(row.max()), kinds.headings[int(row.argmax())][0])
        for key, row in zip(headings, cosines, strict=True)
    }

    def kind(passage: Passage) -> str:
        if passage.kind == "byline":
            return "author"
        if passage.section == (library.by_stem[passage.article].title,):
            return "definition"
        telling = [best[passage.article, heading] for heading in reversed(passage.section)]
        return next((name for score, name in telling if score >= TELLING_HEADING), "")

    return [kind(passage) for passage in library.passages]


TELLING_HEADING = 0.5
"""The cosine from which a heading is taken to be of a known heading's kind."""


def generic(text: str, names: tuple[str, ...]) -> str:
    """The text with "this exercise" for the exercise's names, so that all articles and questions read alike."""
    return name_pattern(names).sub("this exercise", text)


def bare(text: str) -> str:
    """A generic text without "this exercise": what is asked rather than of what."""
    return " ".join(re.sub(r"\bthis exercise\b", "", text).split()) or text


def heading_of(passage: Passage) -> str:
    """What a passage stands under: its question in an FAQ, else its section's name."""
    return passage.label if passage.kind == "faq" else passage.section[-1]


def search_text(article: Article, passage: Passage) -> str:
    """What is encoded for a passage: its heading, the items above it and its text, the exercise's name made generic."""
    return generic(". ".join([heading_of(passage), *passage.parents, passage.text]), article.names)


def tokenize(text: str) -> list[str]:
    """The stemmed content words of an English text."""
    import Stemmer

    bm25s = _bm25s()

    stemmer = Stemmer.Stemmer("english")
    tokens = bm25s.tokenize([text], stopwords="english", stemmer=stemmer, return_ids=False, show_progress=False)
    return list(tokens[0])


def _fingerprint(library: Library, kinds: Kinds, encoder_name: str) -> str:
    """Names the index after all that it is derived from: articles, reader, example questions, headings and encoder."""
    passages = [(p.article, p.section, p.kind, p.start, p.end, p.text) for p in library.passages]
    texts = [(article.stem, article.text) for article in library.articles]
    source = repr((FORMAT, encoder_id(encoder_name), kinds.examples, kinds.headings, texts, passages))
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _prune(cache: Path, opened: Path) -> None:
    def used(folder: Path) -> float:
        with suppress(FileNotFoundError):
            return folder.stat().st_mtime
        return 0.0

    others = sorted((folder for folder in cache.glob("index-*") if folder != opened), key=used, reverse=True)
    for old in others[KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _bm25s() -> Any:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # its import sets DEBUG
    return bm25s


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _store(client: Any, encoder: "Embeddings") -> "Chroma":
    from langchain_chroma import Chroma

    return Chroma("passages", encoder, client=client, collection_configuration={"hnsw": {"space": "cosine"}})
