"""All that makes two reports comparable or not, as plain values."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from faceset.evaluation.trials import Experiment, Identification
from faceset.feature_table import FeatureTable


def signature(
    experiments: Sequence[Experiment],
    table: FeatureTable,
    aggregators: Mapping[str, str],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Protocol, files, counts, features, aggregators, options and versions.

    Args:
        experiments: of one protocol.
        table: the features.
        aggregators: name as asked for -> full name.
        options: of the evaluation.
    """
    files = {f.name: f.to_dict() for e in experiments for f in e.files}
    found = {
        "protocol": experiments[0].protocol,
        "experiments": [_experiment(e) for e in experiments],
        "files": [files[name] for name in sorted(files)],
        "features": {
            "embedder": table.embedder,
            "width": int(table.vectors.shape[1]),
            "rows": len(table),
            "media": len(table.medium.names),
            "scheme": table.scheme,
            "settings": dict(table.settings),
        },
        "aggregators": dict(aggregators),
        "options": dict(options),
        "versions": {"faceset": _version("faceset"), "numpy": _version("numpy"), "python": platform.python_version()},
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, sort_keys=True, default=str))
    return plain


def _experiment(e: Experiment) -> dict[str, Any]:
    found: dict[str, Any] = {
        "task": e.task,
        "part": e.part,
        "settings": e.settings,
        "entries": len(e.faces),
        "templates": len(e.templates),
        "subjects": e.templates.subjects,
    }
    if isinstance(e, Identification):
        found |= {"probes": int(e.probes.size), "galleries": {g.name: int(g.templates.size) for g in e.galleries}}
        return found | {"close_set": e.close_set}
    found |= {"genuine": e.genuine, "impostors": e.impostors}
    return found | {"folds": None if e.folds is None else int(e.folds.max()) + 1}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
