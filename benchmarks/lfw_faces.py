"""In how many pictures of LFW the default detector finds a face; the others are listed.

python -m benchmarks.lfw_faces [--every 1] [--detector mtcnn]
"""

from __future__ import annotations

import argparse
import statistics
import time

from rich.progress import track

from benchmarks.common import data_dir, finish
from faceset import detection
from faceset.media import find_media

BATCH = 16


def main() -> None:
    """Look at every picture and print the share with a face, and the names of the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="look at every n-th picture only")
    parser.add_argument("--detector", default="mtcnn")
    args = parser.parse_args()
    root = data_dir() / "lfw"
    paths = sorted(root.glob("*/*.jpg"))[:: args.every]
    detector = detection.get(args.detector)
    missed, times, faces = [], [], 0
    batches = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
    for batch in track(batches, description="LFW"):
        images = [next(iter(find_media(path)[0].frames())).image for path in batch]
        start = time.perf_counter()
        found = detector.detect(images)
        times.append((time.perf_counter() - start) / len(batch))
        faces += sum(map(len, found))
        missed += [path.relative_to(root) for path, seen in zip(batch, found, strict=True) if not seen]
    for path in missed:
        print(f"no face: {path}")
    share = 1 - len(missed) / len(paths)
    ms = statistics.median(times) * 1e3
    print(f"{len(paths)} pictures, {faces} faces, {len(missed)} pictures without; median {ms:.1f} ms a picture")
    finish(
        f"lfw_faces_{args.detector}",
        {"pictures": len(paths), "faces": faces, "missed": [str(p) for p in missed], "ms": ms},
        [("LFW pictures with a face (>= 99.7 %)", f"{share:.3%} ({len(missed)} missed)", share >= 0.997)],
    )


if __name__ == "__main__":
    main()
