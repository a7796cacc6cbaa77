"""Whole evaluations: worked by hand, against a naive loop, the same to the last bit in any order."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from evaluation_sets import Drawn, face_row, identification, table, verification
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset import aggregation
from faceset.aggregation.nan_graph import nan_graph, zeros
from faceset.errors import EmbedderMismatchError, FeatureTableError, InputError, ProtocolError
from faceset.evaluation.results import Report
from faceset.evaluation.run import evaluate
from faceset.evaluation.trials import Experiment
from faceset.feature_table import FeatureTable


def degrees(angle: float, length: float = 1.0) -> list[float]:
    """A feature in the plane."""
    return [length * math.cos(math.radians(angle)), length * math.sin(math.radians(angle))]


def cosine(angle: float) -> float:
    return math.cos(math.radians(angle))


# Templates in the plane, by their angle. Means of equal lengths lie half way.
#
#     A1: 0 and 20 -> 10      A2: 40        B1: 90      B2: 100 and 140 -> 120      C1: 180      C2: no face
#
# pair      A1 A2   B1 B2   C1 C2  |  A1 B1   A2 B1   B2 C1   A1 C1   A2 C2
# angle       30      30    failed |    80      50      60     170    failed
FEATURES = {"a1": 0.0, "a2": 20.0, "a3": 40.0, "b1": 90.0, "b2": 100.0, "b3": 140.0, "c1": 180.0}
MEMBERS = {
    "A1": ("A", ["a1", "a2"]),
    "A2": ("A", ["a3"]),
    "B1": ("B", ["b1"]),
    "B2": ("B", ["b2", "b3"]),
    "C1": ("C", ["c1"]),
    "C2": ("C", ["c2"]),
}
GENUINE = [("A1", "A2"), ("B1", "B2"), ("C1", "C2")]
IMPOSTORS = [("A1", "B1"), ("A2", "B1"), ("B2", "C1"), ("A1", "C1"), ("A2", "C2")]


def plane(**changes: list[float]) -> FeatureTable:
    vectors = {name: degrees(angle) for name, angle in FEATURES.items()} | changes
    return table([face_row(name, vector) for name, vector in vectors.items()])


def test_verification_by_hand() -> None:
    report = evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], plane(), ["mean"], fars=(0.25, 0.5), resamples=0)
    (found,) = report.outcomes
    # Impostors compared: cos 80 < cos 60 < cos 50 and cos 170: four, of which FAR .25 allows one, the one at 50. The
    # threshold is just above cos 60. Both genuine pairs that were compared pass; the third failed: 2 of 3.
    assert found.metrics["tar@far=0.25"].value == pytest.approx(2 / 3)
    assert found.metrics["tar@far=0.25"].threshold == pytest.approx(cosine(60), abs=1e-6)
    assert not found.metrics["tar@far=0.25"].resolved
    assert found.metrics["auc"].value == pytest.approx(
        2 / 3
    )  # every genuine pair that was compared beats all impostors
    assert found.counts["genuine"] == 3
    assert found.counts["impostors"] == 5
    assert found.counts["failed_genuine"] == 1
    assert found.counts["failed_impostors"] == 1
    assert found.counts["failed_templates"] == 1
    assert found.counts["missing_entries"] == 1
    assert found.counts["faces"] == 7
    assert found.counts["template_comparisons"] == 8
    assert {(r.low, r.genuine): r.rate and r.rate.value for r in found.by_size} == {
        (0, 1): 0.0,
        (1, 2): 1.0,
        (2, 0): None,
        (4, 0): None,
        (8, 0): None,
        (16, 0): None,
        (32, 0): None,
    }
    assert found.histogram is not None
    assert found.histogram.genuine.sum() == 2
    assert found.histogram.impostor.sum() == 4
    assert found.histogram.genuine[186] == 2  # cos 30 = .866: bin .86 to .87
    shown = {(e.kind, e.first, e.second): e.score for e in found.examples}
    assert shown["false alarm", "A2", "B1"] == pytest.approx(cosine(50), abs=1e-6)
    assert shown["apart", "A1", "C1"] == pytest.approx(cosine(170), abs=1e-6)
    assert shown["missed", "C1", "C2"] is None
    assert any("1 of 8 entries have no face" in note for note in report.notes)


def test_accuracy_by_hand() -> None:
    # Two folds. Fold 0: A1 A2 (30 degrees, same), A1 B1 (80). Fold 1: B1 B2 (30, same), A2 B1 (50), C1 C2 (failed).
    # Threshold from fold 1: half way between cos 30 and cos 50: both pairs of fold 0 right. From fold 0: half way
    # between cos 30 and cos 80 = .52: in fold 1 the same pair is right, the one at 50 (.64) is not, the failed is not.
    pairs = [("A1", "A2"), ("A1", "B1"), ("B1", "B2"), ("A2", "B1"), ("C1", "C2")]
    report = evaluate([verification(MEMBERS, pairs, folds=[0, 0, 1, 1, 1])], plane(), ["mean"], resamples=0)
    metrics = report.outcomes[0].metrics
    assert next(iter(metrics)) == "accuracy"
    assert metrics["accuracy"].value == pytest.approx((1 + 1 / 3) / 2)
    assert "2 folds, standard error 0.3333" in metrics["accuracy"].note  # |1 - 1/3| / 2
    assert "standard deviation 0.4714 (sample)" in metrics["accuracy"].note  # |1 - 1/3| / sqrt(2)


def test_pairwise_by_hand() -> None:
    # A1 (0, 20) against B2 (100, 140): cosines of 100, 140, 80, 120 degrees.
    cosines = np.cos(np.radians([100.0, 140.0, 80.0, 120.0]))
    far = np.sqrt(2 - 2 * cosines)
    soft = [(far * np.exp(-b * far)).sum() / np.exp(-b * far).sum() for b in range(21)]
    expected = {
        "pairwise-min": cosines.max(),
        "pairwise-max": cosines.min(),
        "pairwise-mean": 1 - far.mean() ** 2 / 2,
        "pairwise-softmin": 1 - np.mean(soft) ** 2 / 2,
    }
    experiment = verification(MEMBERS, [("A1", "A2"), ("A1", "B2")])
    report = evaluate([experiment], plane(), list(expected), fars=(0.5,), resamples=0)
    for outcome in report.outcomes:
        (score,) = (e.score for e in outcome.examples if e.kind == "apart")
        assert score == pytest.approx(expected[outcome.aggregator], abs=1e-6), outcome.aggregator
        assert outcome.counts["frame_comparisons"] == 2 * 1 + 2 * 2
        assert outcome.counts["template_comparisons"] == 2
    assert any("compare 6 pairs of faces" in note and "3.0 times" in note for note in report.notes)


def test_identification_by_hand() -> None:
    # Gallery: A1 at 10 degrees, B1 at 90. Probes: A2 at 40 (mate A1 at 30, B1 at 50 -> rank 1), B2 at 120 (mate B1 at
    # 30, A1 at 110 -> rank 1), B3 at 45 (mate B1 at 45, A1 at 35 -> rank 2), C1 at 180 (no mate; best B1 at 90).
    members = {**MEMBERS, "B3": ("B", ["b4"]), "D1": ("D", ["d1"])}
    faces = plane(b4=degrees(45), d1=degrees(95))
    experiment = identification(members, {"G": ["A1", "B1"]}, ["A2", "B2", "B3", "C1", "D1", "C2"])
    report = evaluate([experiment], faces, ["mean"], fpirs=(0.5,), ranks=(1, 2), resamples=0)
    (found,) = report.outcomes
    assert found.metrics["rank-1"].value == pytest.approx(2 / 3)
    assert found.metrics["rank-2"].value == 1.0
    # Non-mated searches that were made: C1 (best cos 90 = 0) and D1 (at 5 degrees of B1). FPIR .5 allows D1: the
    # threshold is just above 0, and the mates at rank 1 pass.
    assert found.metrics["tpir@fpir=0.5"].value == pytest.approx(2 / 3)
    assert found.metrics["tpir@fpir=0.5"].threshold == pytest.approx(0, abs=1e-6)
    wanted = {"probes": 6, "searches": 6, "mated": 3, "non_mated": 3, "failed_non_mated": 1, "gallery_subjects": 2}
    assert {k: found.counts[k] for k in wanted} == wanted
    assert found.curves["cmc"].y.tolist() == pytest.approx([2 / 3, 1.0])
    shown = {(e.kind, e.first, e.second) for e in found.examples}
    assert {("missed", "B3", "B1"), ("false alarm", "D1", "B1"), ("apart", "C1", "B1")} <= shown
    closed = identification(members, {"G": ["A1", "B1"]}, ["A2", "B2", "B3"], close_set=True)
    assert list(evaluate([closed], faces, ["mean"], resamples=0).outcomes[0].metrics) == ["rank-1", "rank-5", "rank-10"]


def test_two_galleries_are_averaged() -> None:
    # Gallery 1: A1 at 10, B1 at 90. Gallery 2: C1 at 180. Probes A2 at 40 and B2 at 120 have mates (30 degrees) in the
    # first, C3 at 150 in the second (30 degrees); D1 at 175 has none. FPIR .3 allows no false alarm in either.
    # Gallery 1: non-mated C3 (60 from B1) and D1 (85): both mates are above. TPIR 1.
    # Gallery 2: non-mated D1 (5 from C1) is above the mate: TPIR 0.
    members = {**MEMBERS, "C3": ("C", ["c3"]), "D1": ("D", ["d1"])}
    faces = plane(c3=degrees(150), d1=degrees(175))
    experiment = identification(members, {"1": ["A1", "B1"], "2": ["C1"]}, ["A2", "B2", "C3", "D1"])
    metrics = evaluate([experiment], faces, ["mean"], fpirs=(0.3,), resamples=0).outcomes[0].metrics
    assert metrics["tpir@fpir=0.3"].value == 0.5
    assert "mean over 2 galleries" in metrics["tpir@fpir=0.3"].note
    assert metrics["rank-1"].value == 1.0


def test_gallery_without_non_mated_searches_is_named() -> None:
    experiment = identification(MEMBERS, {"1": ["A1", "B1"], "2": ["C1"]}, ["A2", "B2"])
    report = evaluate([experiment], plane(), ["mean"], resamples=0)
    assert list(report.outcomes[0].metrics) == ["rank-1", "rank-5", "rank-10"]
    assert sum("left out of TPIR" in note for note in report.notes) == 2


def naive(drawn: Drawn, name: str) -> dict[tuple[str, str], float]:
    """Scores of all pairs, one at a time."""
    aggregator = None if name.startswith("pairwise") else aggregation.get(name)
    rows = {
        t: [row for entry in sorted(entries) for row in sorted(drawn.faces[entry], key=lambda r: r.frame)]
        for t, (_, entries) in drawn.members.items()
    }
    found = {}
    for a, b in drawn.pairs:
        if not rows[a] or not rows[b]:
            found[a, b] = -math.inf
        elif aggregator is not None:
            made = []
            for t in (a, b):
                vectors = np.array([r.vector for r in rows[t]])
                made.append(aggregator(vectors, [0, len(vectors)], quality=[r.score for r in rows[t]]).templates[0])
            found[a, b] = float(made[0] @ made[1])
        else:
            far = [
                float(np.linalg.norm(x.vector / np.linalg.norm(x.vector) - y.vector / np.linalg.norm(y.vector)))
                for x in rows[a]
                for y in rows[b]
            ]
            d = {"min": min(far), "max": max(far), "mean": sum(far) / len(far)}[name.removeprefix("pairwise-")]
            found[a, b] = 1 - d * d / 2
    return found


@pytest.mark.parametrize("name", ["mean", "norm-score", "trimmed", "pairwise-min", "pairwise-max", "pairwise-mean"])
@pytest.mark.parametrize("seed", [0, 1])
def test_naive_loop(name: str, seed: int) -> None:
    drawn = Drawn(seed)
    scores = naive(drawn, name)
    person = {t: s for t, (s, _) in drawn.members.items()}
    genuine = [s for (a, b), s in scores.items() if person[a] == person[b]]
    impostor = sorted((s for (a, b), s in scores.items() if person[a] != person[b] and s > -math.inf), reverse=True)
    report = evaluate(
        [verification(drawn.members, drawn.pairs)], drawn.table(7), [name], fars=(0.001, 0.01, 0.1), resamples=0
    )
    metrics = report.outcomes[0].metrics
    for far in (0.001, 0.01, 0.1):
        limit = impostor[int(far * len(impostor) + 1e-9)]
        tar = sum(s > limit + 1e-6 for s in genuine) / len(genuine)
        assert metrics[f"tar@far={far:g}"].value == pytest.approx(tar, abs=1.5 / len(genuine))
        assert metrics[f"tar@far={far:g}"].threshold == pytest.approx(limit, abs=2e-6)
    made = [s for s in genuine if s > -math.inf]
    wins = sum((s > t) + 0.5 * (s == t) for s in made for t in impostor)
    assert metrics["auc"].value == pytest.approx(wins / len(impostor) / len(genuine), abs=1e-5)


def plain(report: Report) -> object:
    """Everything but the seconds, in a form that compares bit by bit."""

    def walk(value: object) -> object:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: walk(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name != "seconds"}
        if isinstance(value, np.ndarray):
            return (value.shape, value.dtype.str, value.tobytes())
        if isinstance(value, Mapping):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [walk(v) for v in value]
        return struct.pack("<d", value) if isinstance(value, float) else value

    return walk(report)


def shuffled(drawn: Drawn, seed: int) -> list[Experiment]:
    """The same trials with templates, entries and lines in another order, pairs in two folds, and as searches."""
    rng = np.random.default_rng(seed)
    ids = [list(drawn.members)[i] for i in (rng.permutation(len(drawn.members)) if seed else range(len(drawn.members)))]
    members = {t: (drawn.members[t][0], list(rng.permutation(drawn.members[t][1]))) for t in ids}
    order = rng.permutation(len(drawn.pairs)) if seed else range(len(drawn.pairs))
    pairs = [drawn.pairs[i] for i in order]
    folds = [sum(map(ord, a + b)) % 2 for a, b in pairs]
    names = list(drawn.faces)
    names = [names[i] for i in rng.permutation(len(names))] if seed else names
    gallery = [t for t in ids if t.endswith("-0") and not t.endswith("11-0")]
    probes = [t for t in ids if not t.endswith("-0")]
    return [verification(members, pairs, folds=folds, names=names), identification(members, {"G": gallery}, probes)]


ALL = ["mean", "norm-score", "media-first", "medoid", "trimmed", "nan", "pairwise-mean", "pairwise-softmin"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A NAN with parameters that are not zero."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("nan") / "toy.onnx"
    onnx.save(nan_graph(*(rng.standard_normal(shape) for shape in (8, (8, 8), 8))), str(path))
    return str(path)


@pytest.mark.parametrize("seed", [1, 2])
def test_not_one_bit_depends_on_order_or_threads(seed: int, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceset.evaluation.templates.CHUNK", 40)
    monkeypatch.setattr("faceset.evaluation.scores.FIRSTS", 5)
    drawn = Drawn(seed)
    names = [*(n for n in ALL if n != "nan"), trained]
    monkeypatch.setenv("FACESET_THREADS", "1")
    expected = plain(evaluate(shuffled(drawn, 0), drawn.table(), names, resamples=20))
    for threads, order in (("1", 0), ("2", 3), ("3", 4)):
        monkeypatch.setenv("FACESET_THREADS", threads)
        found = plain(evaluate(shuffled(drawn, order), drawn.table(order), names, resamples=20))
        assert found == expected
    assert plain(evaluate(shuffled(drawn, 0), drawn.table(), names, resamples=20, seed=1)) != expected


@pytest.mark.parametrize("name", ["mean", "norm", "pairwise-min", "pairwise-softmin"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_failures_are_misses(name: str, data: st.DataObject) -> None:
    """A person whose template is taken away is found less often, never more. The template is of a person of its own
    pair only, so that no impostor pair, and so no threshold, goes with it."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    people = {f"p{i}": rng.standard_normal(4) for i in range(8)}
    faces = {
        f"{p}/{k}": [face_row(f"{p}/{k}", centre + rng.standard_normal(4), frame=f) for f in range(2)]
        for p, centre in people.items()
        for k in "gab"
    }
    members = {entry: (entry.split("/")[0], [entry]) for entry in faces}
    pairs = [(f"{p}/g", f"{p}/a") for p in people]
    pairs += [(f"{p}/b", f"{q}/b") for p in people for q in people if p < q]
    folds = [i % 2 for i in range(len(pairs))]
    gone = data.draw(st.sampled_from([f"{p}/a" for p in people]))
    jobs = [verification(members, pairs, folds=folds), identification(members, {"G": [f"p{i}/g" for i in range(4)]}, [
        *(f"p{i}/a" for i in range(4)), *(f"p{i}/b" for i in range(4, 8))])]  # fmt: skip
    options = {"fars": (0.05, 0.3), "fpirs": (0.3,), "ranks": (1, 3), "resamples": 0}
    whole = evaluate(jobs, table([r for rows in faces.values() for r in rows]), [name], **options)
    less = evaluate(jobs, table([r for e, rows in faces.items() if e != gone for r in rows]), [name], **options)
    for before, after in zip(whole.outcomes, less.outcomes, strict=True):
        assert after.counts["failed_templates"] == 1
        for metric, value in before.metrics.items():
            worse = -1 if metric == "eer" else 1
            if metric != "accuracy":  # its threshold comes from the genuine pairs too
                assert worse * after.metrics[metric].value <= worse * value.value + 1e-12, metric


