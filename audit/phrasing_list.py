"""The user's own phrasings from a file, for `audit.rephrase.ListRephraser`.

JSON: an object whose keys are fact ids or prompts and whose values are lists of phrasings. CSV: a header line with
the column `phrasing` and one of `id` and `prompt`; a line for each phrasing.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from audit.errors import PhrasingsUnreadable


def read_phrasings(path: Path) -> dict[str, list[str]]:
    """Phrasings by fact id or prompt. Raises PhrasingsUnreadable, which never repeats what stands in the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PhrasingsUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PhrasingsUnreadable(f"{path} is not in UTF-8") from None
    found = _json(path, text) if text.lstrip().startswith(("{", "[")) else _csv(path, text)
    kept = {key: [line.strip() for line in lines if line.strip()] for key, lines in found.items()}
    if not any(kept.values()):
        raise PhrasingsUnreadable(f"{path} holds no phrasings")
    return {key: lines for key, lines in kept.items() if lines}


def _json(path: Path, text: str) -> dict[str, list[str]]:
    wanted = f"{path} must be a JSON object: fact ids or prompts, each with a list of phrasings"
    try:
        found = json.loads(text)
    except ValueError:
        raise PhrasingsUnreadable(wanted) from None
    if not isinstance(found, dict):
        raise PhrasingsUnreadable(wanted)
    for lines in found.values():
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise PhrasingsUnreadable(wanted)
    return found


def _csv(path: Path, text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = set(reader.fieldnames or ())
    if "phrasing" not in columns or not columns & {"id", "prompt"}:
        raise PhrasingsUnreadable(
            f"{path} needs a header line with the column phrasing and one of id and prompt"
        )
    try:
        for row in reader:
            key = (row.get("id") or row.get("prompt") or "").strip()
            if None in row or not key or not row["phrasing"]:
                raise PhrasingsUnreadable(
                    f"{path}, line {reader.line_num}: no phrasing, neither id nor prompt, or more cells than columns"
                )
            found.setdefault(key, []).append(row["phrasing"])
    except csv.Error:
        raise PhrasingsUnreadable(f"{path} is not a CSV file") from None
    return found
