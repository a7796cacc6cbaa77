"""The closed forms for one set at a time, naively: x (N, D) raw features, q (N,) scores, media a list of N."""

import math
import statistics

import numpy as np


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def template(x, weights):
    r = sum(w * f for w, f in zip(weights, unit(x), strict=True))
    length = np.linalg.norm(r)
    return r / length, length


def one_hot(values):
    return [1.0 if k == int(np.argmax(values)) else 0.0 for k in range(len(values))]


def medoid(x):
    f = unit(x)
    n = len(f)
    scores = [np.mean([f[k] @ f[j] for j in range(n) if j != k]) if n > 1 else 0.0 for k in range(n)]
    return one_hot(np.round(scores, 9))


def media_first(b, media):
    shares = [b[k] / sum(m == media[k] for m in media) for k in range(len(b))]
    return [s / sum(shares) for s in shares]


def trimmed(x, factor=2.5, keep=0.7, rounds=5):
    f = unit(x)
    n = len(f)
    kept = list(range(n))
    for _ in range(rounds):
        m = f[kept].mean(axis=0)
        m = m / np.linalg.norm(m)
        far = {k: 1 - float(f[k] @ m) for k in kept}
        limit = factor * statistics.median(far.values()) + 1e-6
        left = [k for k in kept if far[k] <= limit]
        for k in sorted((k for k in kept if far[k] > limit), key=lambda k: (far[k], k)):
            if len(left) < math.ceil(keep * n - 1e-9):
                left.append(k)
        if len(left) == len(kept):
            break
        kept = sorted(left)
    return [1 / len(kept) if k in kept else 0.0 for k in range(n)]


def weights(name, x, q, media):
    """The weights of the named aggregator for one set."""
    norms = np.linalg.norm(x, axis=1)
    scored = norms * (q if q.max() > 0 else 1.0)
    base = {"mean": np.ones(len(x)), "norm": norms, "norm-score": scored}
    if name in base:
        return base[name] / base[name].sum()
    if name.startswith("media-first"):
        return np.array(media_first(base[name.partition("+")[2] or "mean"], media))
    if name == "medoid":
        return np.array(medoid(x))
    if name == "best":
        return np.array(one_hot(scored))
    return np.array(trimmed(x))
