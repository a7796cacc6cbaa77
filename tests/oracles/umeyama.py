"""Umeyama's similarity transform by the singular value decomposition of the covariance, equations 34 to 43."""

from __future__ import annotations

import numpy as np


def umeyama(src: np.ndarray, dst: np.ndarray) -> np.ndarray:
    """(2, 3) that takes src (P, 2) closest to dst (P, 2)."""
    ms, md = src.mean(axis=0), dst.mean(axis=0)
    a, b = src - ms, dst - md
    u, d, vt = np.linalg.svd(b.T @ a / len(a))
    s = np.ones(2)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        s[1] = -1
    rotation = u @ np.diag(s) @ vt
    scale = (d * s).sum() / (a**2).sum(axis=1).mean()
    return np.column_stack([scale * rotation, md - scale * rotation @ ms])
