"""Detections over time to one face set per person and shot.

:class:`Tracker` follows the faces of one medium; :class:`CutDetector` finds its camera cuts.
"""

from faceset.tracking.cuts import CutDetector
from faceset.tracking.options import TrackerOptions
from faceset.tracking.tracker import Tracker

__all__ = ["CutDetector", "Tracker", "TrackerOptions"]
