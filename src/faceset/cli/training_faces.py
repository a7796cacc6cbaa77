"""Faces for the commands that train on pictures: found and cut out by one process, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from faceset.cli import embedder_summary as summary
from faceset.cli.output import counted, remark
from faceset.cli.progress import Bar

if TYPE_CHECKING:
    from faceset.training.distributed import Workers
    from faceset.training.faces import FaceStore

FACES = "faces"
"""Folder within the run where the prepared faces lie, unless another is named."""


def prepared(
    root: Path,
    folder: Path,
    geometries: list[str],
    team: Workers,
    *,
    detector: str,
    labelled: bool,
    quiet: bool,
) -> FaceStore:
    """The faces of ``root``, found and cut by the first process."""
    from faceset.training.faces import FaceStore, prepare

    if team.first:
        with Bar("preparing faces", quiet=quiet) as bar:
            prepare(root, folder, geometries, detector=detector, labelled=labelled, progress=media(bar))
    team.wait()
    return FaceStore.open(folder)


def media(bar: Bar) -> Callable[[int, int, int], None]:
    """Progress of a search for faces: media done, media in all, faces found."""
    return lambda done, total, found: bar.update("", done, total, counted(found, "face"))


def tell(store: FaceStore, names: set[str], leave_out: Path | None, *, quiet: bool) -> None:
    """What was found, before hours are spent on it."""
    for line in summary.found(store.report):
        remark(line, quiet=quiet)
    if names:
        there = len(names.intersection(store.subject.names))
        remark(
            f"{there} of the {counted(len(names), 'name')} in {leave_out} are among the people and left out",
            quiet=quiet,
        )
