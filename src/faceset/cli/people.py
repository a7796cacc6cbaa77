"""``faceset enroll``, ``identify``, ``people`` and ``forget``: the gallery."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, counted, emit, print_csv, print_json, remark, say, warnings_shown
from faceset.cli.progress import Bar
from faceset.errors import FacesetError, GalleryError, InputError, MediaError

if TYPE_CHECKING:
    from faceset.enrolment import EnrollReport
    from faceset.gallery import Person
    from faceset.types import Match


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(enroll)
    app.command()(identify)
    app.command(name="people")(list_people)
    app.command()(forget)


def enroll(
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="Folder with one folder of media per person, or media with --name.")
    ],
    gallery: options.GalleryFile,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="ROOT is a file or folder of this one person.")
    ] = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    aggregator: options.AggregatorName = None,
    fps: options.Fps = options.DEFAULT_FPS,
    threshold: options.ThresholdValue = None,
    keep_crops: Annotated[bool, typer.Option("--keep-crops", help="Store the aligned crop of every face too.")] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Enrol people: ROOT/<person>/<media>, or one person with --name. Adds to people who are enrolled already.

    Example: faceset enroll videos/ --gallery people.db
    """
    from faceset.gallery import Gallery
    from faceset.gallery.place import shown

    check_format(as_json, as_csv)
    persons = [(name, root)] if name is not None else _person_folders(root, quiet=quiet)
    recognizer = options.recognizer(
        detector=detector,
        embedder=embedder,
        pack=pack,
        aggregator=aggregator,
        fps=fps,
        threshold=threshold,
        keep_crops=keep_crops,
    )
    reports: list[EnrollReport] = []
    failures: list[tuple[str, str]] = []
    with no_empty_file_left(gallery), Gallery(gallery) as opened, Bar("enrolling", quiet=quiet) as bar:
        try:
            for person, source in persons:
                try:
                    reports.append(recognizer.enroll(opened, person, source, progress=bar))
                except FacesetError as error:
                    if len(persons) == 1:
                        raise
                    failures.append((person, str(error)))
        except KeyboardInterrupt:
            remark(f"interrupted; everything finished before is in {shown(gallery)}", quiet=False)
            raise typer.Exit(130) from None
    _print_reports(reports, failures, shown(gallery), as_json=as_json, as_csv=as_csv, quiet=quiet)
    if failures:
        raise typer.Exit(2)


