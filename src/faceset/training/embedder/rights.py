"""Who may use a student: what its teacher, its first weights and its maker allow, the strictest of them."""

from __future__ import annotations

from faceset.embedding import Embedder
from faceset.training.licensing import NOT_STATED, terms


def rights(teacher: Embedder | None, pretrained: bool, licence: str, commercial: str) -> tuple[str, str]:
    """Licence in words (empty: unknown) and whether commercial use is allowed.

    A student is made of its teacher's answers, so it is never freer than the teacher; the terms of weights it started
    from, and of the pictures, are the caller's to give, and unknown until then.

    Args:
        teacher: of the student; None: none.
        pretrained: whether it started from somebody's weights.
        licence: the caller's; empty: the teacher's.
        commercial: the caller's (:data:`faceset.packs.manifest.COMMERCIAL`); empty: not given.

    Raises:
        InputError: another word for ``commercial``.
        LicenceError: more than the teacher allows.
    """
    told = "" if teacher is None else f"student of {teacher.manifest.id}, whose licence is: {teacher.manifest.licence}"
    allows = "" if teacher is None else teacher.manifest.commercial
    words, found = terms(told, allows, given_licence=licence, given_commercial=commercial)
    if pretrained and not commercial and found == "yes":
        found = "unknown"
    return "" if words == NOT_STATED else words, found
