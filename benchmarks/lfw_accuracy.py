"""Accuracy on LFW's 6,000 pairs in 10 folds with the default detector and embedder, from pictures to the figure.

python -m benchmarks.lfw_accuracy [--no-flip] [--aggregators mean,anchored] [--output TABLE] [--resamples 1000]

Extracts the 7,701 pictures of pairs.txt to build/features/lfw_pairs.parquet (5 minutes on two idle cores), or reads the
table that is there. No pair is left out: where no face is detected one is placed by a rule that is printed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.progress import Progress

from benchmarks.common import ROOT, data_dir, finish
from faceset.cli.protocol_faces import media_of
from faceset.evaluation import protocols
from faceset.evaluation.run import evaluate
from faceset.extraction import ExtractConfig, ExtractReport, extract
from faceset.feature_table import FeatureTable
from faceset.recognizer import Recognizer

BAR = 0.990
FAR = 1e-3


def features(root: Path, output: Path, *, flip: bool) -> tuple[FeatureTable, ExtractReport, float]:
    """The table of the pictures of pairs.txt, what was found, and the seconds it took."""
    media = media_of(protocols.load("lfw", root))
    pipeline = Recognizer(aggregator="mean").pipeline
    config = ExtractConfig(flip=flip, undetected="centre")
    start = time.perf_counter()
    with Progress() as bar:
        task = bar.add_task("features of lfw", total=None)
        table, report = extract(
            root,
            output,
            pipeline,
            config,
            media=media,
            progress=lambda done, total, faces: bar.update(task, completed=done, total=total),
        )
    return table, report, time.perf_counter() - start


def main() -> None:
    """Extract or read, evaluate, and hold the accuracy of each aggregator against the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-flip", action="store_true", help="the feature of the crop alone")
    parser.add_argument("--aggregators", default="mean,norm,anchored")
    parser.add_argument("--output", type=Path, help="the feature table")
    parser.add_argument("--resamples", type=int, default=1000)
    args = parser.parse_args()
    name = "lfw_pairs_plain" if args.no_flip else "lfw_pairs"
    output = args.output or ROOT / "build" / "features" / f"{name}.parquet"
    root = data_dir() / "lfw"
    table, found, seconds = features(root, output, flip=not args.no_flip)
    print(f"{found.media} pictures, {found.added} extracted in {seconds:.0f} s; feature of the crop", end=" ")
    print("alone" if args.no_flip else "and its mirror image")
    print(f"not detected and placed by a rule ({found.fallback_rule}): {len(found.fallback)}")
    experiments = protocols.load("lfw", root)
    report = evaluate(experiments, table, args.aggregators.split(","), fars=(FAR,), resamples=args.resamples)
    figures, checks = {}, []
    for outcome in report.outcomes:
        accuracy, tar = outcome.metrics["accuracy"], outcome.metrics[f"tar@far={FAR:g}"]
        failed = outcome.counts.get("failed_genuine", 0) + outcome.counts.get("failed_impostors", 0)
        pairs = outcome.counts["genuine"] + outcome.counts["impostors"]
        figures[outcome.aggregator] = {
            "used": outcome.used,
            "accuracy": accuracy.to_dict(),
            "tar": tar.to_dict(),
            "counts": dict(outcome.counts),
        }
        print(
            f"{outcome.aggregator:12} accuracy {accuracy.value:.2%} ({accuracy.note}), "
            f"TAR at FAR {FAR:g} {tar.value:.2%}, {pairs} pairs, {failed} not scored"
        )
        passed = accuracy.value >= BAR and failed == 0
        checks.append((f"LFW 10-fold, {outcome.aggregator}, all pairs (>= {BAR:.1%})", f"{accuracy.value:.2%}", passed))
    finish(
        "lfw_accuracy" + ("_no_flip" if args.no_flip else ""),
        {
            "pictures": found.media,
            "seconds": seconds if found.added else None,
            "fallback": found.fallback,
            "fallback_rule": found.fallback_rule,
            "flip": not args.no_flip,
            "aggregators": figures,
            "signature": dict(report.signature),
        },
        checks,
    )


if __name__ == "__main__":
    main()
