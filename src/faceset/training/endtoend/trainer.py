"""Trains a CNN and an aggregator together on pictures of face sets.

Two stages, where either may be left out: the aggregator alone on features of the CNN
as it is, then both in one graph, the CNN at a lower rate. What a run keeps is never worse on the people held out than
the end of the first stage, which is measured before the second one begins.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

import faceset
from faceset.training import aggregators, losses, runs
from faceset.training.backbones import Backbone
from faceset.training.data import TrainData, split_subjects
from faceset.training.device import autocast, channels_last, compiled, tf32
from faceset.training.distributed import Workers, workers
from faceset.training.endtoend.config import EndToEndConfig
from faceset.training.endtoend.held_out import SINGLE_FAR, Copies, HeldOut
from faceset.training.endtoend.network import EndToEnd
from faceset.training.endtoend.objective import Objective, optimiser
from faceset.training.endtoend.pictures import Ahead, FaceRows, SetPictures, Store, Targets, network_input
from faceset.training.endtoend.running import digest, load_end_to_end
from faceset.training.endtoend.stage import FROZEN, check_names, first_stage, loss_weights, targets
from faceset.training.loop import Loop
from faceset.training.sampler import SetBatch, SetSampler
from faceset.training.validation import mean_tar

Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Called with what is being done (``features``, ``frozen``, ``together``), how much of it, of how much, and figures."""


@dataclass(frozen=True, slots=True)
class EndToEndResult:
    """The outcome of :func:`train_end_to_end`.

    Attributes:
        network: with the best parameters that validation found, ready for use.
        run: the folder.
        steps: steps of the second stage done.
        best_step: after which the best parameters were found; 0: at the end of the first stage.
        blend: share of the way from the start to the end at which they lie; 1: not blended.
        score: TAR at ``config.far`` averaged over the conditions of validation.
        frozen: the same figure before the second stage.
        baseline: the same figure of the mean of features, before it.
        train, validation: the people trained on and held out.
    """

    network: EndToEnd
    run: Path
    steps: int
    best_step: int
    blend: float
    score: float
    frozen: float
    baseline: float
    train: tuple[str, ...]
    validation: tuple[str, ...]


def train_end_to_end(
    store: Store,
    config: EndToEndConfig,
    run: Path | str,
    *,
    initial: Backbone,
    crop: str = "",
    leave_out: Iterable[str] = (),
    features: TrainData | None = None,
    device: str = "",
    tensorboard: bool = True,
    progress: Progress | None = None,
    licence: str = "",
    commercial: str = "",
) -> EndToEndResult:
    """Train, or go on with a run that was killed; a finished run is only read.

    A quarter of the people, chosen by a hash of their names, is held out for validation
    (:func:`faceset.training.data.split_subjects`).

    Args:
        store: faces of people, such as :func:`faceset.training.faces.prepare` makes.
        config: the settings.
        run: folder of the run; the first stage is a run of its own in it, ``frozen``.
        initial: the backbone as it is at first; it is changed.
        crop: geometry of the crops that ``initial`` was trained on; empty: its own.
        leave_out: people to leave out of both parts.
        features: of ``initial``, clean and degraded, of the same people, where they are there already, such as the
            table of ``faceset extract``; None: they are computed.
        device: ``cpu``, ``cuda`` ...; empty: a GPU when there is one.
        tensorboard: also write TensorBoard events.
        progress: see :data:`Progress`.
        licence, commercial: of the weights of ``initial``, kept in the run.

    Raises:
        InputError: a setting out of range, people that cannot be trained on, or a folder with a run of other settings.
        ModelFileError: the checkpoint in the folder is damaged.
    """
    check_names(config)
    outside = sorted(set(leave_out))
    run, told = Path(run), progress or (lambda *_: None)
    geometry = config.crop or crop or initial.crop
    split = split_subjects((store.subject.names[c] for c in set(store.subject.codes.tolist())), leave_out=outside)
    training = FaceRows(store, split.train, degraded=config.sets.clean < 1.0)
    sampler = SetSampler(training, config.sets, config.seed)
    with workers(device) as team:
        start = digest(initial)
        first = first_stage(
            store, geometry, initial, start, config, run / FROZEN, split, outside, features, device, told
        )
        wanted = None
        if config.keep and config.steps:
            faces = training.faces
            wanted = targets(store, geometry, initial, start, faces, first.features, config, run / FROZEN, device, told)
        with ThreadPoolExecutor(config.workers) as pool:
            torch.manual_seed(config.seed)
            network = EndToEnd(
                cast(Backbone, channels_last(initial)),
                first.aggregator,
                chunk=config.chunk,
                checkpoint=config.checkpoint,
                batch_statistics=config.batch_statistics,
                cast=functools.partial(autocast, team.device, config.precision),
            )
            loss = losses.build(config.loss, initial.dim, len(split.train), **config.loss_options)
            loss_weights(run / FROZEN, loss)
            copies = Copies(
                store, geometry, initial.size, FaceRows(store, split.validation).faces, config.copies, config.augment
            )
            description = {
                "format": runs.FORMAT,
                "kind": "end-to-end",
                "faceset": faceset.__version__,
                "backbone": initial.config(),
                "preprocessing": initial.preprocessing() | {"crop": geometry},
                "aggregator": config.aggregator,
                "options": first.options,
                "dim": initial.dim,
                "licence": licence,
                "commercial": commercial,
                "settings": config.to_dict(),
                "data": {
                    "start": start,
                    "store": store.fingerprint,
                    "subjects": len(split.train),
                    "faces": int(training.faces.size),
                    "held_out": len(split.validation),
                    "left_out": len(split.left_out),
                },
            }
            trainer = _Trainer(
                Objective(network, loss, config.keep, config.anchor).to(team.device),
                config,
                sampler,
                None if wanted is None else Targets(training.faces, wanted, len(store)),
                SetPictures(store, geometry, initial.size, config.augment, config.seed),
                HeldOut(copies, config.validation_people, pool),
                run,
                team,
                description,
            )
            trainer.start()
            with trainer.batches, tf32(team.device):
                trainer.go(tensorboard, lambda done, total, figures: told("together", done, total, figures))
    backbone, aggregator, values = load_end_to_end(run)
    result = values["result"]
    return EndToEndResult(
        EndToEnd(backbone, aggregator).eval(),
        run,
        result["steps"],
        result["best_step"],
        result["blend"],
        result["score"],
        result["frozen"],
        result["baseline"],
        split.train,
        split.validation,
    )


