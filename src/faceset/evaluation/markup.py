"""Pieces of HTML with every text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from faceset.evaluation.wording import clean


def text(value: object) -> str:
    """``value`` as text that HTML shows as it is, in content and in quoted attributes.

    >>> text("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    return html.escape(clean(str(value)), quote=True)


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls inside its box; cells are HTML, the caption and the header are text.

    The first cell of a row is its heading.
    """
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    return (
        f'<p class="cap">{text(caption)}</p>\n'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def terms(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms and what they are; terms are text, what they are is HTML."""
    inner = "".join(f"<dt>{text(term)}</dt><dd>{what}</dd>\n" for term, what in pairs)
    return f"<dl>{inner}</dl>\n" if inner else ""


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences, which are text."""
    inner = "".join(f"<li>{text(sentence)}</li>\n" for sentence in sentences)
    return f"<ul>{inner}</ul>\n" if inner else ""


def brief(value: object, most: int = 400) -> str:
    """A plain value on one line, cut where it is long or deep: ``a: 1, b: (c: 2)``.

    >>> brief({"a": 1, "b": {"c": [2, 3], "d": {"e": 4}}, "f": None})
    'a: 1, b: (c: 2, 3, d: 1 entry), f: none'
    """
    line = _brief(value)
    return line if len(line) <= most else line[: most - 4] + " ..."


def _brief(value: object, depth: int = 0) -> str:
    if isinstance(value, Mapping):
        if depth > 1:
            return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
        line = ", ".join(f"{key}: {_brief(v, depth + 1)}" for key, v in value.items())
        return f"({line})" if depth else line
    if isinstance(value, list | tuple):
        return ", ".join(_brief(v, depth + 1) for v in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
