"""Synthetic people whose best weights are known: ``x = |x| (s + sigma e +- 0.7 u)``, with the norm drawn at random.

``s`` is the unit vector of the person, ``e`` noise of unit variance over all components, ``u`` a unit vector at a right
angle to both, which tells clean faces (+, small sigma) from degraded ones (-, large sigma). The best estimate of ``s``
weighs the vectors by ``1 / sigma^2``, and so their unit vectors by their length over that.
"""

import numpy as np

from faceset.training.data import TrainData

D = 64


def synthetic(people=120, media=3, faces=6, seed=0, embedder="synthetic", bad=(8.0, 16.0)):
    """Features with labels, and the best weight of every face; half of the faces of a medium are degraded."""
    rng = np.random.default_rng(seed)
    u = np.random.default_rng(7).normal(size=D)  # the same in every data set
    u /= np.linalg.norm(u)

    def across(x):
        return x - (x @ u)[..., None] * u

    who = across(rng.normal(size=(people, D)))
    who /= np.linalg.norm(who, axis=1, keepdims=True)
    shape = (people, media, faces)
    degraded = np.broadcast_to(np.arange(faces) >= faces // 2, shape)
    sigma = np.where(degraded, rng.uniform(*bad, shape), rng.uniform(1.5, 2.0, shape))
    noise = across(rng.normal(size=(*shape, D)) / np.sqrt(D))
    x = who[:, None, None, :] + sigma[..., None] * noise + np.where(degraded, -0.7, 0.7)[..., None] * u
    best = np.linalg.norm(x, axis=3) / sigma**2
    x *= rng.uniform(0.8, 1.25, (*shape, 1))
    subject = np.broadcast_to(np.arange(people)[:, None, None], shape).ravel()
    medium = np.broadcast_to(np.arange(people * media).reshape(people, media, 1), shape).ravel()
    data = TrainData.of(
        x.reshape(-1, D),
        np.char.add("person", np.char.zfill(subject.astype(str), 4)),
        np.char.add("m", np.char.zfill(medium.astype(str), 5)),
        degraded.ravel(),
        strength=sigma.ravel(),
        embedder=embedder,
    )
    return data, best.ravel().astype(np.float32)
