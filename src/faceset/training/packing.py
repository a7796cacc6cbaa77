"""A trained run as a pack: embedder, aggregator, thresholds and manifest in one folder, used without torch.

::

    run of kind       embedder.onnx                     aggregator.onnx
    embedder          its backbone, by torch's exporter that of another run or file, or none (the mean)
    end-to-end        its backbone                      its own
    aggregator        the embedder it was trained for,  its own
                      copied
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset import calibration as calibrations
from faceset.errors import CalibrationError, EmbedderMismatchError, InputError, ModelError, ModelFileError
from faceset.packs.installed import file_sha256
from faceset.packs.inventory import MANIFEST_NAME, list_models
from faceset.packs.manifest import Manifest, check_name, crop_size
from faceset.packs.pack import Pack, embedder_of, open_pack
from faceset.training import aggregators, runs
from faceset.training.aggregators.base import Aggregator
from faceset.training.backbones import Backbone
from faceset.training.exporting import metadata, write_onnx
from faceset.training.licensing import check_copy, terms
from faceset.training.onnx_files import write_backbone
from faceset.training.pack_folder import whole_folder

EMBEDDER, AGGREGATOR, CALIBRATION = "embedder.onnx", "aggregator.onnx", "calibration.json"
WITHOUT_WEIGHTS = ("mean", "norm")
"""Aggregators that can be put into a pack by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOptions:
    """What is put into a pack beside the run, and what its manifest says.

    Attributes:
        embedder: with a run of kind aggregator: the embedder to put in: a name of ``faceset models list``, a manifest,
            or the folder of a pack; empty: the one that the run names.
        aggregator: with a run of kind embedder: the folder of a run of ``faceset train`` on features of this embedder,
            an aggregator's file (``.onnx``), or ``mean`` or ``norm``; empty: the mean.
        name: ``id`` of the manifest; empty: the name of the run's folder, or that of the copied embedder. It is a part
            of the model id.
        licence: of the weights that the run trained, in words.
        commercial: ``yes``, ``no`` or ``unknown``; empty: inherited.
        data: what was trained on; empty: what the run says.
        threshold: cosine from which two single faces count as one person; None: the run's.
        threshold_source: where that comes from, in words; needed with ``threshold``.
        calibration: a file of ``faceset calibrate`` for this embedder and aggregator; empty: none.
        force: replace a pack that is there.
        relicense: what is said of the licence replaces what was inherited, even where it is more liberal.
        accept_licence: copying the embedder into the pack is within its licence.
    """

    embedder: str = ""
    aggregator: str = ""
    name: str = ""
    licence: str = ""
    commercial: str = ""
    data: str = ""
    threshold: float | None = None
    threshold_source: str = ""
    calibration: str = ""
    force: bool = False
    relicense: bool = False
    accept_licence: bool = False

    def __post_init__(self) -> None:
        if self.name:
            check_name(self.name)
        if (self.threshold is None) != (not self.threshold_source):
            raise InputError("a threshold and its source come together: say how and on whom it was measured")


