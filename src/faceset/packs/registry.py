"""The models this package knows by name (``registry.toml``)."""

from __future__ import annotations

import functools
from pathlib import Path

from faceset.packs.manifest import Manifest, manifest_from_dict, read_toml

_FILE = Path(__file__).with_name("registry.toml")


def registry() -> dict[str, Manifest]:
    """Manifests by id, in the order of the file."""
    return dict(_load())


@functools.cache
def _load() -> dict[str, Manifest]:
    tables = read_toml(_FILE)
    return {
        name: manifest_from_dict({"id": name, **values}, f"registry entry {name}") for name, values in tables.items()
    }
