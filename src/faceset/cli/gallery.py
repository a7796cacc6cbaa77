"""``faceset gallery``: what is done to a gallery as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, counted, emit, say
from faceset.errors import InputError

app = typer.Typer(help="Encrypt a gallery, change its key, export it, import an export.", no_args_is_help=True)

GalleryArgument = Annotated[Path, typer.Argument(metavar="GALLERY", help="The gallery file (SQLite).")]


@app.command()
def key(as_json: options.AsJson = False, as_csv: options.AsCsv = False) -> None:
    """Make a key for FACESET_KEY. Keep a copy apart from the galleries: without it they cannot be read.

    Example: faceset gallery key > faceset.key
    """
    from faceset.gallery.sealing import new_key

    check_format(as_json, as_csv)
    _tell({"key": new_key()}, "", as_json=as_json, as_csv=as_csv)


@app.command()
def seal(gallery: GalleryArgument, as_json: options.AsJson = False, as_csv: options.AsCsv = False) -> None:
    """Encrypt a gallery with the key in FACESET_KEY.

    Example: faceset gallery seal people.db
    """
    from faceset.gallery import rekeying

    check_format(as_json, as_csv)
    count = rekeying.seal(gallery, _current())
    _tell({"gallery": str(gallery), "values": count}, "encrypted", as_json=as_json, as_csv=as_csv)


@app.command()
def unseal(gallery: GalleryArgument, as_json: options.AsJson = False, as_csv: options.AsCsv = False) -> None:
    """Decrypt a gallery with the key in FACESET_KEY; it is plain from then on.

    Example: faceset gallery unseal people.db
    """
    from faceset.gallery import rekeying

    check_format(as_json, as_csv)
    count = rekeying.unseal(gallery, _current())
    _tell({"gallery": str(gallery), "values": count}, "decrypted", as_json=as_json, as_csv=as_csv)


@app.command()
def rekey(
    gallery: GalleryArgument,
    new_key_file: Annotated[Path, typer.Option("--new-key-file", help="File that holds the new key.")],
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """Encrypt a gallery anew with another key; FACESET_KEY holds the one it has.

    Example: faceset gallery rekey people.db --new-key-file new.key
    """
    from faceset.gallery import rekeying, sealing
    from faceset.settings import read_key_file

    check_format(as_json, as_csv)
    new = sealing.parse_key(read_key_file(new_key_file, "--new-key-file"), f"the content of {new_key_file}")
    count = rekeying.rekey(gallery, _current(), new)
    _tell({"gallery": str(gallery), "values": count}, "encrypted anew", as_json=as_json, as_csv=as_csv)


def _current() -> bytes:
    from faceset.gallery.sealing import current_key

    found = current_key()
    if found is None:
        raise InputError("no key is set; put one into FACESET_KEY or FACESET_KEY_FILE (`faceset gallery key` makes it)")
    return found


def _tell(record: dict[str, object], done: str, *, as_json: bool, as_csv: bool) -> None:
    if as_json or as_csv:
        emit(as_json=as_json, as_csv=as_csv, title="", records=[record], columns=list(record), document=record)
    elif not done:
        say(str(record["key"]))
    else:
        say(f"{done} {record['gallery']}: {counted(int(str(record['values'])), 'value')}")
