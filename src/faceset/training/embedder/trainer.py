"""Trains a backbone on faces: by who is who, by a teacher's features, or by both.

Each process of a distributed run sees its own part of every batch. Batch normalisation is over that part, unless
``sync_bn`` is set.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import faceset
from faceset.alignment import geometry
from faceset.embedding import Embedder
from faceset.errors import InputError
from faceset.training import backbones, losses, runs
from faceset.training.backbones import Backbone
from faceset.training.device import channels_last, precision, tf32
from faceset.training.distributed import Workers, workers
from faceset.training.embedder.config import HEADS, EmbedderConfig
from faceset.training.embedder.curve import draw_curve
from faceset.training.embedder.examples import Examples
from faceset.training.embedder.lfw import LfwPairs, faces_of, pairs_in, people_of, read_pairs
from faceset.training.embedder.measuring import Measuring
from faceset.training.embedder.network import Weights, Work, last_layer, last_rate, start_at
from faceset.training.embedder.people import Parts, parts
from faceset.training.embedder.result import KIND, EmbedderResult, load_embedder
from faceset.training.embedder.rights import rights
from faceset.training.embedder.steps import EmbedderLoop
from faceset.training.embedder.targets import Targets
from faceset.training.embedder.whitening import check_foldable
from faceset.training.faces import FaceStore
from faceset.training.loop import Progress, parameter_groups


def train_embedder(
    store: FaceStore,
    config: EmbedderConfig,
    run: Path | str,
    *,
    leave_out: Iterable[str] = (),
    teacher: Embedder | None = None,
    initial: Backbone | None = None,
    device: str = "",
    tensorboard: bool = True,
    curve: bool = True,
    progress: Progress | None = None,
    lfw: Path | str | None = None,
    licence: str = "",
    commercial: str = "",
    data: str = "",
) -> EmbedderResult:
    """Train, or go on with a run that was killed; a finished run is only read.

    A quarter of the people, chosen by a hash of their names, is held out for validation
    (:func:`faceset.training.data.split_subjects`).

    Args:
        store: the faces, prepared for the student's crop (and for the teacher's).
        config: the settings.
        run: folder of the run.
        leave_out: people to leave out of training and validation.
        teacher: whose features are learnt; None: ``config.head`` alone teaches.
        initial: weights to start from; the backbone of ``config``; it is not changed.
        device: ``cpu``, ``cuda`` ...; empty: a GPU when there is one.
        tensorboard: also write TensorBoard events.
        curve: draw ``curve.png`` at the end, where matplotlib is installed.
        progress: gets ``loss``, ``score``, ``best``, ``images_per_second``, ``waiting``, ``seconds`` and the figures.
        lfw: folder with ``pairs.txt`` and the pictures of LFW; the accuracy on its pairs is measured too, and everybody
            in a pair is left out of training.
        licence: of the weights, in words; empty: the teacher's, else unknown.
        commercial: ``yes``, ``no`` or ``unknown``; never more than the teacher allows; empty: inherited.
        data: what it is trained on, in words.

    Raises:
        InputError: a setting out of range, faces that cannot be trained on, or a folder with a run of other settings.
        ModelFileError: the checkpoint in the folder is damaged.
        ProtocolError: ``pairs.txt`` is missing or damaged.
    """
    folder = Path(run)
    learns = teacher is not None and config.distil.weight > 0.0
    if not learns and not config.head:
        raise InputError("there is nothing to learn from: set head to softmax, arcface or cosface, or give a teacher")
    with workers(device) as team:
        if config.sync_bn and team.device.type != "cuda":
            raise InputError("sync_bn works on GPUs only; leave it out, or give a GPU as device")
        torch.manual_seed(config.seed)
        backbone = student(config, initial)
        channels_last(backbone)  # in place
        if config.whiten:
            check_foldable(backbone)
        crop = backbone.crop
        for name in [crop] + ([teacher.geometry.name] if teacher is not None else []):
            if name not in store.geometries:
                raise InputError(
                    f"the store has no crops {name!r} ({', '.join(store.geometries)}); prepare it with that geometry"
                )
        pairs = None if lfw is None else read_pairs(Path(lfw))
        outside = set(leave_out) | (set() if pairs is None else set(people_of(pairs)))
        split = parts(store, outside)
        found = None if pairs is None else _lfw_faces(pairs, Path(str(lfw)), store, folder, crop, team)
        features = _features(store, teacher, team)
        examples = Examples(store, split, config, crop, teacher if learns else None, features, backbone.dim, team)
        if examples.targets is not None and (initial is None or initial.replaced):
            start_at(backbone, torch.from_numpy(examples.targets.mean), examples.targets.spread)
        planned = config.planned(examples.plan.steps_per_epoch)
        head = None
        if config.head:
            options = {**config.head_options, "label_smoothing": config.label_smoothing}
            head = losses.build(HEADS[config.head], backbone.dim, examples.classes, **options)
        work = Work(
            backbone,
            head,
            unit=config.head != "softmax",
            weights=Weights(config.head_weight, config.distil.weight),
            distil=config.distil,
            spread=1.0 if examples.targets is None else examples.targets.spread,
            precision=config.precision,
        ).to(team.device)
        words, allowed = rights(teacher, initial is not None, licence, commercial)
        description = {
            "format": runs.FORMAT,
            "kind": KIND,
            "faceset": faceset.__version__,
            "backbone": backbone.config(),
            "preprocessing": backbone.preprocessing(),
            "settings": config.to_dict(),
            "teacher": None if teacher is None else teacher.model_id,
            "data": _data(store, split, examples, found, data),
            "licence": words,
            "commercial": allowed,
            "precision": precision(team.device, config.precision),
        }
        measuring = Measuring(store, split, crop, config, teacher, features, examples.targets, found, team.device)
        loop = EmbedderLoop(
            work, _optimiser(work, planned, examples.targets), planned, folder, team, description, examples, measuring
        )
        with tf32(team.device):
            loop.start()
            try:
                loop.go(tensorboard, progress)
            finally:
                loop.close()
        trained, made = load_embedder(folder)
        if curve and team.first:
            draw_curve(folder, f"{backbone.name}, {examples.rows.size} faces")
    result = made["result"]
    return EmbedderResult(
        trained,
        folder,
        result["steps"],
        result["best_step"],
        result["score"],
        result["threshold"],
        result["threshold_source"],
        result["figures"],
        result["teacher"],
        *split.split,
    )


def student(config: EmbedderConfig, initial: Backbone | None = None) -> Backbone:
    """The backbone of the settings with fresh weights, or a copy of ``initial``.

    Raises:
        InputError: a setting of the backbone is out of range, ``initial`` is another network, or the crop has another
            size.
    """
    backbone = backbones.build(config.backbone, dim=config.dim, size=config.size or None, **config.options)
    if initial is not None:
        if initial.config() != backbone.config():
            raise InputError(
                f"the weights to start from are of {initial.config()}, but the settings ask for {backbone.config()}; "
                "make them equal"
            )
        backbone = copy.deepcopy(initial)
    if config.crop:
        size = geometry(config.crop).size
        if size != backbone.size:
            raise InputError(f"crop {config.crop!r} is {size} pixels, but the backbone takes {backbone.size}")
        backbone.crop = config.crop
    return backbone


def _lfw_faces(pairs: Any, root: Path, store: FaceStore, run: Path, crop: str, team: Workers) -> LfwPairs:
    if team.first:
        faces = faces_of(pairs, root, store, run / "lfw-faces", crop)
    team.wait()
    if not team.first:
        faces = faces_of(pairs, root, store, run / "lfw-faces", crop, make=False)
    return pairs_in(pairs, faces)


def _features(store: FaceStore, teacher: Embedder | None, team: Workers) -> Any:
    """(M, 2, W) features of the teacher, made by the first process and then read by all."""
    if teacher is None:
        return None
    if team.first:
        store.teacher(teacher)
    team.wait()
    return store.teacher(teacher)


def _optimiser(work: Work, config: EmbedderConfig, goal: Targets | None) -> torch.optim.Optimizer:
    groups = parameter_groups(work, config.weight_decay)
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)
    last = None if goal is None or config.distil.loss != "mse" else last_layer(work.backbone, work.backbone.dim)
    if last is not None and goal is not None:
        own = {id(p) for p in last}
        groups += [
            {
                **group,
                "params": [p for p in group["params"] if id(p) in own],
                "scale": last_rate(work.backbone, work.backbone.dim, goal.spread),
            }
            for group in groups
        ]
        for group in groups[: len(groups) // 2]:
            group["params"] = [p for p in group["params"] if id(p) not in own]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate)


def _data(store: FaceStore, split: Parts, examples: Examples, pairs: LfwPairs | None, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "text": text,
        "fingerprint": store.fingerprint,
        "faces": int(examples.rows.size),
        "classes": examples.classes,
        "named": split.named,
        "people": len(split.split.train),
        "held_out": len(split.split.validation),
        "left_out": len(split.split.left_out),
    }
    if pairs is not None:
        found["lfw"] = {"people": len(pairs.people), "pairs": int(pairs.same.size), "without_a_face": pairs.missed}
    return found
