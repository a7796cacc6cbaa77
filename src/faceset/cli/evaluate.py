"""``faceset evaluate``: a protocol and a feature table into a report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import options
from faceset.cli.output import check_format, remark, warnings_shown
from faceset.cli.progress import Bar
from faceset.cli.report_table import print_report
from faceset.errors import InputError

if TYPE_CHECKING:
    from faceset.evaluation.results import Report
    from faceset.evaluation.trials import Experiment
    from faceset.feature_table import FeatureTable

FARS = (1e-4, 1e-3, 1e-2, 1e-1)
FPIRS = (0.01, 0.1)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(evaluate)


def evaluate(
    protocol: Annotated[
        str,
        typer.Argument(metavar="PROTOCOL", help="lfw, ytf, ijba, ijbb, ijbc, celebrity1000, or folder for your own."),
    ],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder with the official files of the protocol.")],
    features: Annotated[
        Path | None,
        typer.Option("--features", "-f", help="The table that `faceset extract` wrote, or a .npy file, a row a face."),
    ] = None,
    aggregators: Annotated[
        str | None,
        typer.Option(
            help="What to compare, with commas: mean, norm, nan ..., an .onnx file, or pairwise-min, -mean, -max, "
            "-softmin (default: mean, norm, and what ships for the embedder)."
        ),
    ] = None,
    task: Annotated[str | None, typer.Option(help="verify or identify (default: all that the protocol has).")] = None,
    split: Annotated[int | None, typer.Option(help="One split of the protocol (default: all).")] = None,
    list_: Annotated[
        str | None,
        typer.Option("--list", help="Which list, where a protocol has several: original or corrected (ytf)."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-O",
            help="Another option of the protocol, as NAME=VALUE: subjects=200 (celebrity1000), size=4.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn (default: 0).", min=0)] = None,
    far: Annotated[
        list[str] | None,
        typer.Option(help=f"FARs to report TAR at, with commas (default: {', '.join(f'{v:g}' for v in FARS)})."),
    ] = None,
    fpir: Annotated[
        list[str] | None,
        typer.Option(help=f"FPIRs to report TPIR at, with commas (default: {', '.join(f'{v:g}' for v in FPIRS)})."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(help="Resamples of the subjects for the intervals; 0 makes none.", min=0)
    ] = 200,
    media_first: Annotated[
        bool, typer.Option("--media-first", help="Average the faces of each medium first, then over media.")
    ] = False,
    missing: Annotated[
        str, typer.Option(help="Faces without features: miss counts what they leave empty as refused, error stops.")
    ] = "miss",
    model_id: Annotated[
        str | None, typer.Option(help="Id of the embedder of the features; a .npy file does not say it.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the report as one HTML page, with plots.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of the pictures, for thumbnails in the page (default: ROOT).")
    ] = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Score aggregators on a benchmark, from features alone: no detector and no embedder runs.

    Example: faceset evaluate lfw lfw/ --features lfw.parquet --aggregators mean,norm,nan --html report.html
    """
    check_format(as_json, as_csv)
    fars, fpirs = _rates(far, "--far", FARS), _rates(fpir, "--fpir", FPIRS)
    if features is None:
        raise InputError(
            f"which features? Give --features FILE; `faceset extract {shlex.quote(str(root))} -o FILE --protocol "
            f"{shlex.quote(protocol)}` makes them"
        )
    if pictures is not None and not pictures.is_dir():
        raise InputError(f"--pictures {pictures} is no folder; give the folder that the names of faces start from")
    if html is not None:
        from faceset.evaluation import page

        page.check(html)
    from faceset.evaluation import protocols, sources
    from faceset.evaluation.run import evaluate as run

    chosen = _protocol_options(
        {"task": task, "split": split, "list": list_, "seed": seed}, option or [], protocols.options(protocol)
    )
    with warnings_shown(quiet=quiet), Bar("evaluating", quiet=quiet) as bar:
        bar.update("", 0.0, None, f"reading {protocol}")
        experiments = protocols.load(protocol, root, **chosen)
        bar.update("", 0.0, None, "reading features")
        table = sources.load(features, experiments, model_id=model_id)
        names = _aggregators(aggregators, table.embedder)
        steps = _Steps(bar, len(names) * len(experiments))
        report = run(
            experiments,
            table,
            names,
            fars=fars,
            fpirs=fpirs,
            resamples=resamples,
            seed=seed or 0,
            media_first=media_first,
            missing=missing,
            progress=steps,
        )
    print_report(report, as_json=as_json, as_csv=as_csv, quiet=quiet, page=html)
    if html is not None:  # after the figures, which a full disk must not take away
        command = _command(
            protocol,
            root,
            {
                "features": features,
                "aggregators": ",".join(names),
                **{k: v for k, v in (("task", task), ("split", split), ("list", list_)) if v is not None},
                "option": option,
                "seed": seed or 0,
                "far": ",".join(map(str, fars)),
                "fpir": ",".join(map(str, fpirs)),
                "resamples": resamples,
                "media_first": media_first,
                "missing": missing,
                "model_id": model_id,
                "pictures": pictures,
                "html": html,
            },
        )
        _write_page(report, html, experiments, table, pictures or root, command)
        remark(f"page: {html}", quiet=quiet)


