"""A decode loop over slots: finished responses make room at once, keys and values are never copied in steps.

`slots` responses run at a time over one key-value buffer with one column counter; a finished slot is refilled
from the queue, and where the queue is empty finished slots are dropped, so nobody waits for the longest row.
Guaranteed: neighbours, refills and the order of work never enter a draw (see draws.py), so equal requests
give equal responses up to the rounding of matrix products.
Refused: what attention.py refuses, and logits that are no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from pipeline.engines.sampling.attention import check_lengths
from pipeline.engines.sampling.counter_rng import counter_uniforms, draw_tokens
from pipeline.engines.sampling.protocol import Request, Response
from pipeline.errors import StageError

REFILL_SHARE = 1 / 8
"""Share of idle slots at which the queue is called (one prefill costs about one step)."""


def decode(
    model: Any,
    requests: Sequence[Request],
    *,
    eos: Sequence[int],
    slots: int,
    temperature: float,
    top_p: float,
) -> Iterator[Response]:
    """Draw every request; longest prompts first, samples of one prompt side by side (they share a prefill).

    Gradients are for the caller to switch off; `model` should be in eval mode.
    """
    check_lengths(model, requests)
    queue = sorted(requests, key=lambda r: (-len(r.prompt_ids), r.prompt_ids, r.position))[::-1]
    running = _Slots(model, model.device, min(slots, len(queue)))
    ends = torch.tensor(list(eos), device=model.device)
    while queue or running.busy():
        idle = running.idle()
        if queue and len(idle) >= min(max(1, int(running.size * REFILL_SHARE)), len(queue)):
            batch = [queue.pop() for _ in range(min(len(idle), len(queue)))]
            where = idle[: len(batch)]
            logits = running.admit(where, batch)
        else:
            if not queue and len(idle) > running.size // 4:
                running.drop_idle()
            where = list(range(running.size))
            logits = running.decode()
        yield from running.record(where, logits, ends, temperature, top_p)


class _Slots:
    """The running responses: a key-value buffer shared by all layers' columns, and each slot's counters."""

    def __init__(self, model: Any, device: torch.device, size: int) -> None:
        self.model, self.device, self.size = model, device, size
        self.requests: list[Request | None] = [None] * size
        self.tokens: list[list[int]] = [[] for _ in range(size)]
        self.seeds = torch.zeros(size, dtype=torch.int64, device=device)
        self.steps = torch.zeros_like(self.seeds)
        self.last = torch.zeros_like(self.seeds)
        self.lengths = torch.ones_like(self.seeds)
        self.starts = [0] * size
        self.cache = _Buffer()
        self.mask = torch.zeros(size, 0, dtype=model.dtype, device=device)

    def busy(self) -> bool:
        return any(request is not None for request in self.requests)

    def idle(self) -> list[int]:
        return [slot for slot, request in enumerate(self.requests) if request is None]

    def admit(self, where: list[int], batch: list[Request]) -> torch.Tensor:
        """Read the prompts (each distinct one once) into the slots; returns their next-token logits."""
        prompts = list(dict.fromkeys(request.prompt_ids for request in batch))
        width = max(map(len, prompts))
        if self.cache.layers and self.cache.now < width:
            raise RuntimeError("prompts must come longest first")
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=self.device)
        columns = torch.arange(width, device=self.device)
        real = columns >= width - torch.tensor([[len(p)] for p in prompts], device=self.device)
        allowed = (columns[:, None] >= columns) & real[:, None, :] | torch.eye(
            width, device=self.device
        ).bool()
        positions = (real.cumsum(-1) - 1).clamp(min=0)
        fresh = _Buffer()
        logits = self._forward(ids, positions, allowed[:, None], fresh)
        source = torch.tensor([prompts.index(request.prompt_ids) for request in batch], device=self.device)
        self._make_room(width)
        target = torch.tensor(where, device=self.device)
        self.cache.insert(target, source, fresh, self.size)
        now = self.cache.now
        self.mask[target] = -torch.inf
        self.mask[target, now - width : now] = torch.where(real[source], 0.0, -torch.inf).to(self.mask.dtype)
        for slot, request in zip(where, batch, strict=True):
            self.requests[slot], self.tokens[slot] = request, []
            self.starts[slot] = now - len(request.prompt_ids)
        self.seeds[target] = torch.tensor([request.seed for request in batch], device=self.device)
        self.lengths[target] = torch.tensor(
            [len(request.prompt_ids) for request in batch], device=self.device
        )
        self.steps[target] = 0
        return logits[source]

    def decode(self) -> torch.Tensor:
        """Feed every slot its last token (idle ones keep talking, unheard); returns the next logits."""
        self._make_room(1)
        first, now = min(self.starts), self.cache.now
        self.mask[:, now] = 0.0
        self.cache.first = first
        seen = self.mask[:, None, None, first : now + 1]
        logits = self._forward(self.last[:, None], self.lengths[:, None], seen, self.cache)
        self.cache.now += 1
        self.lengths += 1
        return logits

    def record(
        self, where: list[int], logits: torch.Tensor, eos: torch.Tensor, temperature: float, top_p: float
    ) -> Iterator[Response]:
        """Draw the slots' next tokens and yield the responses that end with them."""
        target = torch.tensor(where, device=self.device)
        uniforms = counter_uniforms(self.seeds[target], self.steps[target])
        self._check_logits(where, logits)
        drawn = draw_tokens(logits, uniforms, temperature, top_p)
        self.last[target] = drawn
        self.steps[target] += 1
        ended = torch.isin(drawn, eos).tolist()
        for slot, token, is_end in zip(where, drawn.tolist(), ended, strict=True):
            request = self.requests[slot]
            if request is None:
                continue
            if not is_end:
                self.tokens[slot].append(token)
            if is_end or len(self.tokens[slot]) == request.max_tokens:
                self.requests[slot] = None
                self.lengths[slot] = 0  # it keeps talking: never beyond a table of positions
                reason = "stop" if is_end else "length"
                yield Response(request.position, tuple(self.tokens[slot]), reason, token if is_end else None)

    def _check_logits(self, where: list[int], logits: torch.Tensor) -> None:
        """Refuse NaN and infinity, from which argmax and softmax would make tokens all the same."""
        for slot, is_finite in zip(where, logits.amax(-1).isfinite().tolist(), strict=True):
            request = self.requests[slot]
            if request is not None and not is_finite:
                raise StageError(
                    f"{request.name}: the model's logits for token {len(self.tokens[slot]) + 1} of the response "
                    "are no finite numbers",
                    "Its weights are broken or overflow in this precision: check its training, or set "
                    "precision: fp32.",
                )

    def drop_idle(self) -> None:
        """Keep only running slots (the queue is empty)."""
        keep = [slot for slot, request in enumerate(self.requests) if request is not None]
        self.size = len(keep)
        self.requests = [self.requests[slot] for slot in keep]
        self.tokens = [self.tokens[slot] for slot in keep]
        self.starts = [self.starts[slot] for slot in keep]
        rows = torch.tensor(keep, device=self.device)
        for name in ("seeds", "steps", "last", "lengths"):
            setattr(self, name, getattr(self, name)[rows])
        self._rebuild(rows, room=64)

    def _make_room(self, columns: int) -> None:
        """Grow by half, forgetting columns that no slot sees any more, when the buffer is full."""
        if not self.cache.layers:
            self.cache.now = columns
            self.mask = self.mask.new_full((self.size, columns + 256), -torch.inf)
        elif self.cache.now + 1 > self.mask.shape[1]:
            used = self.cache.now - min(self.starts)
            self._rebuild(torch.arange(self.size, device=self.device), room=64 + used // 2)

    def _rebuild(self, rows: torch.Tensor, room: int) -> None:
        """Keep `rows` and the columns in use, and make room for more columns."""
        first = min(min(self.starts), self.cache.now)
        self.cache.rebuild(rows, first, room)
        mask = self.mask.new_full((len(rows), self.cache.now + room), -torch.inf)
        mask[:, : self.cache.now] = self.mask[rows, first : first + self.cache.now]
        self.mask = mask
        self.starts = [start - first for start in self.starts]

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: _Buffer
    ) -> torch.Tensor:
        return self.model(
            input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip


class _Buffer:
    """Keys and values of every layer, [slots, heads, columns, width], written in place at column `now`."""

    def __init__(self) -> None:
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.now = self.first = 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any) -> tuple[Any, Any]:
        """What a layer calls: remember its new columns, return all columns that are seen."""
        if layer == len(self.layers):
            self.layers.append((keys, values))
            return keys, values
        end = self.now + keys.shape[2]
        buffers = self.layers[layer]
        for buffer, new in zip(buffers, (keys, values), strict=True):
            buffer[:, :, self.now : end] = new
        return buffers[0][:, :, self.first : end], buffers[1][:, :, self.first : end]

    def get_seq_length(self, layer: int = 0) -> int:
        return self.now

    def insert(self, target: torch.Tensor, source: torch.Tensor, fresh: _Buffer, size: int) -> None:
        """Copy freshly read prompts (rows `source`) so that they end at column `now` of the slots `target`."""
        width = fresh.layers[0][0].shape[2]
        if not self.layers:
            room = (size, self.now + 256)
            self.layers = [
                tuple(x.new_zeros(room[0], x.shape[1], room[1], x.shape[3]) for x in kv)
                for kv in fresh.layers
            ]
        for buffers, new in zip(self.layers, fresh.layers, strict=True):
            for buffer, values in zip(buffers, new, strict=True):
                buffer[target, :, self.now - width : self.now] = values[source]

    def rebuild(self, rows: torch.Tensor, first: int, room: int) -> None:
        """Keep `rows` and the columns from `first` on, then `room` empty columns."""
        used = self.now - first
        for layer, buffers in enumerate(self.layers):
            moved = []
            for buffer in buffers:
                grown = buffer.new_zeros(len(rows), buffer.shape[1], used + room, buffer.shape[3])
                grown[:, :, :used] = buffer[rows, :, first : self.now]
                moved.append(grown)
            self.layers[layer] = tuple(moved)
        self.now, self.first = used, 0
