"""The steps of an embedder's training."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from faceset.training import runs
from faceset.training.backbones import Backbone
from faceset.training.distributed import Workers
from faceset.training.embedder.config import EmbedderConfig
from faceset.training.embedder.examples import Example, Examples
from faceset.training.embedder.measuring import Measuring
from faceset.training.embedder.network import Work
from faceset.training.embedder.whitening import whiten
from faceset.training.loop import Loop


class EmbedderLoop(Loop):
    """See :class:`faceset.training.loop.Loop`; ``config.steps`` is given."""

    def __init__(
        self,
        work: Work,
        optimiser: torch.optim.Optimizer,
        config: EmbedderConfig,
        run: Path,
        team: Workers,
        description: Mapping[str, Any],
        examples: Examples,
        measuring: Measuring,
    ) -> None:
        same = ("settings", "data", "backbone", "preprocessing", "teacher")
        super().__init__(work, work.backbone, optimiser, config, run, team, description, same=same, clip=config.clip)
        self._module, self._config, self._examples, self._measuring = work, config, examples, measuring
        self._batches: Iterator[Example] | None = None
        self._waited, self._since, self._done = 0.0, 0.0, 0

    def wrap(self) -> nn.Module:
        """The module with compiled backbone, for several processes."""
        self._module.compile(self._config.compile)
        whole = (bool(self._config.head) and self._measuring.teaches) or self._config.freeze > 0
        work: nn.Module = self._module
        if self._config.sync_bn and self.team.count > 1:
            work = nn.SyncBatchNorm.convert_sync_batchnorm(work)  # type: ignore[no-untyped-call]
        return self.team.wrap(work, unused=whole)

    def loss(self, work: nn.Module, step: int) -> Tensor:
        """The loss of a batch."""
        began = time.perf_counter()
        if self._batches is None:
            self._batches = self._examples.batches(step, self._config.steps)
            self._since = began
        example = next(self._batches)
        self._waited += time.perf_counter() - began
        self._done += 1
        frozen = step < self._config.freeze
        if frozen != self._module.frozen:
            self._module.frozen = frozen
            self._module.train()
        value: Tensor = work(*example)
        return value

    def measure(self, step: int) -> tuple[float, dict[str, float]]:
        """Score and figures of the mean, and how fast training was since the last time."""
        seconds = max(time.perf_counter() - self._since, 1e-9) if self._done else float("nan")
        speed = {
            "images_per_second": self._done * self._config.batch / seconds,
            "waiting": self._waited / seconds,
        }
        figures = self._measuring.figures(cast(Backbone, self.mean), self._config.precision)
        self._waited, self._done, self._since = 0.0, 0, time.perf_counter()
        return self._measuring.score(figures), figures | speed

    def result(self, best: nn.Module, step: int) -> dict[str, Any]:
        """Figures and threshold of the best parameters, in float32; they are whitened first where that is asked for."""
        backbone, power = cast(Backbone, best), self._config.whiten
        if power:
            _, header = runs.read_tensors(self.run / runs.MODEL)
            if "whitened" not in header:  # else a kill came between this and the end of the run
                whiten(backbone, self._measuring.embed(backbone, self._examples.rows), power)
                runs.write_tensors(self.run / runs.MODEL, backbone.state_dict(), header | {"whitened": power})
        return self._measuring.result(backbone, as_taught=not power)

    def close(self) -> None:
        """End what prepares batches ahead."""
        if isinstance(self._batches, Generator):
            self._batches.close()
