"""What every detector promises, and MTCNN's own behaviour."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import av
import cv2
import labels
import numpy as np
import pytest
from portraits import collins, hopper

from faceset import detection
from faceset.detection.base import Detector
from faceset.detection.hog import HogOptions
from faceset.detection.mtcnn import Mtcnn, MtcnnOptions
from faceset.detection.yunet import YuNet
from faceset.errors import InputError, LicenceError, ModelError, ModelFileError
from faceset.types import Face

TINY = [(1, 1), (1, 300), (12, 12), (19, 25), (66, 120)]


@cache
def mtcnn() -> Detector:
    return detection.get()


@cache
def hog() -> Detector:
    return detection.get("hog")


@cache
def yunet(path: Path) -> Detector:
    return detection.get("yunet", path=path)


@pytest.fixture(params=["mtcnn", "hog", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "yunet":
        folder: Path = request.getfixturevalue("models_dir")
        return yunet(folder / "yunet_n_dynamic.onnx")
    return {"mtcnn": mtcnn, "hog": hog}[request.param]()


@cache
def pair() -> np.ndarray:
    """The heads of both portraits side by side, 200 x 400."""
    heads = (collins()[20:220, 120:320], hopper()[80:380, 110:410])
    return np.concatenate([cv2.resize(head, (200, 200), interpolation=cv2.INTER_AREA) for head in heads], axis=1)


@pytest.fixture(params=["mtcnn", "yunet"])
def pointing(request: pytest.FixtureRequest) -> Detector:
    """A detector that gives points."""
    if request.param == "mtcnn":
        return mtcnn()
    folder: Path = request.getfixturevalue("models_dir")
    return yunet(folder / "yunet_n_dynamic.onnx")


def same(a: Sequence[Face], b: Sequence[Face], pixels: float = 1e-3) -> bool:
    """Whether two lists hold the same faces in the same order."""
    if len(a) != len(b):
        return False
    for one, other in zip(a, b, strict=True):
        if not np.allclose(one.box, other.box, atol=pixels) or abs(one.score - other.score) > 1e-4:
            return False
        if one.landmarks is not None and not np.allclose(one.landmarks, other.landmarks, atol=pixels):
            return False
    return True


def test_one_face_in_a_portrait_where_it_is(detector: Detector) -> None:
    assert isinstance(detector, Detector)
    (faces,) = detector.detect([collins()])
    assert len(faces) == 1
    x0, y0, x1, y1 = faces[0].box
    # By hand: from ear to ear without the ears, from the hair to the chin.
    assert labels.match([(180, 78, 268, 179)], [(x0, y0, x1, y1)], 0.5)
    assert faces[0].scheme == detector.scheme


def test_a_list_for_each_picture_in_order_best_first(detector: Detector) -> None:
    blank = np.full((200, 300, 3), 128, np.uint8)
    pictures = [blank, pair(), collins()]
    found = detector.detect(pictures)
    assert [len(faces) for faces in found] == [0, 2, 1]
    assert [face.score for face in found[1]] == sorted((face.score for face in found[1]), reverse=True)
    for picture, faces in zip(pictures, found, strict=True):
        assert same(faces, detector.detect([picture])[0])
    assert detector.detect([]) == []


@pytest.mark.parametrize("shape", TINY)
def test_tiny_pictures_of_nothing_have_no_face(detector: Detector, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector.detect([noise, np.zeros((*shape, 3), np.uint8)]) == [[], []]


def test_views_of_any_layout_are_taken(detector: Detector) -> None:
    image = collins()
    strided = np.asfortranarray(image)
    assert same(detector.detect([strided])[0], detector.detect([image])[0])


def test_eight_threads_get_what_one_gets(detector: Detector) -> None:
    views = [pair(), pair()[:, :200], pair()[:, 200:], pair()[:, ::-1]]
    pictures = [np.ascontiguousarray(view) for view in views] * 4
    wanted = [detector.detect([picture])[0] for picture in pictures[:4]] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda picture: detector.detect([picture])[0], pictures))
    assert all(same(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("bad", [None, np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)])
def test_what_is_no_picture_is_named(detector: Detector, bad: object) -> None:
    with pytest.raises(InputError, match=r"images\[1\] must be .*\(H, W, 3\)"):
        detector.detect([collins(), bad])  # type: ignore[list-item]


def test_names_and_options_that_do_not_exist() -> None:
    with pytest.raises(InputError, match="no detector 'haar'; the detectors are hog, mtcnn, yunet"):
        detection.get("haar")
    with pytest.raises(InputError, match="mtcnn has no option min_size; its options are min_face, min_face_fraction"):
        detection.get("mtcnn", min_size=20)
    with pytest.raises(InputError, match="onet_threshold of mtcnn must be a number from 0 to 1, but got 2"):
        detection.get("mtcnn", onet_threshold=2)
    with pytest.raises(InputError, match="scale_factor of mtcnn must be a number from 0.3 to 0.95, but got nan"):
        MtcnnOptions(scale_factor=float("nan"))
    with pytest.raises(InputError, match=r"upsample of hog must be a whole number, but got 0\.5"):
        HogOptions(upsample=0.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_side of yunet must be a number from 32 to 100000, but got '640'"):
        detection.get("yunet", max_side="640")


def test_asking_for_names_loads_no_library() -> None:
    code = "import sys, faceset.detection; print({'cv2', 'dlib', 'onnxruntime', 'onnx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def iod(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[1] - points[0]))


def test_points_lie_in_their_order(pointing: Detector) -> None:
    for face in pointing.detect([pair()])[0]:
        assert face.landmarks is not None
        eye0, eye1, nose, mouth0, mouth1 = face.landmarks
        assert eye0[0] < nose[0] < eye1[0]
        assert mouth0[0] < mouth1[0]
        assert max(eye0[1], eye1[1]) < nose[1] < min(mouth0[1], mouth1[1])
        assert all(face.box[0] < x < face.box[2] and face.box[1] < y < face.box[3] for x, y in face.landmarks)


def test_points_lie_where_a_hand_would_put_them(pointing: Detector) -> None:
    (face,) = pointing.detect([collins()])[0]
    assert face.landmarks is not None
    by_hand = np.array([[203, 101], [246, 103], [223, 128], [203, 140], [247, 140]])
    assert np.linalg.norm(face.landmarks - by_hand, axis=1).max() < 0.15 * iod(by_hand)


def test_a_mirrored_picture_has_mirrored_points(pointing: Detector) -> None:
    image = collins()
    (face,), (mirrored,) = pointing.detect([image, np.ascontiguousarray(image[:, ::-1])])
    assert face.landmarks is not None
    assert mirrored.landmarks is not None
    back = mirrored.landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [image.shape[1] - 1, 0]
    assert np.abs(back - face.landmarks).max() < 0.1 * iod(face.landmarks)


@pytest.mark.parametrize("scale", [0.45, 1.7, 4.0])
def test_a_scaled_picture_has_a_scaled_face(scale: float) -> None:
    image = collins()
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    (face,), (other,) = mtcnn().detect([image, scaled])
    assert face.landmarks is not None
    assert other.landmarks is not None
    assert np.abs((other.landmarks + 0.5) / scale - 0.5 - face.landmarks).max() < 0.08 * iod(face.landmarks)


@pytest.mark.parametrize("part", ["fills the frame", "left cut off", "top cut off", "bottom cut off"])
def test_faces_at_the_border_and_larger_than_the_picture(part: str) -> None:
    (face,) = mtcnn().detect([collins()])[0]
    x0, y0, x1, y1 = (round(v) for v in face.box)
    wide, high = x1 - x0, y1 - y0
    cut = {
        "fills the frame": (y0 + high // 20, y1 - high // 20, x0, x1),
        "left cut off": (0, 400, x0 + wide // 5, 500),
        "top cut off": (y0 + high // 4, 400, 0, 500),
        "bottom cut off": (0, y1 - high // 6, 0, 500),
    }[part]
    image = np.ascontiguousarray(collins()[cut[0] : cut[1], cut[2] : cut[3]])
    (found,) = mtcnn().detect([image])[0]
    assert found.landmarks is not None
    assert face.landmarks is not None
    assert np.abs(found.landmarks + np.array([cut[2], cut[0]]) - face.landmarks).max() < 0.25 * iod(face.landmarks)


@pytest.mark.parametrize("part", [0.05, 0.1, 0.15, 0.2])
def test_a_face_larger_than_the_picture_is_found(part: float) -> None:
    """The middle of a face, with this part of its width cut off on every side."""
    (face,) = mtcnn().detect([hopper()])[0]
    x0, y0, x1, y1 = (round(v) for v in face.box)
    cut = round(part * (x1 - x0))
    inner = np.ascontiguousarray(hopper()[y0 + cut : y1 - cut, x0 + cut : x1 - cut])
    (found,) = mtcnn().detect([inner])[0]
    assert found.landmarks is not None
    assert face.landmarks is not None
    assert np.abs(found.landmarks + np.array([x0 + cut, y0 + cut]) - face.landmarks).max() < 0.2 * iod(face.landmarks)


def test_smallest_face_follows_the_short_side() -> None:
    options = MtcnnOptions()
    assert options.smallest_face(640, 360) == options.smallest_face(250, 250) == 20
    assert options.smallest_face(1920, 1080) == pytest.approx(40)
    assert options.smallest_face(2160, 3840) == pytest.approx(80)


def test_faces_below_the_smallest_are_not_looked_for() -> None:
    (face,) = mtcnn().detect([collins()])[0]
    assert detection.get("mtcnn", min_face=3 * face.height).detect([collins()]) == [[]]
    assert detection.get("mtcnn", min_face=5000).detect([collins()]) == [[]]


def test_many_pictures_of_many_sizes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits on what is held at once change no answer."""
    from faceset.detection import mtcnn as module

    sizes = [(512, 512), (300, 150), (512, 512), (400, 200), (300, 300), (400, 200)]
    pictures = [cv2.resize(pair() if k % 2 else collins(), size) for k, size in enumerate(sizes)]
    wanted = mtcnn().detect(pictures)
    monkeypatch.setattr(module, "_PICTURES", 4)
    monkeypatch.setattr(module, "_PIXELS", 500_000)
    monkeypatch.setattr(module, "_SEARCHED_PIXELS", 1)
    monkeypatch.setattr(module, "_WINDOWS", {24: 7, 48: 2})
    assert all(same(a, b) for a, b in zip(mtcnn().detect(pictures), wanted, strict=True))
    assert [len(faces) for faces in wanted] == [1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize("upsample", [0, 1])
def test_hog_gives_dlibs_own_boxes(upsample: int) -> None:
    import dlib

    image = pair()
    boxes, scores, _ = dlib.get_frontal_face_detector().run(image, upsample, 0.0)
    rows = [(b.left(), b.top(), b.right() + 1, b.bottom() + 1) for b in boxes]
    wanted = sorted(zip(scores, rows, strict=True), reverse=True)
    found = detection.get("hog", upsample=upsample).detect([image])[0]
    assert [(face.score, face.box) for face in found] == wanted
    assert len(found) == 2


def test_hog_scores_below_nothing_are_nothing() -> None:
    found = detection.get("hog", threshold=-1.0).detect([pair()])[0]
    assert len(found) > 2
    assert found[-1].score == 0
    assert found[0].score > 0


@pytest.mark.data
def test_yunet_gives_opencvs_own_faces(models_dir: Path) -> None:
    image = pair()
    path = models_dir / "yunet_n_dynamic.onnx"
    direct = cv2.FaceDetectorYN.create(str(path), "", (image.shape[1], image.shape[0]), 0.6, 0.3)
    rows = direct.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    found = yunet(path).detect([image])[0]
    assert len(found) == len(rows) == 2
    for face, row in zip(found, sorted(rows, key=lambda row: -row[14]), strict=True):
        assert face.landmarks is not None
        np.testing.assert_allclose(face.box, [*row[:2], *(row[:2] + row[2:4])], atol=1e-3)
        np.testing.assert_allclose(face.landmarks.ravel(), row[4:14], atol=1e-3)
        assert face.score == pytest.approx(row[14], abs=1e-5)


@pytest.mark.data
def test_yunet_without_a_usable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_dir: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.onnx does not exist; give the path of YuNet's ONNX file"):
        detection.get("yunet", path=tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelFileError, match=r"text\.onnx is no YuNet model that OpenCV .* can run"):
        detection.get("yunet", path=tmp_path / "text.onnx")
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="faceset models pull yunet"):
        detection.get("yunet")
    with pytest.raises(ModelError, match="role"):
        detection.get("yunet", model="dlib-resnet")
    monkeypatch.setenv("FACESET_COMMERCIAL", "1")
    with pytest.raises(LicenceError, match=r"licence of .*yunet_n_dynamic\.onnx is not known"):
        detection.get("yunet", path=models_dir / "yunet_n_dynamic.onnx")


