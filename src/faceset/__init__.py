"""Many faces of one person in, one compact template out; two templates compare in constant time.

>>> import faceset
>>> "Recognizer" in dir(faceset)
True

The public names are resolved on first use: importing the package loads neither NumPy nor OpenCV nor ONNX Runtime.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faceset.lazy import exports

__version__ = "0.1.0"

logging.getLogger("faceset").addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from faceset.enrolment import EnrollReport as EnrollReport
    from faceset.errors import FacesetError as FacesetError
    from faceset.gallery import Gallery as Gallery
    from faceset.recognizer import Recognizer as Recognizer
    from faceset.scoring import similarity as similarity
    from faceset.templates import load_template as load_template
    from faceset.templates import save_template as save_template
    from faceset.types import Candidate as Candidate
    from faceset.types import Decision as Decision
    from faceset.types import Face as Face
    from faceset.types import FaceSet as FaceSet
    from faceset.types import Frame as Frame
    from faceset.types import Match as Match
    from faceset.types import Template as Template

_HOMES = {
    "Candidate": "types",
    "Decision": "types",
    "EnrollReport": "enrolment",
    "Face": "types",
    "FaceSet": "types",
    "FacesetError": "errors",
    "Frame": "types",
    "Gallery": "gallery",
    "Match": "types",
    "Recognizer": "recognizer",
    "Template": "types",
    "load_template": "templates",
    "save_template": "templates",
    "similarity": "scoring",
}

__all__ = sorted([*_HOMES, "__version__"])


__getattr__, __dir__ = exports(globals(), _HOMES)
