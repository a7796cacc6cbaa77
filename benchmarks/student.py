"""How much of its teacher a distilled embedder keeps: TAR of mean-pooled YouTube Faces videos, student beside teacher.

python -m benchmarks.student PACK [--teacher dlib-resnet] [--flip] [--resamples 1000] [--bar 0.6]

PACK is a folder of `faceset export`. A template is the mean of the unit features of a video's frames; all pairs of
videos are compared. With --flip the feature of a face is the mean over its crop and the mirror image, of both. The
teacher's people must not be the student's: `faceset train-embedder --leave-out` with ``ytf_identities.txt``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.progress import Progress

from benchmarks.accuracy_rows import YTF, Faces, Row, videos
from benchmarks.aggregators import apply
from benchmarks.common import data_dir, finish
from benchmarks.tables import FOLDER, sorted_rows
from faceset import aggregation
from faceset.bootstrap import paired_bootstrap
from faceset.embedding import Embedder
from faceset.extraction import ExtractConfig, extract
from faceset.pipeline import Pipeline
from faceset.training.data import TrainData

FARS = (1e-1, 1e-2, 1e-3)
FAR = 1e-2


def row_of(embedder: Embedder, flip: bool) -> Row:
    """The clean frames of every video, with the features of that embedder."""
    name = embedder.model_id.replace(":", "-") + ("-flip" if flip else "")
    with Progress() as bar:
        task = bar.add_task(f"{YTF} by {embedder.manifest.id}", total=None)
        found, _ = extract(  # a finished table is only read
            data_dir() / YTF,
            FOLDER / f"{YTF}-{name}.parquet",
            Pipeline.build("mtcnn", embedder),
            ExtractConfig(flip=flip),
            progress=lambda done, total, faces: bar.update(task, completed=done, total=total),
        )
    return videos(Faces(TrainData.from_table(sorted_rows(found))), 0)


def main() -> None:
    """Measure both, print the table and check the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder of the student's pack")
    parser.add_argument("--teacher", default="dlib-resnet", help="name, manifest or pack of the teacher")
    parser.add_argument("--flip", action="store_true", help="features are means over a crop and its mirror image")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--bar", type=float, default=0.6, help="least share of the teacher's TAR at FAR 1e-2")
    args = parser.parse_args()
    rows = {
        "student": row_of(Embedder.load(args.pack), args.flip),
        "teacher": row_of(Embedder.load(args.teacher), args.flip),
    }
    student, teacher = rows["student"].trials, rows["teacher"].trials
    if not (np.array_equal(student.same, teacher.same) and np.array_equal(student.first, teacher.first)):
        raise SystemExit("the two embedders did not find faces in the same videos, so that their pairs differ")
    mean = aggregation.get("mean")
    scores = {name: row.trials.scores(apply(mean, row)[0]) for name, row in rows.items()}
    result = paired_bootstrap(scores, teacher, fars=FARS, resamples=args.resamples)
    same = int(teacher.same.sum())
    print(f"{teacher.subjects} people, {same} pairs of one person, {teacher.same.size - same} of two")
    print("\n| TAR in %, mean of a video's frames | " + " | ".join(f"FAR {far:g}" for far in FARS) + " |")
    print("|---|" + "---|" * len(FARS))
    for name in rows:
        cells = [result.interval(name, far) for far in FARS]
        print(f"| {name} | " + " | ".join(f"{100 * t:.1f} [{100 * a:.1f}, {100 * b:.1f}]" for t, a, b in cells) + " |")
    at = FARS.index(FAR)
    share = float(result.point[0, at] / result.point[1, at])
    draws = result.draws[0, at] / result.draws[1, at]
    low, high = (float(x) for x in np.nanquantile(draws, (0.025, 0.975)))
    print(f"\nshare of the teacher's TAR at FAR {FAR:g}: {share:.3f} [{low:.3f}, {high:.3f}]")
    finish(
        "student",
        {
            "student": Embedder.load(args.pack).model_id,
            "flip": args.flip,
            "tar": {name: {f"{far:g}": result.interval(name, far) for far in FARS} for name in rows},
            "share": [share, low, high],
        },
        [
            (
                f"share of the teacher's TAR at FAR {FAR:g} >= {args.bar:g}",
                f"{share:.3f} [{low:.3f}, {high:.3f}]",
                share >= args.bar,
            )
        ],
    )


if __name__ == "__main__":
    main()
