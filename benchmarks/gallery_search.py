"""Exact search among a million templates of 128 numbers, side by side with FAISS IndexFlatIP.

    python -m benchmarks.gallery_search [--people 1000000] [--rounds 15]

The templates are made up: unit vectors drawn at random; a probe is one of them with noise. Two things are measured:
the index alone, by turns with FAISS in one process, and a gallery file of as many people (without media, which search
does not read) in a process of its own: time to load it, time of a search, and the peak of memory. Bars: a query under
60 ms on two cores, no slower than FAISS, the same answers, and a peak under 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import finish, side_by_side, timed

WIDTH, K, SEED, BATCH = 128, 5, 0, 32
MODEL = "sha256:benchmark"


def vectors(people: int) -> np.ndarray:
    """Unit vectors (G, D), made some at a time, so that no second copy is held."""
    rng = np.random.default_rng(SEED)
    made = np.empty((people, WIDTH), np.float32)
    for start in range(0, people, 8192):
        block = made[start : start + 8192]
        rng.standard_normal(dtype=np.float32, out=block)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return made


def probes(made: np.ndarray, count: int) -> np.ndarray:
    """Unit vectors near some of ``made``."""
    rng = np.random.default_rng(SEED + 1)
    near = made[rng.integers(0, len(made), count)] + 0.05 * rng.standard_normal((count, WIDTH), dtype=np.float32)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def peak() -> float:
    """Largest resident memory so far, in GB."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9


def compare(people: int, rounds: int) -> dict[str, Any]:
    """The index by turns with FAISS: milliseconds of one probe, and of each of a batch."""
    import faiss

    from faceset.gallery import ExactIndex

    made = vectors(people)
    queries = probes(made, BATCH)
    ours, theirs = ExactIndex(), faiss.IndexFlatIP(WIDTH)
    ours.rebuild(made)
    theirs.add(made)
    found, scores = ours.search(queries, K)
    their_scores, their_found = theirs.search(queries, K)
    figures: dict[str, Any] = {
        "same_answers": bool((found == their_found).all()),
        "largest_difference": float(np.abs(scores - their_scores).max()),
        "faiss": faiss.__version__,
        "threads": faiss.omp_get_max_threads(),
    }
    for count in (1, BATCH):
        turn = iter(range(10**9))

        def one(index: Any, count: int = count, turn: Any = turn) -> None:
            start = next(turn) % (BATCH - count + 1)
            index.search(queries[start : start + count], K)

        mine, other, ratios = side_by_side(lambda: one(ours), lambda: one(theirs), rounds)
        figures[f"of_{count}"] = {
            "ms": 1000 * mine / count,
            "faiss_ms": 1000 * other / count,
            "ratio": statistics.median(ratios),
        }
    return figures


def make(path: Path, people: int) -> None:
    """A gallery file of so many people, without media."""
    from faceset.gallery import Gallery
    from faceset.gallery.rows import blob

    Gallery(path).close()
    made, weights = vectors(people), blob(np.ones(1, np.float32))
    moment = "2024-01-01T00:00:00.000000+00:00"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN")
        raw.executemany(
            "INSERT INTO person (id, name, created, updated, uid) VALUES (?, ?, ?, ?, ?)",
            ((i + 1, f"person {i}", moment, moment, f"{i:032x}") for i in range(people)),
        )
        raw.executemany(
            "INSERT INTO template (person_id, generation, aggregator, consistency, vector, weights) "
            "VALUES (?, 1, 'mean', 1, ?, ?)",
            ((i + 1, blob(made[i]), weights) for i in range(people)),
        )
        raw.execute("UPDATE meta SET generation = 1, model_id = ?, width = ?", (MODEL, WIDTH))
        raw.execute("COMMIT")


def serve(path: Path, rounds: int) -> dict[str, Any]:
    """Open the file and search it; then again, as after a removal, and after an enrolment."""
    from faceset import aggregation
    from faceset.gallery import Gallery
    from faceset.types import Face, FaceSet, Template

    rng = np.random.default_rng(SEED + 2)
    vector = rng.standard_normal(WIDTH).astype(np.float32)
    vector /= np.linalg.norm(vector)
    asked = Template(vector, MODEL, "mean", np.ones(1, np.float32), 1.0)
    face = Face(box=(0, 0, 1, 1), score=1.0, feature=vector)
    with Gallery(path, create=False) as gallery:
        load = timed(lambda: gallery.search([asked], K))[0]
        one = statistics.median(timed(lambda: gallery.search([asked], K))[0] for _ in range(rounds))
        gallery._cache.clear()  # what a removal makes the next search do
        again = timed(lambda: gallery.search([asked], K))[0]
        gallery.add("new", [FaceSet((face,), MODEL, media="a.jpg")], aggregator=aggregation.get("mean"))
        first, found = timed(lambda: gallery.search([asked], K))
        if found[0][0].name != "new":
            sys.exit("the person who was enrolled last was not found")
    return {"load_s": load, "ms": 1000 * one, "again_s": again, "after_enrolment_ms": 1000 * first, "peak_gb": peak()}


def main() -> None:
    """Run each part in a process of its own, print times and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--part", choices=("compare", "make", "serve"))
    parser.add_argument("--path", type=Path)
    args = parser.parse_args()
    if args.part == "make":
        make(args.path, args.people)
        return
    if args.part:
        part = compare(args.people, args.rounds) if args.part == "compare" else serve(args.path, args.rounds)
        print(json.dumps(part))
        return
    again = [sys.executable, "-m", "benchmarks.gallery_search", "--people", str(args.people)]
    again += ["--rounds", str(args.rounds)]

    def result(*words: str) -> dict[str, Any]:
        done = subprocess.run([*again, *words], check=True, stdout=subprocess.PIPE, text=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    index = result("--part", "compare")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "people.db")
        subprocess.run([*again, "--part", "make", "--path", path], check=True)
        gallery = result("--part", "serve", "--path", path)
    alone, batch = index["of_1"], index[f"of_{BATCH}"]
    print(f"{args.people} templates of {WIDTH}, {K} answers a probe")
    print(f"index, one probe:     {alone['ms']:6.1f} ms, FAISS {alone['faiss_ms']:6.1f} ms")
    print(f"index, {BATCH} at once:    {batch['ms']:6.1f} ms a probe, FAISS {batch['faiss_ms']:6.1f} ms")
    print(
        f"gallery file: first search {gallery['load_s']:.1f} s (loads it), then {gallery['ms']:.1f} ms; after an "
        f"enrolment {gallery['after_enrolment_ms']:.0f} ms, after a removal {gallery['again_s']:.1f} s"
    )
    checks = [
        ("the same answers as FAISS, best first", str(index["same_answers"]), index["same_answers"]),
        ("one probe, index (< 60 ms)", f"{alone['ms']:.1f} ms", alone["ms"] < 60),
        ("one probe against FAISS (<= 1)", f"{alone['ratio']:.2f}", alone["ratio"] <= 1),
        (f"{BATCH} probes against FAISS (<= 1)", f"{batch['ratio']:.2f}", batch["ratio"] <= 1),
        ("one probe, gallery file (< 60 ms)", f"{gallery['ms']:.1f} ms", gallery["ms"] < 60),
        ("peak memory of the gallery's process (< 1.5 GB)", f"{gallery['peak_gb']:.2f} GB", gallery["peak_gb"] < 1.5),
    ]
    finish("gallery_search", {"people": args.people, "index": index, "gallery": gallery}, checks)


if __name__ == "__main__":
    main()