def test_zero_vectors_are_failures() -> None:
    missing = evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], plane(), ["mean"], resamples=0)
    zero = evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], plane(c2=[0.0, 0.0]), ["mean"], resamples=0)
    assert zero.outcomes[0].metrics == missing.outcomes[0].metrics
    assert zero.outcomes[0].counts["zero_vectors"] == 1
    assert any("length zero" in note for note in zero.notes)


def test_faces_that_cancel_out_are_failures() -> None:
    members = {**MEMBERS, "E1": ("E", ["e1", "e2"]), "E2": ("E", ["e3"])}
    faces = plane(e1=degrees(30), e2=degrees(210), e3=degrees(30))
    report = evaluate([verification(members, [("E1", "E2"), *GENUINE, *IMPOSTORS])], faces, ["mean"], resamples=0)
    assert report.outcomes[0].counts["failed_genuine"] == 2
    assert report.outcomes[0].counts["failed_templates"] == 2
    assert any("cancel out" in note for note in report.notes)


def test_degraded_copies_never_count() -> None:
    rows = [face_row(n, degrees(a)) for n, a in FEATURES.items()]
    noise = [face_row(n, degrees(a + 120), kind="blur", strength=0.5) for n, a in FEATURES.items()]
    experiment = [verification(MEMBERS, GENUINE + IMPOSTORS)]
    clean = evaluate(experiment, table(rows), ["mean"], resamples=0)
    both = evaluate(experiment, table(rows + noise), ["mean"], resamples=0)
    assert both.outcomes[0].metrics == clean.outcomes[0].metrics
    assert any("7 degraded copies" in note for note in both.notes)


