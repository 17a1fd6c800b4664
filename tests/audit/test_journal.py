"""A stopped audit goes on where it was: no sample lost, none counted twice, and a changed record is noticed."""

import errno
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from audit.attacks import RephraseAttack, make_probes
from audit.detect import ExactDetector
from audit.errors import AnotherAudit, AuditCancelled, AuditError, TranscriptTampered
from audit.journal import FileLog, Journal, MemoryLog
from audit.results import PhaseName, PhaseResult
from audit.run import run_phase
from audit.transcript import Transcript
from tests.audit.fakes import Leaky, facts

KNOWN = facts(10)
ATTACK = RephraseAttack()
PHASES: tuple[PhaseName, ...] = ("after", "twin")


def run(
    log: MemoryLog | FileLog, target: Leaky | None = None, **more: object
) -> tuple[PhaseResult, Transcript]:
    name: PhaseName = more.pop("name", "after")  # type: ignore[assignment]
    return run_phase(
        name,
        target or Leaky(KNOWN, 0.5),
        KNOWN,
        ATTACK,
        ExactDetector(),
        seed=4,
        journal=Journal(log),
        **more,  # type: ignore[arg-type]
    )


class Dies(Leaky):
    """Raises at its second call."""

    def sample(self, prompts: Sequence[str], **more: object) -> list[list[str]]:  # type: ignore[override]
        if self.calls == 1:
            raise ConnectionError("gone")
        return super().sample(prompts, **more)  # type: ignore[arg-type]


@cache
def record() -> bytes:
    log = MemoryLog()
    run(log)
    return log.data


def test_an_audit_that_died_goes_on_with_the_batch_that_was_missing() -> None:
    log = MemoryLog()
    with pytest.raises(ConnectionError):
        run(log, Dies(KNOWN, 0.5))
    target = Leaky(KNOWN, 0.5)
    resumed = run(log, target)
    assert resumed == run(MemoryLog())
    assert target.calls == 2, "the first of three batches was not asked again"
    assert log.data == record()


def test_a_finished_audit_asks_nothing_again() -> None:
    log = MemoryLog(record())
    target = Leaky(KNOWN, 0.5)
    assert run(log, target) == run(MemoryLog())
    assert target.calls == 0


@pytest.mark.parametrize("lost", [1, 40, 3000, 30_000])
def test_a_torn_end_is_cut_off_and_asked_again(lost: int) -> None:
    log = MemoryLog(record()[:-lost])
    assert run(log) == run(MemoryLog())
    assert log.data == record()


def test_it_can_be_cancelled_and_taken_up() -> None:
    log, calls = MemoryLog(), iter([False, True])
    with pytest.raises(AuditCancelled, match="16 of 40"):
        run(log, stop=lambda: next(calls))
    assert run(log) == run(MemoryLog())


def test_the_digest_of_the_end_depends_on_everything_before() -> None:
    log, other = MemoryLog(), MemoryLog()
    journals = [Journal(log), Journal(other)]
    for journal, chance in zip(journals, (0.5, 0.4), strict=True):
        run_phase("after", Leaky(KNOWN, chance), KNOWN, ATTACK, ExactDetector(), seed=4, journal=journal)
    assert journals[0].head != journals[1].head
    again = Journal(log)
    run_phase("after", Leaky(KNOWN, 0.5), KNOWN, ATTACK, ExactDetector(), seed=4, journal=again)
    assert again.head == journals[0].head


def tampered(data: bytes) -> list[bytes]:
    lines = data.splitlines(keepends=True)
    flipped = json.loads(lines[5])
    flipped["outcome"] = "clean" if flipped["outcome"] == "leaked" else "leaked"
    return [
        b"".join([*lines[:5], json.dumps(flipped, ensure_ascii=False).encode() + b"\n", *lines[6:]]),
        b"".join([*lines[:7], *lines[8:]]),
        b"".join([*lines[:7], lines[6], *lines[7:]]),
        b"".join([lines[0], *lines[2:]]),
        b"".join([*lines[:5], b"{}\n", *lines[6:]]),
        b"".join([*lines[:5], b"[1]\n", *lines[6:]]),
    ]


@pytest.mark.parametrize("which", range(6))
def test_a_record_that_was_changed_is_refused(which: int) -> None:
    with pytest.raises(TranscriptTampered):
        run(MemoryLog(tampered(record())[which]))


def test_any_flipped_byte_is_found() -> None:
    data = record()
    for at in range(0, len(data) - 2, 997):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(TranscriptTampered):
            Journal(MemoryLog(broken))


def test_the_record_of_another_audit_is_refused() -> None:
    log = MemoryLog(record())
    with pytest.raises(TranscriptTampered, match="another output folder"):
        run_phase("after", Leaky(KNOWN, 0.5), KNOWN, ATTACK, ExactDetector(), seed=5, journal=Journal(log))


@pytest.mark.parametrize("ended", [False, True])
def test_an_audit_with_fewer_attacks_is_refused_and_changes_nothing(ended: bool) -> None:
    log = MemoryLog()
    journal = Journal(log)
    for name in PHASES:
        run_phase(name, Leaky(KNOWN, 0.5), KNOWN, ATTACK, ExactDetector(), seed=4, journal=journal)
    if ended:
        journal.close()
    kept, fewer = log.data, Journal(log)
    run_phase("after", Leaky(KNOWN, 0.5), KNOWN, ATTACK, ExactDetector(), seed=4, journal=fewer)
    with pytest.raises(AnotherAudit, match=r"same attacks.*another output folder"):
        fewer.close()
    assert log.data == kept


def test_phases_follow_each_other_in_one_record() -> None:
    log = MemoryLog()
    journal = Journal(log)
    probes = make_probes(KNOWN, ATTACK, 4)

    def both(journal: Journal) -> list[tuple[PhaseResult, Transcript]]:
        return [
            run_phase(name, Leaky(KNOWN, 0.5), KNOWN, ATTACK, ExactDetector(), probes=probes, journal=journal)
            for name in ("before", "after")
        ]  # type: ignore[return-value]

    first = both(journal)
    assert both(Journal(log)) == first
    cut = MemoryLog(log.data[: log.data.index(b'"begin"', 100) - 2000])
    assert both(Journal(cut)) == first
    assert cut.data == log.data


def test_a_file_is_private_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    run(FileLog(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == record()
    with path.open("ab") as file:
        file.write(b'{"torn')
    assert run(FileLog(path)) == run(MemoryLog())
    assert path.read_bytes() == record()


def test_a_full_disk_says_what_to_do_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, synced, sync = FileLog(tmp_path / "samples.jsonl"), [0], os.fsync

    def full(handle: int) -> None:
        synced[0] += 1
        if synced[0] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AuditError, match=r"No space left on device.*same command again"):
        run(log)
    monkeypatch.setattr(os, "fsync", sync)
    assert run(log) == run(MemoryLog())
