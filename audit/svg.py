"""Matplotlib figures as SVG to stand inside a page: the same numbers give the same bytes.

What matplotlib writes is a document of its own, with a date, random ids, fixed colours and a style that reaches out
over the whole page. Here the ids come from the picture's key, text stays text, and the colours and sizes below
become CSS variables of the page, so that dark mode, print and small screens are followed. `audit/templates` sets them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from threading import Lock

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Colours to draw with, and the CSS variables that they become.
COLOURS = {
    "before": "#b3630f", "after": "#1f5fa8", "twin": "#6b7078", "ink": "#1d2126", "soft": "#596069", "line": "#dcd9d1",
    "faint": "#efece5", "sheet": "#fefefe",
}  # fmt: skip
# Sizes of text in px, and the CSS variables that they become.
TICK, LABEL = 11, 13
_SIZES = {f"{TICK}px": "var(--tick)", f"{LABEL}px": "var(--label)"}
_SETTINGS = {
    "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": TICK, "text.color": COLOURS["ink"],
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "axes.spines.bottom": False,
    "xtick.color": COLOURS["line"], "ytick.color": COLOURS["line"], "xtick.labelcolor": COLOURS["soft"],
    "ytick.labelcolor": COLOURS["soft"], "axes.labelcolor": COLOURS["soft"],
    "xtick.major.size": 0, "ytick.major.size": 0, "xtick.major.pad": 8, "ytick.major.pad": 8,
    "xtick.labelsize": TICK, "ytick.labelsize": TICK, "axes.labelsize": TICK, "figure.dpi": 72,
}  # fmt: skip
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_LOCK = Lock()  # matplotlib's settings belong to the process, and a web server has threads


def picture(
    key: str, title: str, description: str, size: tuple[int, int], draw: Callable[[Figure], None]
) -> str:
    """Draw on an empty figure of `size` (width, height) px and return `<svg>` for a page.

    `key` begins every id in it, so that several pictures can stand in one page.
    """
    with _LOCK, matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": key}):
        figure = Figure(figsize=(size[0] / 72, size[1] / 72))
        figure.patch.set_visible(False)
        FigureCanvasSVG(figure)
        draw(figure)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    return _open_tag(key, title, description, size) + _inside(written.getvalue(), key) + "</svg>"


def _open_tag(key: str, title: str, description: str, size: tuple[int, int]) -> str:
    return (
        f'<svg role="img" aria-labelledby="{key}-t {key}-d" viewBox="0 0 {size[0]} {size[1]}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{key}-t">{escape(title)}</title>'
        f'<desc id="{key}-d">{escape(description)}</desc>'
    )


def _inside(document: str, key: str) -> str:
    """What stands between matplotlib's own `<svg …>` and `</svg>`, fit for a page."""
    body = re.sub(r".*?<svg[^>]*>", "", document, count=1, flags=re.DOTALL).rsplit("</svg>", 1)[0]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = (
        body.replace("xlink:href", "href")
        .replace('href="#', f'href="#{key}-')
        .replace("url(#", f"url(#{key}-")
    )
    body = re.sub(r'\bid="', f'id="{key}-', body)
    body = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", body)
    body = re.sub(r" font-family: [^;\"]*;?", "", body)
    body = re.sub(r"font-size: (\d+px)", lambda found: f"font-size: {_SIZES.get(found[1], found[1])}", body)
    for name, colour in COLOURS.items():
        body = body.replace(colour, f"var(--{name})")
    return re.sub(r"\s*\n\s*", " ", body).replace("> <", "><").strip()
