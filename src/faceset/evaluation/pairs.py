"""The best and the worst pairs of a report as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faceset.evaluation.markup import text
from faceset.evaluation.results import Example, Outcome

KINDS = {
    "missed": "One person, lowest scores",
    "false alarm": "Two people, highest scores",
    "easy": "One person, highest scores",
    "apart": "Two people, lowest scores",
}
_RISING = ("missed", "apart")
_MOST = 6
"""Pairs of one kind that are shown."""


def pairs(outcomes: Sequence[Outcome], classes: Mapping[str, str]) -> str:
    """The pairs of one aggregator, the most telling of each kind first.

    Args:
        outcomes: its experiments of one task.
        classes: for each entry that has a picture, the CSS class that shows it.
    """
    found = [e for o in outcomes for e in o.examples]
    shown = []
    for kind, heading in {**KINDS, **{e.kind: e.kind for e in found if e.kind not in KINDS}}.items():
        chosen = sorted((e for e in found if e.kind == kind), key=lambda e: _place(e, kind))[:_MOST]
        if chosen:
            inner = "".join(_pair(e, classes) for e in chosen)
            shown.append(f'<h4>{text(heading)}</h4>\n<div class="pairs">{inner}</div>\n')
    return "".join(shown)


def _place(example: Example, kind: str) -> tuple[float, str, str]:
    if example.score is None:  # not the worst: nothing is to be seen in it
        return (float("inf"), example.first, example.second)
    return (example.score if kind in _RISING else -example.score, example.first, example.second)


def _pair(example: Example, classes: Mapping[str, str]) -> str:
    score = "no score: not enrolled" if example.score is None else f"{example.score:.4f}"
    same = example.first_subject == example.second_subject
    who = example.first_subject if same else f"{example.first_subject} / {example.second_subject}"
    first = _faces(example.first_media, example.first, classes)
    second = _faces(example.second_media, example.second, classes)
    return (
        f'<figure class="pair"><div class="sides">{first}{second}</div>'
        f'<figcaption><b>{text(score)}</b> <span>{text(who)}</span><span class="ids">{text(example.first)}</span>'
        f'<span class="ids">{text(example.second)}</span></figcaption></figure>\n'
    )


def _faces(names: Sequence[str], template: str, classes: Mapping[str, str]) -> str:
    inner = ""
    for name in names or (template,):
        if name in classes:
            inner += f'<span class="face {classes[name]}" role="img" aria-label="{text(name)}"></span>'
        else:
            inner += f'<span class="face none">{text(name if len(name) <= 60 else "..." + name[-57:])}</span>'
    return f'<div class="side">{inner}</div>'
