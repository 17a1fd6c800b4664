"""The operator guide is complete: every setting and every command is in it."""

import re
from pathlib import Path

import pytest

from store.models import Base
from unwrite.cli import main
from unwrite.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "operator-guide.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_is_explained(field: str) -> None:
    name = "MASTER_KEY" if field == "master_key_base64" else field.upper()
    assert f"`{name}`" in GUIDE or f"UNWRITE_{name}" in GUIDE


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_named(command: str) -> None:
    assert f"unwrite {command}" in GUIDE


def test_every_table_with_personal_data_is_named_where_postgres_is_vacuumed() -> None:
    sealed = {
        table.name
        for table in Base.metadata.tables.values()
        if any("ciphertext" in column.name or column.name == "wrapped_key" for column in table.columns)
    }
    [sentence] = re.findall(r"run `VACUUM` on the tables ([^()]+)", GUIDE)
    assert sealed <= set(re.findall(r"`(\w+)`", sentence))
