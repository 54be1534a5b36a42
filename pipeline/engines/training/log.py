"""The callback of every Trainer: progress, log, NaN guard, working checkpoints, clean stop.

Guaranteed: a killed run that is started again continues from its newest complete checkpoint, and its log has
each step once; a checkpoint counts as complete only when its marker, written last, names all its files and
sizes.
Refused: to begin at step 0 where checkpoints were once saved and none is usable.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from pipeline.errors import RefusedError, StageError
from pipeline.store.atomic import replaced_file, write_atomically

MARKER = "COMPLETE.json"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_IGNORED = ("train_runtime", "total_flos", "epoch", "step", "num_input_tokens_seen")


def find_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint under work/checkpoints, or None for a run that never saved one.

    Torn ones are removed: Trainer counts them among those it keeps, and would drop complete ones for them.
    """
    saved = sorted((work / "checkpoints").glob("checkpoint-*"), key=_step_of, reverse=True)
    newest = next((path for path in saved if is_complete(path)), None)
    furthest = read_furthest_step(work)
    if newest is None and furthest > 0:
        raise RefusedError(
            f"{work}: step {furthest} was saved once and no usable checkpoint is left",
            f"Restore {work / 'checkpoints'}, or remove {work / 'state.json'} to begin again at step 0.",
        )
    remove_torn(work)
    return newest


def remove_torn(work: Path) -> None:
    """Remove what a kill or a full disk left half-written; the first process does it for all."""
    if os.environ.get("RANK", "0") != "0":
        return
    for path in (work / "checkpoints").glob("checkpoint-*"):
        if not is_complete(path):
            shutil.rmtree(path, ignore_errors=True)


def is_complete(checkpoint: Path) -> bool:
    """Whether every file that the marker names is there with its size."""
    try:
        sizes = json.loads((checkpoint / MARKER).read_text())
        return bool(sizes) and all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def mark_complete(checkpoint: Path) -> None:
    """Write the marker of a checkpoint whose other files are all written."""
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != MARKER]
    sizes = {str(path.relative_to(checkpoint)): path.stat().st_size for path in sorted(files)}
    write_atomically(checkpoint / MARKER, json.dumps(sizes))


def read_furthest_step(work: Path) -> int:
    """The furthest step ever saved, 0 when none was."""
    try:
        return int(json.loads((work / "state.json").read_text())["furthest_step"])
    except FileNotFoundError:
        return 0


def write_log(work: Path, target: Path) -> dict[int, dict[str, float]]:
    """Turn work/log.jsonl into log.parquet, each step once (its last row); returns the rows by step."""
    steps = read_log(work)
    store_log(steps, target)
    return steps


def store_log(steps: dict[int, dict[str, float]], target: Path) -> None:
    """Write metrics by step as long-form Parquet: step, metric, value."""
    import polars as pl

    rows = [
        (step, name, float(value)) for step in sorted(steps) for name, value in sorted(steps[step].items())
    ]
    schema = {"step": pl.Int64, "metric": pl.String, "value": pl.Float64}
    with replaced_file(target) as scratch:
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(scratch)


def read_log(work: Path) -> dict[int, dict[str, float]]:
    """The logged metrics by step; a line torn by a kill is skipped."""
    steps: dict[int, dict[str, float]] = {}
    path = work / "log.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            steps[row["step"]] = row["metrics"]
        except (ValueError, KeyError, TypeError):
            continue
    return steps


class TrainingLog(TrainerCallback):
    """Publishes, logs, guards and saves for one Trainer.

    `work` is the folder of this training (checkpoints/, log.jsonl, state.json), `progress(step, total)` is
    called after each update, and working checkpoints fall on multiples of `save_multiple` updates only (RL:
    the generation cycle) and never on `last_step` (of the whole schedule when absent), for a run that resumed there
    would train beyond it. After `trainer.train()` call `raise_if_stopped()`.
    """

    def __init__(
        self,
        *,
        work: Path,
        progress: Callable[[int, int, dict[str, float]], None],
        save_every_minutes: float,
        save_multiple: int = 1,
        last_step: int | None = None,
        kind: str = "training",
    ) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work, self.report, self.kind = work, progress, kind
        self.save_every_seconds, self.save_multiple = save_every_minutes * 60, save_multiple
        self.last_step = last_step
        self.stop_signal: int | None = None
        self.stopped_at: int | None = None
        self.last_metrics: dict[str, float] = {}
        self._last_save = time.monotonic()
        self._old_handlers: dict[int, Any] = {}
        self._file: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._last_save = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self._old_handlers[number] = signal.signal(number, self._note_signal)
        if state.is_world_process_zero:
            path = self.work / "log.jsonl"
            torn = path.exists() and not path.read_bytes().endswith(b"\n")
            self._file = path.open("a")
            self._file.write("\n" if torn else "")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Give the signals and the log file back, and a full disk its room; also to be called when training raised."""
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}
        remove_torn(self.work)
        if self._file:
            self._file.close()
            self._file = None

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if not logs or "train_runtime" in logs:
            return
        metrics = {
            name: float(value)
            for name, value in logs.items()
            if isinstance(value, (int, float)) and name not in _IGNORED
        }
        self._refuse_nan(metrics, state.global_step)
        self.last_metrics = metrics
        if self._file:
            self._file.write(json.dumps({"step": state.global_step, "metrics": metrics}) + "\n")
            self._file.flush()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if state.is_world_process_zero:
            self.report(state.global_step, state.max_steps, self.last_metrics)
        stop, save_due = self._agree(args)
        at_end = state.global_step >= (self.last_step or state.max_steps)
        if (stop or save_due) and state.global_step % self.save_multiple == 0 and not at_end:
            control.should_save = True
            if stop:
                control.should_training_stop = True
                self.stopped_at = state.global_step
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        _wait_for_all(args)
        self._last_save = time.monotonic()
        if state.is_world_process_zero:
            mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            furthest = max(state.global_step, read_furthest_step(self.work))
            write_atomically(self.work / "state.json", json.dumps({"furthest_step": furthest}))

    def raise_if_stopped(self) -> None:
        """Raise StageError when a signal ended training before its last step."""
        if self.stopped_at is not None:
            name = signal.Signals(self.stop_signal or signal.SIGTERM).name
            raise StageError(
                f"{self.kind} was stopped by {name}; step {self.stopped_at} is saved",
                "Run the same job again: it continues from there.",
            )

    def _note_signal(self, number: int, frame: Any) -> None:
        self.stop_signal = number

    def _agree(self, args: Any) -> tuple[bool, bool]:
        """(stop, save) as all processes must do it together."""
        stop = self.stop_signal is not None
        save = time.monotonic() - self._last_save >= self.save_every_seconds
        if args.world_size == 1:
            return stop, save
        import torch

        votes = torch.tensor([stop, save and args.process_index == 0], dtype=torch.int32, device=args.device)
        torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX)
        return bool(votes[0]), bool(votes[1])

    def _refuse_nan(self, metrics: dict[str, float], step: int) -> None:
        for name in ("loss", "grad_norm"):
            value = metrics.get(name)
            if value is not None and not math.isfinite(value):
                raise StageError(
                    f"{self.kind}: {name} became {value} at step {step}",
                    "Lower learning_rate or max_grad_norm, add warmup, or use precision: fp32; "
                    "the log up to this step is in work/log.jsonl.",
                )


def _wait_for_all(args: Any) -> None:
    if args.world_size > 1:
        import torch

        torch.distributed.barrier()


def _step_of(path: Path) -> int:
    tail = path.name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1
