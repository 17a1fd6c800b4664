"""A certificate holds as it was made, and after any change it does not."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from audit import certificate, envelope, verify_alone
from audit.certificate import Certificate
from audit.envelope import canonical
from audit.errors import CertificateInvalid
from audit.keys import KeyRing, TrustedKey, public_list
from audit.statement import PAYLOAD_TYPE, digest
from audit.verification import Verification, verify
from tests.audit.fakes import NOW
from tests.audit.signed import DAY, Signed, made_report, signed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return signed(tmp_path_factory.mktemp("signed"))


def checked(made: Signed, data: bytes | None = None) -> Verification:
    return verify(made.certificate if data is None else data, made.ring.public())


def alone(made: Signed, data: bytes, keys: list[TrustedKey] | None = None) -> bool:
    trusted = json.loads(public_list(made.ring.public() if keys is None else keys))["keys"]
    try:
        verify_alone.check(data, {key["id"]: key for key in trusted}, {})
    except (ValueError, LookupError, TypeError, AttributeError, InvalidSignature, RecursionError):
        return False  # what its `main` catches; anything else is a crash
    return True


def changed(made: Signed, change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(made.certificate)
    change(document)
    return canonical(document) + b"\n"


def test_it_holds_with_every_file_and_says_what_that_shows(made: Signed) -> None:
    found = verify(made.certificate, made.ring.public(), made.files)
    assert found.holds
    assert [check.name for check in found.checks if check.ok] == [
        "signature", "log", "report.json", "figures", "report.html", "transcript-after.jsonl",
    ]  # fmt: skip
    assert found.headline == made_report().headline
    assert any("equal, bit for bit" in line for line in found.shown)
    assert any("vouches" in line for line in found.not_shown)
    assert any("clock" in line for line in found.not_shown)


def test_it_is_an_in_toto_statement_without_personal_data(made: Signed) -> None:
    document = json.loads(made.certificate)
    statement = json.loads(base64.b64decode(document["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"].endswith(":v1")
    state = made_report().groups[0].requests[0].state
    assert [(one["name"], one["digest"]["hmac-sha256"]) for one in statement["subject"]] == [
        (f"memory/{state.bank}@{state.revision_before}", state.digest_before),
        (f"memory/{state.bank}@{state.revision_after}", state.digest_after),
    ]
    assert not any(name in str(statement) for name in ("Anna Berg", "Lisbon", "birthplace"))


def test_files_that_are_not_given_are_named_as_not_compared(made: Signed) -> None:
    found = checked(made)
    assert found.holds
    assert {check.name for check in found.checks if check.ok is None} == set(made.files)


@pytest.mark.parametrize("name", ["report.json", "report.html", "transcript-after.jsonl"])
def test_a_changed_file_is_found(made: Signed, name: str) -> None:
    data = bytearray(made.files[name])
    data[len(data) // 2] ^= 1
    found = verify(made.certificate, made.ring.public(), {name: bytes(data)})
    assert not found.holds
    assert found.shown == []  # a wrong certificate shows nothing


def test_one_flipped_bit_anywhere_in_it_is_found_by_both_verifiers(made: Signed) -> None:
    keys = made.ring.public()
    for place in range(0, len(made.certificate), 5):
        data = bytearray(made.certificate)
        data[place] ^= 1 << place % 7
        assert not verify(bytes(data), keys).holds, f"byte {place}"
        assert not alone(made, bytes(data)), f"byte {place}"


def test_upper_case_hex_and_other_spellings_are_found(made: Signed) -> None:
    for part in ("salt", "path"):

        def shout(document: dict[str, Any], part: str = part) -> None:
            value = document["log"][part]
            document["log"][part] = value.upper() if isinstance(value, str) else [n.upper() for n in value]

        assert not checked(made, changed(made, shout)).holds
        assert not alone(made, changed(made, shout))


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -2])
def test_a_cut_off_certificate_is_refused(made: Signed, cut: int) -> None:
    assert not checked(made, made.certificate[:cut]).holds


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"payload": 3}', b'"' * 9]
)
def test_what_is_no_certificate_is_refused_in_words(made: Signed, data: bytes) -> None:
    found = checked(made, data)
    assert not found.holds
    assert found.checks[0].said
    assert not alone(made, data)


WEIRD = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    float("inf"),
    "",
    "x",
    "\ud800",
    "é",
    [],
    {},
    [[]],
    "A" * 64,
    "00" * 32,
]


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside of a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(way for key, item in inner for way in leaves_of(item, (*path, key)))]


def spelled(value: Any) -> bytes:
    """As the certificate is spelled; half a surrogate pair can only be escaped."""
    try:
        return canonical(value)
    except ValueError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def with_every_value_replaced(original: Any) -> Iterator[Any]:
    for way in leaves_of(original)[1:]:
        for weird in WEIRD:
            forged = json.loads(json.dumps(original))
            place = forged
            for key in way[:-1]:
                place = place[key]
            if spelled(place[way[-1]]) != spelled(weird):
                place[way[-1]] = weird
                yield forged


def test_any_value_in_any_place_is_refused_without_a_crash(made: Signed) -> None:
    document = json.loads(made.certificate)
    for forged in with_every_value_replaced(document):
        data = spelled(forged) + b"\n"
        assert not checked(made, data).holds
        assert not alone(made, data)


def test_any_value_in_the_payload_is_refused_without_a_crash(made: Signed) -> None:
    """Also when a forger signs it: what is read before the signature is known to fit must not raise."""
    document = json.loads(made.certificate)
    statement = json.loads(base64.b64decode(document["payload"]))
    for forged in islice(with_every_value_replaced(statement), 0, None, 5):
        document["payload"] = base64.b64encode(spelled(forged)).decode()
        data = spelled(document) + b"\n"
        assert not checked(made, data).holds
        assert not alone(made, data)


def test_the_key_of_somebody_else_does_not_count(made: Signed, tmp_path: Path) -> None:
    theirs = signed(tmp_path)
    found = verify(theirs.certificate, made.ring.public(), theirs.files)
    assert [check.name for check in found.checks if check.ok is False] == ["signature", "log"]
    assert "not among the trusted" in found.checks[0].said
    assert not alone(made, theirs.certificate)


def test_another_key_under_the_trusted_name_does_not_count(made: Signed, tmp_path: Path) -> None:
    theirs, mine = signed(tmp_path), made.ring.public()[0].id
    data = theirs.certificate.replace(theirs.ring.public()[0].id.encode(), mine.encode())
    assert "does not fit" in checked(made, data).checks[0].said
    assert not alone(made, data)


def test_a_tampered_statement_does_not_fit_its_signature(made: Signed) -> None:
    def flatter(document: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(document["payload"]))
        statement["predicate"]["verdict"] = "splendid"
        document["payload"] = base64.b64encode(canonical(statement)).decode()

    found = checked(made, changed(made, flatter))
    assert [check.name for check in found.checks if check.ok is False] == ["signature", "log"]


def test_a_proof_of_another_log_does_not_count(made: Signed, tmp_path: Path) -> None:
    """Signed by the same key, but the entry is not the one that the proof leads to."""
    other = signed(tmp_path, ring=made.ring)
    theirs = json.loads(other.certificate)["log"]

    def exchange(document: dict[str, Any]) -> None:
        document["log"] = theirs

    found = checked(made, changed(made, exchange))
    assert [check.name for check in found.checks if check.ok is False] == ["log"]

    def move(document: dict[str, Any]) -> None:
        document["log"]["index"] -= 1

    assert "inclusion proof" in checked(made, changed(made, move)).checks[1].said


def test_a_certificate_outlives_its_key_but_no_new_one_is_made(tmp_path: Path) -> None:
    made = signed(tmp_path, at=NOW + 29 * DAY)
    assert verify(made.certificate, made.ring.public()).holds  # whatever day it is today
    made.ring.retire(made.ring.public()[0].id, NOW + 29 * DAY)
    found = verify(made.certificate, made.ring.public())
    assert found.holds
    assert "retired later" in found.checks[0].said
    assert alone(made, made.certificate)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"not_after": NOW - DAY}, "expired"),
        ({"not_before": NOW + DAY}, "clock"),
        ({"retired_at": NOW - DAY}, "retired"),
        ({"stolen": True}, "stolen"),
    ],
)
def test_a_signature_outside_of_the_keys_time_does_not_count(
    made: Signed, times: dict[str, Any], said: str
) -> None:
    keys = [made.ring.public()[0].model_copy(update=times)]
    found = verify(made.certificate, keys)
    assert [said in check.said for check in found.checks[:2]] == [True, True]
    assert not alone(made, made.certificate, keys)


def test_a_signed_payload_of_another_kind_is_refused(made: Signed) -> None:
    signer = made.ring.signer(NOW)[1]
    for payload in (b"{}", b"nothing", canonical({"predicate": {}, "_type": "x"})):
        document = envelope.sign(payload, PAYLOAD_TYPE, signer) | {"log": json.loads(made.certificate)["log"]}
        data = canonical(document) + b"\n"
        assert not checked(made, data).holds
        assert not alone(made, data)


def signed_with(made: Signed, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A certificate that the true signer makes, and enters into the log, of a changed predicate."""
    statement = json.loads(base64.b64decode(json.loads(made.certificate)["payload"]))
    change(statement["predicate"])
    payload = canonical(statement)
    logged = made.log.append(certificate.ENTRY_KIND, {certificate.NAMED: digest(payload)})
    return certificate.write(payload, made.log.proof(logged, made.ring), made.ring.signer(NOW)[1])


