"""``faceset gallery export`` and ``import``, and ``faceset doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, counted, emit, remark, say, warnings_shown

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the export.")]


def register(app: typer.Typer, gallery: typer.Typer) -> None:
    """Add the commands to the tree ``app`` and its branch ``gallery``."""
    gallery.command(name="export")(export)
    gallery.command(name="import")(import_)
    app.command()(doctor)


def export(
    folder: Folder,
    gallery: options.GalleryFile,
    no_crops: Annotated[bool, typer.Option("--no-crops", help="Leave out the crops that are held.")] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Write everything a gallery holds to a new folder, as JSON and Parquet. The export is not encrypted.

    Example: faceset gallery export people.export --gallery people.db
    """
    from faceset.gallery import Gallery
    from faceset.gallery.exporting import export_gallery

    check_format(as_json, as_csv)
    with warnings_shown(quiet=quiet), Gallery(gallery, create=False) as opened:
        report = export_gallery(opened, folder, crops=not no_crops)
    remark(
        f"{report.folder} is plain, whether the gallery is encrypted or not: anybody who can read it has the vectors",
        quiet=quiet,
    )
    record = report.to_dict()
    if as_json or as_csv:
        emit(as_json=as_json, as_csv=as_csv, title="", records=[record], columns=list(record), document=record)
    else:
        say(f"{report.folder}: {_counted(report.people, report.media, report.faces)}")


def import_(
    folder: Folder,
    gallery: options.GalleryFile,
    aggregator: options.AggregatorName = None,
    rename: Annotated[
        bool, typer.Option("--rename", help="Give people whose name is taken another, such as 'Grace (2)'.")
    ] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Take everybody of an export into a gallery, which is made when it is missing. All of it, or nothing.

    Example: faceset gallery import people.export --gallery new.db
    """
    from faceset.cli.people import no_empty_file_left
    from faceset.gallery import Gallery
    from faceset.gallery.importing import import_gallery
    from faceset.gallery.place import shown

    check_format(as_json, as_csv)
    with warnings_shown(quiet=quiet), no_empty_file_left(gallery), Gallery(gallery) as opened:
        report = import_gallery(opened, folder, aggregator=aggregator, rename=rename)
    for sentence in report.already:
        remark(f"left out: {sentence}", quiet=quiet)
    for name in report.left_out:
        remark(f"left out: {name!r}, of whom nothing else was exported", quiet=quiet)
    for name, new in report.renamed.items():
        remark(f"{name!r} is called {new!r} here", quiet=quiet)
    record = {"gallery": shown(gallery), **report.to_dict()}
    if as_json or as_csv:
        columns = ["gallery", "people", "media", "faces", "already", "left_out"]
        emit(as_json=as_json, as_csv=as_csv, title="", records=[record], columns=columns, document=record)
    else:
        say(f"{shown(gallery)}: {_counted(report.people, report.media, report.faces)}")


def doctor(
    gallery: Annotated[Path, typer.Argument(metavar="GALLERY", help="The gallery file (SQLite).")],
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """Look for anything wrong in a gallery file, without changing it. Exit code 0: nothing found, 1: something.

    Example: faceset doctor people.db
    """
    from faceset.gallery.doctor import examine

    check_format(as_json, as_csv)
    found = [one.to_dict() for one in examine(gallery)]
    if not found and not as_json and not as_csv:
        say(f"{gallery}: nothing found")
        return
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=f"{gallery}: {counted(len(found), 'finding')}",
        records=found,
        columns=["severity", "check", "what", "cure"],
        document={"gallery": str(gallery), "findings": found},
    )
    if found:
        raise typer.Exit(1)


def _counted(people: int, media: int, faces: int) -> str:
    return ", ".join((counted(people, "person", "people"), counted(media, "medium", "media"), counted(faces, "face")))