def export_pack(run: Path | str, folder: Path | str, **options: Any) -> Pack:
    """Write a run as a pack. The folder appears whole or not at all.

    Before anything is left there, every graph is held against torch: embedders to 1e-4 of the largest number of a
    feature, aggregators to 1e-5.

    Args:
        run: folder of a run of any kind.
        folder: where to write; it must not be there, or be empty, or with ``force`` be a pack.
        options: of :class:`PackOptions`; paths may be given as such.

    Returns:
        The pack, opened.

    Raises:
        ModelFileError: the run is incomplete or damaged.
        ModelError: the embedder that an aggregator was trained for is not here.
        InputError: an option that does not go with that kind of run, a folder that is taken, or a graph that does not
            answer as torch does.
        EmbedderMismatchError: embedder and aggregator do not belong together.
        LicenceError: more liberal than what was inherited, or a licence that must be accepted.
        CalibrationError: the calibration cannot be read, or is of another embedder or aggregator.
    """
    asked = _asked(options)
    run, target = Path(run), Path(folder)
    config = runs.read_config(run, *runs.KINDS)
    kind = config.get("kind", "aggregator")
    _check_options(kind, asked)
    with whole_folder(target, force=asked.force) as made:
        network: Aggregator | None
        if kind == "aggregator":
            manifest = _copied(made, config, asked)
            network, _ = runs.load(run)
        elif kind == "embedder":
            from faceset.training.embedder import load_embedder

            backbone, _ = load_embedder(run)
            manifest, network = _trained(made, run, config, backbone, asked), None
        else:
            from faceset.training.endtoend import load_end_to_end

            backbone, network, _ = load_end_to_end(run)
            manifest = _trained(made, run, config, backbone, asked)
        if network is not None:
            licence = asked.licence if kind == "aggregator" else manifest.licence
            told = metadata(config, licence=licence, training_data=asked.data) | {"embedder": manifest.model_id}
            write_onnx(network, made / AGGREGATOR, told)
        elif asked.aggregator and asked.aggregator != "mean":
            _other_aggregator(asked.aggregator, made / AGGREGATOR, manifest)
        if (made / AGGREGATOR).is_file():
            manifest = manifest.replace(aggregator=AGGREGATOR, aggregator_sha256=file_sha256(made / AGGREGATOR))
        _write_manifest(made, manifest)
        if asked.calibration:
            _copy_calibration(Path(asked.calibration), open_pack(made))
            _write_manifest(made, manifest.replace(calibration=CALIBRATION))
        open_pack(made)
    return open_pack(target)


def _asked(options: Mapping[str, Any]) -> PackOptions:
    plain = {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in options.items()}
    plain = {k: v for k, v in plain.items() if v is not None}
    unknown = sorted(set(plain) - set(PackOptions.__slots__))
    if unknown:
        raise InputError(f"a pack has no option {', '.join(unknown)}; it has {', '.join(PackOptions.__slots__)}")
    return PackOptions(**plain)


def _check_options(kind: str, asked: PackOptions) -> None:
    if asked.embedder and kind != "aggregator":
        raise InputError(f"a run of kind {kind} has an embedder of its own; leave embedder out")
    if asked.aggregator and kind != "embedder":
        raise InputError(f"a run of kind {kind} has an aggregator of its own; leave aggregator out")


# ------------------------------------------------------------------------------------------------- the embedder


def _trained(made: Path, run: Path, config: Mapping[str, Any], network: Backbone, asked: PackOptions) -> Manifest:
    """Write the backbone of a run; its manifest."""
    taken, result = config["preprocessing"], config.get("result", {})
    if crop_size(taken["crop"]) != network.size:
        raise ModelFileError(
            f"{run}: its network takes pictures of {network.size}, but crop {taken['crop']!r} gives "
            f"{crop_size(taken['crop'])}; its {runs.CONFIG} is damaged: train again"
        )
    numbers = all(isinstance(taken.get(key), list) and len(taken[key]) == 3 for key in ("mean", "std"))
    if not (numbers and isinstance(result, dict) and isinstance(config.get("data", {}), dict | str)):
        raise ModelFileError(f"{run}: its {runs.CONFIG} is damaged (preprocessing, data or result): train again")
    licence, commercial = terms(
        config.get("licence", ""),
        config.get("commercial", ""),
        given_licence=asked.licence,
        given_commercial=asked.commercial,
        relicense=asked.relicense,
    )
    threshold, source = asked.threshold, asked.threshold_source
    if threshold is None and result.get("threshold_source"):
        threshold, source = result.get("threshold"), result["threshold_source"]
    name = asked.name or re.sub(r"[^A-Za-z0-9._-]+|^[._-]+|[.]+$", "-", run.resolve().name).strip("-") or network.name
    check_name(name)
    path = made / EMBEDDER
    write_backbone(network, path, mean=taken["mean"], std=taken["std"])
    return Manifest(
        id=name,
        role="embedder",
        licence=licence,
        commercial=commercial,
        file=EMBEDDER,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        crop=taken["crop"],
        colour=taken["colour"],
        mean=tuple(taken["mean"]),
        std=tuple(taken["std"]),
        width=network.dim,
        threshold=threshold,
        threshold_source=source if threshold is not None else "",
        notes=f"{network.name}, trained with faceset {config['faceset']}",
        data=asked.data or _data_of(config),
    )


