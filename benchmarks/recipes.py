"""How the shipped aggregators are trained; everything is fixed, the seed included. docs/accuracy.md says why so."""

from __future__ import annotations

from faceset.training.config import TrainConfig

SEED = 0
DEFAULT = "anchored"
"""The one that is used where nothing else is asked for."""
ERS_POWER = 4.0
_STEPS, _EVERY = 300, 75
RECIPES = {
    "anchored": TrainConfig(
        aggregator="anchored",
        options={"power": 3.0},
        loss="contrast",
        learning_rate=1e-3,
        steps=_STEPS,
        validate_every=_EVERY,
        seed=SEED,
    ),
    "nan": TrainConfig(
        aggregator="nan", loss="contrast", learning_rate=1e-2, steps=_STEPS, validate_every=_EVERY, seed=SEED
    ),
}
