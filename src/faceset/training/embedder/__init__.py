"""Training of an embedder, by the names of people, by a teacher without any names, or by both. Needs ``train`` (torch).

Importing this package loads no torch but with the parts that need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceset.lazy import exports

if TYPE_CHECKING:
    from faceset.training.embedder.config import DistilConfig as DistilConfig
    from faceset.training.embedder.config import EmbedderConfig as EmbedderConfig
    from faceset.training.embedder.result import EmbedderResult as EmbedderResult
    from faceset.training.embedder.result import load_embedder as load_embedder
    from faceset.training.embedder.trainer import train_embedder as train_embedder

_HOMES = {
    "DistilConfig": "config",
    "EmbedderConfig": "config",
    "EmbedderResult": "result",
    "load_embedder": "result",
    "train_embedder": "trainer",
}

__all__ = sorted(_HOMES)


__getattr__, __dir__ = exports(globals(), _HOMES, doing="training")
