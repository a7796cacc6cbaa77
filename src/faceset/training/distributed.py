"""One process or many: ``torchrun`` starts the processes, this joins them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of a run.

    Attributes:
        rank: number of this one.
        count: how many there are.
        device: where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wrap(self, work: nn.Module) -> nn.Module:
        """The module whose gradients are averaged over the processes.

        Pairs are formed within the batch of each process; the gradients are averaged.
        """
        if self.count == 1:
            return work
        return nn.parallel.DistributedDataParallel(work, find_unused_parameters=True)

    def agree(self, value: float) -> float:
        """The value of the first process, in all of them."""
        if self.count == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(box, 0)
        return float(box)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def workers(device: str = "") -> Iterator[Workers]:
    """The processes that ``torchrun`` started, or this one alone.

    Args:
        device: ``cpu``, ``cuda`` ...; empty: a GPU when there is one.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    gpu = device.startswith("cuda") or (not device and torch.cuda.is_available())
    if count == 1:
        yield Workers(0, 1, torch.device(device or ("cuda" if gpu else "cpu")))
        return
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpu else torch.device(device or "cpu")
    if gpu:
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Workers(rank, count, place)
        distributed.barrier()  # a process that takes the group down while another still talks to it makes that one fail
    finally:
        distributed.destroy_process_group()
