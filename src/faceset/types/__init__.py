"""What the stages hand to each other: small, frozen, checked at birth.

Letters: B sets, N faces in a set, D feature width, P landmarks, H W picture. Pictures are RGB ``uint8`` (H, W, 3);
boxes are ``xyxy`` pixels; times are seconds; ``score`` of two templates is cosine similarity, higher = same.
"""

from faceset.types.answers import Candidate, Decision, Match, Template
from faceset.types.checks import Box, Floats, Image, check_image, finite_array
from faceset.types.faces import LANDMARK_SCHEMES, Face, FaceSet, Frame, Progress, ProgressCallback

__all__ = [
    "LANDMARK_SCHEMES",
    "Box",
    "Candidate",
    "Decision",
    "Face",
    "FaceSet",
    "Floats",
    "Frame",
    "Image",
    "Match",
    "Progress",
    "ProgressCallback",
    "Template",
    "check_image",
    "finite_array",
]
