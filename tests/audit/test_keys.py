"""Signing keys: made once, readable by their owner only, valid for a time, and never written by halves."""

from __future__ import annotations

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from audit import files
from audit.errors import KeyProblem
from audit.keys import KeyRing, public_list, read_public_list
from tests.audit.fakes import NOW
from tests.audit.signed import DAY


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


def test_a_new_key_signs_and_only_its_owner_reads_it(ring: KeyRing) -> None:
    key = ring.new(NOW)
    private = ring.folder / f"{key.id}.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(ring.folder.stat().st_mode) == 0o700
    assert ring.signer(NOW)[0] == key
    assert ring.public() == [key]
    assert b"PRIVATE" not in public_list([key]) + (ring.folder / f"{key.id}.json").read_bytes()


def test_private_files_may_lie_apart_and_only_who_has_them_signs(tmp_path: Path) -> None:
    public, private = tmp_path / "keys", tmp_path / "private" / "keys"
    key = KeyRing(public, private).new(NOW)
    assert [path.name for path in public.iterdir()] == [f"{key.id}.json"]
    assert [path.name for path in private.iterdir()] == [f"{key.id}.pem"]
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert KeyRing(public, private).signer(NOW)[0] == key
    assert KeyRing(public).public() == [key]
    with pytest.raises(KeyProblem, match="private file is missing"):
        KeyRing(public).signer(NOW)


def test_the_newest_valid_key_signs_and_all_are_listed(ring: KeyRing) -> None:
    first, second = ring.new(NOW), ring.new(NOW + DAY)
    assert ring.signer(NOW + 2 * DAY)[0] == second
    assert ring.signer(NOW)[0] == first  # the second did not exist then
    assert read_public_list(public_list(ring.public())) == [first, second]


def test_an_expired_key_signs_no_more_but_what_it_signed_counts(ring: KeyRing) -> None:
    key = ring.new(NOW, days=30)
    with pytest.raises(KeyProblem, match=r"expired.*unwrite keys new"):
        ring.signer(NOW + 31 * DAY)
    assert key.refuses(NOW + 29 * DAY) == ""
    assert "expired" in key.refuses(NOW + 31 * DAY)


def test_a_clock_before_the_key_signs_nothing(ring: KeyRing) -> None:
    ring.new(NOW)
    with pytest.raises(KeyProblem, match="clock was set back"):
        ring.signer(NOW - timedelta(seconds=1))


def test_a_retired_key_signs_no_more_and_keeps_its_past(ring: KeyRing) -> None:
    key = ring.new(NOW)
    retired = ring.retire(key.id[:8], NOW + DAY)
    assert ring.public() == [retired]
    assert retired.refuses(NOW) == ""
    with pytest.raises(KeyProblem, match="retired"):
        ring.signer(NOW + 2 * DAY)
    assert ring.retire(key.id, NOW + 5 * DAY).retired_at == NOW + DAY  # the first word stands


def test_nothing_that_a_stolen_key_signed_counts(ring: KeyRing) -> None:
    key = ring.retire(ring.new(NOW).id, NOW + DAY, stolen=True)
    assert "stolen" in key.refuses(NOW)
    assert ring.retire(key.id, NOW + DAY).stolen  # and there is no way back


@pytest.mark.parametrize("name", ["", "no-such-key"])
def test_retiring_needs_one_key(ring: KeyRing, name: str) -> None:
    ring.new(NOW)
    with pytest.raises(KeyProblem, match="0 keys"):
        ring.retire(name, NOW)


def test_without_keys_or_without_the_private_file_it_says_what_to_do(ring: KeyRing) -> None:
    with pytest.raises(KeyProblem, match=r"no keys.*unwrite keys new"):
        ring.signer(NOW)
    key = ring.new(NOW)
    (ring.folder / f"{key.id}.pem").unlink()
    with pytest.raises(KeyProblem, match="private file is missing"):
        ring.signer(NOW)


def test_damaged_and_exchanged_private_files_are_noticed(ring: KeyRing) -> None:
    one, other = ring.new(NOW), ring.new(NOW)
    ring.retire(other.id, NOW - DAY)
    private = ring.folder / f"{one.id}.pem"
    private.write_bytes((ring.folder / f"{other.id}.pem").read_bytes())
    with pytest.raises(KeyProblem, match="another key"):
        ring.signer(NOW)
    private.write_bytes(b"-----BEGIN")
    with pytest.raises(KeyProblem, match="damaged"):
        ring.signer(NOW)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": [{}]}', b"\xff", b'{"keys": 3}'])
def test_what_is_no_list_of_keys_is_refused(data: bytes) -> None:
    with pytest.raises(KeyProblem, match="list of keys"):
        read_public_list(data)


def test_a_list_that_swaps_a_public_key_is_refused(ring: KeyRing) -> None:
    data = json.loads(public_list([ring.new(NOW), ring.new(NOW)]))
    data["keys"][0]["public"] = data["keys"][1]["public"]
    with pytest.raises(KeyProblem, match="id that is not its own"):
        read_public_list(json.dumps(data).encode())


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_full_disk_leaves_no_half_key(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(KeyProblem, match="No space left"):
        ring.new(NOW)
    assert list(ring.folder.iterdir()) == []


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.dsse"
    files.write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["report.dsse"]
    assert path.read_bytes() == b"old"
