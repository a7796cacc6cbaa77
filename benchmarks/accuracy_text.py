"""The tables of docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceset.bootstrap import Bootstrap


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def main_table(results: Mapping[str, Bootstrap], far: float) -> str:
    """Aggregators down, rows of the table across."""
    names = next(iter(results.values())).names
    body = []
    for name in names:
        cells = []
        for result in results.values():
            rates = " / ".join(f"{100 * result.interval(name, f)[0]:.1f}" for f in result.fars)
            _, low, high = (100 * v for v in result.difference(name, "mean", far))
            cells.append(rates if name == "mean" else f"{rates} [{low:+.1f}, {high:+.1f}]")
        body.append([f"`{name}`", *cells])
    return markdown(["", *results], body)


def size_table(sizes: Mapping[int, Mapping[str, float]]) -> str:
    """Aggregators down, numbers of faces across."""
    names = next(iter(sizes.values()))
    body = [[f"`{name}`", *(f"{100 * found[name]:.1f}" for found in sizes.values())] for name in names]
    return markdown(["", *(f"N = {n}" for n in sizes)], body)


def left_out_table(without: Mapping[str, Mapping[str, Any]], default: str) -> str:
    """One line for each kind that was left out."""
    head = ["left out", "that kind alone: mean", "shipped", "trained without", "misses cut"]
    head += ["all kinds: mean", "shipped", "trained without", "misses cut"]
    body = []
    for kind, found in without.items():
        cells = [kind]
        for where in ("only", "all"):
            f = found[where]
            cut = 1 - (1 - f["without"]) / (1 - f["mean"])
            cells += [f"{100 * f[k]:.1f}" for k in ("mean", default, "without")] + [f"{100 * cut:.0f} %"]
        body.append(cells)
    return markdown(head, body)


def weight_table(
    weights: Mapping[str, Mapping[str, Mapping[str, float]]], without: Mapping[str, Mapping[str, Any]], default: str
) -> str:
    """One line for each kind."""
    head = ["kind", *(f"{source} `{name}`" for source, models in weights.items() for name in models)]
    kinds = ["clean", *without]
    body = []
    for kind in kinds:
        cells = [f"{models[name][kind]:.2f}" for models in weights.values() for name in models]
        never = f"{without[kind]['weights'][kind]:.2f}" if kind in without else ""
        body.append([kind, *cells, never])
    return markdown([*head, f"lfw `{default}`, never trained on"], body)