def identify(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="Picture, video, folder, stream URL or template file to look people up in."),
    ],
    gallery: options.GalleryFile,
    top: Annotated[int, typer.Option("--top", "-k", help="Candidates to list for each track (in --json).", min=1)] = 5,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    aggregator: options.AggregatorName = None,
    fps: options.Fps = options.DEFAULT_FPS,
    threshold: options.ThresholdValue = None,
    fpir: options.Fpir = options.DEFAULT_FPIR,
    calibration: options.CalibrationFile = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Say who is seen in SRC and when: one row per track.

    Example: faceset identify meeting.mp4 --gallery people.db
    """
    from faceset.gallery import Gallery
    from faceset.gallery.place import shown

    check_format(as_json, as_csv)
    recognizer = options.recognizer(
        detector=detector,
        embedder=embedder,
        pack=pack,
        aggregator=aggregator,
        fps=fps,
        threshold=threshold,
        fpir=fpir,
        calibration=calibration,
    )
    with (
        Gallery(gallery, create=False) as opened,
        warnings_shown(quiet=quiet),
        Bar("looking at", quiet=quiet) as bar,
    ):
        if not len(opened):
            remark(f"{shown(gallery)} is empty: nobody is enrolled, so everybody is unknown", quiet=quiet)
        matches = list(recognizer.identify(opened, options.media_or_template(source), k=top, progress=bar))
    matches.sort(key=lambda m: (m.media, m.start, m.track))
    records = [
        {
            "media": m.media,
            "start": round(m.start, 3),
            "end": round(m.end, 3),
            "who": m.name if m.name is not None else "unknown",
            "score": m.score,
            "faces": m.faces,
            "threshold": m.threshold,
            "threshold_source": m.threshold_source,
            "fpir": m.fpir,
        }
        for m in matches
    ]
    columns = ["media", "start", "end", "who", "score", "faces"]
    if as_csv:
        columns += ["threshold", "threshold_source", "fpir"]
    if not matches:
        remark(
            f"no face found in {source} (faces under {recognizer.pipeline.min_face:g} pixels are passed over)",
            quiet=False,
        )
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=f"{counted(len(matches), 'track')} in {source}",
        records=records,
        columns=columns,
        document=[m.to_dict() for m in matches],
    )
    if matches and not (as_json or as_csv):
        remark(_threshold_line(matches), quiet=quiet)


def _threshold_line(matches: Sequence[Match]) -> str:
    """The threshold of all matches; where they differ, the range and the most frequent one with its source."""
    used = Counter((m.threshold, m.threshold_source) for m in matches)
    ((value, source), _) = used.most_common(1)[0]
    line = f"threshold {value:.4f} ({source})"
    if len(used) > 1:
        low, high = min(v for v, _ in used), max(v for v, _ in used)
        line = f"thresholds {low:.4f} to {high:.4f}, by the sizes of the sets; most often {line[len('threshold ') :]}"
    return line


def list_people(
    gallery: options.GalleryFile,
    media: Annotated[bool, typer.Option("--media", help="List every medium held of every person.")] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """List who is enrolled and what is held of them.

    Example: faceset people --gallery people.db
    """
    from faceset.gallery import Gallery
    from faceset.gallery.place import shown

    check_format(as_json, as_csv)
    with Gallery(gallery, create=False) as opened:
        held = opened.people()
    if media:
        records = [{"name": p.name, **{k: v for k, v in m.to_dict().items() if k != "name"}, "media": m.name}
                   for p in held for m in p.media]  # fmt: skip
        columns = ["name", "media", "kind", "faces", "added"]
    else:
        records = [{**p.to_dict(), "media": len(p.media)} for p in held]
        columns = ["name", "media", "faces", "consistency", "updated"]
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=f"{counted(len(held), 'person', 'people')} in {shown(gallery)}",
        records=records,
        columns=columns,
        document=[p.to_dict() for p in held],
    )


def forget(
    name: Annotated[str, typer.Argument(help="Whom to forget.")],
    gallery: options.GalleryFile,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """Remove a person and everything held of them, for good.

    Example: faceset forget "Grace Hopper" --gallery people.db
    """
    from faceset.gallery import Gallery

    check_format(as_json, as_csv)
    with Gallery(gallery, create=False) as opened:
        person = opened.person(name)
        if not yes and not _confirmed(f"Forget {person.name!r}, {_held(person)}, for good?"):
            raise typer.Exit(1)
        gone = opened.forget(name)
    record = {"name": gone.name, "media": len(gone.media), "faces": gone.faces}
    if as_json:
        print_json(record)
    elif as_csv:
        print_csv(list(record), [list(record.values())])
    else:
        say(f"forgot {gone.name}: {_held(gone)}")


def _held(person: Person) -> str:
    return f"{counted(person.faces, 'face')} from {counted(len(person.media), 'medium', 'media')}"


def _confirmed(question: str) -> bool:
    """Ask on standard error.

    Raises:
        InputError: the input has ended, so nobody can answer.
    """
    try:
        return typer.confirm(question, err=True)
    except typer.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        sys.stderr.write("\n")  # the question stands on a line that has not ended
        raise InputError("nobody answered; give --yes to forget without being asked. Nothing was changed") from None


@contextlib.contextmanager
def no_empty_file_left(gallery: str) -> Iterator[None]:
    """Remove the gallery file again when it was made inside, holds nobody and is open nowhere."""
    from faceset.gallery import Gallery
    from faceset.gallery.place import is_url

    path = Path(gallery)
    if is_url(gallery):  # a new schema on a server may stay
        yield
        return
    there = path.exists()
    try:
        yield
    finally:
        if not there and path.is_file():
            with contextlib.suppress(GalleryError):
                with Gallery(path, create=False) as made:
                    empty = not len(made)
                # Beside a gallery that another process has open lies its write-ahead log.
                if empty and not path.with_name(path.name + "-wal").exists():
                    path.unlink(missing_ok=True)


def _person_folders(root: Path, *, quiet: bool) -> list[tuple[str, Path]]:
    """The person folders in ``root``, by name."""
    try:
        if not root.exists():
            raise MediaError(f"{root} does not exist; check the path")
        if not root.is_dir():
            raise InputError(f"{root} is a file; say whose it is with --name NAME, or give a folder of person folders")
        entries = sorted(p for p in root.iterdir() if not p.name.startswith("."))
        folders = [(p.name, p) for p in entries if p.is_dir()]
    except OSError as error:
        raise MediaError(f"{root} cannot be read: {error.strerror}; make it readable for this user") from error
    if not folders:
        raise InputError(
            f"{root} holds no person folders; lay it out as {root.name}/<person>/<media>, or say who it is with --name"
        )
    for stray in entries:
        if not stray.is_dir():
            remark(f"{stray} lies in no person folder and was passed over", quiet=quiet)
    return folders


def _print_reports(
    reports: list[EnrollReport],
    failures: list[tuple[str, str]],
    gallery: str,
    *,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    if as_json:
        print_json(
            {"enrolled": [r.to_dict() for r in reports], "failed": [{"name": n, "reason": e} for n, e in failures]}
        )
        return
    records = [
        {
            "name": r.name,
            "added": len(r.added),
            "already": len(r.already),
            "refused": len(r.refused),
            "faces": r.faces,
            "looks_like": "; ".join(f"{c.name} ({c.score:.4f})" for c in r.looks_like),
        }
        for r in reports
    ] + [
        {"name": n, "added": 0, "already": 0, "refused": 1, "faces": 0, "looks_like": ""} for n, _ in failures
    ]  # fmt: skip
    for report in reports:
        for sentence in (*report.refused, *report.left_out):
            remark(f"{report.name}: {sentence}", quiet=quiet)
        for other in report.looks_like:
            remark(
                f"{report.name} looks like {other.name}, who was enrolled before (score {other.score:.4f})", quiet=quiet
            )
    for person, reason in failures:
        remark(f"{person}: not enrolled: {reason}", quiet=False)
    emit(
        as_json=False,
        as_csv=as_csv,
        title=f"enrolled in {gallery}",
        records=records,
        columns=["name", "added", "already", "refused", "faces", "looks_like"],
        headings={"added": "media added", "already": "held before", "faces": "faces held", "looks_like": "looks like"},
    )
