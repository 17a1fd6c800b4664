"""README's map of the model leaves nothing out and names nothing that is gone."""

import re
from pathlib import Path

HOME = Path(__file__).parents[2]


def test_every_file_is_on_the_map() -> None:
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    part = readme.partition("    larimar/ ")[2].partition("    audit/ ")[0]
    named = re.findall(r"(?:^|  )([a-z_]+(?:\.py|/)) ", part, re.MULTILINE)
    there = {path.name for path in (HOME / "larimar").glob("*.py")} - {"__init__.py"}
    there |= {
        f"{path.name}/" for path in (HOME / "larimar").iterdir() if path.is_dir() and path.name[0] != "_"
    }
    assert sorted(named) == sorted(there)
