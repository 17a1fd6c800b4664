"""The benchmark of bank sizes: what it composes, and that it measures what it says, at toy size."""

import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.memory_scale import Maker, Material, measured, questions, rows_of
from benchmarks.scale_plot import draw
from larimar import Entry
from larimar.config import preset
from larimar.index import Stored


def material(count: int = 40) -> Material:
    config, noise = preset("tiny"), np.random.default_rng(0)
    ledger, queries = [], []
    for i in range(count):
        value = torch.from_numpy(noise.integers(-9000, 9000, (6, config.slot_dim)).astype(np.int16))
        rows = noise.standard_normal((2, 1, 96)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=2, keepdims=True)
        ledger.append(Entry(f"r{i}", "fact", value, 1, Stored(f"r{i}", ("X",), ("t",), *rows)).to_bytes())
        queries.append(rows[0, 0])
    return Material(config, ledger, np.stack(queries))


def test_composed_facts_are_the_same_each_time_and_differ_from_each_other() -> None:
    made = Maker(material())
    first, again = made.entries(30, 60), made.entries(30, 60)
    assert [e.to_bytes() for e in first] == [e.to_bytes() for e in again]
    assert len({e.scope.plain.tobytes() for e in first}) == 60
    assert abs(float(np.linalg.norm(first[-1].scope.plain)) - 1) < 1e-3


def test_a_size_is_measured_and_drawn(tmp_path: Path) -> None:
    figures = measured(300, material())
    assert figures["recall_at_8"] == figures["recall_at_1"] == figures["own_fact_first"] == 1.0
    assert figures["shards"] > 300 / preset("tiny").capacity
    assert min(value for name, value in figures.items() if name.endswith("_ms")) > 0
    freed_before = figures | {"resident_gb": 0.0}
    draw({"300": freed_before, "600": freed_before}, tmp_path / "made.png")
    assert (tmp_path / "made.png").read_bytes().startswith(b"\x89PNG")
    rows = rows_of({"300": figures}, {"write_with_sentence_embedding_ms": 3.0})
    assert len(rows) == 8


def test_questions_are_worded_twice_about_the_same_subject(tmp_path: Path) -> None:
    (tmp_path / "kgconv").mkdir()
    (tmp_path / "counterfact").mkdir()
    templates = [{"left": "where is ", "right": "?"}, {"left": "place of ", "right": "?"}]
    (tmp_path / "kgconv" / "template_library.json").write_text(json.dumps([{"templates": templates}]))
    records = [
        {"case_id": i, "requested_rewrite": {"subject": f"S{i}", "target_new": {"str": "Rome"}}}
        for i in (1, 2000)
    ]
    (tmp_path / "counterfact" / "core.json").write_text(json.dumps(records))
    facts, others = questions(tmp_path, 2)
    assert {fact.subject for fact in facts} == {"S2000"}
    assert all(fact.prompt != other for fact, other in zip(facts, others, strict=True))
    assert all("S2000" in text for text in [*others, *(f.prompt for f in facts)])