class _Trainer(Loop):
    score_name = "tar"

    def __init__(
        self,
        work: Objective,
        config: EndToEndConfig,
        sampler: SetSampler,
        targets: Targets | None,
        pictures: SetPictures,
        held_out: HeldOut,
        run: Path,
        team: Workers,
        description: dict[str, Any],
    ) -> None:
        super().__init__(
            work,
            work.network,
            optimiser(work, config),
            config,
            run,
            team,
            description,
            same=("settings", "data", "backbone", "aggregator", "options", "dim"),
            clip=config.clip,
        )
        self.config, self.targets, self.held_out = config, targets, held_out
        self._begin = {k: v.detach().clone() for k, v in self.mean.state_dict().items()}

        def make(step: int, pool: ThreadPoolExecutor) -> tuple[SetBatch, Tensor]:
            batch = sampler.batch(step, team.rank)
            return batch, torch.from_numpy(pictures.of(batch, step, team.rank, pool))

        self.batches = Ahead(make, config.steps, config.workers)

    @property
    def _network(self) -> EndToEnd:
        return cast(EndToEnd, self.mean)

    def wrap(self) -> nn.Module:
        return compiled(self.team.wrap(self.work, static=True), self.config.compile)

    def loss(self, work: nn.Module, step: int) -> Tensor:
        device = self.team.device
        batch, pictures = self.batches.take(step)
        faces = network_input(pictures.numpy(), self._network.backbone, device)
        mask, subjects = (torch.from_numpy(x).to(device) for x in (batch.mask, batch.subjects))
        wanted = None if self.targets is None else self.targets.of(batch).to(device)
        value: Tensor = work(faces, mask, subjects, wanted)
        return value

    def measure(self, step: int) -> tuple[float, dict[str, float]]:
        score, figures, data = self._look(self._network)
        if step == 0:
            mean = self.held_out.rates(aggregators.build("mean", self._network.backbone.dim), data, self.config.far)
            self.state |= {"frozen": score, "baseline": mean_tar(mean)}
        return score, figures

    def result(self, best: nn.Module, step: int) -> dict[str, Any]:
        found: dict[str, Any] = {"far": self.config.far, "blend": 1.0, "score": self.state["best"]}
        kept, end = cast(EndToEnd, best), self.mean.state_dict()
        for share in self.config.blends if self.state["step"] else ():
            between = copy.deepcopy(self._network)
            between.load_state_dict(
                {k: self._begin[k].lerp(v, share) if v.is_floating_point() else v for k, v in end.items()}
            )
            score, _, _ = self._look(between)
            if score > found["score"]:
                found |= {"blend": share, "best_step": step, "score": score}
                kept = between
        if found["blend"] != 1.0:
            runs.write_tensors(self.run / runs.MODEL, kept.state_dict(), {"step": step, "blend": found["blend"]})
        _, figures, _ = self._look(kept)
        single, same, other = self.held_out.singles(self.held_out.look(kept, exact=True))
        return found | {
            "frozen": self.state["frozen"],
            "baseline": self.state["baseline"],
            "tar": {name.removeprefix("tar/"): tar for name, tar in figures.items()},
            "tar_single": single.tar,
            "threshold": single.threshold,
            "threshold_source": (
                f"FAR {SINGLE_FAR:g} of two single faces as they are, of people held out of training: {same} pairs of "
                f"one person, {other} of two"
            ),
        }

    def _look(self, network: EndToEnd) -> tuple[float, dict[str, float], TrainData]:
        """Score, TAR in each condition, and the features they come from."""
        data = self.held_out.look(network)
        rates = self.held_out.rates(network.aggregator, data, self.config.far)
        return mean_tar(rates), {f"tar/{name}": rate.tar for name, rate in rates.items()}, data
