"""From a calibration to the threshold of one comparison or one search.

* FAR between two calibrated ones: straight line over the logarithm of FAR. Above the largest: the threshold of the
  largest, which is stricter than what was asked for. Below the smallest: an error; nothing can be promised there.
* FPIR: the same, over the logarithm of FPIR.
* People in the gallery between two measured numbers: straight line over their logarithm. Above the largest: onward at
  the steeper of two slopes, that of the last two measured numbers and that which independent scores would have
  (``FPIR = 1 - (1 - FAR)^N``: per ``ln N`` what the threshold rises per ``-ln FAR``).
* Set sizes in a search: the threshold of single faces, plus the largest amount by which the threshold of the two size
  classes exceeds that of two single faces at any FAR that both resolve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from faceset.calibration.records import Calibration, FpirPoint, SizePair
from faceset.errors import InputError, ThresholdError
from faceset.scoring import Threshold

FAR = 1e-3
FPIR = 1e-2
"""What is aimed at where nothing else is asked for."""


def check_rate(value: float, name: str) -> float:
    """``value`` when it is a rate between 0 and 1, both excluded.

    Raises:
        InputError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1.0:
        raise InputError(f"{name} must be a number between 0 and 1, such as 0.001, but got {value!r}")
    return float(value)


def for_pair(calibration: Calibration, faces: tuple[int, int], far: float, where: str) -> Threshold:
    """The threshold for two templates of so many faces.

    Args:
        calibration: of the embedder and aggregator that made the templates.
        faces: number of faces of each.
        far: the rate of false acceptance asked for.
        where: where the calibration comes from, in words.

    Raises:
        InputError: ``far`` is not between 0 and 1.
        ThresholdError: it is below every FAR that was calibrated.
    """
    far = check_rate(far, "far")
    pair, sizes = _pair(calibration, faces)
    fars = [p.far for p in pair.points]
    if far < fars[-1]:
        raise ThresholdError(
            f"FAR {far:g} is below {fars[-1]:g}, the smallest of {where}; ask for that, or calibrate on more people "
            "with `faceset calibrate`"
        )
    kept = min(far, fars[0])
    value, used = _between([(p.far, p.threshold) for p in pair.points], kept)
    notes = [f"FAR {kept:g}"]
    if kept != far:
        notes[0] += f" (asked for {far:g}; nothing looser was calibrated)"
    notes += [calibration.source, f"templates of {sizes[0]} and {sizes[1]} faces"]
    if len(used) > 1:
        notes.append(f"interpolated between FAR {fars[used[0]]:g} and {fars[used[1]]:g}")
    if not all(pair.points[i].resolved for i in used):
        rule = next(pair.points[i].rule for i in used if not pair.points[i].resolved)
        notes.append(f"unresolved: too few people for that FAR and size, found by rule {rule!r}")
    return Threshold(value, "; ".join([*notes, where]), far=kept)


def for_search(calibration: Calibration, faces: tuple[int, int], people: int, fpir: float, where: str) -> Threshold:
    """The threshold for a probe searched for among ``people`` enrolled people.

    Args:
        calibration: of the embedder and aggregator that made the templates.
        faces: number of faces of the probe, and of the candidate it is compared with.
        people: N, in the gallery.
        fpir: the share of searches for somebody who is not enrolled that may return anybody.
        where: where the calibration comes from, in words.

    Raises:
        InputError: ``fpir`` is not between 0 and 1.
        ThresholdError: it is below every FPIR that was calibrated, or there is none.
    """
    fpir = check_rate(fpir, "fpir")
    if not calibration.searches:
        raise ThresholdError(
            f"{where} holds no thresholds for searches, because too few people were measured; calibrate on more, or "
            "pass threshold="
        )
    fpirs = calibration.fpirs
    if fpir < fpirs[-1]:
        raise ThresholdError(
            f"FPIR {fpir:g} is below {fpirs[-1]:g}, the smallest of {where}; ask for that, or calibrate on more people "
            "with `faceset calibrate`"
        )
    kept = min(fpir, fpirs[0])
    N = max(1, people)
    single, notes = _search(calibration, N, kept)
    pair, sizes = _pair(calibration, faces)
    shift = _shift(calibration, pair)
    head = f"FPIR {kept:g} among {N} {'person' if N == 1 else 'people'}"
    if kept != fpir:
        head += f" (asked for {fpir:g}; nothing looser was calibrated)"
    said = [head, calibration.source, f"templates of {sizes[0]} and {sizes[1]} faces", *notes, where]
    return Threshold(min(1.0, single + shift), "; ".join(said), fpir=kept)