@pytest.mark.data
def test_yunet_is_quiet_and_leaves_opencvs_log_as_it_is(models_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    level = cv2.utils.logging.getLogLevel()
    YuNet.create(path=models_dir / "yunet_n_dynamic.onnx").detect([collins()])
    assert capfd.readouterr().err == ""
    assert cv2.utils.logging.getLogLevel() == level


def clip(path: Path, wanted: Sequence[int]) -> dict[int, np.ndarray]:
    """Frames of a video by number."""
    frames = {}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                frames[index] = frame.to_ndarray(format="rgb24")
    return frames


@pytest.mark.data
@pytest.mark.parametrize("name", ["people_walking", "short_hamilton_clip"])
def test_recall_and_precision_on_labelled_clips(name: str, data_dir: Path, models_dir: Path) -> None:
    wanted = labels.load(name)
    frames = clip(data_dir / "clips" / wanted.clip, sorted(wanted.frames))
    for detector, recall in ((mtcnn(), 0.70), (yunet(models_dir / "yunet_n_dynamic.onnx"), 0.85)):
        found = dict(zip(frames, detector.detect(list(frames.values())), strict=True))
        score = labels.score(wanted, {index: [face.box for face in faces] for index, faces in found.items()})
        assert score.recall >= recall, (detector.name, score)
        assert score.precision >= 0.90, (detector.name, score)


@pytest.mark.data
def test_a_face_in_nearly_every_picture_of_lfw(data_dir: Path) -> None:
    """The whole of LFW is for the benchmark; here every 100th picture, of which one may go without."""
    paths = sorted((data_dir / "lfw").glob("*/*.jpg"))[::100]
    without = []
    for first in range(0, len(paths), 16):
        part = paths[first : first + 16]
        images = [np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]) for path in part]
        without += [path.name for path, faces in zip(part, mtcnn().detect(images), strict=True) if not faces]
    assert len(without) <= 1, without


@pytest.mark.data
def test_head_crops_have_their_face(data_dir: Path) -> None:
    """Frames of YouTube Faces: 80 to 300 pixels, nearly filled by the face."""
    paths = sorted((data_dir / "ytf").glob("*/*/*.jpg"))[::60]
    images = [np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]) for path in paths]
    found = mtcnn().detect(images)
    assert sum(not faces for faces in found) <= len(paths) // 50


@pytest.mark.data
def test_the_smallest_clip_gives_true_faces_or_none(data_dir: Path) -> None:
    frames = clip(data_dir / "clips" / "probe.mp4", range(0, 400, 10))
    assert frames
    assert isinstance(mtcnn(), Mtcnn)
    for faces in mtcnn().detect(list(frames.values())):
        for face in faces:
            assert face.height >= 12
