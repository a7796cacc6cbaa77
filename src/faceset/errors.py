"""Every error that faceset raises on purpose.

::

    FacesetError                  the message names the thing, the reason and the cure
    ├── InputError                an argument cannot be used (also a ValueError)
    │   ├── EmptySetError         an aggregate of no faces was asked for
    │   └── ThresholdError        no threshold is known for this embedder
    ├── MediaError                a picture, video or stream cannot be read
    │   └── MediaLimitError       it is larger or longer than the limits allow
    ├── NoFaceError               no face was found where one was needed
    ├── ManyPeopleError           several people where one was promised
    ├── ModelError                a model, manifest or registry entry cannot be used
    │   ├── ModelFileError        a weight file is missing, damaged or foreign
    │   ├── DownloadError         a model could not be fetched
    │   ├── LicenceError          the licence does not allow this use
    │   └── EmbedderMismatchError vectors of two embedders met
    ├── TemplateFileError         a template file cannot be read or written
    ├── FeatureTableError         a feature table cannot be read or written
    ├── FaceStoreError            the aligned faces to train on cannot be read or written
    ├── ProtocolError             the files of a benchmark are missing, damaged or do not fit together
    ├── CalibrationError          a calibration cannot be made, read or written
    ├── GalleryError              a gallery cannot be read or changed
    │   ├── UnknownPersonError    nobody of that name is enrolled
    │   └── DuplicateMediaError   the same file is enrolled already
    └── MissingExtraError         an optional dependency is not installed

User input never meets ``assert``; whatever a user can do wrong ends in one of these.
"""

from __future__ import annotations


class FacesetError(Exception):
    """Base of all errors of this package."""


class InputError(FacesetError, ValueError):
    """An argument cannot be used."""


class EmptySetError(InputError):
    """An aggregate of no faces was asked for."""


class ThresholdError(InputError):
    """No threshold is known for this embedder, and none was given."""


class MediaError(FacesetError):
    """A picture, video or stream cannot be read."""


class MediaLimitError(MediaError):
    """A medium is larger or longer than the limits allow."""


class NoFaceError(FacesetError):
    """No face was found where one was needed."""


class ManyPeopleError(FacesetError):
    """Several people were found where one was promised."""


class ModelError(FacesetError):
    """A model, manifest or registry entry cannot be used."""


class ModelFileError(ModelError):
    """A weight file is missing, damaged or foreign."""


class DownloadError(ModelError):
    """A model could not be fetched."""


class LicenceError(ModelError):
    """The licence of a model does not allow this use."""


class EmbedderMismatchError(ModelError):
    """Vectors of two embedders met; they compare without complaint and mean nothing."""


class TemplateFileError(FacesetError):
    """A template file cannot be read or written."""


class FeatureTableError(FacesetError):
    """A feature table cannot be read or written."""


class FaceStoreError(FacesetError):
    """The aligned faces to train on cannot be read or written."""


class ProtocolError(FacesetError):
    """The files of a benchmark are missing, damaged or do not fit together; the message names file and line."""


class CalibrationError(FacesetError):
    """A calibration cannot be made, read or written."""


class GalleryError(FacesetError):
    """A gallery cannot be read or changed."""


class UnknownPersonError(GalleryError):
    """Nobody of that name is enrolled."""


class DuplicateMediaError(GalleryError):
    """The same file is enrolled already."""


class MissingExtraError(FacesetError):
    """An optional dependency is not installed; the message names the extra that brings it."""
