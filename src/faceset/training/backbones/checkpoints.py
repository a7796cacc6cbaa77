"""Weights from a file into a network: read without running code, compared key for key, loaded whole or not at all."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from faceset.errors import ModelFileError

IMAGENET_CLASSES = 1000
"""A last layer of this width in a foreign file is a classifier."""

_AUXILIARY = ("aux1.", "aux2.")  # classifiers of torchvision's GoogLeNet that only its own training uses
_COUNTER = ".num_batches_tracked"  # not in files from before torch 0.4.1; it changes no output
_WRAPPINGS = ("state_dict", "state_dict_backbone")  # the second is what arcface_torch resumes from
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors of a file.

    Attributes:
        path: the file.
        tensors: by key.
        own: whether faceset wrote it.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    own: bool

    def width(self, key: str) -> int:
        """First dimension of a tensor; 0 where it is not there."""
        found = self.tensors.get(key)
        return int(found.shape[0]) if found is not None and found.ndim else 0


def read(path: Path) -> Checkpoint:
    """The tensors of a checkpoint of torch or safetensors, on the CPU.

    Raises:
        ModelFileError: missing, empty, truncated, or with anything but tensors.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelFileError(
            f"checkpoint {path} cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from error
    if not start:
        raise ModelFileError(f"checkpoint {path} is empty; download or save it again")
    if path.suffix == ".onnx":
        raise ModelFileError(
            f"{path} is an ONNX graph, which cannot be trained on; give the checkpoint that it was made from, or take "
            "it as the teacher: `faceset models import`"
        )
    if start[8:] == b"{":  # safetensors: eight bytes of length, then JSON
        return _safetensors(path)
    return Checkpoint(path, _tensors(path, _torch(path)), own=False)


def load(network: nn.Module, found: Checkpoint, fresh: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Copy the tensors of a file into a network.

    Args:
        network: its keys and shapes are what the file must have.
        found: the file.
        fresh: prefixes of keys that are left as they are, whatever the file has there.

    Returns:
        The keys of the network that were left as they are.

    Raises:
        ModelFileError: a key is missing, is too much, has another shape, or holds NaN or infinity.
    """
    own = network.state_dict()
    wanted = {k: v for k, v in own.items() if not k.startswith(fresh)} if fresh else own
    given = {k: v for k, v in found.tensors.items() if not k.startswith((*fresh, *_AUXILIARY))}
    differ = differences(wanted, given)
    if differ:
        name = getattr(network, "name", type(network).__name__)
        more = f" and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
        raise ModelFileError(
            f"{found.path} is not a checkpoint of {name}: {'; '.join(differ[:_SHOWN])}{more}; {_cure(name, given)}"
        )
    for key, value in given.items():
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all()):
            raise ModelFileError(f"{found.path} is damaged: {key} holds NaN or infinity; download or save it again")
    network.load_state_dict({**own, **given})
    return tuple(k for k in own if k not in wanted)


def differences(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What tells the keys and shapes of a file from those of a network, in the order of the network, then of the file.

    >>> a, b = torch.zeros(2, 3), torch.zeros(3)
    >>> differences({"w": a, "b": b}, {"w": b, "c": a})
    ['w is (3,), not (2, 3)', 'b is missing', 'c (2, 3) is too much']
    """
    found = []
    for key, tensor in wanted.items():
        if key not in given:
            if not key.endswith(_COUNTER):
                found.append(f"{key} is missing")
        elif given[key].shape != tensor.shape:
            found.append(f"{key} is {tuple(given[key].shape)}, not {tuple(tensor.shape)}")
        elif given[key].is_floating_point() != tensor.is_floating_point():
            found.append(f"{key} is {given[key].dtype}, not {tensor.dtype}")
    return found + [f"{key} {tuple(given[key].shape)} is too much" for key in given if key not in wanted]


def fits(network: nn.Module, tensors: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> bool:
    """Whether keys and shapes agree where a key has one of the prefixes."""
    wanted = {k: v for k, v in network.state_dict().items() if k.startswith(prefixes)}
    return not differences(wanted, {k: v for k, v in tensors.items() if k.startswith(prefixes)})


def _cure(name: str, given: Mapping[str, Tensor]) -> str:
    """What to do with a file that does not fit: the name of the network that it fits, where there is one."""
    from faceset.training import backbones

    for other in backbones.names():
        with torch.device("meta"):
            network = backbones.build(other)
        head = network.form.head
        body = {k: v for k, v in network.state_dict().items() if not k.startswith(head)}
        if other != name and not differences(body, {k: v for k, v in given.items() if not k.startswith(head)}):
            return f"it is one of {other}: name that backbone"
    return f"give one of {name}, or name the backbone that the file is of"


def _safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            own = "faceset" in (file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged ({error}); download or save it again") from error
    return Checkpoint(path, _tensors(path, tensors), own)


def _torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():  # of pickle protocols that it may not read: then it fails
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))  # the class or function that was to be called
        if found is None:
            raise ModelFileError(f"{path} is damaged, or no checkpoint of torch; download or save it again") from error
        raise ModelFileError(
            f"{path} holds pickled code ({found.group(1)}), which could do anything once it is read, "
            "and is refused; where you trust it, save its tensors alone: torch.save(model.state_dict(), 'weights.pth')"
        ) from error
    except Exception as error:  # a damaged file ends in any exception: RuntimeError, EOFError, KeyError, struct.error
        text = str(error).partition("\n")[0].partition(". This is")[0]
        reason = text if " " in text else type(error).__name__
        raise ModelFileError(
            f"{path} is damaged, or no checkpoint of torch ({reason}); download or save it again"
        ) from error


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The ``state_dict`` in what a file holds."""
    for key in _WRAPPINGS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        kind = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise ModelFileError(f"{path} holds {kind}, not the tensors of a network; save model.state_dict()")
    wrong = [key for key, value in content.items() if not isinstance(key, str) or not _plain(value)]
    if wrong:
        raise ModelFileError(
            f"{path} is not a state_dict: {', '.join(repr(key) for key in wrong[:_SHOWN])} "
            f"{'is no dense tensor' if len(wrong) == 1 else 'are no dense tensors'}; save model.state_dict()"
        )
    tensors: dict[str, Tensor] = dict(content)
    if all(key.startswith("module.") for key in tensors):  # saved from within DistributedDataParallel
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_quantized or value.is_meta)
