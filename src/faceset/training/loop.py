"""What every trainer shares: steps, the mean of the parameters, validation, log, checkpoints, going on after a kill.

A step is a function of the seed and its number, and a checkpoint holds all the rest, so that on the CPU with the same
number of threads a run that was killed and run again ends with the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training import runs
from faceset.training.distributed import Workers

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with the steps done, the steps in all, and the latest figures: at each validation, and about once a second."""

_A_SECOND = 1.0
_UNSEEN = 20  # steps on a GPU between two looks at the loss, each of which makes the GPU wait


class LoopSettings(Protocol):
    """What a loop reads of the settings of a run."""

    @property
    def steps(self) -> int:
        """Batches."""

    @property
    def validate_every(self) -> int:
        """Steps between two validations; every one also leaves a checkpoint."""

    @property
    def patience(self) -> int:
        """Validations without a better result after which training ends; 0: never."""

    @property
    def average(self) -> float:
        """Share kept of the running mean at each step, 0 for none."""

    @property
    def seed(self) -> int:
        """Of everything that is drawn."""

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""


class Loop(ABC):
    """A training run; a trainer says what a step's loss is, what is measured, and what the result is.

    Args:
        work: everything that is trained, the layers of the loss too; the checkpoint holds its state.
        kept: the module within ``work`` that is wanted. A running mean of it is validated, and the best written to
            ``model.safetensors``. The mean takes in all numbers of its state that are not whole: parameters, and the
            running statistics of batch normalisation, which so stay those of the parameters they go with.
        optimiser: a parameter group may carry ``scale``, by which its learning rate is multiplied.
        settings: see :class:`LoopSettings`.
        run: folder of the run.
        team: the processes.
        description: the coming ``config.json``.
        same: its keys that must be equal in a run that goes on, but for the number of workers.
        clip: greatest norm of the gradient, 0 for any.
    """

    score_name = "score"
    """What the score is called in the log and to the progress callback."""

    def __init__(
        self,
        work: nn.Module,
        kept: nn.Module,
        optimiser: torch.optim.Optimizer,
        settings: LoopSettings,
        run: Path,
        team: Workers,
        description: Mapping[str, Any],
        *,
        same: Sequence[str] = ("settings", "data"),
        clip: float = 0.0,
    ) -> None:
        self.work, self.optimiser, self.settings, self.run, self.team = work, optimiser, settings, run, team
        self.description: dict[str, Any] = json.loads(json.dumps(description))
        self.mean = copy.deepcopy(kept).eval().requires_grad_(False)
        self.state: dict[str, Any] = {"step": 0, "best": None, "best_step": 0, "stale": 0, "done": False}
        self._same, self._clip = same, clip
        pairs = list(zip(self.mean.state_dict().values(), kept.state_dict().values(), strict=True))
        self._averaged = [p for p in pairs if p[0].is_floating_point()]
        self._copied = [p for p in pairs if not p[0].is_floating_point()]
        self._losses: list[Tensor] = []  # of the latest steps, not yet looked at
        self._total, self._began = 0.0, time.perf_counter()
        self._told, self._row = self._began, dict[str, Any]()  # when progress was last called, and with what

    @abstractmethod
    def loss(self, work: nn.Module, step: int) -> Tensor:
        """Draw the batch of a step and give its loss, a scalar; ``work`` is what :meth:`wrap` made."""

    @abstractmethod
    def measure(self, step: int) -> tuple[float, dict[str, float]]:
        """How good :attr:`mean` is: the score, higher = better, and figures for the log.

        The names of the figures are the same at each call. Called in the first process only.
        """

    @abstractmethod
    def result(self, best: nn.Module, step: int) -> dict[str, Any]:
        """``result`` of ``config.json`` after the last step; in the first process only."""

    def wrap(self) -> nn.Module:
        """The module that is called in each step."""
        return self.team.wrap(self.work)

    def start(self) -> None:
        """Take up the checkpoint of the folder, or begin one.

        Raises:
            InputError: the folder holds a run of another kind or of other settings.
            ModelFileError: its checkpoint is damaged.
        """
        if (self.run / runs.CHECKPOINT).exists():
            found = runs.read_config(self.run, *runs.KINDS)
            for key in ("kind", *self._same):
                different = differences(found.get(key), self.description.get(key))
                if different:
                    raise InputError(
                        f"{self.run} holds a run with other {key} ({'; '.join(different)}); choose another folder, or "
                        "delete that one"
                    )
            tensors, self.state = runs.read_tensors(self.run / runs.CHECKPOINT)
            self.work.load_state_dict({k[5:]: v for k, v in tensors.items() if k.startswith("work.")})
            self.mean.load_state_dict({k[5:]: v for k, v in tensors.items() if k.startswith("mean.")})
            runs.unpack_optimiser(self.optimiser, tensors)
            if self.team.first:
                runs.cut_log(self.run / runs.LOG, self.state["step"])
        elif self.team.first:
            self.run.mkdir(parents=True, exist_ok=True)
            (self.run / runs.LOG).unlink(missing_ok=True)
            runs.write_json(self.run / runs.CONFIG, self.description)
        self.team.wait()

    def go(self, tensorboard: bool, progress: Progress | None) -> None:
        """Train until the last step, or until validation has not improved for long enough.

        Raises:
            InputError: the loss is not finite any more; the checkpoint of the last validation stays.
        """
        settings, step = self.settings, int(self.state["step"])
        if self.state["done"]:
            return
        board = _board(self.run, step) if tensorboard and self.team.first else None
        with contextlib.ExitStack() as after:
            if board is not None:
                after.callback(board.close)  # it has a thread of its own
            work = self.wrap()
            self._began = time.perf_counter()
            if self.state["best"] is None:
                self._validate(0, float("nan"), board, progress)
            while step < settings.steps and not self._stale():
                self._step(work, step)
                step += 1
                if step % settings.validate_every == 0 or step == settings.steps:
                    self._settle(step)
                    loss = self.team.mean(self._total / (step - self.state["step"]))
                    self._check(loss, step)  # of all processes
                    self._validate(step, loss, board, progress)
                    self._total = 0.0
                elif progress is not None and self._row and time.perf_counter() - self._told > _A_SECOND:
                    self._settle(step)
                    self._tell(progress, step, self._row | {"loss": self._total / (step - self.state["step"])})
            self._finish(step)

    def _step(self, work: nn.Module, step: int) -> None:
        seed = self.settings.seed
        torch.manual_seed((seed * 1_000_003 + step) * 1_009 + self.team.rank)  # dropout
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate(step) * group.get("scale", 1.0)
        self.work.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(work, step)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._clip:
            nn.utils.clip_grad_norm_(self.work.parameters(), self._clip)
        self.optimiser.step()
        keep = min(self.settings.average, step / (step + 10))  # the first steps do not drag the start along
        with torch.no_grad():
            torch._foreach_lerp_([m for m, _ in self._averaged], [v for _, v in self._averaged], 1.0 - keep)
            for mean, value in self._copied:
                mean.copy_(value)
        self._losses.append(loss.detach())
        if loss.device.type == "cpu" or len(self._losses) >= _UNSEEN:
            self._settle(step + 1)

    def _settle(self, step: int) -> None:
        """Add up the losses that were not looked at yet."""
        for value in torch.stack(self._losses).tolist() if self._losses else ():
            self._check(value, step)
            self._total += value
        self._losses.clear()

    def _check(self, loss: float, step: int) -> None:
        if loss - loss != 0.0:
            raise InputError(
                f"the loss is {loss} by step {step}, so that training cannot go on; {self.run} keeps the checkpoint of "
                f"step {self.state['step']}. Take a lower learning_rate, a longer warmup or clip, in another folder"
            )

    def _stale(self) -> bool:
        return bool(self.settings.patience and self.state["stale"] >= self.settings.patience)

    def _validate(self, step: int, loss: float, board: Any, progress: Progress | None) -> None:
        """Measure, keep the best parameters, leave a checkpoint; every process takes the same decision."""
        score, figures = self.measure(step) if self.team.first else (0.0, {})
        score = self.team.agree(score)
        better = self.state["best"] is None or score > self.state["best"]
        self.state |= {"step": step, "stale": 0 if better else self.state["stale"] + 1}
        if better:
            self.state |= {"best": score, "best_step": step}
        row = {"step": step, "loss": loss, "rate": self.settings.rate(step), self.score_name: score, **figures}
        if self.team.first:
            if better:
                runs.write_tensors(self.run / runs.MODEL, self.mean.state_dict(), {"step": step})
            runs.append_log(self.run / runs.LOG, row)
            self._checkpoint()
            for name, value in row.items() if board is not None else ():
                if name != "step" and value == value:
                    board.add_scalar(name, value, step)
            if progress is not None:
                self._row = row
                self._tell(progress, step, row)
        self.team.wait()

    def _tell(self, progress: Progress, step: int, row: Mapping[str, Any]) -> None:
        self._told = time.perf_counter()
        done = {"step": step, "best": self.state["best"], "seconds": self._told - self._began}
        progress(step, self.settings.steps, {**row, **done})

    def _checkpoint(self) -> None:
        tensors = {f"work.{k}": v for k, v in self.work.state_dict().items()}
        tensors |= {f"mean.{k}": v for k, v in self.mean.state_dict().items()}
        runs.write_tensors(self.run / runs.CHECKPOINT, tensors | runs.pack_optimiser(self.optimiser), self.state)

    def _finish(self, step: int) -> None:
        if self.team.first:
            best = copy.deepcopy(self.mean)
            best.load_state_dict(runs.read_tensors(self.run / runs.MODEL)[0])
            known = {"steps": step, "best_step": self.state["best_step"], "score": self.state["best"]}
            self.description["result"] = known | self.result(best, step)
            runs.write_json(self.run / runs.CONFIG, self.description)
            self.state["done"] = True
            self._checkpoint()
        self.team.wait()


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimiser: decay on matrices and kernels, none on biases and the scales of normalisation."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [g for g in groups if g["params"]]


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """What differs, each as ``seed: 0, now 1``, groups as ``distil.weight``; numbers of workers may differ."""
    if old == new or name == "workers":
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new})
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{name}.{k}" if name else k)]
    return [f"{name + ': ' if name else ''}{_word(old)}, now {_word(new)}"]


def _word(value: object) -> str:
    return "none" if value is None or value == "" else str(value)


def _board(run: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
