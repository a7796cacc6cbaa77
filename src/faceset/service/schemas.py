"""What the API takes and answers, as documented in its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PERSON_ID = r"^[0-9a-f]{32}$"
"""Ids of people and of their media."""
JOB_ID = r"^[A-Za-z0-9_-]{16}$"
GALLERY = r"^[a-z0-9][a-z0-9_-]{0,63}$"

PersonName = Annotated[
    str,
    Field(min_length=1, max_length=1000, description="1 to 200 characters, no control characters.", examples=["Grace"]),
]


class _Model(BaseModel):
    model_config = ConfigDict(protected_namespaces=())  # several have a member model_id


class _Body(_Model):
    """What a client sends; a member that is not known is an error, not passed over."""

    model_config = ConfigDict(extra="forbid")


class Problem(_Model):
    """A problem document (RFC 9457). Further members depend on the kind of problem."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="`urn:faceset:problem:` and the kind, for programs.", examples=["urn:faceset:problem:no-face"]
    )
    title: str = Field(description="The meaning of the status.")
    status: int
    detail: str = Field(description="What happened, why, and what to do, for people.")


class NewPerson(_Body):
    """A person to be made."""

    name: PersonName


class NewName(_Body):
    """Another name for a person."""

    name: PersonName


class NewGallery(_Body):
    """A gallery to be made."""

    name: str = Field(pattern=GALLERY, examples=["visitors"])


class TrackOwner(_Body):
    """Whom a track shows: give one of the two."""

    name: PersonName | None = Field(None, description="A person of that name, who is created when new.")
    person_id: str | None = Field(None, pattern=PERSON_ID)


class TemplateFace(_Model):
    """A face behind a template."""

    media: str
    frame: int
    time: float = Field(description="Seconds.")
    box: tuple[float, float, float, float] = Field(description="x0, y0, x1, y1 in pixels.")
    score: float = Field(description="The detector's.")
    landmarks: list[tuple[float, float]] | None
    scheme: str | None = Field(description="Of the landmarks.")


class Template(_Model):
    """A template in the form of `docs/formats.md`."""

    format: Literal["faceset template"] = "faceset template"
    version: Literal[1] = 1
    vector: list[float] = Field(description="D numbers, together of length 1.")
    model_id: str = Field(description="Of the embedder; templates of two are never compared.")
    aggregator: str
    consistency: float
    face_count: int = 1
    weights: list[float] = Field(description="One a face, sum 1.")
    faces: list[TemplateFace] = Field(default_factory=list)
    left_out: list[str] = Field(default_factory=list)


class Medium(_Model):
    """Something a person was enrolled from. The picture or video itself is not kept."""

    id: str
    name: str
    digest: str = Field(description="sha256 of its bytes.")
    kind: str = Field(description="`still`, `video` or `template`.")
    faces: int
    added: str = Field(description="ISO 8601, UTC.")


class PersonSummary(_Model):
    """A person, without the list of their media."""

    id: str = Field(description="Opaque; outlives a rename, and is never used again.")
    name: str
    faces: int = Field(description="Faces held.")
    media_count: int
    consistency: float | None = Field(description="Of the template, 0..1; null while nothing is held.")
    created: str
    updated: str


class Person(PersonSummary):
    """A person and what is held of them."""

    media: list[Medium]


class People(_Model):
    """One page of the people of a gallery."""

    gallery: str
    total: int = Field(description="How many there are on all pages.")
    people: list[PersonSummary]


class Media(_Model):
    """The media of a person."""

    media: list[Medium]


class GalleryAbout(_Model):
    """A gallery."""

    name: str
    people: int
    model_id: str | None = Field(
        description="The embedder it is bound to by its first enrolment; null while it is empty."
    )


class Galleries(_Model):
    """All galleries."""

    galleries: list[GalleryAbout]


class Candidate(_Model):
    """An enrolled person and how much a probe resembles them."""

    name: str
    person_id: str | None = Field(description="null: they were forgotten or renamed a moment ago.")
    score: float = Field(description="Cosine similarity, -1..1, higher = same.")


