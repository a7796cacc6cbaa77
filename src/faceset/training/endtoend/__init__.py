"""End-to-end training: pictures of face sets through CNN and aggregator in one graph. Needs ``train`` (torch).

Importing this package loads no torch but with the parts that need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceset.lazy import exports

if TYPE_CHECKING:
    from faceset.training.endtoend.config import EndToEndConfig as EndToEndConfig
    from faceset.training.endtoend.network import EndToEnd as EndToEnd
    from faceset.training.endtoend.running import load_end_to_end as load_end_to_end
    from faceset.training.endtoend.trainer import EndToEndResult as EndToEndResult
    from faceset.training.endtoend.trainer import train_end_to_end as train_end_to_end

_HOMES = {
    "EndToEnd": "network",
    "EndToEndConfig": "config",
    "EndToEndResult": "trainer",
    "load_end_to_end": "running",
    "train_end_to_end": "trainer",
}

__all__ = sorted(_HOMES)


__getattr__, __dir__ = exports(globals(), _HOMES, doing="training")
