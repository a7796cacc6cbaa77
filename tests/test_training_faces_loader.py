"""Batches: a function of seed, step and process alone; made ahead; and what goes wrong in a worker reaches the loop."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from face_stores import toy

from faceset.alignment import geometry
from faceset.errors import FaceStoreError, InputError
from faceset.training.faces import AugmentConfig, Epochs, FaceBatch, FaceLoader, FaceStore, augment, classes, loader
from faceset.training.faces.ordering import in_order

NONE = AugmentConfig.none()
ALL = AugmentConfig(mix=0.3, shape=0.3, degrade=0.5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FaceStore:
    return toy(tmp_path_factory.mktemp("toy") / "store")


@pytest.fixture
def plan(store: FaceStore) -> Epochs:
    return Epochs(np.arange(len(store)), 20, seed=1)


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterable[None]:
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("faces_")]


def same(a: Iterable[FaceBatch], b: Iterable[FaceBatch]) -> None:
    for one, two in zip(a, b, strict=True):
        for left, right in zip(one, two, strict=True):
            np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_batches_do_not_depend_on_the_workers(store: FaceStore, plan: Epochs) -> None:
    """Nor on where the loop begins, nor on the size of what is made ahead."""

    def made(workers: int, start: int, **options: int) -> list[FaceBatch]:
        found = FaceLoader(store, "dlib32", plan, ALL, seed=3, workers=workers, teacher="dlib48", **options)
        return list(found.batches(start, 6))

    alone = made(0, 0)
    assert len(alone) == 6
    same(made(2, 0), alone)
    same(made(1, 2, ahead=1), alone[2:])
    same(made(5, 0, ahead=7), alone)
    assert not np.array_equal(alone[0].images, alone[2].images)
    other = FaceLoader(store, "dlib32", plan, ALL, seed=4, workers=0, teacher="dlib48")
    assert not np.array_equal(other.batch(0).images, alone[0].images)
    elsewhere = FaceLoader(store, "dlib32", plan, ALL, seed=3, rank=1, workers=0, teacher="dlib48")
    assert not np.array_equal(elsewhere.batch(0).images, alone[0].images)
    np.testing.assert_array_equal(elsewhere.batch(0).rows, alone[0].rows)  # the plan has its own


def test_a_batch_is_whole_when_it_comes(store: FaceStore, plan: Epochs, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(padded: np.ndarray, *args: object, **options: object) -> np.ndarray:
        time.sleep(0.001)
        return padded[:32, :32]

    monkeypatch.setattr(loader, "render", slow)
    for batch in FaceLoader(store, "dlib32", plan, NONE, workers=1, pin=False).batches(0, 3):
        found = batch.images.permute(0, 2, 3, 1).numpy().copy()
        np.testing.assert_array_equal(found, store.padded("dlib32")[batch.rows, :32, :32])


def test_what_is_in_a_batch(store: FaceStore, plan: Epochs) -> None:
    for config in (NONE, dataclasses.replace(NONE, flip=0.5)):
        batch = FaceLoader(store, "dlib32", plan, config, workers=0).batch(1)
        np.testing.assert_array_equal(batch.rows, plan(1))
        assert batch.images.shape == (20, 3, 32, 32)
        assert batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.teacher_images is None
        expected = store.crop("dlib32", batch.rows)
        expected[batch.flipped] = expected[batch.flipped, :, ::-1]
        np.testing.assert_array_equal(batch.images.permute(0, 2, 3, 1), expected)
    assert 0 < batch.flipped.sum() < 20
    assert batch.to("cpu").images.data_ptr() == batch.images.data_ptr()
    with pytest.raises(InputError, match=r"no pictures for a teacher; give the loader"):
        batch.teacher_crops()


def test_a_batch_is_that_of_augment(store: FaceStore, plan: Epochs) -> None:
    batch = FaceLoader(store, "dlib32", plan, AugmentConfig(), seed=3, workers=0).batch(4)
    for start in (0, loader.CHUNK):
        rng = np.random.default_rng([3, 4, 0, start])
        for k in range(start, min(start + loader.CHUNK, 20)):
            padded = np.asarray(store.padded("dlib32")[batch.rows[k]])
            crop, flipped = augment(padded, geometry("dlib32").size, AugmentConfig(), rng)
            np.testing.assert_array_equal(batch.images[k].permute(1, 2, 0), crop)
            assert flipped == batch.flipped[k]


def test_a_teacher_sees_the_same_faces(store: FaceStore, plan: Epochs) -> None:
    plain = FaceLoader(store, "dlib32", plan, AugmentConfig(), workers=0, teacher="dlib48").batch(0)
    expected = store.crop("dlib48", plain.rows)
    expected[plain.flipped] = expected[plain.flipped, :, ::-1]
    np.testing.assert_array_equal(plain.teacher_crops(), expected)
    assert plain.teacher_crops().flags.c_contiguous
    config = AugmentConfig(kinds=("over_exposure",), mix=0.4, shape=0.4)
    for view in ("same", "plain"):
        batch = FaceLoader(store, "dlib32", plan, config, workers=0, teacher="dlib48", teacher_view=view).batch(0)
        assert batch.teacher_images is not None
        large = torch.nn.functional.interpolate(batch.teacher_images.float(), (32, 32), mode="area")
        small = batch.images.float()
        mine = (large - small).abs().mean((1, 2, 3))
        others = (large.roll(1, 0) - small).abs().mean((1, 2, 3))
        if view == "same":
            assert (mine < 8).all()
            assert mine.mean() < 0.2 * others.mean()
        else:
            assert mine.mean() > 8


def test_a_mixed_face_is_of_two_of_the_batch(store: FaceStore, plan: Epochs) -> None:
    mixed = FaceLoader(store, "dlib32", plan, dataclasses.replace(NONE, mix=1.0), workers=0, teacher="dlib48").batch(0)
    crops = store.crop("dlib32", mixed.rows).astype(float)
    even = 0
    for k, found in enumerate(mixed.images.permute(0, 2, 3, 1).numpy().astype(float)):
        own = crops[k]
        shares = []
        for other in crops:  # found = own + share (other - own), if it is an even blend with this one
            step = (other - own).ravel()
            share = float(step @ (found - own).ravel() / max(step @ step, 1e-9))
            shares.append(np.abs(own + share * (other - own) - found).max() < 1.5 and 0.29 < share < 0.71)
        even += any(shares)
    assert 5 <= even <= 19


def test_what_a_worker_raises_reaches_the_loop(store: FaceStore, plan: Epochs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> object:
        raise RuntimeError("a broken disk")

    found = FaceLoader(store, "dlib32", plan, NONE, workers=2)
    batches = found.batches(0, 50)
    next(batches)
    monkeypatch.setattr(loader, "render", broken)
    with pytest.raises(RuntimeError, match=r"a broken disk"):
        list(batches)

    def bad(step: int) -> np.ndarray:
        return plan(step) if step < 2 else np.empty(0, np.int64)

    monkeypatch.undo()
    with pytest.raises(InputError, match=r"a plan gives rows \(n,\) with n >= 1, but gave \(0,\) for step 2"):
        list(FaceLoader(store, "dlib32", bad, NONE, workers=2).batches(0, 5))


def test_a_loop_that_is_left_ends_the_workers(store: FaceStore, plan: Epochs) -> None:
    found = FaceLoader(store, "dlib32", plan, NONE, workers=2)
    for _ in found.batches(0, 1000):
        break

    def interrupted() -> None:
        with contextlib.closing(found.batches(0, 1000)) as batches:
            for _ in batches:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    batches = found.batches(0, 1000)
    next(batches)
    batches.close()
    assert list(found.batches(3, 3)) == []
    assert found.waited > 0


def test_no_more_is_made_ahead_than_asked_for() -> None:
    taken: list[int] = []
    begun: list[int] = []

    def items() -> Iterable[int]:
        for k in range(100):
            taken.append(k)
            yield k

    def work(k: int) -> int:
        begun.append(k)
        time.sleep(0.05 * (k > 0))
        return k

    results = in_order(work, items(), 1, 8)
    assert next(results) == 0
    assert taken == list(range(8))
    results.close()
    assert len(begun) <= 4  # the rest was dropped


def test_what_a_loader_refuses(store: FaceStore, plan: Epochs) -> None:
    with pytest.raises(InputError, match=r"mix and shape make faces of nobody; give the geometry of a teacher"):
        FaceLoader(store, "dlib32", plan, ALL)
    with pytest.raises(InputError, match=r"teacher_view must be one of plain, same, but got 'none'"):
        FaceLoader(store, "dlib32", plan, teacher_view="none")
    with pytest.raises(InputError, match=r"workers must be at least 0 and ahead at least 1, but got -1"):
        FaceLoader(store, "dlib32", plan, workers=-1)
    for options in ({}, {"teacher": "dlib150"}):
        with pytest.raises(FaceStoreError, match=r"has no crops \w+ \(it has dlib32, dlib48\)"):
            FaceLoader(store, "dlib32" if options else "arcface112", plan, **options)


def test_epochs_see_each_face_once() -> None:
    rows = np.arange(100, 123)
    parts = [Epochs(rows, 3, seed=5, rank=rank, count=2) for rank in (0, 1)]
    assert parts[0].steps_per_epoch == 3
    orders = []
    for epoch in (0, 1):
        steps = range(3 * epoch, 3 * epoch + 3)
        assert {parts[0].epoch(step) for step in steps} == {epoch}
        seen = np.concatenate([part(step) for step in steps for part in parts])
        assert len(seen) == len(set(seen.tolist())) == 18
        assert set(seen.tolist()) <= set(rows.tolist())
        orders.append(seen)
    assert orders[0].tolist() != orders[1].tolist()
    np.testing.assert_array_equal(parts[1](4), Epochs(rows, 3, seed=5, rank=1, count=2)(4))  # whatever came before
    assert parts[1](4).tolist() != Epochs(rows, 3, seed=6, rank=1, count=2)(4).tolist()
    with pytest.raises(InputError, match=r"a batch takes 12 faces in 2 processes, but 23 are there; make it smaller"):
        Epochs(rows, 12, count=2)
    with pytest.raises(InputError, match=r"rank below count"):
        Epochs(rows, 2, rank=2, count=2)


def test_classes_by_hand(tmp_path: Path) -> None:
    store = toy(tmp_path / "store", people=5, each=4, geometries=("dlib32",))
    store.subject.codes[[0, 1, 2]] = 1  # p0 keeps one picture, p1 has seven
    found = classes(store, least=4, leave_out=["p3"])
    assert found.names == ("p1", "p2", "p4")
    assert found.skipped == ("p0",)
    assert found.rows.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19]
    assert found.labels.tolist() == [0] * 7 + [1] * 4 + [2] * 4
    assert found.of(np.array([16, 0, 11])).tolist() == [2, 0, 1]
    assert classes(store, subjects=["p2", "p4", "nobody"]).names == ("p2", "p4")
    with pytest.raises(InputError, match=r"two people with at least 5 faces each, but 1 are there"):
        classes(store, least=5)
    store.settings["labelled"] = False
    with pytest.raises(InputError, match=r"holds faces of nobody in particular; prepare person folders"):
        classes(store)
