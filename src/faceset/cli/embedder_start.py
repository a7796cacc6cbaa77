"""What ``faceset train-embedder`` starts from: the teacher, the first weights, and the settings that follow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from faceset.errors import InputError
from faceset.training.embedder.config import HEADS, EmbedderConfig

if TYPE_CHECKING:
    from faceset.embedding import Embedder
    from faceset.training.backbones import Backbone

INSTALLED = "installed"
"""As ``--init``: the weights that come inside an installed package."""
STRICTEST = ("no", "unknown", "yes")
"""Answers to whether commercial use is allowed; of two parts the first named counts."""


class Start(NamedTuple):
    """First weights and what is known of them.

    Attributes:
        backbone: None: fresh ones.
        settings: the settings of :class:`EmbedderConfig` that come with them.
        licence: in words; empty: not known.
        commercial: ``yes``, ``no``, ``unknown`` or empty.
    """

    backbone: Backbone | None = None
    settings: Mapping[str, Any] = {}
    licence: str = ""
    commercial: str = ""


def teacher_of(name: str | None) -> Embedder | None:
    """The embedder of that name, manifest or pack; ``default`` is the one that is always there.

    Raises:
        ModelError: it is not here; the message says how to get it.
    """
    if name is None:
        return None
    from faceset.embedding import DEFAULT, Embedder
    from faceset.packs.pack import open_pack

    if Path(name).is_dir():
        pack = open_pack(name)
        return Embedder(pack.manifest, pack.embedder)
    return Embedder.load(DEFAULT if name == "default" else name)


def weights_of(init: str | None, given: Mapping[str, Any]) -> Start:
    """The weights that ``--init`` names.

    Args:
        init: a checkpoint, a run, ``installed``, or None.
        given: settings that the caller has chosen; the width and size not among them are those of the weights.

    Raises:
        InputError: there is nothing of that name, or the run is of another backbone than chosen.
        ModelFileError: the weights are damaged or of another network.
    """
    if init is None:
        return Start()
    from faceset.training import backbones

    path = Path(init)
    if path.is_dir():
        return _of_run(path, given)
    name = given.get("backbone", "dlib-resnet" if init == INSTALLED else EmbedderConfig().backbone)
    shape = {"dim": given.get("dim"), "size": given.get("size") or None, **given.get("options", {})}
    if init == INSTALLED:
        from faceset.packs.registry import registry

        backbone = backbones.from_pretrained(name, **shape)
        manifest = registry()[name]
        return Start(backbone, _settings(backbone), manifest.licence, manifest.commercial)
    if not path.is_file():
        raise InputError(f"--init {init}: there is no such file or folder; give a checkpoint, a run, or {INSTALLED}")
    backbone = backbones.from_pretrained(name, path, **shape)
    return Start(backbone, _settings(backbone))


def _of_run(run: Path, given: Mapping[str, Any]) -> Start:
    from faceset.training import backbones, runs

    config = runs.read_config(run, "embedder", "end-to-end")
    name, options = config["backbone"]["name"], dict(config["backbone"]["options"])
    if given.get("backbone", name) != name:
        raise InputError(f"{run} is a run of backbone {name}, not {given['backbone']}; leave --backbone out")
    dim, size = options.pop("dim"), options.pop("size")
    if config["kind"] == "embedder":
        backbone = backbones.from_pretrained(
            name, run / runs.MODEL, given.get("dim", dim), given.get("size") or size, **options
        )
    else:
        from faceset.training.endtoend import load_end_to_end

        backbone = load_end_to_end(run)[0]
        if given.get("dim", dim) != dim or (given.get("size") or size[0]) != size[0]:
            raise InputError(
                f"{run} was trained end to end at dim {dim} and size {size[0]}; leave --dim and --size out"
            )
    settings = _settings(backbone)
    if "size" not in given and "crop" not in given:
        settings["crop"] = config["preprocessing"]["crop"]
    return Start(backbone, settings, config.get("licence", ""), config.get("commercial", ""))


def _settings(backbone: Backbone) -> dict[str, Any]:
    options = {k: v for k, v in backbone.config()["options"].items() if k not in ("dim", "size")}
    return {"backbone": backbone.name, "dim": backbone.dim, "size": backbone.size[0], "options": options}


def rights_of(start: Start, teacher: Embedder | None) -> tuple[str, str]:
    """Licence in words and whether commercial use is allowed, as far as teacher and first weights say; else empty."""
    if start.backbone is None or teacher is None:
        return start.licence, start.commercial
    told = start.licence or "unknown"
    words = (
        f"started from weights whose licence is: {told}; student of {teacher.manifest.id}: {teacher.manifest.licence}"
    )
    return words, min(start.commercial or "unknown", teacher.manifest.commercial, key=STRICTEST.index)


def check(config: EmbedderConfig, teacher: Embedder | None, *, unlabelled: bool) -> None:
    """Refuse at once what would fail after the faces are prepared.

    Raises:
        InputError: settings that contradict each other or the teacher.
    """
    from faceset.training import losses

    if unlabelled and config.head:
        raise InputError(f"--unlabelled: there are no names for the head {config.head}; leave one of the two out")
    if unlabelled and teacher is None:
        raise InputError("--unlabelled: without names only a teacher can teach; add --teacher default")
    if config.head:
        losses.build(HEADS[config.head], 1, 2, **config.head_options)
    if teacher is not None and config.distil.weight and config.dim > teacher.width:
        raise InputError(
            f"the teacher {teacher.manifest.id} gives {teacher.width} numbers a face, so nobody can say what the other "
            f"{config.dim - teacher.width} of {config.dim} should be; give --dim {teacher.width} or less"
        )
