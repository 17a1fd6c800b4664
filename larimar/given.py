"""What a caller gives, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from larimar.errors import InvalidInput

_HALF = re.compile(r"[\ud800-\udfff]")


def require_text(name: str, given: Iterable[object]) -> None:
    """Refuse what is no text, or half of a character, which UTF-8 cannot encode. Raises InvalidInput."""
    for text in given:
        if not isinstance(text, str) or _HALF.search(text):
            raise InvalidInput(f"{name}: give a str of whole characters, without halves of surrogate pairs")
