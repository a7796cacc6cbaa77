"""What a pack says of its licence: what was inherited is never loosened without an explicit word."""

from __future__ import annotations

from faceset.errors import InputError, LicenceError
from faceset.packs.manifest import COMMERCIAL, Manifest

NOT_STATED = "not stated"
_STRICTEST_FIRST = ("no", "unknown", "yes")


def stricter(one: str, other: str) -> str:
    """Of two answers to whether commercial use is allowed, the one that holds where both apply.

    >>> stricter("yes", "unknown"), stricter("unknown", "no")
    ('unknown', 'no')
    """
    return min(one, other, key=_STRICTEST_FIRST.index)


def terms(
    licence: str, commercial: str, *, given_licence: str = "", given_commercial: str = "", relicense: bool = False
) -> tuple[str, str]:
    """The licence in words and whether commercial use is allowed, of what is made from other work.

    Args:
        licence, commercial: inherited from a teacher, a checkpoint or an embedder; both empty or ``unknown``: nothing
            was inherited, and what is given holds.
        given_licence, given_commercial: what the caller says; empty: nothing.
        relicense: what the caller says replaces what was inherited, even where it is more liberal.

    Raises:
        LicenceError: more liberal than what was inherited.
        InputError: no word of :data:`faceset.packs.manifest.COMMERCIAL`.
    """
    if given_commercial and given_commercial not in COMMERCIAL:
        raise InputError(f"commercial must be one of {', '.join(COMMERCIAL)}, but got {given_commercial!r}")
    licence, commercial = licence.strip(), commercial or "unknown"
    inherited = bool(licence) or commercial != "unknown"
    if relicense or not inherited:
        return given_licence or licence or NOT_STATED, given_commercial or commercial
    if given_commercial and stricter(commercial, given_commercial) != given_commercial:
        raise LicenceError(
            f"commercial use cannot be {given_commercial!r}: what this was made from has the licence "
            f"{licence or NOT_STATED!r}, commercial use {commercial!r}. If you hold rights that say otherwise, say so: "
            "relicense=True (on the command line --relicense)"
        )
    words = licence or NOT_STATED
    if given_licence and given_licence != words:
        words = f"{given_licence}; made from work under: {words}"
    return words, given_commercial or commercial


def check_copy(manifest: Manifest, *, accepted: bool) -> None:
    """Refuse to copy an embedder into a pack where its licence does not plainly allow that, unless it was accepted.

    Raises:
        LicenceError: it must be accepted first.
    """
    if manifest.commercial == "yes" or accepted:
        return
    raise LicenceError(
        f"the pack would hold a copy of {manifest.id!r}, whose licence is {manifest.licence!r} (commercial use: "
        f"{manifest.commercial}). If copying it is within that licence, say so: accept_licence=True (on the command "
        "line --accept-licence)"
    )
