"""From a folder of pictures to a face store: the only step of training a network that detects faces."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from faceset import detection
from faceset.alignment import geometry
from faceset.detection import Detector
from faceset.errors import FaceStoreError, InputError
from faceset.extraction import ExtractConfig
from faceset.training.faces import records
from faceset.training.faces.journal import FILE as JOURNAL
from faceset.training.faces.journal import check_settings
from faceset.training.faces.recut import recut
from faceset.training.faces.report import PrepareReport
from faceset.training.faces.search import Progress, Search, crops_file
from faceset.training.faces.sources import Sources, find_sources
from faceset.training.faces.store import FaceStore


def prepare(
    root: Path | str,
    folder: Path | str,
    geometries: Sequence[str],
    *,
    detector: str | Detector = "mtcnn",
    labelled: bool = True,
    leave_out: Collection[str] = (),
    fps: float = ExtractConfig.fps,
    progress: Progress | None = None,
) -> tuple[FaceStore, PrepareReport]:
    """The faces of a folder, found once and cut once, ready to train on; call it again to go on after a kill.

    A store that is whole is only opened; a geometry that it lacks is cut from the points that are known, without a
    search. On the disk a crop takes 3 (H + 2p) (W + 2p) bytes: 59 kB at arcface112, 104 kB at dlib150.

    Args:
        root: ``root/<person>/<medium>``, where a medium is a picture, a video, or a folder of frames; without labels,
            pictures and videos at any depth.
        folder: of the store.
        geometries: names of the crops to cut.
        detector: its name, or a detector.
        labelled: of each picture take the central face and call it by its folder (:func:`faceset.extraction.extract`
            does the same); else take all faces of at least 24 pixels, of nobody.
        leave_out: names of folders directly in ``root`` that are never opened.
        fps: frames a second taken from a video; 0 takes every frame.
        progress: called with media done, media in all, and faces found; while a geometry is added, with faces.

    Raises:
        MediaError: there is no such folder, or nothing in it.
        NoFaceError: no picture shows a face.
        FaceStoreError: the store is damaged, foreign, newer or of other settings or pictures, or the disk refuses.
        InputError: an unknown geometry or detector, or a geometry whose points the detector does not give.
    """
    root, folder = Path(root), Path(folder)
    names = tuple(dict.fromkeys(geometry(name).name for name in geometries))
    if not names:
        raise InputError("no crop geometry is named; name one, such as arcface112 or dlib150")
    ExtractConfig(fps=fps)  # checks it
    sources = find_sources(root, labelled=labelled, leave_out=leave_out)
    settings: dict[str, Any] = {
        "detector": detector if isinstance(detector, str) else detector.name,
        "labelled": labelled,
        "left_out": sources.left_out,
        "fps": float(fps),
    }
    with _alone(folder):
        if (folder / records.FILE).exists():
            found = records.read(folder)
            check_settings(folder, found.settings, settings)
            _check_pictures(found, sources, root, folder)
            _end_of_search(folder)
        else:
            found = _searched(folder, sources, detector, settings, names, progress)
        for name in names:
            _check_scheme(name, tuple(found.landmarks), settings["detector"])
            if not crops_file(folder, name).exists():
                recut(folder, name, found, sources, progress)
    store = FaceStore.open(folder)
    return store, store.report


def _searched(
    folder: Path,
    sources: Sources,
    detector: str | Detector,
    settings: dict[str, Any],
    names: tuple[str, ...],
    progress: Progress | None,
) -> records.Records:
    detects = detection.get(detector) if isinstance(detector, str) else detector
    for name in names:
        _check_scheme(name, ("dlib5", *((detects.scheme,) if detects.scheme else ())), settings["detector"])
    search = Search(folder, sources, detects, settings, names)
    with contextlib.closing(search):
        found = search.run(progress)
        records.write(folder, found)  # from here on the store is whole but for the names of its files
        search.publish()
    return found


def _end_of_search(folder: Path) -> None:
    """What a kill between the faces and the names of the crops has left undone."""
    (folder / JOURNAL).unlink(missing_ok=True)


def _check_scheme(name: str, schemes: Collection[str], detector: str) -> None:
    if geometry(name).scheme not in schemes:
        raise InputError(
            f"the crop {name!r} takes landmarks of scheme {geometry(name).scheme!r}, which detector {detector!r} does "
            "not give; choose the detector mtcnn or yunet"
        )


def _check_pictures(found: records.Records, sources: Sources, root: Path, folder: Path) -> None:
    known = set(found.media)
    new = [medium.key for medium in sources.media if medium.key not in known]
    if new:
        raise FaceStoreError(
            f"{root} holds {len(new)} media that {folder} was made without, such as {new[0]}; prepare into another "
            f"folder, or delete {folder}"
        )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The store's folder, held by this process alone.

    Raises:
        FaceStoreError: another process holds it, it holds something else, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = (folder / records.FILE, folder / JOURNAL, folder / ".lock")
        if any(folder.iterdir()) and not any(path.exists() for path in ours):
            raise FaceStoreError(f"{folder} holds other files and no prepared faces; name an empty or a new folder")
        lock = (folder / ".lock").open("a")
    except OSError as error:
        reason = error.strerror or error
        raise FaceStoreError(f"{folder} cannot be made ({reason}); choose a place with room and rights") from error
    with lock:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FaceStoreError(f"{folder} is being prepared by another process; wait for it to end") from error
        yield
