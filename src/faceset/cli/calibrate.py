"""``faceset calibrate``: thresholds for a FAR and an FPIR from one's own people, or from those of a protocol."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceset import settings
from faceset.cli import options
from faceset.cli.output import check_format, counted, emit, remark, warnings_shown
from faceset.cli.progress import Bar
from faceset.errors import CalibrationError, EmbedderMismatchError, InputError

if TYPE_CHECKING:
    from faceset.calibration import Calibration
    from faceset.feature_table import FeatureTable
    from faceset.packs.pack import Pack

COLUMNS = ["kind", "faces", "gallery", "rate", "threshold", "low", "high", "tar", "resolved", "rule"]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(calibrate)


def calibrate(
    root: Annotated[
        Path | None,
        typer.Argument(
            metavar="ROOT",
            help="Folder laid out as <person>/<medium>, or with --protocol the folder of its official files.",
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", "-f", help="A table of `faceset extract`: read where it is there, else written."),
    ] = None,
    far: Annotated[
        list[float] | None,
        typer.Option(help="FAR to find thresholds for, besides 0.1, 0.01, 0.001 and 0.0001; may be repeated."),
    ] = None,
    fpir: Annotated[
        list[float] | None, typer.Option(help="FPIR of searches, besides 0.1 and 0.01; may be repeated.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file (default: your own, which verify and identify then use)."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Take the faces that a protocol of `faceset evaluate` names; needs --features."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the templates and resamples that are drawn.", min=0)] = 0,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    aggregator: options.AggregatorName = None,
    fps: options.Fps = options.DEFAULT_FPS,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the thresholds at which strangers pass for the same person as rarely as asked for, from your own people.

    Example: faceset calibrate people/ --far 1e-3
    """
    import faceset.features  # noqa: F401 - names the extra that is missing before any model is loaded
    from faceset import aggregation, calibration
    from faceset.calibration.lookup import check_rate
    from faceset.parts import chosen_pack, default_aggregator

    check_format(as_json, as_csv)
    fars = {*calibration.FARS, *(check_rate(v, "far") for v in far or ())}
    fpirs = {*calibration.FPIRS, *(check_rate(v, "fpir") for v in fpir or ())}
    _check_place(output)
    chosen = chosen_pack(pack, embedder)
    with (
        warnings_shown(quiet=quiet),
        Bar("calibrating:", quiet=quiet) as bar,
        _table(root, features, protocol, detector, embedder, chosen, fps, bar) as (table, source),
    ):
        if chosen is not None and chosen.model_id != table.embedder:
            raise EmbedderMismatchError(
                f"the features are of embedder {table.embedder}, but the pack {chosen.folder} is of {chosen.model_id}; "
                "extract them with the pack (--pack)"
            )
        if aggregator is None:
            maker = default_aggregator(chosen, table.embedder)
        else:
            maker = aggregation.get(aggregator, model_id=table.embedder)
        made = calibration.fit(
            table,
            maker,
            source=source,
            fars=sorted(fars),
            fpirs=sorted(fpirs),
            seed=seed,
            progress=lambda what, done, steps: bar.update(what, float(done), float(steps)),
        )
    own = output is None
    if output is None:
        output = calibration.user_path(made.model_id, made.aggregator)
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(output.parent, error, own=True) from error
    calibration.save(made, output)
    if own:
        remark(f"verify and identify use it from now on: {output}", quiet=quiet)
    _print(made, output, as_json=as_json, as_csv=as_csv, quiet=quiet)


def _check_place(output: Path | None) -> None:
    """Refuse a place that cannot be written, before work that may take hours; makes no folder."""
    if output is None:
        folder = settings.calibrations_dir()
        while not folder.exists() and folder != folder.parent:  # what is missing will be made
            folder = folder.parent
    else:
        folder = output.parent
        if not folder.is_dir():
            raise CalibrationError(f"{output}: the folder {folder} does not exist; make it first")
        if not output.name or (output.exists() and not output.is_file()):
            raise CalibrationError(f"{output} is no regular file; name a file such as calibration.json")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _refused(folder, error, own=output is None) from error


