"""Addressing by name: Eq. 7-8, the pseudo-inverse, nearest keys; and forgetting with the ledger's own keys."""

import random

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from larimar.addressing import NAMES, Episode, addressing, orthonormal_reference, sampled
from larimar.errors import BankFull, DuplicateFact, InvalidInput, UnknownFact
from larimar.memory import Memory
from larimar.recursion import initial, update

K, C = 16, 12


def latents(count: int, seed: int, width: int = C) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def episode(name: str, capacity: int | None = None) -> Episode:
    reference = orthonormal_reference(K, C) if name == "pseudo-inverse" else latents(K, 1)
    ways = addressing(name, reference=reference, names=[f"n{i}" for i in range(K)], rows=K)
    return Episode(ways, Memory(K, C, capacity=capacity))


def test_gaussian_weights_are_those_of_equations_7_and_8() -> None:
    reference, z, alpha = latents(K, 1).numpy(), latents(3, 2).numpy(), 0.5
    distances = np.linalg.norm(z[:, None] - reference[None], axis=2)
    expected = np.exp(-(distances**2) / (2 * alpha * distances.min(axis=1, keepdims=True) ** 2))
    expected /= expected.sum(axis=1, keepdims=True)
    keys = addressing("gaussian", reference=torch.from_numpy(reference), alpha=alpha).keys(
        torch.from_numpy(z)
    )
    assert np.allclose(keys.numpy(), expected, rtol=1e-12)


