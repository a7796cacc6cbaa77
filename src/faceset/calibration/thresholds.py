"""Which threshold an answer uses: the caller's, a calibrated one, or the embedder's own, in this order."""

from __future__ import annotations

import os
from pathlib import Path

from faceset.calibration import files, lookup, places
from faceset.calibration.records import Calibration
from faceset.errors import CalibrationError, InputError, ThresholdError
from faceset.scoring import Threshold, threshold_for

NONE, SHIPPED = "none", "shipped"
_MANY = 1_000_000  # faces: the largest class, whose thresholds are the highest


class Thresholds:
    """Finds the threshold of each comparison and each search.

    Args:
        model_id: id of the embedder.
        calibration: ``"none"``; ``"shipped"``; a file, or a :class:`~faceset.calibration.Calibration`; None: the user's
            own where there is one, else the shipped one, which comes with the pack or with faceset.
        pack: the calibration's file of the pack in use; None: it has none.
        imported: whether the calibration of an imported pack of the embedder will do, where ``pack`` is None.
        far, fpir: rates aimed at, each between 0 and 1.
        given: the caller's threshold, which overrides all others.
        manifest: the embedder's own, or None.
        manifest_source: where that comes from.

    Raises:
        InputError: a rate out of range.
        CalibrationError: the file cannot be read.
        ThresholdError: a threshold that is no cosine.
    """

    def __init__(
        self,
        model_id: str,
        *,
        calibration: str | os.PathLike[str] | Calibration | None = None,
        far: float = lookup.FAR,
        fpir: float = lookup.FPIR,
        given: float | None = None,
        manifest: float | None = None,
        manifest_source: str | None = None,
        pack: Path | None = None,
        imported: bool = True,
    ) -> None:
        self.model_id = model_id
        self.far, self.fpir = lookup.check_rate(far, "far"), lookup.check_rate(fpir, "fpir")
        self._given = None if given is None else threshold_for(None, None, given)
        self._manifest = None if manifest is None else threshold_for(manifest, manifest_source, None)
        self._pack, self._imported = pack, imported
        self._asked: str | None = None
        self._loaded: tuple[Calibration, str] | None = None
        self._found: dict[str, tuple[Calibration, str] | None] = {}
        if isinstance(calibration, Calibration):
            self._loaded = calibration, "calibration given by the caller"
        elif calibration is not None and str(calibration) in (NONE, SHIPPED):
            self._asked = str(calibration)
        elif isinstance(calibration, str | os.PathLike):
            self._loaded = files.load(calibration), f"calibration {Path(calibration).name}"
        elif calibration is not None:
            raise InputError(
                f"calibration must be 'none', 'shipped', a file or a Calibration, but got {type(calibration).__name__}"
            )

    @property
    def own(self) -> Threshold | None:
        """The caller's threshold, else the embedder's own; None where there is neither."""
        return self._given if self._given is not None else self._manifest

    def pair(self, aggregators: tuple[str, str], faces: tuple[int, int]) -> Threshold:
        """For two templates made by these aggregators of so many faces.

        Raises:
            ThresholdError: none is known, or FAR is smaller than any that was calibrated.
        """
        if self._given is not None:
            return self._given
        found, why = self._calibration(aggregators)
        return self._fallen_back(why) if found is None else lookup.for_pair(found[0], faces, self.far, found[1])

    def search(self, aggregators: tuple[str, str], faces: tuple[int, int], people: int) -> Threshold:
        """For a probe and its best candidate among ``people``.

        Raises:
            ThresholdError: none is known, or FPIR is smaller than any that was calibrated.
        """
        if self._given is not None:
            return self._given
        found, why = self._calibration(aggregators)
        if found is None:
            return self._fallen_back(why)
        return lookup.for_search(found[0], faces, people, self.fpir, found[1])

    def alike(self, aggregator: str, people: int) -> float | None:
        """From which score on a newcomer resembles somebody enrolled, for a remark: sets of any size, no error."""
        try:
            return self.search((aggregator, aggregator), (_MANY, _MANY), people).value
        except (CalibrationError, ThresholdError):
            return None if self.own is None else self.own.value

    def _calibration(self, aggregators: tuple[str, str]) -> tuple[tuple[Calibration, str] | None, str]:
        """A calibration that fits and where it comes from; else None and why none is used."""
        if self._asked == NONE:
            return None, ""
        if aggregators[0] != aggregators[1]:
            return None, f"no calibration fits templates of two aggregators, {aggregators[0]} and {aggregators[1]}"
        (name, _) = aggregators
        if self._loaded is not None:
            made, where = self._loaded
            if made.model_id != self.model_id:
                return None, f"{where} was made for embedder {made.model_id}, not used"
            if made.aggregator != name:
                return None, f"{where} was made for aggregator {made.aggregator}, not used"
            return self._loaded, ""
        if name not in self._found:
            self._found[name] = self._look(name)
        found = self._found[name]
        if found is None and self._asked == SHIPPED:
            raise CalibrationError(
                f"no calibration ships for embedder {self.model_id} with aggregator {name}; make one with "
                "`faceset calibrate`"
            )
        return found, "" if found is not None else f"no calibration for aggregator {name}"

    def _look(self, aggregator: str) -> tuple[Calibration, str] | None:
        if self._asked != SHIPPED:
            own = places.of_user(self.model_id, aggregator)
            if own is not None:
                return own, f"your own calibration {places.user_path(self.model_id, aggregator).name}"
        packed = None
        if self._pack is not None or self._imported:
            packed = places.of_pack(self._pack, self.model_id, aggregator)
        if packed is not None:
            return packed, "calibration of the pack"
        made = places.shipped(self.model_id, aggregator)
        return None if made is None else (made, "shipped calibration")

    def _fallen_back(self, why: str) -> Threshold:
        if self._manifest is None:
            if not why:
                return threshold_for(None, None, None)  # raises
            raise ThresholdError(
                f"no threshold is known for this embedder ({why}); pass threshold= (on the command line --threshold), "
                "a cosine in -1..1, or measure one with `faceset calibrate`"
            )
        return Threshold(self._manifest.value, f"{self._manifest.source}; {why}" if why else self._manifest.source)
