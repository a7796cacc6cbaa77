"""Uploads on their way from a request to files of our own naming, which are gone when the work is."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import CancelScope, to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from faceset.service.config import ServiceConfig
from faceset.service.problems import Problem
from faceset.service.uploads import Upload, Uploads

_MOST_FIELDS = 16
_LONGEST_FIELD = 1 << 16


class Received:
    """The parts of a multipart request.

    Attributes:
        files: the uploads by the name of their part.
        fields: the other parts, as text.
    """

    def __init__(self, folder: Path) -> None:
        self._folder: Path | None = folder
        self.files: dict[str, Uploads] = {}
        self.fields: dict[str, str] = {}

    def hand_over(self) -> Callable[[], None]:
        """Leave the files to whoever calls what this returns, which removes them."""
        folder, self._folder = self._folder, None
        return lambda: _remove(folder)

    def discard(self) -> None:
        """Remove the files, unless they were handed over."""
        _remove(self._folder)


@asynccontextmanager
async def receive(
    request: Request, config: ServiceConfig, *, files: Collection[str], fields: Collection[str] = ()
) -> AsyncIterator[Received]:
    """The parts of ``request``; its files are removed at the end, whatever happens.

    Args:
        request: whose body is to be read.
        config: limits, and the folder for files.
        files: names of the parts that may hold files, each any number of times.
        fields: names of the other parts, each at most once.

    Raises:
        Problem: 400, no form that can be read; 413, 408, see :mod:`faceset.service.bodies`; 415, no form at all; 422,
            a part that has no place here; 507, the disk is full.
    """
    form = await _form(request, config)
    try:
        _check_names(form, files, fields)
        folder = Path(await to_thread.run_sync(_new_folder, config.temporary))
        received = Received(folder)
        try:
            await to_thread.run_sync(_sort, form, received, folder)
            await form.close()
            yield received
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(received.discard)
    finally:
        with CancelScope(shield=True):
            await form.close()


async def _form(request: Request, config: ServiceConfig) -> FormData:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem(
            415,
            f"files are sent as multipart/form-data, but this is {kind[:100] or 'of no stated type'!r}; with curl: "
            "-F files=@clip.mp4",
            kind="no-form",
        )
    try:
        return await request.form(max_files=config.max_files, max_fields=_MOST_FIELDS, max_part_size=_LONGEST_FIELD)
    except Problem:
        raise
    except HTTPException as error:
        raise Problem(
            400,
            f"the form cannot be read ({error.detail.rstrip('.')}); send at most {config.max_files} files and "
            f"{_MOST_FIELDS} other parts as multipart/form-data",
            kind="bad-form",
        ) from error
    except ClientDisconnect:
        raise Problem(408, "the client closed the connection", kind="client-left") from None
    except OSError as error:
        raise _no_room(error) from error


def _check_names(form: FormData, files: Collection[str], fields: Collection[str]) -> None:
    seen: set[str] = set()
    for name, value in form.multi_items():
        is_file = isinstance(value, UploadFile)
        if name not in (files if is_file else fields):
            what = "file" if is_file else "part"
            known = ", ".join([*(f"{one} (files)" for one in files), *fields])
            raise Problem(422, f"there is no place for a {what} {name[:100]!r}; known: {known}", kind="invalid-request")
        if not is_file and name in seen:
            raise Problem(422, f"the part {name!r} is given twice; give it once", kind="invalid-request")
        seen.add(name)


def _new_folder(parent: Path) -> str:
    try:
        return tempfile.mkdtemp(dir=parent)
    except OSError as error:
        raise _no_room(error) from error


def _sort(form: FormData, received: Received, folder: Path) -> None:
    """Write the files as 0, 1, 2 ...; what the client calls them is only ever shown."""
    found: dict[str, list[Upload]] = {}
    for number, (name, value) in enumerate(form.multi_items()):
        if not isinstance(value, UploadFile):
            received.fields[name] = value
        elif value.filename or value.size:  # a browser sends an empty part where no file was chosen
            path = folder / str(number)
            try:
                with path.open("xb") as file:
                    shutil.copyfileobj(value.file, file, 1 << 20)
            except OSError as error:
                raise _no_room(error) from error
            found.setdefault(name, []).append(Upload(path, value.filename or ""))
    received.files = {name: Uploads(uploads) for name, uploads in found.items()}


def _no_room(error: OSError) -> Problem:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(507, "the disk is full; free some space on the server, then send it again", kind="disk-full")
    return Problem(503, f"the files cannot be kept ({error.strerror}); see the server", kind="storage")


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
