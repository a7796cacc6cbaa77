"""``faceset train-embedder``: pictures of people, or of anybody, into a network that makes features of faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import embedder_start as start
from faceset.cli import embedder_summary as summary
from faceset.cli import options
from faceset.cli import training_options as shared
from faceset.cli.output import check_format, warnings_shown
from faceset.cli.progress import Bar
from faceset.cli.training_faces import FACES, media, prepared, tell
from faceset.errors import InputError
from faceset.training.config import COMPILE, PRECISIONS
from faceset.training.embedder.config import HEADS, OPTIMISERS, EmbedderConfig

if TYPE_CHECKING:
    from faceset.embedding import Embedder
    from faceset.training.distributed import Workers
    from faceset.training.faces import FaceStore

DEFAULTS = EmbedderConfig()
HEAD = "softmax"
"""What teaches where neither a head nor a teacher is named."""
LFW_FACES = "lfw-faces"
"""Folder within the run where the faces of the pairs of LFW lie, unless they are among the others."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("train-embedder")(train_embedder)


def train_embedder(
    root: Annotated[
        Path,
        typer.Argument(
            metavar="ROOT",
            help="Folder laid out as <person>/<picture>; with --unlabelled, pictures and videos at any depth.",
        ),
    ],
    run: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; a run that is there goes on.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON with any settings of EmbedderConfig; options win over it.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help=f"googlenet, vgg16, vgg16_bn, iresnet18, -34, -50, -100, mobilefacenet or dlib-resnet "
            f"(default: {DEFAULTS.backbone}, or that of the run in --init).",
            rich_help_panel="Network",
        ),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(
            help=f"Width of the feature (default: {DEFAULTS.dim}, or that of the weights in --init).",
            rich_help_panel="Network",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the picture in pixels (default: the backbone's, such as 224).", rich_help_panel="Network"
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            help="How faces are cut, and so their size: arcface<N> or dlib<N>, N pixels (default: the backbone's).",
            rich_help_panel="Network",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|RUN",
            help="Weights to start from: a checkpoint such as torchvision's googlenet-*.pth or vgg16-*.pth, a "
            "backbone.pth of arcface_torch, a run of this command or of `train --end-to-end`; `installed`: dlib's.",
            rich_help_panel="Network",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help=f"Learn who is who: {', '.join(HEADS)} or none (default: {DEFAULTS.head or 'none'} with a teacher, "
            f"else {HEAD}).",
            rich_help_panel="What teaches",
        ),
    ] = None,
    margin_rad: Annotated[
        float | None,
        typer.Option(
            help="Margin of arcface, an angle in radians (default: 0.2).",
            rich_help_panel="What teaches",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Margin of cosface, of the cosine (default: 0.35).", rich_help_panel="What teaches"),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Of the cosines of arcface and cosface (default: 30).", rich_help_panel="What teaches"),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Learn the features of this embedder: default, a name of `faceset models list`, a manifest or a pack.",
            rich_help_panel="What teaches",
        ),
    ] = None,
    unlabelled: Annotated[
        bool,
        typer.Option("--unlabelled", help="ROOT has no names; a teacher is needed.", rich_help_panel="What teaches"),
    ] = False,
    leave_out: Annotated[
        Path | None,
        typer.Option(
            help="Text file with a name a line: people neither trained on nor validated with.", rich_help_panel="Faces"
        ),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help=f"Folder of the prepared faces, which several runs may share (default: {FACES} in the run).",
            rich_help_panel="Faces",
        ),
    ] = None,
    lfw: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of LFW with pairs.txt: also measure the accuracy on its pairs. Nobody in them is trained on.",
            rich_help_panel="Faces",
        ),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="Face detector: mtcnn, yunet, or an imported one.", rich_help_panel="Faces")
    ] = options.DEFAULT_DETECTOR,
    epochs: Annotated[
        float | None,
        typer.Option(help=f"Passes over the faces (default: {DEFAULTS.epochs:g}).", rich_help_panel="Training"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Batches, instead of --epochs.", min=1, rich_help_panel="Training")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help=f"Faces in a step (default: {DEFAULTS.batch}).", rich_help_panel="Training")
    ] = None,
    optimiser: Annotated[
        str | None,
        typer.Option(help=f"{' or '.join(OPTIMISERS)} (default: {DEFAULTS.optimiser}).", rich_help_panel="Training"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help=f"Reached after the warm-up (default: {DEFAULTS.learning_rate:g}).", rich_help_panel="Training"
        ),
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(
            help=f"Steps between two validations and checkpoints (default: {DEFAULTS.validate_every}).",
            rich_help_panel="Training",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help=f"Of everything that is drawn (default: {DEFAULTS.seed}).", rich_help_panel="Training"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(PRECISIONS)} (default: {DEFAULTS.precision}).", rich_help_panel="Machine"),
    ] = None,
    compile_: Annotated[
        str | None,
        typer.Option(
            "--compile",
            help=f"torch.compile: {', '.join(COMPILE)} (default: {DEFAULTS.compile}).",
            rich_help_panel="Machine",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Threads that prepare batches (default: one a core).", min=1, rich_help_panel="Machine"),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda ... (default: a GPU when there is one).", rich_help_panel="Machine")
    ] = "",
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a CNN that turns a face into a feature, by the names of people, by a teacher, or by both.

    Faces are found and cut out once; people held out measure how good it is. Goes on after an interruption.

    Example: faceset train-embedder lfw/ -o run/ --teacher default --size 96
    """
    check_format(as_json, as_csv)
    if epochs is not None and steps is not None:
        raise InputError("--epochs and --steps exclude each other; give one of them")
    if head not in (None, "none", *HEADS):
        raise InputError(f"--head {head} is not known; it is {', '.join(HEADS)} or none")
    given: dict[str, Any] = {
        "backbone": backbone,
        "dim": dim,
        "size": size,
        "crop": crop,
        "head": {"none": ""}.get(head, head) if head is not None else None,
        "head_options": _given({"margin_rad": margin_rad, "margin": margin, "scale": scale}) or None,
        "epochs": epochs,
        "steps": 0 if epochs is not None else steps,
        "batch": batch,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "validate_every": validate_every,
        "seed": seed,
        "precision": precision,
        "compile": compile_,
        "workers": workers,
    }
    chosen = shared.values(config, _given(given))
    if "head" not in chosen and teacher is None and not unlabelled:
        given["head"] = HEAD
    names = shared.names(leave_out)
    if not root.is_dir():
        raise InputError(f"{root} is no folder; give a folder laid out as <person>/<picture>")
    shared.check_folder(run, "embedder", beside=(FACES, LFW_FACES))
    with shared.extra_named():
        from faceset.training.distributed import workers as processes
        from faceset.training.embedder import train_embedder as train
        from faceset.training.embedder.lfw import faces_of, read_pairs
        from faceset.training.embedder.trainer import student

        if chosen.get("crop") and "size" not in chosen:  # the crop says the size, whatever that of the weights was
            from faceset.packs.manifest import crop_size

            given["size"] = chosen["size"] = crop_size(chosen["crop"])[0]
        first = start.weights_of(init, chosen)
        settings = shared.settings(EmbedderConfig, config, {**first.settings, **_given(given)})
        tutor = start.teacher_of(teacher)
        start.check(settings, tutor, unlabelled=unlabelled)
        start.check_run(run, settings, tutor)
        cut = student(settings, first.backbone).crop
        licence, commercial = start.rights_of(first, tutor)
        pairs = None if lfw is None else read_pairs(lfw)
        with shared.resumable(run), warnings_shown(quiet=quiet):
            with processes(device) as team:
                store = prepared(
                    root,
                    faces or run / FACES,
                    [cut, *([tutor.geometry.name] if tutor is not None else [])],
                    team,
                    detector=detector,
                    labelled=not unlabelled,
                    quiet=quiet,
                )
                tell(store, names, leave_out, quiet=quiet or not team.first)
                _look(store, tutor, team, quiet=quiet)
                if lfw is not None and pairs is not None and team.first:
                    with Bar("preparing the faces of LFW", quiet=quiet) as bar:
                        faces_of(pairs, lfw, store, run / LFW_FACES, cut, media(bar))
            with Bar("training", quiet=quiet) as bar:
                result = train(
                    store,
                    settings,
                    run,
                    leave_out=names,
                    teacher=tutor,
                    initial=first.backbone,
                    device=device,
                    progress=lambda done, total, figures: bar.update("", done, total, summary.note(figures)),
                    lfw=lfw,
                    licence=licence,
                    commercial=commercial,
                )
    if shared.first_process():
        summary.show(result, store.report, as_json=as_json, as_csv=as_csv, quiet=quiet)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _look(store: FaceStore, teacher: Embedder | None, team: Workers, *, quiet: bool) -> None:
    """The teacher's features of all faces, which training reads; only the first process computes them."""
    if teacher is not None and team.first:
        with Bar("asking the teacher", quiet=quiet) as bar:
            store.teacher(teacher, progress=media(bar))
    team.wait()
