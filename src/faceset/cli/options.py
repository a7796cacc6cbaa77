"""Options that several commands share, and how they become a Recognizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from faceset.packs.pack import Pack
    from faceset.recognizer import Recognizer
    from faceset.types import Template

GalleryFile = Annotated[
    str,
    typer.Option(
        "--gallery", "-g", metavar="FILE", help="The gallery file (SQLite), or the postgresql:// URL of a database."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no remarks on standard error.")]
Detector = Annotated[
    str,
    typer.Option(help="Face detector: mtcnn, hog, yunet, or the name of an imported one.", rich_help_panel="Models"),
]
EmbedderName = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        help="Embedder: a name of `faceset models list`, or a manifest (default: dlib-resnet).",
        rich_help_panel="Models",
    ),
]
PackPath = Annotated[
    str | None,
    typer.Option(
        "--pack",
        metavar="PATH",
        help="Folder of `faceset export`, in place of --embedder: embedder, aggregator and thresholds in one.",
        rich_help_panel="Models",
    ),
]
AggregatorName = Annotated[
    str | None,
    typer.Option(
        "--aggregator",
        help="How faces become one template: a name such as mean, or a trained .onnx file "
        "(default: that of the pack, or the one that ships for the embedder, else mean).",
        rich_help_panel="Models",
    ),
]
Fps = Annotated[
    float | None, typer.Option(help="Frames a second to look at in a video; 0 looks at every frame.", min=0.0)
]
ThresholdValue = Annotated[
    float | None, typer.Option("--threshold", help="Accept from this score on, whatever was calibrated.")
]
Far = Annotated[float, typer.Option("--far", help="Rate of false acceptance to aim at.", rich_help_panel="Threshold")]
Fpir = Annotated[
    float,
    typer.Option("--fpir", help="Share of searches for strangers that may give a name.", rich_help_panel="Threshold"),
]
CalibrationFile = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        help="A file of `faceset calibrate`, shipped, or none (default: your own, else that of the pack or the shipped "
        "one).",
        rich_help_panel="Threshold",
    ),
]

DEFAULT_FPS = 5.0
DEFAULT_FAR = 1e-3
DEFAULT_FPIR = 1e-2
DEFAULT_DETECTOR = "mtcnn"
DEFAULT_EMBEDDER = "dlib-resnet"


def recognizer(
    *,
    detector: str = DEFAULT_DETECTOR,
    embedder: str | None = None,
    pack: str | Pack | None = None,
    aggregator: str | None = None,
    fps: float | None = DEFAULT_FPS,
    threshold: float | None = None,
    far: float = DEFAULT_FAR,
    fpir: float = DEFAULT_FPIR,
    calibration: str | None = None,
    keep_crops: bool = False,
) -> Recognizer:
    """The Recognizer that the shared options describe."""
    from faceset.recognizer import Recognizer

    return Recognizer(
        detector=detector,
        embedder=embedder,
        pack=pack,
        aggregator=aggregator,
        fps=fps or None,
        threshold=threshold,
        far=far,
        fpir=fpir,
        calibration=calibration,
        keep_crops=keep_crops,
    )


def media_or_template(text: str) -> str | Template:
    """A template file is read; anything else is media."""
    from faceset.templates import is_template_path, load_template

    return load_template(Path(text)) if is_template_path(Path(text)) else text