def test_a_latent_that_is_a_row_has_a_one_hot_key_and_a_narrow_kernel_nearly() -> None:
    reference = latents(K, 1)
    ways = addressing("gaussian", reference=reference, alpha=1e-3)
    assert torch.equal(ways.keys(reference), torch.eye(K, dtype=torch.float64))
    near = ways.keys(reference + 0.01 * latents(K, 3))
    assert torch.allclose(near, torch.eye(K, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize(("rows", "width"), [(4, 9), (9, 9), (12, 5)])
def test_the_pseudo_inverse_is_that_of_numpy(rows: int, width: int) -> None:
    reference, z = latents(rows, 1, width), latents(3, 2, width)
    expected = z.numpy() @ np.linalg.pinv(reference.numpy())
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    keys = addressing("pseudo-inverse", reference=reference).keys(z)
    assert np.allclose(keys.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize(("rows", "width"), [(4, 9), (9, 9), (12, 5)])
def test_the_random_reference_is_orthonormal_and_the_same_each_time(rows: int, width: int) -> None:
    made = orthonormal_reference(rows, width, seed=3)
    gram = made @ made.T if rows <= width else made.T @ made
    assert made.shape == (rows, width)
    assert torch.allclose(gram, torch.eye(min(rows, width), dtype=torch.float64), atol=1e-12)
    assert torch.equal(made, orthonormal_reference(rows, width, seed=3))


def test_the_nearest_key_is_that_of_the_nearest_latent() -> None:
    ways = episode("nearest-key").addressing
    assert torch.equal(ways.keys(latents(K, 1) * 3.0), ways.keys(latents(K, 1)))
    assert len(torch.unique(ways.keys(latents(K, 1)), dim=0)) == K


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_whatever_the_addressing_forgetting_leaves_the_never_written_state(name: str, seed: int) -> None:
    kept, gone = [f"k{i}" for i in range(5)], [f"g{i}" for i in range(6)]
    never, lived = episode(name), episode(name)
    rows = {i: (latents(1, seed + n), latents(1, seed + n + 500)) for n, i in enumerate(kept + gone)}
    for i in kept:
        never.write([i], *rows[i])
    order = random.Random(seed)
    for i in order.sample(kept + gone, 11):
        lived.write([i], *rows[i])
    lived.forget(order.sample(gone, 4))
    lived.forget([i for i in gone if i in lived._ledger])
    assert lived.memory.digest() == never.memory.digest()
    assert len(lived) == 5


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 99), ridge=st.sampled_from([1e-2, 1e-1, 1.0]))
@settings(max_examples=40, deadline=None)
def test_it_agrees_with_the_papers_recursion_where_that_is_stable(name: str, seed: int, ridge: float) -> None:
    """Eq. 2-4 on the same keys, up to quantisation of none: both get the fixed-point rows. <= 1e-9 relative."""
    ways = episode(name).addressing
    lived = Episode(ways, Memory(K, C, ridge=ridge))
    ids = [str(i) for i in range(14)]
    lived.write(ids, latents(14, seed), latents(14, seed + 500))
    keys = torch.stack([lived._ledger[i][0] for i in ids]).double() * 2.0**-22
    values = torch.stack([lived._ledger[i][1] for i in ids]).double() * 2.0**-17
    covariance, memory = initial(keys[:3], values[:3], ridge)
    covariance, memory = update(covariance, memory, keys[3:9], values[3:9], +1)
    for i in range(9, 14):
        covariance, memory = update(covariance, memory, keys[i : i + 1], values[i : i + 1], +1)
    covariance, memory = update(covariance, memory, keys[:4], values[:4], -1)
    lived.forget(ids[:4])
    exact = lived.memory.solution()
    assert torch.linalg.norm(memory - exact) <= 1e-9 * torch.linalg.norm(exact)


def test_algorithm_1_writes_and_reads_through_the_memory_itself() -> None:
    """W0 = Z M0^+, M = W0^+ Z, then read with W = Z M^+: what was written comes back."""
    z = latents(6, 4) / 4
    lived = Episode(
        addressing("pseudo-inverse", reference=orthonormal_reference(K, C)), Memory(K, C, ridge=1e-9)
    )
    lived.write([str(i) for i in range(6)], z, z)
    posterior = addressing("pseudo-inverse", reference=lived.memory.solution())
    read = Episode(posterior, lived.memory).read(z)
    cosines = torch.cosine_similarity(read, z)
    assert cosines.min() > 0.999


def test_generated_latents_are_normal_combinations_of_the_memory() -> None:
    lived = episode("gaussian")
    lived.write(["a", "b"], latents(2, 1), latents(2, 2))
    noise = torch.Generator().manual_seed(0)
    made = lived.memory.generate(20_000, noise)
    solution = lived.memory.solution()
    assert made.shape == (20_000, C)
    assert torch.allclose(made.T @ made / len(made), solution.T @ solution, atol=0.15)
    again = lived.memory.generate(20_000, torch.Generator().manual_seed(0))
    assert torch.equal(made, again)
    with pytest.raises(InvalidInput):
        lived.memory.generate(0, noise)


def test_sampled_keys_have_the_spread_they_should() -> None:
    keys = torch.zeros(2000, K, dtype=torch.float64)
    drawn = sampled(keys, 0.1, torch.Generator().manual_seed(1))
    assert abs(float(drawn.std()) - 0.1) < 0.005
    lived = episode("gaussian")
    lived.write(["a"], latents(1, 1), latents(1, 2))
    still = lived.read(latents(1, 1))
    moved = lived.read(latents(1, 1), sigma_w=0.05, noise=torch.Generator().manual_seed(1))
    assert not torch.allclose(still, moved)


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_named_and_changes_nothing(name: str) -> None:
    lived = episode(name, capacity=4)
    lived.write(["a", "b"], latents(2, 1), latents(2, 2))
    before, good = lived.memory.digest(), latents(2, 3)
    spoiled = good.clone()
    spoiled[1, 1] = float("nan")
    wrong: list[tuple[type[Exception], list[str], torch.Tensor, torch.Tensor]] = [
        (DuplicateFact, ["c", "a"], good, good),
        (DuplicateFact, ["c", "c"], good, good),
        (BankFull, ["c", "d", "e"], latents(3, 3), latents(3, 3)),
        (InvalidInput, ["c", "d"], spoiled, good),
        (InvalidInput, ["c", "d"], good, spoiled),
        (InvalidInput, ["c", "d"], good, 100 * good),
        (InvalidInput, ["c", "d"], latents(2, 3, C + 1), good),
        (InvalidInput, ["c", "d"], good, latents(2, 3, C + 1)),
        (InvalidInput, ["c", "d"], good, latents(1, 3)),
        (InvalidInput, ["c", "d"], good.to(torch.int64), good),
        (InvalidInput, ["c", "d"], good.to("meta"), good),
        (InvalidInput, [], good[:0], good[:0]),
    ]
    for error, ids, prompts, values in wrong:
        with pytest.raises(error):
            lived.write(ids, prompts, values)
    for ids in (["a", "nobody"], ["a", "a"]):
        with pytest.raises(UnknownFact):
            lived.forget(ids)
    lived.forget([])
    assert lived.memory.digest() == before
    lived.forget(["a"])
    with pytest.raises(UnknownFact):
        lived.forget(["a"])


def test_a_ledger_row_holds_no_bytes_of_its_neighbours() -> None:
    lived = episode("gaussian")
    lived.write(["gone", "kept"], latents(2, 1), latents(2, 2))
    lived.forget(["gone"])
    for part in lived._ledger["kept"]:
        assert part.untyped_storage().nbytes() == part.nbytes


def test_names_and_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="nearest-key, pseudo-inverse, gaussian"):
        addressing("magic", reference=latents(K, 1))
    with pytest.raises(InvalidInput, match="alpha"):
        addressing("gaussian", reference=latents(K, 1), alpha=0.0)
    with pytest.raises(InvalidInput, match="rows"):
        addressing(reference=latents(K, 1), names=["x"] * K)
    with pytest.raises(InvalidInput, match="names"):
        addressing(reference=latents(K, 1), names=["x"], rows=K)
    with pytest.raises(InvalidInput, match=f"{K} rows"):
        Episode(addressing("gaussian", reference=latents(K, 1)), Memory(K + 1, C))
