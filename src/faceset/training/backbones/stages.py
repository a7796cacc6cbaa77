"""Running a network in stages: the head in full precision, and gradient checkpointing that leaves batch norm alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

_HALVES = (torch.float16, torch.bfloat16)


def full_precision(modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Apply modules in float32 although autocast may be on: a feature is compared to within 1e-3, which bf16 is not."""
    if x.dtype in _HALVES:
        x = x.float()
    # Entered only when needed, since the exporter does not know the context.
    with contextlib.ExitStack() as context:
        kind = x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            context.enter_context(torch.autocast(kind, enabled=False))
        for module in modules:
            x = module(x)
    return x


class FullPrecision(nn.Sequential):
    """:func:`full_precision` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """See :func:`full_precision`."""
        return full_precision(list(self), x)


def checkpointed(network: nn.Module, stages: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Apply stages; their insides are computed again in the backward pass.

    Args:
        network: the module whose batch normalisation must not see the second pass.
        stages: applied one after the other.
        x: what the first one takes.
    """
    for stage in stages:
        x = checkpoint(
            stage,
            x,
            use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), _statistics_left_alone(network)),
        )
    return x


@contextlib.contextmanager
def _statistics_left_alone(network: nn.Module) -> Iterator[None]:
    """Batch norm works as before, but its running statistics keep their values and the counter does not count.

    They must still be handed to the operator, since checkpointing compares what the two passes save.
    """
    layers = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    for layer in layers:
        layer.momentum, layer.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for layer, (momentum, counter) in zip(layers, before, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, counter