def test_fallback_faces_are_counted() -> None:
    rows = [face_row(n, degrees(a), score=0.0 if n == "a1" else 0.9) for n, a in FEATURES.items()]
    report = evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], table(rows), ["mean"], resamples=0)
    assert any("1 faces have detector score 0" in note for note in report.notes)


def test_media_first() -> None:
    # A1: two frames of one video at 0 and one still at 90. Mean: near 27 degrees; media first: 45.
    members = {"A1": ("A", ["v", "w", "x"]), "A2": ("A", ["y"]), "B1": ("B", ["z"])}
    names = ["v", "w", "x", "y", "z"]
    experiment = verification(members, [("A1", "A2"), ("A1", "B1")], names=names, media=[0, 0, 1, 2, 3])
    faces = table([face_row(n, degrees(a)) for n, a in zip(names, (0, 0, 90, 45, 225), strict=True)])
    report = evaluate([experiment], faces, ["mean", "trimmed", "pairwise-min"], media_first=True, resamples=0)
    assert [o.aggregator for o in report.outcomes] == ["media-first", "media-first+trimmed", "pairwise-min"]
    for outcome in report.outcomes[:2]:
        assert next(e.score for e in outcome.examples if e.kind == "easy") == pytest.approx(1.0)
    assert any("pooled by medium first, but not for pairwise-min" in note for note in report.notes)
    assert report.signature["options"]["media_first"] is True
    plainly = evaluate([experiment], faces, ["mean"], resamples=0).outcomes[0]
    expected = cosine(45 - math.degrees(math.atan2(1, 2)))
    assert next(e.score for e in plainly.examples if e.kind == "easy") == pytest.approx(expected)


