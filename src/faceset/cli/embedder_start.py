"""What ``faceset train-embedder`` starts from: the teacher, the first weights, and the settings that follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from faceset.errors import InputError, ModelFileError
from faceset.training.embedder.config import HEADS, EmbedderConfig

if TYPE_CHECKING:
    from faceset.embedding import Embedder
    from faceset.training.backbones import Backbone

INSTALLED = "installed"
"""As ``--init``: the weights that come inside an installed package."""


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
    from faceset.packs.pack import embedder_of

    return Embedder(*embedder_of(DEFAULT if name == "default" else name))


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


def check_run(run: Path, config: EmbedderConfig, teacher: Embedder | None) -> None:
    """Refuse other settings than those of a run that is there, before faces are cut for them.

    Raises:
        InputError: naming what differs.
    """
    from faceset.training import runs
    from faceset.training.loop import differences

    if not (run / runs.CHECKPOINT).exists():
        return
    found = runs.read_config(run, "embedder")
    now = {**config.to_dict(), "teacher": None if teacher is None else teacher.model_id}
    if not isinstance(found.get("settings"), dict):
        raise ModelFileError(f"{run / runs.CONFIG} is damaged (no settings); name another folder, or delete {run}")
    before = {**found["settings"], "teacher": found.get("teacher")}
    different = differences(before, json.loads(json.dumps(now)))
    if different:
        raise InputError(
            f"{run} holds a run with other settings ({'; '.join(different)}); choose another folder, give the same "
            "settings, or delete that one"
        )


def _of_run(run: Path, given: Mapping[str, Any]) -> Start:
    from faceset.training import backbones, runs

    if not (run / runs.CONFIG).is_file():
        raise InputError(
            f"--init {run}: the folder holds no run (no {runs.CONFIG}); give a run, or a checkpoint's file"
        )
    config = runs.read_config(run, "embedder", "end-to-end")
    try:
        name, options = config["backbone"]["name"], dict(config["backbone"]["options"])
        dim, size, crop = options.pop("dim"), options.pop("size"), config["preprocessing"]["crop"]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{run / runs.CONFIG} is damaged ({error!r}); give another run, or train again") from error
    if given.get("backbone", name) != name:
        raise InputError(f"{run} is a run of backbone {name}, not {given['backbone']}; leave --backbone out")
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
        settings["crop"] = crop
    return Start(backbone, settings, config.get("licence", ""), config.get("commercial", ""))


def _settings(backbone: Backbone) -> dict[str, Any]:
    options = {k: v for k, v in backbone.config()["options"].items() if k not in ("dim", "size")}
    return {"backbone": backbone.name, "dim": backbone.dim, "size": backbone.size[0], "options": options}


def rights_of(start: Start, teacher: Embedder | None) -> tuple[str, str]:
    """Licence of the first weights in words, and whether they and the teacher allow commercial use; else empty.

    Training adds the words of the teacher.
    """
    if start.backbone is None or teacher is None:
        return start.licence, start.commercial
    from faceset.training.licensing import stricter

    words = f"started from weights whose licence is: {start.licence or 'unknown'}"
    return words, stricter(start.commercial or "unknown", teacher.manifest.commercial)


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
    if not config.head and (teacher is None or not config.distil.weight):
        raise InputError(
            f"there is nothing to learn from: give --head {', '.join(HEADS)}, or a --teacher with a distil.weight"
        )
    if config.head:
        try:
            losses.build(HEADS[config.head], 1, 2, **config.head_options)
        except InputError as error:
            raise InputError(f"--head {config.head}: {error}") from error
    if teacher is not None and config.distil.weight and config.dim > teacher.width:
        raise InputError(
            f"the teacher {teacher.manifest.id} gives {teacher.width} numbers a face, so nobody can say what the other "
            f"{config.dim - teacher.width} of {config.dim} should be; give --dim {teacher.width} or less"
        )