def _copied(made: Path, config: Mapping[str, Any], asked: PackOptions) -> Manifest:
    """Copy the embedder that an aggregator was trained for; its manifest."""
    name = asked.embedder or config["embedder"].partition(":")[0]
    if not asked.embedder and all(model.name != name for model in list_models()):
        raise ModelError(
            f"the run was trained on features of embedder {config['embedder']}, which is not among the models here; "
            "say where it is: embedder=FOLDER (on the command line --embedder FOLDER), its pack or its manifest"
        )
    found, source = embedder_of(name)
    if found.model_id != config["embedder"]:
        raise EmbedderMismatchError(
            f"the run was trained on features of embedder {config['embedder']}, but {name} is {found.model_id}; give "
            "the one that its features were extracted with"
        )
    check_copy(found, accepted=asked.accept_licence)
    _, commercial = terms(found.licence, found.commercial, given_commercial=asked.commercial, relicense=asked.relicense)
    path = made / EMBEDDER
    shutil.copyfile(source, path)
    digest = file_sha256(path)
    return found.replace(
        id=asked.name or found.id,
        commercial=commercial,
        file=EMBEDDER,
        sha256=digest,
        # The id of the features stays, whatever bytes the published weights were rebuilt to.
        source_sha256="" if digest == found.sha256 else found.source_sha256 or found.sha256,
        bytes=path.stat().st_size,
        url="",
        package="",
        threshold=found.threshold if asked.threshold is None else asked.threshold,
        threshold_source=asked.threshold_source or found.threshold_source,
        aggregator="",
        aggregator_sha256="",
        calibration="",
    )


def _data_of(config: Mapping[str, Any]) -> str:
    """What a run was trained on, in words."""
    data = config.get("data", {})
    if isinstance(data, str):
        return data
    people = data.get("people", data.get("subjects")) if data.get("named", True) else None
    counts = ((people, "people"), (data.get("faces"), "faces"), (data.get("held_out"), "people held out"))
    counted = ", ".join(f"{count} {what}" for count, what in counts if count)
    return "; ".join(part for part in (data.get("text", ""), counted) if part)


# ------------------------------------------------------------------------------------- aggregator and thresholds


def _other_aggregator(source: str, path: Path, manifest: Manifest) -> None:
    """Write the aggregator of another run, of a file or by name."""
    given = Path(source)
    if given.is_dir():
        network, config = runs.load(given)
        _check_trained_for(manifest, config["embedder"], f"the aggregator of {given}")
        write_onnx(network, path, metadata(config, licence=manifest.licence))
    elif given.suffix == ".onnx":
        from faceset.aggregation.onnx_aggregator import OnnxAggregator

        _check_trained_for(manifest, OnnxAggregator(given).embedder_id, f"the aggregator {given}")
        shutil.copyfile(given, path)
    elif source in WITHOUT_WEIGHTS:
        told = {"kind": source, "embedder": manifest.model_id, "licence": manifest.licence, "training_data": "none"}
        write_onnx(aggregators.build(source, manifest.width), path, told)
    else:
        raise InputError(
            f"{source} is no aggregator for a pack: give the folder of a run of `faceset train`, an .onnx file, or "
            f"{' or '.join(WITHOUT_WEIGHTS)}"
        )


def _check_trained_for(manifest: Manifest, embedder: str, what: str) -> None:
    if embedder != manifest.model_id:
        raise EmbedderMismatchError(
            f"{what} was trained for embedder {embedder or '(not named)'}, but that of the pack is "
            f"{manifest.model_id}; write the pack without aggregator, extract features with it (--pack), train on "
            "those, and write that run with the pack as its embedder"
        )


def _copy_calibration(source: Path, pack: Pack) -> None:
    found, name = calibrations.load(source), pack.aggregator_name or "mean"
    if (found.model_id, found.aggregator) != (pack.model_id, name):
        raise CalibrationError(
            f"{source} was made for embedder {found.model_id} and aggregator {found.aggregator}, but the pack has "
            f"{pack.model_id} and {name}; write the pack, then calibrate with it: `faceset calibrate PEOPLE --pack "
            "FOLDER -o FILE`"
        )
    calibrations.save(found, pack.folder / CALIBRATION)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST_NAME).write_text(manifest.to_toml(), encoding="utf-8")