class _Steps:
    """Lines of progress as steps of a bar."""

    def __init__(self, bar: Bar, total: int) -> None:
        self.bar, self.total, self.done = bar, total, 0

    def __call__(self, line: str) -> None:
        self.bar.update("", float(min(self.done, self.total)), float(self.total), line)
        self.done += 1


def _rates(texts: Sequence[str] | None, option: str, default: Sequence[float]) -> tuple[float, ...]:
    """Rates written with commas, by one option or several; each once, in rising order."""
    if not texts:
        return tuple(default)
    found = set()
    for word in (word.strip() for text in texts for word in text.split(",")):
        try:
            value = float(word)
        except ValueError:
            value = float("nan")
        if not 0.0 < value < 1.0:
            raise InputError(f"{option} takes rates between 0 and 1, such as 0.001, but got {word!r}")
        found.add(value)
    return tuple(sorted(found))


def _protocol_options(given: Mapping[str, Any], texts: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of the protocol, by the names of its own options; ``known`` has their defaults."""
    chosen = {k: v for k, v in given.items() if v is not None and (k != "seed" or k in known)}
    if "pairs" in known and isinstance(known["pairs"], str) and "list" in chosen:
        chosen["pairs"] = chosen.pop("list")  # lfw calls its list by the name of its file
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--option takes NAME=VALUE, such as subjects=200, but got {text!r}")
        chosen[name] = _typed(name, value, known.get(name))
    return chosen


def _typed(name: str, text: str, default: Any) -> Any:
    """The text as what the default is of; where that says nothing, a number if it looks like one."""
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    try:
        if isinstance(default, bool):
            return words[text.lower()]
        if isinstance(default, int | float):
            return type(default)(text)
    except (KeyError, ValueError) as error:
        kind = (
            "yes or no" if isinstance(default, bool) else "a number" if isinstance(default, float) else "a whole number"
        )
        raise InputError(f"--option {name} takes {kind}, such as {name}={default}, but got {text!r}") from error
    return int(text) if default is None and text.isdecimal() else text


def _aggregators(text: str | None, model_id: str) -> list[str]:
    if text is None:
        from faceset import aggregation

        return list(dict.fromkeys(["mean", "norm", aggregation.default_name(model_id)]))
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError("--aggregators names none; give one or more with commas, such as mean,norm")
    return list(dict.fromkeys(names))


def _write_page(
    report: Report, path: Path, experiments: Sequence[Experiment], table: FeatureTable, pictures: Path, command: str
) -> None:
    from faceset.evaluation import page, thumbnails

    wanted = thumbnails.places(thumbnails.names_of(report), experiments, table)
    content = page.page(report, thumbnails=thumbnails.thumbnails(wanted, pictures), command=command)
    page.write(path, content)


def _command(protocol: str, root: Path, given: Mapping[str, Any]) -> str:
    words = ["faceset", "evaluate", protocol, str(root)]
    for name, value in given.items():
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif isinstance(value, list):
            words += [word for item in value for word in (f"--{name}", item)]
        elif value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
