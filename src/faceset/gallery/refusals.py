"""Why a gallery says no, in words: each function makes or raises one kind of error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from faceset.errors import DuplicateMediaError, EmbedderMismatchError, GalleryError, UnknownPersonError
from faceset.gallery.failures import damaged
from faceset.gallery.names import near_names
from faceset.gallery.place import Place


def unknown_person(path: Place, name: str, known: Sequence[str]) -> UnknownPersonError:
    """Nobody has this name; near names are suggested."""
    near = near_names(name, known)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}?"
    elif known:
        hint = f"see who is enrolled: `faceset people` ({len(known)} in all)"
    else:
        hint = "the gallery is empty"
    return UnknownPersonError(f"{path}: nobody named {name!r} is enrolled; {hint}")


def unknown_id(path: Place, uid: str) -> UnknownPersonError:
    """Nobody has this id."""
    return UnknownPersonError(f"{path}: nobody has the id {uid!r}; they may have been forgotten")


def nothing_held(path: Place, name: str) -> GalleryError:
    """The person exists, but nothing was enrolled for them."""
    return GalleryError(f"{path}: nothing is held of {name!r} yet; enrol media for them first")


def duplicate_medium(path: Place, name: str, media: str, owner: str, owners_media: str) -> DuplicateMediaError:
    """The file ``media`` meant for ``name`` is held by ``owner`` under the name ``owners_media``."""
    known_as = "" if media == owners_media else f" (as {owners_media!r})"
    if owner == name:
        reason = f"{name!r} is enrolled with {media!r} already{known_as}; the same file counts once"
    else:
        reason = (
            f"{media!r} is enrolled for {owner!r} already{known_as}, so it cannot be enrolled for {name!r}; if "
            f"that was a mistake, remove it from {owner!r} first"
        )
    return DuplicateMediaError(f"{path}: {reason}; nothing was changed")


def check_embedder(path: Place, bound: tuple[str | None, int | None], given: tuple[str, int], what: str) -> None:
    """Refuse vectors of another embedder id, or another width, than those the gallery is bound to."""
    if bound[0] is None or bound == given:
        return
    cure = "use the gallery's embedder, or enrol everybody anew in another gallery"
    if bound[0] != given[0]:
        raise EmbedderMismatchError(
            f"{path}: the gallery is bound to embedder {bound[0]}, but {what} come from embedder {given[0]}, and "
            f"vectors of two embedders cannot be compared: {cure}"
        )
    raise EmbedderMismatchError(
        f"{path}: the gallery holds vectors of width {bound[1]}, but {what} have width {given[1]} under the same "
        f"embedder id {given[0]}: {cure}"
    )


@contextmanager
def sound(path: Place) -> Iterator[None]:
    """What was stored is valid; where it does not read back so, the file is damaged."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise damaged(path, str(error)) from error
