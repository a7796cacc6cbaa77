"""One process or many: ``torchrun`` starts the processes, this joins them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from faceset.errors import InputError
from faceset.training.device import choose


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

    def wrap(self, work: nn.Module, *, static: bool = False, unused: bool = True) -> nn.Module:
        """The module whose gradients are averaged over the processes, made after its parameters were frozen or freed.

        Pairs are formed within the batch of each process; the gradients are averaged. Buffers, such as the statistics
        of batch normalisation, follow those of the first process.

        Args:
            work: module whose forward gives the loss.
            static: the same parameters take part in every step, each process alike; needed where a forward pass is
                done again in the backward pass (gradient checkpointing) or a module runs more than once a step.
            unused: some parameters may get no gradient in a step; looked for at a small cost. Nothing with ``static``,
                which finds them in the first step.
        """
        if self.count == 1:
            return work
        return nn.parallel.DistributedDataParallel(
            work, find_unused_parameters=unused and not static, static_graph=static
        )

    def agree(self, value: float) -> float:
        """The value of the first process, in all of them."""
        if self.count == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(box, 0)
        return float(box)

    def mean(self, value: float) -> float:
        """The mean of the values of all processes, in all of them."""
        if self.count == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(box)
        return float(box) / self.count

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def workers(device: str = "") -> Iterator[Workers]:
    """The processes that ``torchrun`` started, or this one alone.

    Within another ``workers`` the processes are joined already, and stay so until the outer one ends.

    Args:
        device: ``cpu``, ``cuda`` ...; empty: a GPU when there is one. Several processes on GPUs take one each.

    Raises:
        InputError: the device is not known or not there, or there are fewer GPUs than processes on this machine.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = choose(device)
    if count == 1:
        yield Workers(0, 1, place)
        return
    gpu = place.type == "cuda"
    if gpu:
        place = _own_gpu(place, int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count())
        torch.cuda.set_device(place)
    if distributed.is_initialized():
        yield Workers(rank, count, place)
        return
    # One process may prepare faces for long while the others wait.
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=timedelta(hours=12))
    try:
        yield Workers(rank, count, place)
        distributed.barrier()  # a process that takes the group down while another still talks to it makes that one fail
    finally:
        distributed.destroy_process_group()


def _own_gpu(asked: torch.device, number: int, there: int) -> torch.device:
    """The GPU of process ``number`` of this machine, of the ``there`` GPUs."""
    if asked != torch.device("cuda"):
        raise InputError(f"device {asked} is one GPU for several processes; leave the number out, each takes its own")
    if number >= there:
        raise InputError(f"process {number} finds no GPU of its own, there are {there}; start {there} processes")
    return torch.device("cuda", number)
