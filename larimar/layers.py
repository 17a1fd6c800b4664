"""What the inner layers of a decoder favour at the end of a prompt: the logit lens (nostalgebraist 2020).

Each layer's hidden state is put through the decoder's final norm and output embeddings. Read by the white-box
attacks of an audit (Patil et al. 2023): `level` ranks tokens by probability, `rise` by what they gain over
the layer before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from larimar.decoding import Decoder, Query
from larimar.errors import InvalidInput
from larimar.model import Larimar
from larimar.prefix import extra_pair
from larimar.reader import conditioned, pack
from larimar.text import spaced

By = Literal["level", "rise"]
_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


@torch.inference_mode()
def layer_probabilities(decoder: Decoder, query: Query) -> Tensor:
    """Next-token probabilities (L, V) float32 of every layer after one query, the last layer last."""
    packed = pack([conditioned(decoder._embed(query.tokens), query.condition)], [query.condition])
    past = None if packed.past is None else extra_pair(packed.past, decoder.model.dtype)
    out = decoder.model.base_model(
        inputs_embeds=packed.embeddings, attention_mask=packed.attention, position_ids=packed.positions,
        past_key_values=past, output_hidden_states=True, use_cache=False,
    )  # fmt: skip
    inner = torch.stack([hidden[0, -1] for hidden in out.hidden_states[1:-1]])
    last = out.last_hidden_state[0, -1:]  # this one went through the final norm already
    hidden = torch.cat([_final_norm(decoder)(inner), last])
    return torch.softmax(decoder.model.get_output_embeddings()(hidden).float(), dim=-1)


def _final_norm(decoder: Decoder) -> torch.nn.Module:
    """The norm behind the last layer. Raises InvalidInput for an architecture that hides it."""
    base = decoder.model.base_model
    for home in (base, getattr(base, "decoder", None)):
        for name in _NORMS:
            if isinstance(norm := getattr(home, name, None), torch.nn.Module):
                return norm
    raise InvalidInput("this decoder's final norm was not found, so its layers cannot be read")


def candidates(decoder: Decoder, query: Query, *, k: int, layers: int, by: By) -> list[str]:
    """k token texts of each of `layers` layers spread over the upper half of the decoder, last layer last."""
    probabilities = layer_probabilities(decoder, query)
    depth = len(probabilities)
    lowest = min(depth - 1, depth // 2)
    chosen = torch.linspace(lowest, depth - 1, layers).round().long()
    scores = probabilities[chosen]
    if by == "rise":
        scores = scores - probabilities[(chosen - 1).clamp_min(0)]
    tokens = scores.topk(k, dim=-1).indices.flatten().tolist()
    return [decoder.tokenizer.decode([token]) for token in tokens]


def first_token(decoder: Decoder, answer: str) -> str:
    """The text of the token with which an answer begins after a prompt."""
    ids = decoder.tokenizer(spaced(answer), add_special_tokens=False).input_ids
    return str(decoder.tokenizer.decode(ids[:1]))


def memory_candidates(
    model: Larimar, prompts: Sequence[str], *, k: int, layers: int, by: By
) -> list[list[str]]:
    """Candidates of whatever would compute the reply: the reader in scope of a fact, else the base decoder.

    Where a tombstone answers, nothing is computed; whoever holds the weights reads the base decoder instead.
    """
    found = []
    for prompt, route in zip(prompts, model.routes(prompts), strict=True):
        decoder, query = model.weights.base, model.weights.base.query(prompt.strip())
        if route.fact_id and model.bank.entries[route.fact_id].kind == "fact":
            decoder, query = model.weights.reading, route.query
        found.append(candidates(decoder, query, k=k, layers=layers, by=by))
    return found
