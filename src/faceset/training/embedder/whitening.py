"""Whitening, folded into the last layer, so that every direction of the feature counts the same in a cosine.

A student that is drawn to its teacher by squared distance shrinks what it is unsure of, and keeps the mean that all
faces share. Both count in a cosine, and neither tells people apart. Nothing is learnt here from who is who.
"""

from __future__ import annotations

import numpy as np
import torch

from faceset.errors import InputError
from faceset.training.backbones import Backbone
from faceset.training.embedder.network import last_layer
from faceset.types import Floats

_FLOOR = 1e-4
"""Least variance of a direction, of the mean one: some features leave directions unused."""


def check_foldable(backbone: Backbone) -> None:
    """Refuse a backbone whose last layer cannot take a matrix and a shift.

    Raises:
        InputError: it ends in a normalisation, or in a layer without bias.
    """
    last = last_layer(backbone, backbone.dim)
    if last is None or last.weight.ndim < 2:
        raise InputError(
            f"whiten needs a backbone that ends in a linear layer with a bias, such as googlenet or vgg16, and "
            f"{backbone.name} does not; set whiten to 0"
        )


def whiten(backbone: Backbone, features: Floats, power: float) -> None:
    """Change the last layer so that the feature ``x`` becomes ``(C / c)^(-power / 2) (x - m)``.

    ``m`` and ``C`` are mean and covariance of ``features``, ``c`` the mean variance of a direction. With power 1 all
    directions have the same variance, with 0 the mean is taken off and nothing else.

    Args:
        backbone: is changed.
        features: (M, D) that it gives for many faces, M > D.
        power: 0..1.

    Raises:
        InputError: the backbone cannot be changed so, or the features are all the same.
    """
    check_foldable(backbone)
    last = last_layer(backbone, backbone.dim)
    x = np.asarray(features, np.float64)
    mean = x.mean(axis=0)
    variances, directions = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    if last is None or not variances.mean() > 0.0:
        raise InputError("the features to whiten by are all the same; train first")
    scale = np.maximum(variances / variances.mean(), _FLOOR) ** (-power / 2.0)
    matrix = torch.from_numpy((directions * scale) @ directions.T)  # (D, D)
    with torch.no_grad():
        weight, bias = last.weight.detach().cpu().double(), last.bias.detach().cpu().double()
        last.weight.copy_((matrix @ weight.flatten(1)).reshape(weight.shape))
        last.bias.copy_(matrix @ (bias - torch.from_numpy(mean)))
