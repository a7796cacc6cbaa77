"""``faceset train --end-to-end``: pictures of people into a CNN and an aggregator that were trained together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from faceset.cli import embedder_start as start
from faceset.cli import training_options as shared
from faceset.cli.output import remark, warnings_shown
from faceset.cli.progress import Bar
from faceset.cli.training_faces import FACES, prepared, tell
from faceset.errors import InputError

if TYPE_CHECKING:
    from faceset.training.endtoend import EndToEndResult
    from faceset.training.report import Report

KIND = "end-to-end"
_DOING = {"features": "features of the CNN as it is", "frozen": "aggregator alone", "together": "both together"}


class Chosen(NamedTuple):
    """What the options of end-to-end training say."""

    backbone: str | None
    init: str | None
    faces: Path | None
    detector: str


def check_source(root: Path, chosen: Chosen, *, end_to_end: bool, without_kinds: str | None) -> None:
    """Refuse a feature table where pictures are needed, pictures where a table is, and options of the other kind.

    Raises:
        InputError: see above.
    """
    if end_to_end:
        if root.is_file() or (root.is_dir() and any(root.glob("*.parquet"))):
            raise InputError(
                f"{root} is a feature table, but --end-to-end trains on pictures; give a folder laid out as "
                "<person>/<picture>, or leave --end-to-end out"
            )
        if not root.is_dir():
            raise InputError(f"{root} is no folder; give a folder laid out as <person>/<picture>")
        if without_kinds is not None:
            raise InputError("--without-kinds goes with a feature table; set augment.kinds in --config")
        return
    if root.is_dir() and not any(root.glob("*.parquet")):
        raise InputError(
            f"{root} is a folder without a feature table; make one with `faceset extract`, or add --end-to-end to "
            "train on its pictures"
        )
    for name, value in (("--backbone", chosen.backbone), ("--init", chosen.init), ("--faces", chosen.faces)):
        if value is not None:
            raise InputError(f"{name} goes with --end-to-end; a feature table has the features of a CNN already")


def train(
    root: Path,
    run: Path,
    config: Path | None,
    given: Mapping[str, Any],
    chosen: Chosen,
    *,
    leave_out: Path | None,
    device: str,
    quiet: bool,
) -> tuple[dict[str, Any], Report] | None:
    """Prepare the faces, train, and compare on people held out; None in all processes of torchrun but the first.

    Args:
        root: folder laid out as <person>/<picture>.
        run: folder of the run.
        config: JSON with settings of EndToEndConfig.
        given: settings that options name; they win.
        chosen: the other options.
        leave_out: file with names of people.
        device: where to train.
        quiet: without remarks and bars.

    Returns:
        What ``--json`` prints but for the report, and the report.
    """
    from faceset.training.endtoend.config import EndToEndConfig

    settings = shared.settings(EndToEndConfig, config, given)
    names = shared.names(leave_out)
    shared.check_folder(run, KIND, beside=(FACES, "frozen"))
    from faceset.training.device import choose
    from faceset.training.distributed import workers
    from faceset.training.endtoend import train_end_to_end
    from faceset.training.endtoend.running import compare_held_out
    from faceset.training.endtoend.stage import check_names

    check_names(settings)
    choose(device)
    first = _first(chosen)
    initial = first.backbone
    if initial is None:
        raise InputError("no backbone to start from")
    crop = settings.crop or first.settings.get("crop") or initial.crop
    with shared.resumable(run), warnings_shown(quiet=quiet):
        with workers(device) as team:  # joined once, by all that trains within
            store = prepared(
                root, chosen.faces or run / FACES, [crop], team, detector=chosen.detector, labelled=True, quiet=quiet
            )
            tell(store, names, leave_out, quiet=quiet or not team.first)
            with Bar("training:", quiet=quiet) as bar:
                result = train_end_to_end(
                    store,
                    settings,
                    run,
                    initial=initial,
                    crop=crop,
                    leave_out=names,
                    device=device,
                    progress=lambda what, done, total, figures: bar.update(_DOING[what], done, total, _note(figures)),
                    licence=first.licence,
                    commercial=first.commercial,
                )
        if not shared.first_process():
            return None
        remark(f"comparing on {len(result.validation)} people never trained on", quiet=quiet)
        report = compare_held_out(store, result.run, result.validation, device)
    return _document(result, settings.aggregator, initial.name), report


def _first(chosen: Chosen) -> start.Start:
    """The backbone to start from: installed or given weights, else fresh ones."""
    init = chosen.init
    if init is None and chosen.backbone in (None, "dlib-resnet"):
        init = start.INSTALLED
    found = start.weights_of(init, {} if chosen.backbone is None else {"backbone": chosen.backbone})
    if found.backbone is not None:
        return found
    from faceset.training import backbones

    return found._replace(backbone=backbones.build(str(chosen.backbone)))


def _note(figures: Mapping[str, float]) -> str:
    if "tar" not in figures:
        return ""
    return f"loss {figures['loss']:.4f}  TAR {figures['tar']:.4f}  best {figures['best']:.4f}"


def _document(result: EndToEndResult, aggregator: str, backbone: str) -> dict[str, Any]:
    return {
        "run": str(result.run),
        "backbone": backbone,
        "aggregator": aggregator,
        "steps": result.steps,
        "best_step": result.best_step,
        "blend": result.blend,
        "score": result.score,
        "frozen": result.frozen,
        "baseline": result.baseline,
        "trained_on": len(result.train),
    }
