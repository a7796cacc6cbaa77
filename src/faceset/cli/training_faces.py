"""Faces for the commands that train on pictures: found and cut out by one process, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from faceset.cli.output import counted, remark
from faceset.cli.progress import Bar

if TYPE_CHECKING:
    from faceset.training.distributed import Workers
    from faceset.training.faces import FaceStore, PrepareReport

FACES = "faces"
"""Folder within the run where the prepared faces lie, unless another is named."""
NAMED = 3
"""Names shown of each list; ``--json`` has all."""


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
    for line in found(store.report):
        remark(line, quiet=quiet)
    if names:
        from faceset.training.embedder.people import folder_of

        people = set(store.subject.names) - {""} or {folder_of(name) for name in store.medium.names}
        unknown = sorted(names - people - set(store.report.no_picture))  # a name misspelt would be trained on
        shown = f"; not among them: {', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''}" if unknown else ""
        remark(
            f"{len(names & people)} of the {counted(len(names), 'name')} in {leave_out} are among the people and left "
            f"out{shown}",
            quiet=quiet,
        )


def found(report: PrepareReport) -> Iterator[str]:
    """Lines on what is in a face store and what is not."""
    people = f" of {counted(report.people, 'person', 'people')}" if report.people else ""
    read = f"{counted(report.pictures, 'picture')} read, {counted(len(report.corrupt), 'file')} damaged"
    yield f"faces: {report.faces}{people}; {read}"
    for names, what in (
        (report.one_picture, "people with one picture"),
        (report.no_picture, "people without a face"),
        (report.without_face, "pictures without a face"),
        (report.corrupt, "damaged"),
        (report.stray, "files of nobody, beside the person folders"),
    ):
        if names:
            more = ", ..." if len(names) > NAMED else ""
            yield f"  {what}: {len(names)} ({', '.join(name.partition(': ')[0] for name in names[:NAMED])}{more})"