def _pair(calibration: Calibration, faces: tuple[int, int]) -> tuple[SizePair, tuple[str, str]]:
    """The thresholds for templates of so many faces, and the names of the classes in the order of ``faces``."""
    numbers = [next(i for i, c in enumerate(calibration.classes) if max(1, n) in c) for n in faces]
    pair = next(p for p in calibration.pairs if p.sizes == tuple(sorted(numbers)))
    return pair, (str(calibration.classes[numbers[0]]), str(calibration.classes[numbers[1]]))


def _search(calibration: Calibration, people: int, fpir: float) -> tuple[float, list[str]]:
    """The threshold of single faces, and what is to be said of it."""
    galleries, notes = calibration.galleries, []

    def at(gallery: int) -> tuple[float, tuple[FpirPoint, ...]]:
        points = [s for s in calibration.searches if s.gallery == gallery]
        value, used = _between([(s.fpir, s.threshold) for s in points], fpir)
        return value, tuple(points[i] for i in used)

    below = max(n for n in galleries if n <= people) if people >= galleries[0] else galleries[0]
    value, used = at(below)
    if people > galleries[-1]:
        steepest = _independent_slope(calibration)
        if len(galleries) > 1:
            steepest = max(steepest, (value - at(galleries[-2])[0]) / math.log(below / galleries[-2]))
        value += max(0.0, steepest) * math.log(people / below)
        notes.append(f"extrapolated from {below} people")
    elif people > below:
        above = min(n for n in galleries if n >= people)
        upper, more = at(above)
        value += (upper - value) * math.log(people / below) / math.log(above / below)
        used += more
        notes.append(f"interpolated between {below} and {above} people")
    if fpir not in calibration.fpirs:
        notes.append("interpolated over FPIR")
    if not all(s.resolved for s in used):
        notes.append("unresolved: too few people for that FPIR")
    return value, notes


def _independent_slope(calibration: Calibration) -> float:
    """By how much the threshold of two single faces rises per ``-ln FAR`` at the smallest FAR that were calibrated."""
    points = next(p for p in calibration.pairs if p.sizes == (0, 0)).points
    if len(points) < 2:
        return 0.0
    last, before = points[-1], points[-2]
    return (last.threshold - before.threshold) / math.log(before.far / last.far)


def _shift(calibration: Calibration, pair: SizePair) -> float:
    """By how much larger sets score higher than two single faces."""
    single = next(p for p in calibration.pairs if p.sizes == (0, 0))
    both = [(a, b) for a, b in zip(single.points, pair.points, strict=True) if a.resolved and b.resolved]
    both = both or list(zip(single.points, pair.points, strict=True))
    return max(0.0, *(b.threshold - a.threshold for a, b in both))


def _between(points: Sequence[tuple[float, float]], rate: float) -> tuple[float, tuple[int, ...]]:
    """The threshold at ``rate``, straight over its logarithm, and the numbers of the points used; rates fall."""
    for i, (at, value) in enumerate(points):
        if math.isclose(at, rate, rel_tol=1e-9):
            return value, (i,)
        if at < rate:
            over, upper = points[i - 1]
            share = math.log(over / rate) / math.log(over / at)
            return upper + (value - upper) * share, (i - 1, i)
    raise InputError(f"no threshold is known for a rate of {rate:g}")
