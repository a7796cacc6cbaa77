"""Thresholds for a FAR or FPIR, measured on people and kept with the ids of what they were measured with.

1. :func:`fit`: the features of people -> a :class:`Calibration`: thresholds for several FAR by the sizes of two sets,
   and for several FPIR by the size of a gallery, with 95 % intervals.
2. :func:`save` and :func:`load`: one JSON file; :func:`shipped`: what comes with the package.
3. :class:`Thresholds`: which of them one comparison or search uses, and the sentence that says so.

``docs/calibration.md`` has the method and what it was checked on.
"""

from __future__ import annotations

from faceset.calibration.files import load, save
from faceset.calibration.fit import FARS, FPIRS, fit
from faceset.calibration.lookup import FAR, FPIR, for_pair, for_search
from faceset.calibration.places import shipped, user_path
from faceset.calibration.records import CLASSES, Calibration, FarPoint, FpirPoint, SizeClass, SizePair
from faceset.calibration.thresholds import Thresholds

__all__ = [
    "CLASSES",
    "FAR",
    "FARS",
    "FPIR",
    "FPIRS",
    "Calibration",
    "FarPoint",
    "FpirPoint",
    "SizeClass",
    "SizePair",
    "Thresholds",
    "fit",
    "for_pair",
    "for_search",
    "load",
    "save",
    "shipped",
    "user_path",
]
