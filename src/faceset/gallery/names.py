"""Names of people: which are allowed, and which were probably meant."""

from __future__ import annotations

import difflib
import secrets
import unicodedata
from collections.abc import Iterable

from faceset.errors import InputError
from faceset.media.names import readable

MAX_NAME = 200
"""Longest name, in characters."""

_REFUSED = {"Cc": "a control character", "Zl": "a line break", "Zp": "a paragraph break"}


def clean_name(name: str) -> str:
    """The form in which a name is stored: stripped, Unicode NFC.

    ``Grace`` and ``grace`` are two names. The same letters written with composed or combining accents are one.

    Raises:
        InputError: the name is empty, longer than :data:`MAX_NAME` holds control characters, or is no valid
            Unicode, as from a folder whose name is not UTF-8.

    >>> clean_name("  Zoe\\u0308 ") == "Zo\\u00eb"
    True
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a person is text, but got {type(name).__name__}")
    clean = unicodedata.normalize("NFC", name.strip())
    if not clean:
        raise InputError(f"the name of a person must not be empty, but got {name!r}; give a name")
    if len(clean) > MAX_NAME:
        raise InputError(
            f"the name of a person has at most {MAX_NAME} characters, but {clean[:20]!r}... has {len(clean)}; "
            "shorten it"
        )
    if any(unicodedata.category(character) == "Cs" for character in clean):
        raise InputError(
            f"the name {readable(clean)!r} is not UTF-8 text; rename the folder, or give the person's name in UTF-8"
        )
    for character in clean:
        reason = _REFUSED.get(unicodedata.category(character))
        if reason is not None:
            raise InputError(f"the name {clean!r} holds {reason} ({character!r}); leave it out")
    return clean


def new_uid() -> str:
    """An opaque id: 128 random bits, hexadecimal. It says nothing about whom it stands for, and outlives a rename."""
    return secrets.token_hex(16)


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Up to ``most`` known names that resemble ``name``, upper and lower case taken as one, most alike first."""
    folded: dict[str, list[str]] = {}
    for one in known:
        folded.setdefault(one.casefold(), []).append(one)
    close = difflib.get_close_matches(name.casefold(), folded, n=most, cutoff=0.6)
    return [one for key in close for one in sorted(folded[key])][:most]
