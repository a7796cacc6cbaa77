"""IARPA Janus Benchmark C: 1:1 pairs of templates, and 1:N with G1 and G2 searched apart.

B. Maze et al., "IARPA Janus Benchmark - C: Face Dataset and Protocol", ICB 2018.

Both forms of its files are read: the meta files that InsightFace distributes
(:mod:`~faceset.evaluation.protocols.insightface`) and NIST's CSV files
(:mod:`~faceset.evaluation.protocols.nist`). They name faces differently: the former ``1.jpg``, the picture in
``loose_crop``; the latter the picture or frame and the sighting.
"""

from __future__ import annotations

from pathlib import Path

from faceset.evaluation.protocols import ijb
from faceset.evaluation.trials import Experiment, Identification, Verification

TITLE = "IARPA Janus Benchmark C"
LAYOUT = (
    "meta/ijbc_face_tid_mid.txt, ijbc_template_pair_label.txt, ijbc_name_5pts_score.txt and ijbc_1N_*.csv "
    "(InsightFace), or protocols/ of NIST"
)


def load(root: Path, *, task: str | None = None, form: str | None = None) -> tuple[Experiment, ...]:
    """The experiments of a task; without one, those whose files are there.

    Args:
        root: the folder that holds ``meta`` or ``protocols``.
        task: ``verify`` or ``identify``.
        form: ``insightface`` or ``nist``; None: the one whose files are there, InsightFace's where both are.

    Raises:
        InputError: another form.
        ProtocolError: files are missing, damaged or do not fit together.
    """
    return ijb.load(root, ijb.IJBC, task, form)


def verification(root: Path, *, form: str | None = None) -> Verification:
    """1:1: all pairs of the official list. Arguments and errors as for :func:`load`."""
    return ijb.verification(root, ijb.IJBC, form)


def identification(root: Path, *, form: str | None = None) -> Identification:
    """1:N: the mixed probes against G1 and G2. Arguments and errors as for :func:`load`."""
    return ijb.identification(root, ijb.IJBC, form)