class Report(_Model):
    """What an enrolment did; each sentence is for people."""

    name: str
    added: list[str]
    already: list[str]
    refused: list[str]
    left_out: list[str]
    faces: int
    looks_like: list[Candidate] = Field(description="People enrolled before whom a newcomer resembles.")


class Enrolled(_Model):
    """A person after an enrolment, and what it did."""

    person: Person
    report: Report


class Face(_Model):
    """A face and its share in a template."""

    media: str
    frame: int
    time: float = Field(description="Seconds from the start of the medium.")
    box: tuple[float, float, float, float] = Field(description="x0, y0, x1, y1 in pixels of the frame.")
    score: float = Field(description="The detector's.")
    weight: float = Field(description="Share in the template, in the aggregator's full precision.")
    thumbnail: str | None = Field(description="Data URI of a JPEG of at most 96 pixels.")


class _Judged(_Model):
    threshold: float
    threshold_source: str
    far: float | None = Field(None, description="The FAR the threshold was calibrated for, where that is known.")
    fpir: float | None = Field(None, description="The FPIR of a search it was calibrated for, where that is known.")


class Match(_Judged):
    """Somebody seen in a medium: a track of a video, or a face of a still."""

    track: int = Field(description="Number in this answer, for `/v1/jobs/{job_id}/tracks/{track}/enroll`.")
    media: str
    medium_track: int = Field(description="Number of the track within its medium.")
    shot: int
    start: float = Field(description="Seconds.")
    end: float
    name: str | None = Field(description="null: nobody enrolled reaches the threshold.")
    person_id: str | None
    score: float | None = Field(description="To the best candidate; null when the gallery is empty.")
    face_count: int
    candidates: list[Candidate]
    faces: list[Face] = Field(description="The heaviest first.")
    faces_left_out: int


class Identified(_Model):
    """Who was seen."""

    id: str = Field(description="As that of a job: its tracks can be enrolled for an hour.")
    gallery: str
    matches: list[Match]
    refused: list[str] = Field(description="A sentence for each file that could not be used.")


class Side(_Model):
    """One of the two things compared."""

    face_count: int
    consistency: float
    faces: list[Face]
    faces_left_out: int


class Verified(_Judged):
    """Whether two sets of pictures show the same person."""

    same: bool
    score: float
    model_id: str
    aggregator: str
    left_out: list[str] = Field(description="A sentence for all that was seen and not used.")
    a: Side
    b: Side


class JobSummary(_Model):
    """A job without what came out of it."""

    id: str
    kind: Literal["identify", "enroll", "verify"]
    gallery: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1)
    created: str
    started: str | None
    ended: str | None
    result_removed: bool = Field(False, description="The result named somebody who was forgotten since.")


class Job(JobSummary):
    """A job."""

    result: dict[str, Any] | None = Field(
        description="When it is done: what the call would have answered (`Identified`, `Enrolled` or `Verified`)."
    )
    error: Problem | None = Field(description="When it failed.")


class JobList(_Model):
    """Jobs, the newest first."""

    jobs: list[JobSummary]


class ThresholdAbout(_Judged):
    """A threshold and where it comes from."""


class Calibrated(_Model):
    """The thresholds in use."""

    model_id: str
    aggregator: str
    pair: ThresholdAbout | None = Field(description="Of two templates of one face each; null: none is known.")
    search: ThresholdAbout | None = Field(description="Of a search of this gallery with one face; null: none is known.")
    people: int = Field(description="In the gallery.")


class ModelAbout(_Model):
    """A model that is known here. Further members are those of its manifest (`docs/packs.md`)."""

    model_config = ConfigDict(extra="allow")

    name: str
    state: str


class ModelList(_Model):
    """The models in use, and all that are known."""

    detector: str
    embedder: str
    aggregator: str
    models: list[ModelAbout]


class Health(_Model):
    """Whether the service works."""

    status: Literal["ok", "starting"] = Field(description="`starting`: the recogniser is being started anew.")
    waiting: int = Field(description="Requests that wait for the recogniser.")
