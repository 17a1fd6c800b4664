"""Settings: one folder holds the embedded installation; the master key is made once, checked always."""

import base64
import stat
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from unwrite.settings import Settings, SettingsError


def test_home_follows_the_desktop_convention(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UNWRITE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Settings().home == tmp_path / "data" / "unwrite"


def test_everything_embedded_lives_below_home() -> None:
    settings = Settings()
    assert settings.resolved_database_url() == f"sqlite:///{settings.home}/unwrite.db"
    assert settings.embedded
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


def test_a_given_database_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNWRITE_DATABASE_URL", "postgresql+psycopg://db/unwrite")
    settings = Settings()
    assert settings.resolved_database_url() == "postgresql+psycopg://db/unwrite"
    assert not settings.embedded


def test_the_master_key_is_made_once_and_only_its_owner_may_read_it() -> None:
    settings = Settings()
    key = settings.master_key()
    assert len(key) == 32
    assert Settings().master_key() == key
    assert stat.S_IMODE((settings.home / "master.key").stat().st_mode) == 0o600
    assert [path.name for path in settings.home.iterdir()] == ["master.key"]


def test_a_key_in_the_environment_wins_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = base64.b64encode(bytes(range(32))).decode()
    monkeypatch.setenv("UNWRITE_MASTER_KEY", encoded)
    settings = Settings()
    assert settings.master_key() == bytes(range(32))
    assert encoded not in repr(settings)
    assert not (settings.home / "master.key").exists()


@pytest.mark.parametrize("text", ["", "not base64 !", base64.b64encode(b"short").decode()])
def test_a_broken_key_file_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(SettingsError, match="openssl rand"):
        Settings(master_key_file=path).master_key()
    assert path.read_text() == text


def test_a_heartbeat_slower_than_the_lease_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be smaller"):
        Settings(lease_s=5, heartbeat_s=5)


def test_holidays_are_iso_dates_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().holidays == frozenset()
    monkeypatch.setenv("UNWRITE_HOLIDAYS", "2026-12-25, 2026-12-26")
    assert Settings().holidays == {date(2026, 12, 25), date(2026, 12, 26)}
    monkeypatch.setenv("UNWRITE_HOLIDAYS", "25.12.2026")
    with pytest.raises(ValidationError, match="isoformat"):
        Settings()


def test_the_files_of_an_embedded_database_are_known(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="")
    assert settings.database_files() == []
    (tmp_path / "unwrite.db").touch()
    assert settings.database_files() == [tmp_path / "unwrite.db"]
    assert Settings(home=tmp_path, database_url="postgresql://h/d").database_files() == []


@pytest.mark.parametrize("threshold", ["0", "1", "1.5"])
def test_a_threshold_that_says_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, threshold: str) -> None:
    monkeypatch.setenv("UNWRITE_LEAK_THRESHOLD", threshold)
    with pytest.raises(ValidationError, match="leak_threshold"):
        Settings()