def _refused(folder: Path, error: OSError, *, own: bool) -> CalibrationError:
    cure = "set FACESET_CALIBRATIONS to another folder, or give --output" if own else "choose another place"
    return CalibrationError(f"{folder} cannot be written ({error.strerror or error}); {cure}")


@contextlib.contextmanager
def _table(
    root: Path | None,
    features: Path | None,
    protocol: str | None,
    detector: str,
    embedder: str | None,
    pack: Pack | None,
    fps: float | None,
    bar: Bar,
) -> Iterator[tuple[FeatureTable, str]]:
    """The features to calibrate on, and whom they are of, in words."""
    from faceset.features import read

    if protocol is not None:
        if root is None or features is None:
            raise InputError("--protocol needs ROOT, the folder of its official files, and --features, the table")
        table = _of_protocol(protocol, root, read(features), features)
        yield table, f"{_people(table)} of protocol {protocol}"
    elif root is None or (features is not None and features.exists()):
        if features is None:
            raise InputError("give ROOT, a folder of people laid out as <person>/<medium>, or --features")
        table = read(features)
        yield table, f"{_people(table)} of {features.name}"
    else:
        from faceset.extraction import ExtractConfig, extract

        models = {"embedder": embedder} if pack is None else {"pack": pack}
        pipeline = options.recognizer(detector=detector, **models).pipeline
        with tempfile.TemporaryDirectory() as folder:
            table, _ = extract(
                root,
                features if features is not None else Path(folder) / "features.parquet",
                pipeline,
                ExtractConfig(fps=fps or 0.0),
                progress=lambda done, media, faces: bar.update("faces", float(done), float(media), f"{faces} faces"),
            )
            yield table, f"{_people(table)} of {root.resolve().name}"


def _of_protocol(name: str, root: Path, table: FeatureTable, file: Path) -> FeatureTable:
    """The rows of the media that the protocol's templates are made of, under the people it says they are of."""
    import dataclasses

    import numpy as np

    from faceset.evaluation import protocols
    from faceset.feature_table import Labels

    who: dict[str, str] = {}
    for experiment in protocols.load(name, root):
        t, faces = experiment.templates, experiment.faces
        for i in range(len(t)):
            for entry in t.entries[t.offsets[i] : t.offsets[i + 1]]:
                who[faces.names[entry]] = t.subject.names[t.subject.codes[i]]
    found = table.take(table.medium.is_in(who))
    if not len(found):
        raise InputError(
            f"{file} holds none of the {len(who)} media that protocol {name} names, such as {next(iter(who))!r}; "
            "extract the features of its pictures first"
        )
    media = [found.medium.names[c] for c in found.medium.codes]
    return dataclasses.replace(found, subject=Labels.of(np.array([who[medium] for medium in media])))


def _people(table: FeatureTable) -> str:
    return counted(len(table.subject.names), "person", "people")


def _print(made: Calibration, output: Path, *, as_json: bool, as_csv: bool, quiet: bool) -> None:
    records = [
        {
            "kind": "FAR",
            "faces": " and ".join(str(made.classes[i]) for i in pair.sizes),
            "gallery": None,
            "rate": f"{p.far:g}",
            **{name: getattr(p, name) for name in ("threshold", "low", "high", "tar", "resolved", "rule")},
        }
        for pair in made.pairs
        for p in pair.points
    ] + [
        {
            "kind": "FPIR",
            "faces": "1 and 1",
            "gallery": s.gallery,
            "rate": f"{s.fpir:g}",
            **{name: getattr(s, name) for name in ("threshold", "low", "high", "resolved")},
            "tar": None,
            "rule": "measured" if s.resolved else "strict",
        }
        for s in made.searches
    ]  # fmt: skip
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=f"{output}: {counted(made.people, 'person', 'people')}, {made.media} media, {made.faces} faces; "
        f"aggregator {made.aggregator}, embedder {made.model_id}",
        records=records,
        columns=COLUMNS,
        document={"file": str(output), **made.to_dict()},
    )
    unsure = sum(not record["resolved"] for record in records)
    if unsure:
        remark(
            f"{unsure} of {len(records)} thresholds are not resolved: too few people for that rate and size, so they "
            "are set on the strict side; more people make them exact",
            quiet=quiet,
        )
    if not made.searches:
        remark("too few people for thresholds of searches; identify needs --threshold", quiet=quiet)
