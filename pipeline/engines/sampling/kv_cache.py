"""The KV cache of the decode loop: one buffer per layer, written in place, so that keys and values are never copied
in steps. It answers to what the models of transformers call on `past_key_values`."""

from __future__ import annotations

from typing import Any

import torch


class KVCache:
    """Keys and values of every layer, [rows, heads, columns, width]; `length` columns are written, and layers see
    them from column `first` on."""

    def __init__(self) -> None:
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.length = self.first = 0

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer calls: remember its new columns, return all columns that are seen."""
        if layer == len(self.layers):
            self.layers.append((keys, values))
            return keys, values
        end = self.length + keys.shape[2]
        old_keys, old_values = self.layers[layer]
        old_keys[:, :, self.length : end] = keys
        old_values[:, :, self.length : end] = values
        return old_keys[:, :, self.first : end], old_values[:, :, self.first : end]

    def get_seq_length(self, layer: int = 0) -> int:
        """Columns that are written."""
        return self.length

    def insert(self, rows: torch.Tensor, prompts: KVCache, source: torch.Tensor, size: int) -> None:
        """Copy prompts that were just read (rows `source` of their cache) into `rows`, to end at column `length`.

        The first prompts make the buffers, of `size` rows.
        """
        width = prompts.layers[0][0].shape[2]
        if not self.layers:
            columns = self.length + 256
            self.layers = [
                (_empty(keys, size, columns), _empty(values, size, columns))
                for keys, values in prompts.layers
            ]
        for buffers, read in zip(self.layers, prompts.layers, strict=True):
            for buffer, new in zip(buffers, read, strict=True):
                buffer[rows, :, self.length - width : self.length] = new[source]

    def compact(self, rows: torch.Tensor, first: int, room: int) -> None:
        """Keep `rows` and the columns from `first` on, then `room` empty columns."""
        used = self.length - first

        def move(buffer: torch.Tensor) -> torch.Tensor:
            moved = _empty(buffer, len(rows), used + room)
            moved[:, :, :used] = buffer[rows, :, first : self.length]
            return moved

        for layer, (keys, values) in enumerate(self.layers):
            self.layers[layer] = (
                move(keys),
                move(values),
            )  # one layer at a time: twice the memory of one, not of all
        self.length, self.first = used, 0


def _empty(like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return like.new_zeros(rows, like.shape[1], columns, like.shape[3])
