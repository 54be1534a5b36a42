"""Continuous batching (Yu et al., OSDI 2022): a row that has finished its response takes the next request at once.

`batch_size` responses run at a time over one KV cache with one column counter; where no request waits, finished rows
leave the batch, so nobody waits for the longest response.
Guaranteed: neighbours, refills and the order of work never enter a response (counter_rng.py), so equal requests
give equal responses up to the rounding of matrix products.
Refused: what attention.py refuses, and logits that are no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from pipeline.engines.sampling.attention import check_lengths
from pipeline.engines.sampling.counter_rng import counter_uniforms, sample_tokens
from pipeline.engines.sampling.kv_cache import KVCache
from pipeline.engines.sampling.protocol import Request, Response
from pipeline.errors import StageError

REFILL_SHARE = 1 / 8
"""Share of free rows at which waiting requests are admitted (one prefill costs about one step)."""


def generate(
    model: Any,
    requests: Sequence[Request],
    *,
    eos: Sequence[int],
    batch_size: int,
    temperature: float,
    top_p: float,
) -> Iterator[Response]:
    """Sample every request; longest prompts first, samples of one prompt side by side (they share a prefill).

    Gradients are for the caller to switch off; `model` should be in eval mode.
    """
    check_lengths(model, requests)
    waiting = sorted(requests, key=lambda r: (-len(r.prompt_ids), r.prompt_ids, r.position))[::-1]
    batch = _RunningBatch(model, model.device, min(batch_size, len(waiting)))
    ends = torch.tensor(list(eos), device=model.device)
    while waiting or batch.is_running():
        free = batch.free_rows()
        if waiting and len(free) >= min(max(1, int(batch.size * REFILL_SHARE)), len(waiting)):
            admitted = [waiting.pop() for _ in range(min(len(free), len(waiting)))]
            rows = free[: len(admitted)]
            logits = batch.prefill(rows, admitted)
        else:
            if not waiting and len(free) > batch.size // 4:
                batch.drop_free_rows()
            rows = list(range(batch.size))
            logits = batch.decode_step()
        yield from batch.append_tokens(rows, logits, ends, temperature, top_p)


class _RunningBatch:
    """The responses under way, one per row: a KV cache that all rows share, and each row's counters."""

    def __init__(self, model: Any, device: torch.device, size: int) -> None:
        self.model, self.device, self.size = model, device, size
        self.requests: list[Request | None] = [None] * size
        self.tokens: list[list[int]] = [[] for _ in range(size)]
        self.seeds = torch.zeros(size, dtype=torch.int64, device=device)
        self.steps = torch.zeros_like(self.seeds)
        self.last_tokens = torch.zeros_like(self.seeds)
        self.lengths = torch.ones_like(self.seeds)
        self.starts = [0] * size
        self.cache = KVCache()
        self.mask = torch.zeros(size, 0, dtype=model.dtype, device=device)

    def is_running(self) -> bool:
        """Whether any row has a response under way."""
        return any(request is not None for request in self.requests)

    def free_rows(self) -> list[int]:
        """Rows whose response is finished."""
        return [row for row, request in enumerate(self.requests) if request is None]

    def prefill(self, rows: list[int], requests: list[Request]) -> torch.Tensor:
        """Read the prompts (each distinct one once) into the rows; returns their next-token logits."""
        prompts = list(dict.fromkeys(request.prompt_ids for request in requests))
        width = max(map(len, prompts))
        if self.cache.layers and self.cache.length < width:
            raise RuntimeError("prompts must come longest first")
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=self.device)
        columns = torch.arange(width, device=self.device)
        real = columns >= width - torch.tensor([[len(p)] for p in prompts], device=self.device)
        allowed = (columns[:, None] >= columns) & real[:, None, :] | torch.eye(
            width, device=self.device
        ).bool()
        positions = (real.cumsum(-1) - 1).clamp(min=0)
        read = KVCache()
        logits = self._forward(ids, positions, allowed[:, None], read)
        source = torch.tensor([prompts.index(request.prompt_ids) for request in requests], device=self.device)
        self._make_room(width)
        target = torch.tensor(rows, device=self.device)
        self.cache.insert(target, read, source, self.size)
        end = self.cache.length
        self.mask[target] = -torch.inf
        self.mask[target, end - width : end] = torch.where(real[source], 0.0, -torch.inf).to(self.mask.dtype)
        for row, request in zip(rows, requests, strict=True):
            self.requests[row], self.tokens[row] = request, []
            self.starts[row] = end - len(request.prompt_ids)
        self.seeds[target] = torch.tensor([request.seed for request in requests], device=self.device)
        self.lengths[target] = torch.tensor(
            [len(request.prompt_ids) for request in requests], device=self.device
        )
        self.steps[target] = 0
        return logits[source]

    def decode_step(self) -> torch.Tensor:
        """Feed every row its last token (free ones keep talking, unheard); returns the next logits."""
        self._make_room(1)
        first, end = min(self.starts), self.cache.length
        self.mask[:, end] = 0.0
        self.cache.first = first
        seen = self.mask[:, None, None, first : end + 1]
        logits = self._forward(self.last_tokens[:, None], self.lengths[:, None], seen, self.cache)
        self.cache.length += 1
        self.lengths += 1
        return logits

    def append_tokens(
        self, rows: list[int], logits: torch.Tensor, eos: torch.Tensor, temperature: float, top_p: float
    ) -> Iterator[Response]:
        """Sample the rows' next tokens and yield the responses that end with them."""
        target = torch.tensor(rows, device=self.device)
        uniforms = counter_uniforms(self.seeds[target], self.steps[target])
        self._check_logits(rows, logits)
        sampled = sample_tokens(logits, uniforms, temperature, top_p)
        self.last_tokens[target] = sampled
        self.steps[target] += 1
        ended = torch.isin(sampled, eos).tolist()
        for row, token, is_end in zip(rows, sampled.tolist(), ended, strict=True):
            request = self.requests[row]
            if request is None:
                continue
            if not is_end:
                self.tokens[row].append(token)
            if is_end or len(self.tokens[row]) == request.max_tokens:
                self.requests[row] = None
                self.lengths[row] = 0  # it keeps talking: never beyond a table of positions
                reason = "stop" if is_end else "length"
                yield Response(request.position, tuple(self.tokens[row]), reason, token if is_end else None)

    def _check_logits(self, rows: list[int], logits: torch.Tensor) -> None:
        """Refuse NaN and infinity, from which argmax and softmax would make tokens all the same."""
        for row, is_finite in zip(rows, logits.amax(-1).isfinite().tolist(), strict=True):
            request = self.requests[row]
            if request is not None and not is_finite:
                raise StageError(
                    f"{request.name}: the model's logits for token {len(self.tokens[row]) + 1} of the response "
                    "are no finite numbers",
                    "Its weights are broken or overflow in this precision: check its training, or set "
                    "precision: fp32.",
                )

    def drop_free_rows(self) -> None:
        """Keep only rows with a response under way (no request waits)."""
        keep = [row for row, request in enumerate(self.requests) if request is not None]
        self.size = len(keep)
        self.requests = [self.requests[row] for row in keep]
        self.tokens = [self.tokens[row] for row in keep]
        self.starts = [self.starts[row] for row in keep]
        rows = torch.tensor(keep, device=self.device)
        for name in ("seeds", "steps", "last_tokens", "lengths"):
            setattr(self, name, getattr(self, name)[rows])
        self._compact(rows, room=64)

    def _make_room(self, columns: int) -> None:
        """Grow by half, forgetting columns that no row sees any more, when the cache is full."""
        if not self.cache.layers:
            self.cache.length = columns
            self.mask = self.mask.new_full((self.size, columns + 256), -torch.inf)
        elif self.cache.length + 1 > self.mask.shape[1]:
            used = self.cache.length - min(self.starts)
            self._compact(torch.arange(self.size, device=self.device), room=64 + used // 2)

    def _compact(self, rows: torch.Tensor, room: int) -> None:
        """Keep `rows` and the columns in use, and make room for more columns."""
        first, end = min(min(self.starts), self.cache.length), self.cache.length
        self.cache.compact(rows, first, room)
        mask = self.mask.new_full((len(rows), end - first + room), -torch.inf)
        mask[:, : end - first] = self.mask[rows, first:end]
        self.mask = mask
        self.starts = [start - first for start in self.starts]

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: KVCache
    ) -> torch.Tensor:
        return self.model(
            input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
