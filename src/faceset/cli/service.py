"""``faceset serve`` and ``faceset keys``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, emit, remark, say
from faceset.errors import InputError

if TYPE_CHECKING:
    from faceset.service.keys import KeyStore

DataFolder = Annotated[
    Path, typer.Option("--data", help="Folder of galleries, jobs, keys and the audit log; made when missing.")
]
DEFAULT_DATA = Path("faceset-data")

keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.add_typer(keys, name="keys")


def serve(
    data: DataFolder = DEFAULT_DATA,
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's own needs an API key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    queue: Annotated[int, typer.Option(help="Requests that may wait; one more is answered 429.", min=1)] = 16,
    max_upload: Annotated[int, typer.Option(help="Largest request, in megabytes.", min=1)] = 1024,
    max_minutes: Annotated[float, typer.Option(help="Longest video that is taken, in minutes.", min=0.1)] = 240.0,
    at_once: Annotated[
        float, typer.Option(help="Longest video answered in the request, in seconds; longer ones are jobs.", min=0.1)
    ] = 20.0,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    aggregator: options.AggregatorName = None,
    fps: options.Fps = options.DEFAULT_FPS,
    threshold: options.ThresholdValue = None,
    far: options.Far = options.DEFAULT_FAR,
    fpir: options.Fpir = options.DEFAULT_FPIR,
    calibration: options.CalibrationFile = None,
    keep_crops: Annotated[bool, typer.Option(help="Keep the faces' crops in galleries.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve the web page and the HTTP API.

    Example: faceset serve --data people/
    """
    from faceset.service.config import ServiceConfig
    from faceset.service.running import run

    if pack is not None and embedder is not None:
        raise InputError("--pack brings its own embedder; give either --pack or --embedder")
    config = ServiceConfig(
        data=data,
        host=host,
        port=port,
        queue=queue,
        max_upload=max_upload << 20,
        max_seconds=60.0 * max_minutes,
        at_once_seconds=at_once,
        detector=detector,
        embedder=embedder or options.DEFAULT_EMBEDDER,
        pack=pack,
        aggregator=aggregator,
        fps=fps or 0.0,
        threshold=threshold,
        far=far,
        fpir=fpir,
        calibration=calibration,
        keep_crops=keep_crops,
    )
    run(config, announce=lambda url: remark(f"faceset listens on {url}  (Ctrl-C ends it)", quiet=quiet))


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a key. It is printed once and cannot be had again.

    Example: faceset keys create laptop --data people/
    """
    check_format(as_json, as_csv)
    made = _store(data).create(name)
    remark("keep it: only its hash is stored", quiet=quiet)
    if as_json or as_csv:
        record = {"name": name, "key": made}
        emit(as_json=as_json, as_csv=as_csv, title="", records=[record], columns=["name", "key"], document=record)
    else:
        say(made)


@keys.command("list")
def list_keys(
    data: DataFolder = DEFAULT_DATA,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """List the keys that are valid, without their secrets.

    Example: faceset keys list --data people/
    """
    check_format(as_json, as_csv)
    if not data.is_dir():
        raise InputError(f"there is no folder {data}; give the one that `faceset serve` uses as --data")
    records = [{"id": key.id, "name": key.name, "created": key.created} for key in _store(data).valid()]
    emit(as_json=as_json, as_csv=as_csv, title=str(data), records=records, columns=["id", "name", "created"])


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id or name of the key.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """Take a key back; a running service refuses it from now on.

    Example: faceset keys revoke laptop --data people/
    """
    check_format(as_json, as_csv)
    gone = _store(data).revoke(key)
    record = {"id": gone.id, "name": gone.name, "created": gone.created}
    if as_json or as_csv:
        emit(as_json=as_json, as_csv=as_csv, title="", records=[record], columns=list(record), document=record)
    else:
        say(f"revoked {gone.name} ({gone.id})")


def _store(data: Path) -> KeyStore:
    from faceset.service.keys import KeyStore

    return KeyStore(data / "keys.json")