def test_splits_are_averaged() -> None:
    whole = verification(MEMBERS, GENUINE + IMPOSTORS)
    easy = verification(MEMBERS, GENUINE[:2] + IMPOSTORS[:2])
    jobs = [dataclasses.replace(e, part=f"split {i}") for i, e in enumerate((whole, easy))]
    report = evaluate(jobs, plane(), ["mean", "medoid"], fars=(0.5,), resamples=0)
    assert [(o.aggregator, o.part) for o in report.outcomes] == [
        ("mean", "split 0"), ("mean", "split 1"), ("medoid", "split 0"), ("medoid", "split 1"),
    ]  # fmt: skip
    metric = report.summary["mean"]["tar@far=0.5"]
    assert metric.value == pytest.approx((2 / 3 + 1) / 2)
    assert metric.std == pytest.approx(1 / 6)
    assert "population" in metric.note
    assert [e["part"] for e in report.signature["experiments"]] == ["split 0", "split 1"]
    assert json.loads(json.dumps(report.signature)) == report.signature


def test_refusals() -> None:
    experiment = verification(MEMBERS, GENUINE + IMPOSTORS)
    other = table([face_row(f"x{i}.png", degrees(i)) for i in range(9)])
    with pytest.raises(FeatureTableError, match=r"8 of 8 entries .* 'a1', 'a2', 'a3', the table has 'x0.png'"):
        evaluate([experiment], other, ["mean"])
    with pytest.raises(FeatureTableError, match="--missing miss"):
        evaluate([experiment], plane(), ["mean"], missing="error")
    for bad in (
        {"fars": (0.0,)},
        {"fars": (1.0,)},
        {"fars": ()},
        {"fars": (0.1, 0.1)},
        {"fars": (0.1000001, 0.1000002)},  # figures go by six digits
        {"resamples": 10**11},
        {"fpirs": (2,)},
        {"ranks": (0,)},
    ):
        with pytest.raises(InputError):
            evaluate([experiment], plane(), ["mean"], **bad)
    with pytest.raises(InputError, match="no aggregator is called 'meen'"):
        evaluate([experiment], plane(), ["meen"])
    with pytest.raises(InputError, match="asked for twice"):
        evaluate([experiment], plane(), ["mean", "mean"])
    with pytest.raises(InputError, match="at least one aggregator"):
        evaluate([experiment], plane(), [])
    with pytest.raises(InputError, match="one protocol"):
        evaluate([experiment, dataclasses.replace(experiment, protocol="other")], plane(), ["mean"])
    with pytest.raises(ProtocolError, match="3 pairs of one person and 0 of two"):
        evaluate([verification(MEMBERS, GENUINE)], plane(), ["mean"])
    with pytest.raises(InputError, match="weights for embedder"):
        evaluate([experiment], plane(), ["anchored"])


def test_pairwise_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceset.evaluation.pairwise.LIMIT", 5)
    with pytest.raises(InputError, match="pairs of frames"):
        evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], plane(), ["mean", "pairwise-min"])


def test_trained_aggregator_of_another_embedder(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    onnx.save(nan_graph(*zeros(2), metadata={"kind": "nan", "embedder": "someone"}), str(path))
    with pytest.raises(EmbedderMismatchError, match="trained for embedder someone"):
        evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], plane(), [str(path)])


def test_no_heavy_imports() -> None:
    """Scoring closed forms loads no model runtime and no picture library."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from test_evaluation_run import *; from faceset.evaluation.run import evaluate;"
        "evaluate([verification(MEMBERS, GENUINE + IMPOSTORS)], plane(), ['mean', 'pairwise-min'], resamples=5);"
        "heavy = {'torch', 'cv2', 'dlib', 'onnxruntime', 'av', 'PIL', 'matplotlib', 'sqlalchemy', 'pyarrow'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
