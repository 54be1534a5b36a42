"""The order of rows in SFT, and what completes the last batch where several processes share it.

Guaranteed: the order follows from seed and epoch; each row is trained on once per epoch, in any number of processes.
accelerate completes the last batch with rows from the beginning of the epoch, which would count twice: another result
than in one process. Fillers carry no loss, and the loss of an update is a mean over its tokens, so they change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from trl import SFTTrainer

FILLER = {"input_ids": [0, 0], "labels": [-100, -100], "seq_lengths": [2]}


class OrderedTrainer(SFTTrainer):
    """SFTTrainer that can batch rows of similar length; `bucket` is (global batch size, seed)."""

    def __init__(self, *arguments: Any, bucket: tuple[int, int] | None = None, **options: Any) -> None:
        self.bucket = bucket
        super().__init__(*arguments, **options)
        examples, shared = self._examples(), self.accelerator.num_processes
        self.rows = len(examples)
        if shared > 1:
            missing = -self.rows % (self.args.per_device_train_batch_size * shared)
            self.train_dataset = add_fillers(examples, missing)

    def _examples(self) -> Dataset:
        """The rows as TRL has prepared them (packed, where that was asked for)."""
        assert isinstance(self.train_dataset, Dataset)
        return self.train_dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        examples = self._examples()
        fillers = len(examples) - self.rows
        if self.bucket is not None:
            ids = examples["input_ids"][: self.rows]
            return BucketSampler([len(row) for row in ids], *self.bucket, fillers=fillers)
        if fillers:
            return ShuffledSampler(self.rows, self.args.seed, fillers=fillers)
        return super()._get_train_sampler(train_dataset)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Working checkpoints need no model card."""


def add_fillers(dataset: Dataset, count: int) -> Dataset:
    """The rows, then `count` that carry no loss."""
    columns = {name: [FILLER[name]] * count for name in dataset.column_names}
    return concatenate_datasets([dataset, Dataset.from_dict(columns, features=dataset.features)])


class ShuffledSampler(torch.utils.data.Sampler):
    """Rows in the order that accelerate gives them in one process (seed + epoch), then the fillers."""

    def __init__(self, rows: int, seed: int, *, fillers: int = 0) -> None:
        self.rows, self.seed, self.fillers, self.epoch = rows, seed, fillers, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of one epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows + self.fillers

    def __iter__(self) -> Iterator[int]:
        return iter([*self.order(), *range(self.rows, len(self))])

    def order(self) -> list[int]:
        """The rows of this epoch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return torch.randperm(self.rows, generator=generator).tolist()


class BucketSampler(ShuffledSampler):
    """Rows in batches of similar length, in an order that seed and epoch decide.

    Rows are shuffled, sorted by length within groups of 50 batches, cut into batches, and the batches
    shuffled.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int, *, fillers: int = 0) -> None:
        super().__init__(len(lengths), seed, fillers=fillers)
        self.lengths, self.batch_size = lengths, batch_size

    def order(self) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        group = self.batch_size * 50
        batches = []
        for at in range(0, len(order), group):
            rows = sorted(order[at : at + group], key=lambda row: self.lengths[row], reverse=True)
            batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        partial = [batch for batch in batches if len(batch) < self.batch_size]
        complete = [batch for batch in batches if len(batch) == self.batch_size]
        shuffled = torch.randperm(len(complete), generator=generator).tolist()
        return [row for batch in [*(complete[i] for i in shuffled), *partial] for row in batch]
