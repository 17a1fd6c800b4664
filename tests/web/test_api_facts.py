"""Facts and the bank over the API: bulk results by position, lists without text, revision and digest."""

from __future__ import annotations

from collections.abc import Callable

from apiflask import APIFlask

from tests.web.scenario import ANA, BEN, Scenario

Bearer = Callable[..., dict[str, str]]
FACTS = [{"prompt": fact.prompt, "answer": fact.answer, "subject": fact.subject} for fact in (ANA, BEN)]


def test_new_facts_are_queued_and_known_ones_named(
    app: APIFlask, bearer: Bearer, scenario: Scenario, wakes: list[tuple[str, str]]
) -> None:
    scenario.write(ANA)
    answer = app.test_client().post("/api/v1/facts", json={"facts": FACTS}, headers=bearer("reviewer"))
    assert answer.status_code == 202
    assert [entry["position"] for entry in answer.json["succeeded"]] == [1]
    assert [(entry["position"], entry["code"]) for entry in answer.json["failed"]] == [(0, "duplicate_fact")]
    assert wakes == [(answer.json["job"]["id"], "model")]


def test_only_known_facts_make_no_job(
    app: APIFlask, bearer: Bearer, scenario: Scenario, wakes: list[tuple[str, str]]
) -> None:
    scenario.write(ANA, BEN)
    answer = app.test_client().post("/api/v1/facts", json={"facts": FACTS}, headers=bearer("reviewer"))
    assert (answer.json["succeeded"], len(answer.json["failed"]), answer.json["job"]) == ([], 2, None)
    assert wakes == []


def test_a_fact_without_an_answer_refuses_the_list(app: APIFlask, bearer: Bearer) -> None:
    body = {"facts": [FACTS[0], {"prompt": "Only a prompt"}]}
    answer = app.test_client().post("/api/v1/facts", json=body, headers=bearer("reviewer"))
    assert (answer.status_code, answer.json["code"], answer.json["positions"]) == (
        422,
        "answer_required",
        [1],
    )


def test_list_has_no_text(app: APIFlask, bearer: Bearer, scenario: Scenario) -> None:
    ids = scenario.write(ANA, BEN)
    answer = app.test_client().get("/api/v1/facts?state=written", headers=bearer("auditor"))
    assert {item["id"] for item in answer.json["items"]} == set(ids)
    for word in ("Ana", "Basque", "Okafor", "Harcourt"):
        assert word not in answer.text


def test_bank_tells_revision_digest_and_counts(app: APIFlask, bearer: Bearer, scenario: Scenario) -> None:
    client, headers = app.test_client(), bearer("auditor")
    assert client.get("/api/v1/bank", headers=headers).json["code"] == "unknown_bank"
    assert client.get("/api/v1/facts", headers=headers).json["items"] == []
    scenario.write(ANA, BEN)
    bank = client.get("/api/v1/bank", headers=headers).json
    assert (bank["name"], bank["revision"], bank["facts"]["written"]) == ("default", 1, 2)
    assert len(bank["digest"]) == 64
    revisions = client.get("/api/v1/bank/revisions", headers=headers).json["items"]
    assert [(row["revision"], row["digest"]) for row in revisions] == [(1, bank["digest"])]
