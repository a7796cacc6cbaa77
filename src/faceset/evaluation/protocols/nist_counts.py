"""What the official files hold, to tell a reader of results where the files at hand hold something else.

Not an error: an edited copy is read as it is, and its own counts are reported. But a figure from a list that lost lines
must not pass for the published one.

Sources: IJB-A 1:1, counted from NIST's ten splits. IJB-B: Whitelam et al., CVPR Workshops 2017 (1,845 gallery and
10,270 probe templates, 8,010,270 pairs). IJB-C: ``bob.db.ijbc`` ``test.py`` (3,531 gallery and 19,593 probe templates,
15,658,489 pairs).
"""

from __future__ import annotations

IJBA_1TO1 = {
    # split: training templates, training rows, test templates, test rows, comparisons, genuine ones
    1: (2708, 16910, 1970, 17997, 11787, 1803),
    2: (2749, 16354, 1952, 18715, 11779, 1779),
    3: (2793, 17287, 1895, 17462, 11701, 1722),
    4: (2732, 16548, 1963, 18721, 11779, 1797),
    5: (2776, 17040, 1920, 17749, 11744, 1754),
    6: (2869, 17644, 1814, 16604, 11648, 1648),
    7: (2869, 17584, 1819, 16268, 11652, 1652),
    8: (2660, 16367, 2040, 19097, 11869, 1874),
    9: (2744, 17421, 1953, 17245, 11772, 1780),
    10: (2792, 16763, 1919, 18395, 11752, 1752),
}
IJBA_NAMES = (
    "training templates",
    "training rows",
    "test templates",
    "test rows",
    "comparisons",
    "genuine comparisons",
)

IJB_1TO1 = {"ijbb": (12_115, 8_010_270), "ijbc": (23_124, 15_658_489)}
IJB_1TO1_NAMES = ("templates", "comparisons")


def deviations(names: tuple[str, ...], official: tuple[int, ...], here: tuple[int, ...]) -> tuple[str, ...]:
    """One sentence about the counts that differ, or nothing.

    >>> deviations(("templates", "pairs"), (3, 2000), (3, 1999))
    ('Counts differ from the official files: 1,999 pairs (official 2,000).',)
    """
    differing = [
        f"{count:,} {name} (official {due:,})"
        for name, due, count in zip(names, official, here, strict=True)
        if due != count
    ]
    return (f"Counts differ from the official files: {', '.join(differing)}.",) if differing else ()
