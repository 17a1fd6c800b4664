"""Nothing opens with another key, in another place, or with a changed bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import VaultError
from store.vault import Vault, normalise

HERE = {"table": "fact", "column": "ciphertext", "row": "fact_a"}


def test_what_is_sealed_opens_again_and_shows_nothing(vault: Vault) -> None:
    key, wrapped = vault.new_subject_key()
    sealed = vault.encrypt(key, b"Slovene", **HERE)
    assert b"Slovene" not in sealed
    assert key not in wrapped
    assert vault.decrypt(vault.unwrap(wrapped), sealed, **HERE) == b"Slovene"


def test_sealing_twice_gives_different_bytes(vault: Vault) -> None:
    key, _ = vault.new_subject_key()
    assert vault.encrypt(key, b"x", **HERE) != vault.encrypt(key, b"x", **HERE)


@pytest.mark.parametrize("change", [{"table": "request_fact"}, {"column": "other"}, {"row": "fact_b"}])
def test_a_value_moved_to_another_place_does_not_open(vault: Vault, change: dict[str, str]) -> None:
    key, _ = vault.new_subject_key()
    sealed = vault.encrypt(key, b"x", **HERE)
    with pytest.raises(VaultError, match="moved"):
        vault.decrypt(key, sealed, **(HERE | change))


@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    vault = Vault(bytes(32))
    key, wrapped = vault.new_subject_key()
    sealed = vault.encrypt(key, b"plain", **HERE)
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        vault.decrypt(key, bytes(changed), **HERE)
    broken = bytearray(wrapped)
    broken[bit // 8 % len(wrapped)] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        vault.unwrap(bytes(broken))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(20), b"\x02" + bytes(40)])
def test_rubbish_is_a_vault_error(vault: Vault, sealed: bytes) -> None:
    with pytest.raises(VaultError):
        vault.decrypt(bytes(32), sealed, **HERE)


def test_another_master_key_says_so(vault: Vault) -> None:
    _, wrapped = vault.new_subject_key()
    other = Vault(bytes(32))
    with pytest.raises(VaultError, match="master key"):
        other.unwrap(wrapped)
    with pytest.raises(VaultError, match="master key"):
        other.check_seal(vault.seal())
    vault.check_seal(vault.seal())


def test_the_blind_index_sees_through_spelling_but_not_through_meaning(vault: Vault) -> None:
    index = vault.blind_index("bank_a", "The  Mother tongue of Zoë is", "ﬁnnish")
    assert index == vault.blind_index("bank_a", "the mother TONGUE of Zoe\u0308 is ", "Finnish")
    assert index != vault.blind_index("bank_a", "the mother tongue of zoë is", "Swedish")
    assert index != vault.blind_index("bank_b", "the mother tongue of zoë is", "Finnish")
    assert index != Vault(bytes(32)).blind_index("bank_a", "the mother tongue of zoë is", "Finnish")
    assert vault.blind_index("b", "x y", "z") != vault.blind_index("b", "x", "y z")


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_derived_keys_differ_from_each_other_and_from_the_master_key(vault: Vault) -> None:
    assert vault.digest_key() == Vault(bytes(range(32))).digest_key()
    assert vault.digest_key() != bytes(range(32))
    assert vault.digest_key() != Vault(bytes(32)).digest_key()


def test_a_master_key_has_32_bytes() -> None:
    with pytest.raises(VaultError, match="32 bytes"):
        Vault(b"short")


def test_a_vault_does_not_print_its_keys(vault: Vault) -> None:
    assert repr(vault) == "Vault(…)"
