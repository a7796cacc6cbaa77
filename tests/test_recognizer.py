"""The whole way on real faces: compare, enrol, identify, and every refusal on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from portraits import both, collins, hopper, varied, write

import faceset
from faceset.errors import (
    DuplicateMediaError,
    EmbedderMismatchError,
    InputError,
    ManyPeopleError,
    MediaError,
    NoFaceError,
)

UNCALIBRATED = "dlib, single images, uncalibrated"
LFW = "1,338 people of LFW that no training saw"


@pytest.fixture(scope="module")
def recognizer() -> faceset.Recognizer:
    return faceset.Recognizer()


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[faceset.Gallery]:
    with faceset.Gallery(tmp_path / "people.db") as opened:
        yield opened


def grey(height: int = 200, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def test_the_same_person_is_the_same_and_another_is_not(recognizer: faceset.Recognizer) -> None:
    same = recognizer.compare(varied(collins(), 1), varied(collins(), 2))
    other = recognizer.compare(varied(collins(), 1), varied(hopper(), 2))
    assert same.same
    assert not other.same
    source = f"FAR 0.001; {LFW}; templates of 1 and 1 faces; shipped calibration"
    assert same.threshold_source == other.threshold_source == source
    assert 0.92 < same.threshold < 0.93
    assert (same.far, same.fpir) == (0.001, None)
    assert (same.to_dict()["far"], same.to_dict()["fpir"]) == (0.001, None)
    assert (same.faces, same.aggregator) == ((1, 1), recognizer.aggregator.name)


def test_without_a_calibration_the_embedders_own_threshold_answers(recognizer: faceset.Recognizer) -> None:
    plain = faceset.Recognizer(embedder=recognizer.embedder, detector=recognizer.detector, calibration="none")
    decision = plain.compare(varied(collins(), 1), varied(collins(), 2))
    assert (decision.threshold_source, decision.far) == (UNCALIBRATED, None)
    assert decision.threshold == plain.threshold.value == pytest.approx(1 - 0.36 / (2 * 1.43**2))


def test_larger_sets_have_a_higher_threshold(recognizer: faceset.Recognizer) -> None:
    few = recognizer.compare([varied(collins(), s) for s in range(3)], varied(collins(), 9))
    assert (few.faces, few.same) == ((3, 1), True)
    assert "templates of 2-3 and 1 faces" in few.threshold_source
    assert few.threshold > recognizer.compare(varied(collins(), 1), varied(collins(), 9)).threshold
    loose = faceset.Recognizer(embedder=recognizer.embedder, detector=recognizer.detector, far=0.01)
    assert loose.compare(varied(collins(), 1), varied(collins(), 9)).threshold < 0.91


def test_a_trimmed_template_has_no_calibration_and_says_so(recognizer: faceset.Recognizer) -> None:
    trimmed = faceset.Recognizer(embedder=recognizer.embedder, detector=recognizer.detector, aggregator="trimmed")
    decision = trimmed.compare(varied(collins(), 1), varied(collins(), 2))
    assert decision.threshold_source == f"{UNCALIBRATED}; no calibration for aggregator {trimmed.aggregator.name}"
    mixed = recognizer.compare(trimmed.template(varied(collins(), 1)), varied(collins(), 2))
    assert mixed.threshold_source.startswith(f"{UNCALIBRATED}; no calibration fits templates of two aggregators")


def test_the_gallery_raises_the_threshold_of_a_search(recognizer: faceset.Recognizer, gallery: faceset.Gallery) -> None:
    recognizer.enroll(gallery, "Eileen", varied(collins(), 1))
    (alone,) = recognizer.identify(gallery, varied(collins(), 2))
    recognizer.enroll(gallery, "Grace", hopper())
    (two,) = recognizer.identify(gallery, varied(collins(), 2))
    assert (alone.name, two.name) == ("Eileen", "Eileen")
    assert alone.threshold < two.threshold
    assert alone.threshold_source == (
        f"FPIR 0.01 among 1 person; {LFW}; templates of 1 and 1 faces; shipped calibration"
    )
    assert "among 2 people" in two.threshold_source
    assert "interpolated between 1 and 3 people" in two.threshold_source
    assert (two.far, two.fpir) == (None, 0.01)
    assert (two.to_dict()["far"], two.to_dict()["fpir"]) == (None, 0.01)


def test_a_sequence_of_arrays_becomes_one_template(recognizer: faceset.Recognizer) -> None:
    made = recognizer.template([varied(hopper(), seed) for seed in range(4)])
    assert len(made) == 4
    assert made.weights.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(made.vector) == pytest.approx(1.0, abs=1e-5)
    assert 0.9 < made.consistency <= 1.0


def test_eight_threads_give_what_one_gives(recognizer: faceset.Recognizer, tmp_path: Path) -> None:
    pictures = [varied(p, seed) for seed in range(4) for p in (collins(), hopper())]
    alone = [recognizer.template(p).vector for p in pictures]
    with faceset.Gallery(tmp_path / "g.db") as gallery:
        recognizer.enroll(gallery, "Collins", collins())
        recognizer.enroll(gallery, "Hopper", hopper())
        names = [next(recognizer.identify(gallery, p)).name for p in pictures]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda p: recognizer.template(p).vector, pictures))
            found = list(pool.map(lambda p: next(recognizer.identify(gallery, p)).name, pictures))
    np.testing.assert_array_equal(np.array(together), np.array(alone))
    assert found == names == ["Collins", "Hopper"] * 4


def test_enrol_and_identify_a_folder(recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path) -> None:
    for seed in range(3):
        write(varied(collins(), seed), tmp_path / "collins" / f"{seed}.png")
    report = recognizer.enroll(gallery, "Collins", tmp_path / "collins")
    assert (report.added, report.faces, report.looks_like) == (("0.png", "1.png", "2.png"), 3, ())
    (match,) = recognizer.identify(gallery, varied(collins(), 9))
    assert (match.name, match.known, match.faces) == ("Collins", True, 1)
    assert match.candidates[0].name == "Collins"
    (stranger,) = recognizer.identify(gallery, hopper())
    assert stranger.name is None
    assert stranger.candidates[0].name == "Collins"
    assert stranger.score is not None
    assert stranger.score < stranger.threshold


def test_adding_media_equals_adding_them_at_once(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path
) -> None:
    paths = [write(varied(collins(), seed), tmp_path / "c" / f"{seed}.png") for seed in range(3)]
    recognizer.enroll(gallery, "at once", tmp_path / "c")
    with faceset.Gallery(tmp_path / "other.db") as other:
        for path in reversed(paths):
            recognizer.enroll(other, "one by one", path)
        np.testing.assert_array_equal(other.template("one by one").vector, gallery.template("at once").vector)


def test_an_empty_gallery_knows_nobody(recognizer: faceset.Recognizer, gallery: faceset.Gallery) -> None:
    (match,) = recognizer.identify(gallery, collins())
    assert (match.name, match.score, match.candidates) == (None, None, ())


def test_the_same_file_is_enrolled_once(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path
) -> None:
    path = write(collins(), tmp_path / "a" / "one.png")
    shutil.copy(path, tmp_path / "a" / "two.png")
    report = recognizer.enroll(gallery, "Collins", tmp_path / "a")
    assert (report.added, report.already, report.faces) == (("one.png",), ("two.png",), 1)
    again = recognizer.enroll(gallery, "Collins", path)
    assert (again.added, again.already, again.faces) == ((), ("one.png",), 1)
    with pytest.raises(
        DuplicateMediaError, match=r"one\.png: this very file is enrolled as 'Collins'.*forget 'Collins'"
    ):
        recognizer.enroll(gallery, "Somebody", path)
    assert "Somebody" not in gallery


def test_a_newcomer_who_looks_like_somebody_is_reported(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery
) -> None:
    recognizer.enroll(gallery, "Eileen", varied(collins(), 1))
    report = recognizer.enroll(gallery, "Eileen again", varied(collins(), 2))
    assert [c.name for c in report.looks_like] == ["Eileen"]
    assert recognizer.enroll(gallery, "Grace", hopper()).looks_like == ()


def test_in_a_still_of_several_the_one_who_agrees_is_taken(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path
) -> None:
    write(both(), tmp_path / "grace" / "0-both.png")  # comes first, and has to wait
    write(varied(hopper(), 1), tmp_path / "grace" / "1-alone.png")
    report = recognizer.enroll(gallery, "Grace", tmp_path / "grace")
    assert report.added == ("1-alone.png", "0-both.png")
    assert report.faces == 2
    assert report.left_out[0].startswith("0-both.png: left out a face at x ")
    assert gallery.template("Grace").consistency > 0.95


def test_a_still_of_several_alone_is_refused(recognizer: faceset.Recognizer, gallery: faceset.Gallery) -> None:
    with pytest.raises(ManyPeopleError, match="2 people .*nothing says who is meant; crop it to one person"):
        recognizer.template(both())
    with pytest.raises(ManyPeopleError, match="2 people"):
        recognizer.enroll(gallery, "Grace", both())
    assert len(gallery) == 0


def test_a_still_of_several_in_which_nobody_agrees_is_refused(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path
) -> None:
    recognizer.enroll(gallery, "Grace", hopper())
    two = np.concatenate([collins(), varied(collins(), 3)], axis=1)
    with pytest.raises(ManyPeopleError, match="none of 2 people .* agrees with the person's other media"):
        recognizer.enroll(gallery, "Grace", two)
    assert gallery.person("Grace").faces == 1


def test_no_face(recognizer: faceset.Recognizer, gallery: faceset.Gallery) -> None:
    with pytest.raises(
        NoFaceError,
        match=r"no face found in 1 picture \(faces under 24 pixels are passed over\); use a picture that shows",
    ):
        recognizer.template(grey())
    with pytest.raises(NoFaceError, match="no face found in 3 frames"):
        recognizer.enroll(gallery, "Nobody", [grey()] * 3)
    assert list(recognizer.identify(gallery, grey())) == []


def test_one_bad_file_among_good_ones_is_named_and_the_rest_used(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path
) -> None:
    write(collins(), tmp_path / "c" / "good.png")
    write(grey(), tmp_path / "c" / "blank.png")
    data = (tmp_path / "c" / "good.png").read_bytes()
    (tmp_path / "c" / "cut.png").write_bytes(data[: len(data) // 2])
    report = recognizer.enroll(gallery, "Collins", tmp_path / "c")
    assert report.added == ("good.png",)
    assert any(sentence.startswith("blank.png: no face found") for sentence in report.refused)
    assert any("cut.png" in sentence for sentence in report.refused)
    assert "cut.png" in " ".join(recognizer.template(tmp_path / "c").left_out)


def test_a_single_bad_file_is_an_error(recognizer: faceset.Recognizer, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with pytest.raises(MediaError, match=r"bad\.jpg"):
        recognizer.template(tmp_path / "bad.jpg")


def test_a_gallery_of_another_embedder_is_refused(recognizer: faceset.Recognizer, gallery: faceset.Gallery) -> None:
    from dataclasses import replace

    recognizer.enroll(gallery, "Collins", collins())
    sets = [replace(s, model_id="other:1") for s in recognizer.face_sets(hopper())]
    other = faceset.Gallery(gallery.path.parent / "other.db")
    other.add("Hopper", sets, aggregator=faceset.aggregation.get("mean"))
    for call in (
        lambda: recognizer.enroll(other, "Collins", collins()),
        lambda: recognizer.identify(other, collins()),
        lambda: recognizer.compare(collins(), other.template("Hopper")),
    ):
        with pytest.raises(EmbedderMismatchError, match=r"was made with embedder other:1, but .* uses dlib-resnet"):
            call()
    other.close()


def test_k_below_one_is_refused(recognizer: faceset.Recognizer, gallery: faceset.Gallery) -> None:
    with pytest.raises(InputError, match="k must be a whole number of at least 1, but got 0"):
        recognizer.identify(gallery, collins(), k=0)


def test_a_detector_without_the_points_the_crop_needs_is_refused(models_dir: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "arc.toml"
    from test_cli import import_arcface

    name = import_arcface(models_dir)
    with pytest.raises(InputError, match="needs landmarks of scheme 'arcface5', but detector 'hog' gives None"):
        faceset.Recognizer(embedder=name, detector="hog")
    assert not manifest.exists()


def test_a_threshold_of_ones_own(recognizer: faceset.Recognizer) -> None:
    strict = faceset.Recognizer(embedder=recognizer.embedder, detector=recognizer.detector, threshold=0.9999)
    decision = strict.compare(varied(collins(), 1), varied(collins(), 2))
    assert not decision.same
    assert decision.threshold_source == "given by the caller"


def test_progress_is_told(recognizer: faceset.Recognizer) -> None:
    seen: list[faceset.types.Progress] = []
    recognizer.template([varied(hopper(), s) for s in range(3)], progress=seen.append)
    assert seen[-1].faces == 3


def test_a_path_is_no_gallery(recognizer: faceset.Recognizer) -> None:
    for call in (recognizer.identify, lambda g, s: recognizer.enroll(g, "Somebody", s)):
        with pytest.raises(InputError, match=r"gallery must be a faceset.Gallery, but got str; open the file first"):
            call("people.db", collins())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detector": 5}, "detector must be a name or a Detector, but got int"),
        ({"embedder": 5}, "embedder must be a name or an Embedder, but got int"),
        ({"aggregator": 5}, "aggregator must be a name or an Aggregator, but got int"),
        ({"far": 0.0}, r"far must be a number between 0 and 1, such as 0.001, but got 0.0"),
        ({"fpir": 1}, r"fpir must be a number between 0 and 1"),
        ({"threshold": 2.0}, r"a threshold is a cosine in -1..1, but got 2.0"),
        ({"min_track": 0}, "min_track must be at least 1, but got 0"),
        ({"min_face": float("nan")}, "min_face must be at least 0 pixels, but got nan"),
    ],
)
def test_arguments_are_checked_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        faceset.Recognizer(**arguments)  # type: ignore[arg-type]


def test_a_face_of_one_frame_among_many_is_passed_over_by_identify(
    recognizer: faceset.Recognizer, gallery: faceset.Gallery, tmp_path: Path
) -> None:
    from test_cli import clip

    path = clip(tmp_path / "blink.mp4", [grey(512, 512)] * 5 + [varied(collins(), 1)] + [grey(512, 512)] * 5)
    assert [len(s) for s in recognizer.face_sets(path)] == [1]
    assert list(recognizer.identify(gallery, path)) == []
    all_tracks = faceset.Recognizer(detector=recognizer.detector, embedder=recognizer.embedder, min_track=1)
    assert len(list(all_tracks.identify(gallery, path))) == 1


def test_an_imported_detector_goes_by_its_name(models_dir: Path) -> None:
    from faceset.packs.store import import_model

    import_model(models_dir / "yunet_n_dynamic.onnx", role="detector", name="my-yunet")
    assert faceset.Recognizer(detector="my-yunet").compare(varied(collins(), 1), varied(collins(), 2)).same
    with pytest.raises(
        InputError, match="there is no detector 'other'; the detectors are hog, mtcnn, yunet, and those"
    ):
        faceset.Recognizer(detector="other")
