"""Intervals by resampling subjects, paired between several ways of making templates of the same faces.

One resample draws S of the S subjects with replacement. With ``w_i`` the times subject i was drawn, a pair of two
people counts ``w_i w_j`` times and a pair of one person ``w_i`` times (two copies of one person are not compared). A
search counts as often as its probe's subject was drawn; the gallery stays as it is. Pairs of templates are far from
independent, subjects nearly are; that is why subjects are drawn and not pairs. Every score set meets the same
resamples, so a difference keeps only what the sets do not share.

Weights are whole numbers and are summed as such: no figure depends on the order of pairs or on threads.
``docs/metrics.md`` says what the intervals are over.
"""

from __future__ import annotations

from faceset.bootstrap.accuracy import AccuracyBootstrap, accuracy_bootstrap
from faceset.bootstrap.drawing import draw_subjects
from faceset.bootstrap.pairs import paired_bootstrap
from faceset.bootstrap.result import Bootstrap, Draws, combine, joined
from faceset.bootstrap.searches import SearchBootstrap, search_bootstrap
from faceset.bootstrap.trials import Trials, all_pairs

__all__ = [
    "AccuracyBootstrap",
    "Bootstrap",
    "Draws",
    "SearchBootstrap",
    "Trials",
    "accuracy_bootstrap",
    "all_pairs",
    "combine",
    "draw_subjects",
    "joined",
    "paired_bootstrap",
    "search_bootstrap",
]