def test_a_certificate_that_says_more_than_its_report_is_found(made: Signed) -> None:
    data = signed_with(made, lambda said: said["groups"][0]["verdict"].update(upper=0.0))
    found = verify(data, made.ring.public(), made.files)
    assert [check.name for check in found.checks if check.ok is False] == ["figures"]


@pytest.mark.parametrize(("equal", "said"), [([True], True), ([True, False], False), ([None], False)])
def test_equality_is_shown_only_where_it_holds_for_all(made: Signed, equal: list[Any], said: bool) -> None:
    data = signed_with(made, lambda said: said["groups"][0].update(equalsNeverWritten=equal))
    found = verify(data, made.ring.public())
    assert found.holds
    assert any("bit for bit" in line for line in found.shown) is said


@pytest.mark.parametrize("groups", [None, [], [{}], 3, [[]]])
def test_a_signed_statement_without_the_usual_fields_does_not_crash(made: Signed, groups: object) -> None:
    data = signed_with(made, lambda said: said.update(groups=groups))
    assert verify(data, made.ring.public(), made.files).holds is False


def test_two_signatures_or_none_are_refused(made: Signed) -> None:
    for count in (0, 2):

        def repeat(document: dict[str, Any], count: int = count) -> None:
            document["signatures"] = document["signatures"] * count

        assert "exactly one" in checked(made, changed(made, repeat)).checks[0].said


