"""NAN for one set, straight from the formula, in double precision."""

import numpy as np


def nan(x, q0, W, b):
    """x (N, D) raw features -> unit template (D,), weights (N,), the weights of block 1 (N,)."""
    f = x / np.linalg.norm(x, axis=1, keepdims=True)

    def block(q):
        e = f @ q
        a = np.exp(e - e.max())
        a = a / a.sum()
        return a, a @ f

    a0, r0 = block(q0)
    a1, r1 = block(np.tanh(W @ r0 + b))
    return r1 / np.linalg.norm(r1), a1, a0
