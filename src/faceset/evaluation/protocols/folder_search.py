"""Open-set identification trials of a folder of people."""

from __future__ import annotations

import numpy as np

from faceset.errors import InputError
from faceset.evaluation.protocols.drawing import shuffled
from faceset.evaluation.protocols.folder_people import Collection, check_at_least, cut
from faceset.evaluation.trials import GalleryTemplates, Identification


def make_search(people: Collection, *, seed: int, size: int, share: float) -> Identification:
    """See :func:`faceset.evaluation.protocols.folder.load`."""
    check_at_least("seed", seed, 0)
    check_at_least("size", size, 1)
    if not 0 <= share < 1:
        raise InputError(f"share must be at least 0 and below 1, but got {share!r}")
    media = people.people()
    able = shuffled([person for person, of in media.items() if len(of) > size], seed, "unknown")
    few = [person for person, of in media.items() if len(of) == size]
    if not able:
        one = f"{size + 1} media, one to enrol and {size} to search with"
        raise people.too_few(size, f"nobody in {people.name} has {one}")
    if len(able) + (len(few) if share else 0) < 2:
        raise people.too_few(size, f"only {able[0]} in {people.name} has enough media, so that nobody else is searched")
    unknown = set(able[: _unknown(len(able), len(few), share)])
    known = sorted(set(able) - unknown)
    if share:
        unknown |= set(few)
    gallery: list[tuple[str, list[str]]] = []
    probes: list[tuple[str, list[str]]] = []
    for person in known:
        order = shuffled(media[person], seed, "enrol")
        enrolled = max(1, min(len(order) // 2, len(order) - size))
        gallery.append((person, sorted(order[:enrolled])))
        probes += [(person, of) for of in cut(order[enrolled:], size, seed)]
    for person in sorted(unknown):
        probes += [(person, of) for of in cut(media[person], size, seed)]
    faces = people.faces()
    left_out = len(media) - len(known) - len(unknown)
    notes = people.notes
    if left_out:
        notes += (f"{left_out} of {len(media)} people have too few media and are left out",)
    return Identification(
        protocol="folder",
        part="",
        faces=faces,
        templates=people.template_list(faces, gallery + probes),
        galleries=(GalleryTemplates("gallery", np.arange(len(gallery), dtype=np.int64)),),
        probes=np.arange(len(gallery), len(gallery) + len(probes), dtype=np.int64),
        close_set=share == 0,
        files=(people.record(),),
        settings={"seed": seed, "size": size, "share": share},
        notes=notes,
    )


def _unknown(able: int, few: int, share: float) -> int:
    """How many of the people with media for both sides stay unknown: someone is unknown, someone is enrolled."""
    if share == 0:
        return 0
    wanted = round(share * able)
    return min(max(wanted, 0 if few else 1), able - 1)
