"""A face store of drawn people, and a teacher that is easily understood: training without real faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from faceset.alignment import geometry
from faceset.embedding import Embedder
from faceset.packs.manifest import Manifest
from faceset.training.faces import FaceStore, prepare
from faceset.types import Face, Image

SIDE = 64
CROP = "arcface32"
POOL = 8
"""The teacher sees means over squares of so many pixels."""


class Middle:
    """Finds one face in the middle of every picture, 32 pixels wide; the pictures are drawn so."""

    name = "middle"
    scheme = "arcface5"

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """One face each."""
        points = np.array(geometry(CROP).points, np.float32) + (SIDE - 32) / 2
        return [[Face(box=(16.0, 16.0, 48.0, 48.0), score=1.0, landmarks=points, scheme="arcface5")] for _ in images]


def draw_people(root: Path, names: Sequence[str], pictures: int, *, noise: float = 25.0, seed: int = 0) -> Path:
    """``root/<name>/<name>_<number>.jpg``: a person is a field of colours, a picture of them that field with noise."""
    rng = np.random.default_rng(seed)
    for name in names:
        coarse = rng.uniform(30, 225, (5, 5, 3)).astype(np.float32)
        field = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        (root / name).mkdir(parents=True)
        for i in range(pictures):
            light = rng.uniform(0.85, 1.15)
            picture = np.clip(light * field + rng.normal(0, noise, field.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / name / f"{name}_{i + 1:04d}.jpg"), picture)
    return root


def tiny_store(folder: Path, names: Sequence[str], pictures: int = 6, *, labelled: bool = True) -> FaceStore:
    """The faces of drawn people, through the real preparation."""
    root = draw_people(folder / "pictures", names, pictures)
    return prepare(root, folder / "store", [CROP], detector=Middle(), labelled=labelled)[0]


def tiny_teacher(folder: Path, width: int = 8, *, commercial: str = "yes") -> Embedder:
    """An embedder whose feature is a linear map of the mean colours of 4 x 4 squares."""
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(3 * (32 // POOL) ** 2, width)).astype(np.float32)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])
    feature = helper.make_tensor_value_info("feature", TensorProto.FLOAT, ["n", width])
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[POOL, POOL], strides=[POOL, POOL]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["feature"]),
    ]
    graph = helper.make_graph(nodes, "squares", [image], [feature], [numpy_helper.from_array(matrix, "matrix")])
    path = folder / "squares.onnx"
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), str(path))
    manifest = Manifest(
        id="squares",
        role="embedder",
        licence="MIT",
        commercial=commercial,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        crop=CROP,
        colour="RGB",
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
        width=width,
    )
    return Embedder(manifest, path)