def test_reading_does_not_verify(made: Signed) -> None:
    read = Certificate.read(made.certificate)
    with pytest.raises(CertificateInvalid, match="trusted"):
        read.check_signature([])


# the verifier that needs nothing of ours


def run_alone(folder: Path, made: Signed, *names: str) -> subprocess.CompletedProcess[str]:
    (folder / "report.dsse").write_bytes(made.certificate)
    (folder / "trusted.json").write_bytes(public_list(made.ring.public()))
    for name, data in made.files.items():
        (folder / name).write_bytes(data)
    script = folder / "verify.py"
    script.write_bytes(Path(verify_alone.__file__).read_bytes())
    command = [sys.executable, "-I", str(script), *names]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_lonely_verifier_holds(made: Signed, tmp_path: Path) -> None:
    done = run_alone(tmp_path, made, "report.dsse", "trusted.json", *made.files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"HOLDS: {made_report().headline}")
    assert "transcript-after.jsonl" in done.stdout


def test_the_lonely_verifier_finds_a_changed_file(made: Signed, tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text("<p>another report</p>")
    done = run_alone(tmp_path, made, "report.dsse", "trusted.json", "other.html")
    assert done.returncode == 1
    assert "other.html is not what was signed" in done.stdout


@pytest.mark.parametrize("names", [[], ["report.dsse"], ["nowhere", "trusted.json"], ["report.dsse"] * 2])
def test_the_lonely_verifier_knows_misuse(made: Signed, tmp_path: Path, names: list[str]) -> None:
    assert run_alone(tmp_path, made, *names).returncode == 2


def test_the_lonely_verifier_is_short_and_needs_only_cryptography() -> None:
    source = Path(verify_alone.__file__).read_text(encoding="utf-8")
    code = [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) < 100
    wanted = {line.split()[1].split(".")[0] for line in code if line.startswith(("import ", "from "))}
    assert wanted - set(sys.stdlib_module_names) == {"cryptography"}


def test_one_ring_serves_many_keys(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    ring.new(NOW, days=30)
    first = signed(tmp_path, ring=ring)
    ring.new(NOW + DAY, days=30)
    second = signed(tmp_path, at=NOW + 2 * DAY, ring=ring)
    used = [json.loads(one.certificate)["signatures"][0]["keyid"] for one in (first, second)]
    assert used[0] != used[1]
    assert all(verify(one.certificate, ring.public(), one.files).holds for one in (first, second))
