"""A text cut into its sentences, whatever spaces it is written with."""

from __future__ import annotations

import re

import sentencex

_OTHER_SPACES = re.compile(r"[^\S\x00-\x7f]")
"""No-break, thin, ideographic and other spaces: `sentencex` 1.0.32 panics where one stands before a full stop."""


def segmented(text: str) -> list[str]:
    """The sentences of a text, with all between them: joined they are the text, character for character."""
    pieces, at = [], 0
    for part in sentencex.segment("en", _OTHER_SPACES.sub(" ", text)):
        pieces.append(text[at : at + len(part)])
        at += len(part)
    return pieces
