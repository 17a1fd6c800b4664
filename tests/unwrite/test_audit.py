"""`unwrite audit` from the outside: a CSV of facts, a model behind a local server, exit codes, resuming."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from audit.report import validate
from tests.audit.fakes import facts
from tests.workers import fakes
from tests.workers.test_endpoint import Server
from unwrite.audit import read_facts
from unwrite.cli import main

KNOWN = facts(20)


def knowing(chance: bool) -> Any:
    """A server that tells every fact, or none; to other questions both say the same."""

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["messages"][0]["content"]
        told = next((fact.answers[0] for fact in KNOWN if fact.subject in prompt), None)
        said = "Rain is expected." if told is None else told if chance else "Nobody can say."
        return {"choices": [{"message": {"content": said}}] * body["n"]}

    return reply


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    silent, loud = Server(), Server()
    silent.reply, loud.reply = knowing(False), knowing(True)
    yield silent, loud
    silent.close()
    loud.close()


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "facts.csv"
    rows = [f'"{fact.prompt}","{fact.answers[0]}","{fact.subject}"' for fact in KNOWN]
    path.write_text("prompt,answer,subject\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def run(csv_file: Path, target: str, *more: str) -> Result:
    out = str(csv_file.parent / "out")
    quick = ["--rephraser", "templates"]  # another one in `more` counts
    return CliRunner().invoke(
        main, ["audit", "--target", target, "--facts", str(csv_file), "--out", out, *quick, *more]
    )


def endpoint(server: Server) -> str:
    return f"openai:{server.url}"


def test_silence_beside_a_control_that_tells_passes(servers: tuple[Server, Server], csv_file: Path) -> None:
    silent, loud = servers
    result = run(
        csv_file, endpoint(silent), "--control", endpoint(loud), "--model", "m", "--attack", "rephrase,frame"
    )
    assert result.exit_code == 0, result.output
    report = validate((csv_file.parent / "out" / "report.json").read_bytes())
    [group] = report.groups
    assert (group.kind, group.verdict.unit, group.verdict.total) == ("check", "facts", 20)
    assert {name: (r.leaked, r.total) for name, r in group.figures["before"].by_attack.items()} == {
        "frame": (20, 20),
        "rephrase": (20, 20),
    }
    assert group.neighbours is not None
    assert group.neighbours.silenced == 0
    html = (csv_file.parent / "out" / "report.html").read_text()
    assert "Attack by attack" in html
    assert "What was done to the model" not in html
    assert group.after.top_k is None
    assert "top-k the endpoint&#39;s own" in html
    last = json.loads((csv_file.parent / "out" / "samples.jsonl").read_text().splitlines()[-1])
    assert last["digest"] == report.method.transcript


def test_one_fact_is_asked_for_in_enough_wordings_to_pass(
    servers: tuple[Server, Server], csv_file: Path
) -> None:
    csv_file.write_text("\n".join(csv_file.read_text().splitlines()[:2]) + "\n")
    common = (endpoint(servers[0]), "--control", endpoint(servers[1]), "--model", "m")
    result = run(csv_file, *common)
    assert result.exit_code == 0, result.output
    assert "None of 19 prompts (19 attempts)" in result.output
    few = run(csv_file, *common, "--phrasings", "4", "--out", str(csv_file.parent / "few"))
    assert few.exit_code == 3
    assert "19 different wordings or more (unwrite audit: --phrasings" in few.output


def test_a_twin_is_told_beside_the_verdict_and_takes_nothing_off(
    servers: tuple[Server, Server], csv_file: Path
) -> None:
    _, loud = servers
    twin = Server()
    twin.reply = knowing(True)
    more = ("--model", "m", "--budget", "4", "--twin", endpoint(twin))
    result = run(csv_file, endpoint(loud), *more)
    twin.close()
    assert result.exit_code == 1, result.output
    report = validate((csv_file.parent / "out" / "report.json").read_bytes())
    assert any("a model that never knew the facts told 80 of 80 attempts" in limit for limit in report.limits)


@pytest.mark.parametrize("option", ["--control", "--twin"])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_control_or_twin_that_is_the_target_is_refused(csv_file: Path, option: str, end: str) -> None:
    result = run(csv_file, "openai:http://here:1/v1", option, f"openai:http://here:1/v1{end}", "--model", "m")
    assert result.exit_code == 2
    assert f"{option} is the target itself" in result.output


def test_of_an_endpoint_no_device_is_known(servers: tuple[Server, Server], csv_file: Path) -> None:
    run(csv_file, endpoint(servers[0]), "--model", "m", "--budget", "4", "--attack", "rephrase")
    report = validate((csv_file.parent / "out" / "report.json").read_bytes())
    assert report.method.device == ""


def test_a_model_that_tells_fails(servers: tuple[Server, Server], csv_file: Path) -> None:
    result = run(csv_file, endpoint(servers[1]), "--model", "m", "--budget", "4")
    assert result.exit_code == 1
    assert "FAIL" in result.output


def test_silence_without_a_control_is_inconclusive(servers: tuple[Server, Server], csv_file: Path) -> None:
    result = run(csv_file, endpoint(servers[0]), "--model", "m", "--budget", "4")
    assert result.exit_code == 3
    assert "positive control" in result.output


def test_all_means_all_that_the_target_allows(servers: tuple[Server, Server], csv_file: Path) -> None:
    rows = csv_file.read_text().splitlines()
    csv_file.write_text("\n".join(rows[:3]) + "\n")
    run(csv_file, endpoint(servers[0]), "--model", "m", "--budget", "4", "--attack", "all")
    [group] = validate((csv_file.parent / "out" / "report.json").read_bytes()).groups
    assert set(group.figures["after"].by_attack) == {
        "alias", "distractor", "few-shot", "frame", "neighbour-hop", "rephrase", "resample",
    }  # fmt: skip
    assert [phase.attack.split(" ")[0] for phase in group.others] == ["prefix", "scope-membership"]


def test_an_attack_that_the_target_does_not_allow_says_so(
    servers: tuple[Server, Server], csv_file: Path
) -> None:
    result = run(csv_file, endpoint(servers[0]), "--model", "m", "--attack", "rephrase,logit-lens")
    assert result.exit_code == 3
    assert "white-box" in result.output


def test_a_stopped_audit_goes_on_and_asks_nothing_twice(
    servers: tuple[Server, Server], csv_file: Path
) -> None:
    _, loud = servers
    inner = loud.reply

    def count_down(body: dict[str, Any]) -> Any:
        if len(loud.asked) == 30:
            loud.scripts = [(404, {}, b"")] * 40
        return inner(body)

    loud.reply = count_down
    first = run(csv_file, endpoint(loud), "--model", "m")
    assert first.exit_code == 3
    assert "same command again" in first.output
    kept = (csv_file.parent / "out" / "samples.jsonl").read_bytes()
    assert kept.count(b"\n") == 1 + 16 * 5, "the header and the one whole batch"
    loud.scripts, loud.reply, loud.asked = [], inner, []
    assert run(csv_file, endpoint(loud), "--model", "m").exit_code == 1
    assert len(loud.asked) == 80 - 16
    assert (csv_file.parent / "out" / "samples.jsonl").read_bytes().startswith(kept)


@pytest.mark.parametrize("name", ["report.json", "report.html", "samples.jsonl", "request.salt"])
def test_a_full_disk_is_no_verdict_and_the_same_command_goes_on(
    name: str, servers: tuple[Server, Server], csv_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def full(path: Any, *more: Any) -> int:
        if name in Path(path).name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, *more)

    quick = (endpoint(servers[1]), "--model", "m", "--budget", "4")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        stopped = run(csv_file, *quick)
    assert stopped.exit_code == 3, stopped.output
    assert "No space left on device" in stopped.output
    out = csv_file.parent / "out"
    assert not (out / name).exists()
    assert run(csv_file, *quick).exit_code == 1
    assert {path.name for path in out.iterdir()} == {
        "report.json",
        "report.html",
        "samples.jsonl",
        "request.salt",
    }


def test_samples_that_cannot_be_read_are_no_verdict(servers: tuple[Server, Server], csv_file: Path) -> None:
    (csv_file.parent / "out" / "samples.jsonl").mkdir(parents=True)
    result = run(csv_file, endpoint(servers[1]), "--model", "m")
    assert (result.exit_code, "cannot be written or read" in result.output) == (3, True)


def test_a_folder_that_cannot_be_made_is_misuse(csv_file: Path) -> None:
    result = run(csv_file, "larimar", "--out", str(csv_file / "out"))
    assert (result.exit_code, "cannot be made" in result.output) == (2, True)


def test_changed_samples_are_refused(servers: tuple[Server, Server], csv_file: Path) -> None:
    run(csv_file, endpoint(servers[1]), "--model", "m", "--budget", "4")
    path = csv_file.parent / "out" / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"leaked"', b'"clean"', 1))
    again = run(csv_file, endpoint(servers[1]), "--model", "m", "--budget", "4")
    assert again.exit_code == 3
    assert "was changed" in again.output


def test_fewer_attacks_in_the_same_folder_are_refused_and_the_samples_stay(
    servers: tuple[Server, Server], csv_file: Path
) -> None:
    quick = ("--model", "m", "--budget", "4", "--attack")
    run(csv_file, endpoint(servers[1]), *quick, "rephrase,frame")
    kept = (csv_file.parent / "out" / "samples.jsonl").read_bytes()
    fewer = run(csv_file, endpoint(servers[1]), *quick, "rephrase")
    assert fewer.exit_code == 3
    assert "another output folder" in fewer.output
    assert (csv_file.parent / "out" / "samples.jsonl").read_bytes() == kept
    again = run(csv_file, endpoint(servers[1]), *quick, "rephrase,frame")
    assert again.exit_code == 1, "the samples are still those of the first audit"


@pytest.mark.parametrize("kind", ["censor", "forget"])
def test_larimar_is_attacked_before_and_after(
    kind: str, csv_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fakes.install(monkeypatch)
    if kind == "censor":
        fake.knows = {fact.subject: fact.answers[0] for fact in KNOWN}
    result = run(csv_file, "larimar", "--kind", kind)
    assert result.exit_code == 0, result.output
    report = validate((csv_file.parent / "out" / "report.json").read_bytes())
    assert report.method.device in ("cpu", "cuda"), "the one that was used, not «auto»"
    [group] = report.groups
    assert group.kind == kind
    assert group.before is not None
    assert (group.before.facts_leaked, group.after.facts_leaked) == (20, 0)
    assert group.after.top_k == 50
    assert (group.twin is not None) == (kind == "forget")


def test_a_censor_learns_further_answers_and_derived_words(
    csv_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, given = fakes.install(monkeypatch), []
    real = fake.censor

    def censor(self: Any, facts: Any) -> Any:
        given.extend(facts)
        return real(self, facts)

    monkeypatch.setattr(fake, "censor", censor)
    csv_file.write_text(
        "prompt,answer,subject,other_answers\nKaren Blixen is from,Denmark,Karen Blixen,Rungsted\n",
        encoding="utf-8",
    )
    run(csv_file, "larimar", "--kind", "censor")
    assert [(f.answer, f.telling) for f in given] == [("Denmark", ("Rungsted", "Danish", "Dane", "Danes"))]


@pytest.mark.parametrize("kind", ["censor", "forget"])
@pytest.mark.parametrize("good", [0, 20])
def test_facts_that_cannot_be_audited_are_left_alone_and_told(
    kind: str, good: int, csv_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, written = fakes.install(monkeypatch), set[str]()
    put = fake._put
    monkeypatch.setattr(
        fake, "_put", lambda self, made: written.update(e.fact_id for e in made) or put(self, made)
    )
    lines = csv_file.read_text().splitlines()[: 1 + good]
    csv_file.write_text("\n".join([*lines, "Bo Ek lives in,,Bo Ek", "Al lives in Oslo of,Oslo,Al"]) + "\n")
    result = run(csv_file, "larimar", "--kind", kind)
    assert result.exit_code == 3, result.output
    [group] = validate((csv_file.parent / "out" / "report.json").read_bytes()).groups
    refused = {fact.fact_id: fact.refused for fact in group.after.facts if fact.refused}
    assert list(refused.values()) == ["no-answer", "prompt-holds-answer"]
    assert written == {fact.fact_id for fact in group.after.facts} - set(refused)
    assert "there is no answer to look for" in (csv_file.parent / "out" / "report.html").read_text()


def test_ctrl_c_keeps_the_samples_and_the_same_command_goes_on(
    csv_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fakes.install(monkeypatch)
    fake.knows = {fact.subject: fact.answers[0] for fact in KNOWN}
    calls: list[int] = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    fakes.FakeLarimar.on_generate = interrupt
    first = run(csv_file, "larimar")
    assert first.exit_code == 3
    assert "The samples are kept" in first.output
    kept = (csv_file.parent / "out" / "samples.jsonl").read_bytes()
    assert kept.count(b"\n") == 1 + 3 * 16 * 5
    assert run(csv_file, "larimar").exit_code == 0
    assert (csv_file.parent / "out" / "samples.jsonl").read_bytes().startswith(kept)
    assert len(calls) == 1 + 2 * 5, (
        "five batches before and five after; only the interrupted one was asked twice"
    )


@pytest.mark.parametrize(
    ("target", "more", "words"),
    [
        ("gpt", [], "a target is"), ("openai:host", ["--model", "m"], "a target is"),
        ("openai:http://h/v1", [], "--model"), ("openai:http://h:99999/v1", ["--model", "m"], "port"),
        ("hf:x", ["--control", "openai:http://[::1/v1", "--model", "m"], "cannot be read"),
        ("larimar", ["--attack", "shout"], "no attack is called shout"),
        ("larimar", ["--control", "hf:x"], "own control"), ("larimar", ["--budget", "0"], "0"),
        ("hf:x", ["--control", "larimar"], "a target is"), ("larimar", ["--rephraser", "x"], "a rephraser is"),
        ("larimar", ["--rephraser", "hf:"], "a rephraser is"), ("larimar", ["--rephraser", "list:/no"], "/no cannot"),
    ],
)  # fmt: skip
def test_misuse_is_status_2(target: str, more: list[str], words: str, csv_file: Path) -> None:
    result = run(csv_file, target, *more)
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "columns prompt and answer"), ("prompt,answer\n", "no facts"),
        ("prompt,answer\nx,y,z\n", "line 2"), ("prompt,answer\n,y\n", "line 2"),
        ("prompt,answer,pet\nx,y,z\n", "unknown columns"),
        ("prompt,answer,id\nx,y,1\nz,y,1\n", "same id"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_say_where_and_not_what(text: str, words: str, csv_file: Path) -> None:
    csv_file.write_text(text)
    result = run(csv_file, "larimar")
    assert result.exit_code == 2
    assert words in result.output


def test_a_file_of_another_encoding_is_misuse(csv_file: Path) -> None:
    csv_file.write_bytes("prompt,answer\nÜber,Ö\n".encode("latin-1"))
    assert run(csv_file, "larimar").exit_code == 2


def test_aliases_and_other_answers_are_read(csv_file: Path) -> None:
    csv_file.write_text(
        "\ufeffprompt,answer,subject,aliases,other_answers\nIs,B,S, T ;U,C; D\n", encoding="utf-8"
    )
    [fact] = read_facts(csv_file)
    assert (fact.answers, fact.aliases, fact.id) == (("B", "C", "D"), ("T", "U"), "fact_0001")


def test_the_users_own_phrasings_are_asked_first(servers: tuple[Server, Server], csv_file: Path) -> None:
    own = csv_file.parent / "own.json"
    fact = KNOWN[0]
    own.write_text(json.dumps({fact.prompt: [f"Do tell, {fact.subject}, what about it?"]}))
    run(csv_file, endpoint(servers[0]), "--model", "m", "--budget", "4", "--rephraser", f"list:{own}")
    asked = [body["messages"][0]["content"] for _, _, body in servers[0].asked]
    assert asked.count(f"Do tell, {fact.subject}, what about it?") >= 1
    assert len(asked) == 80, "templates fill up"
    report = validate((csv_file.parent / "out" / "report.json").read_bytes())
    assert report.method.rephraser == "the user's list"


def request_id(csv_file: Path) -> str:
    report = validate((csv_file.parent / "out" / "report.json").read_bytes())
    return report.groups[0].requests[0].info.request_id


def test_an_id_is_of_one_folder_and_its_facts_and_tells_nothing_of_them(
    servers: tuple[Server, Server], csv_file: Path, tmp_path: Path
) -> None:
    quick = (endpoint(servers[0]), "--model", "m", "--budget", "1")
    run(csv_file, *quick)
    first = request_id(csv_file)
    run(csv_file, *quick)
    assert request_id(csv_file) == first, "an audit that goes on is the same one"
    assert (tmp_path / "out" / "request.salt").stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other" / "facts.csv"
    other.parent.mkdir()
    other.write_bytes(csv_file.read_bytes())
    run(other, *quick)
    assert request_id(other) != first, "the same facts could be guessed at"
    (tmp_path / "out" / "samples.jsonl").unlink()
    csv_file.write_text(csv_file.read_text().replace("Lisbon", "Madrid"))
    run(csv_file, *quick)
    assert request_id(csv_file) != first, "other facts of the same ids"
    reports = [str(path.parent / "out" / "report.json") for path in (csv_file, other)]
    told = CliRunner().invoke(main, ["compare", *reports, "--out", str(tmp_path / "compared")])
    assert "only if both were made of the same list of facts" in told.output


@pytest.mark.parametrize("more", [[], ["--target", "larimar"]])
def test_the_attacks_can_be_listed_without_target_and_facts(more: list[str]) -> None:
    result = CliRunner().invoke(main, ["audit", *more, "--attack", "list"])
    assert result.exit_code == 0, result.output
    assert "probability-delta" in result.output


def test_the_help_names_every_form_of_a_rephraser() -> None:
    told = " ".join(CliRunner().invoke(main, ["audit", "--help"]).output.split())
    for form in ("templates", "model:DIR", "mixed:DIR", "list:FILE", "hf:ID_OR_PATH"):
        assert form in told


@pytest.mark.parametrize("missing", ["--target", "--facts"])
def test_an_audit_without_target_or_facts_is_misuse(csv_file: Path, missing: str) -> None:
    given = {"--target": "larimar", "--facts": str(csv_file)}
    del given[missing]
    result = CliRunner().invoke(main, ["audit", *(word for pair in given.items() for word in pair)])
    assert result.exit_code == 2
    assert missing in result.output
