"""Processes of one training: what was asked for, DeepSpeed's configuration, and checks that it came about.

Guaranteed: a training runs in as many processes, under the engine (DDP or DeepSpeed of that stage) and on the
devices that its configuration names, or it ends before its first update; all of them take the rows of an epoch in
its order, after a resume, too.
Refused, each with its remedy: too few GPUs, another number of processes, DDP where DeepSpeed was asked for, another
ZeRO stage, batch, precision or clipping than asked for, DeepSpeed where none was.
ZeRO: Rajbhandari et al., arXiv:1910.02054.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from pipeline.errors import InputError, StageError
from pipeline.stages._training import TrainingConfig

ZERO_STAGES = {"none": 0, "zero2": 2, "zero3": 3}

REDUCE_BUCKET = 50_000_000
"""Gradient elements reduced at once; DeepSpeed's own 5e8 would take 2 GB of each device."""


def count_processes() -> int:
    """Processes of this run, as the launcher (accelerate, torchrun) set it; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_devices(config: TrainingConfig) -> None:
    """Refuse a run whose GPUs or processes are not those that its configuration names."""
    import torch

    if config.gpus and not torch.cuda.is_available():
        raise InputError(
            f"{config.gpus} GPUs are asked for and this machine shows none",
            "Run the job where the GPUs are, or set gpus: 0 in the recipe.",
        )
    if config.gpus > torch.cuda.device_count():
        raise InputError(
            f"{config.gpus} GPUs are asked for and this machine shows {torch.cuda.device_count()}",
            "Ask for fewer GPUs, or run the job on a node that has them (CUDA_VISIBLE_DEVICES limits them, too).",
        )
    if count_processes() != config.processes:
        asked = f"{config.gpus} GPUs" if config.gpus else f"{config.processes} CPU processes"
        raise InputError(
            f"{asked} are asked for and {count_processes()} processes were started",
            f"Start the stage through `studyc run`, or with: accelerate launch --num_processes {config.processes} …",
        )


def deepspeed_options(config: TrainingConfig, *, micro_batch: int, accumulation: int) -> dict[str, Any]:
    """DeepSpeed's configuration, every value of it from ours; transformers compares it with its own arguments."""
    stage = ZERO_STAGES[config.deepspeed]
    zero: dict[str, Any] = {
        "stage": stage,
        "overlap_comm": config.gpus > 0,
        "reduce_bucket_size": REDUCE_BUCKET,
    }
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": config.precision == "bf16"},
        "gradient_clipping": config.max_grad_norm,
        "train_batch_size": micro_batch * accumulation * count_processes(),
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulation,
    }


def prepare_compiler() -> None:
    """Give DeepSpeed's compilations a folder of this machine, without the locks of those that were killed.

    torch marks a running compilation by a file and waits for it to go, without an end and without a word, where the
    process that made it was killed. A living one keeps the file open. One folder for each machine, because the code
    is made for its processor and only its processes can be asked.
    """
    if "TORCH_EXTENSIONS_DIR" in os.environ:
        return
    from torch.utils.cpp_extension import get_default_build_root

    root = Path(get_default_build_root()) / socket.gethostname()
    os.environ["TORCH_EXTENSIONS_DIR"] = str(root)
    locks = list(
        root.glob("*/lock")
    )  # before the look at what is open: a lock that comes later is nobody's rest
    held = set()
    for link in Path("/proc").glob("[0-9]*/fd/*") if locks else ():
        with contextlib.suppress(OSError):
            held.add(link.readlink())
    for lock in locks:
        if lock not in held:
            lock.unlink(missing_ok=True)


def open_cpu_group(config: TrainingConfig) -> None:
    """Join the CPU processes of a run before TrainingArguments look at them (accelerator_config.use_configured_state).

    accelerate 1.15 and transformers 5.17 know DeepSpeed on accelerators only. On the default device each process takes
    itself for the only one, and all train on the same rows; with ACCELERATE_USE_CPU they train under plain DDP; and
    DeepSpeed's own group, which zero.Init needs, is never opened. They also call the devices cpu:0 and cpu:1, which
    torch.load does not know when a run resumes.
    """
    import torch
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    if "LOCAL_RANK" not in os.environ:
        raise InputError(
            "DeepSpeed is asked for and no launcher started this process",
            "Start the stage through `studyc run`, or with: accelerate launch --use_deepspeed …",
        )
    os.environ["DS_ACCELERATOR"] = "cpu"  # else DeepSpeed takes a GPU that the machine happens to have
    os.environ.pop("ACCELERATE_USE_CPU", None)
    AcceleratorState._reset_state(reset_partial_state=True)
    state = PartialState(cpu=True)
    state.device = torch.device("cpu")
    if config.deepspeed != "none":
        import deepspeed

        deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=False, verbose=False)
        state.distributed_type = DistributedType.DEEPSPEED


def check_trainer(trainer: Any, config: TrainingConfig) -> None:
    """Refuse a trainer that was set up for other processes or another engine than its configuration names."""
    found = trainer.accelerator.num_processes
    if found != config.processes or trainer.args.world_size != config.processes or trainer.args.n_gpu > 1:
        raise StageError(
            f"{config.processes} processes are asked for and the trainer found {found} (n_gpu {trainer.args.n_gpu})",
            f"Start the stage through `studyc run`, or with: accelerate launch --num_processes {config.processes} …",
        )
    plugin = getattr(trainer.accelerator.state, "deepspeed_plugin", None)
    stage = 0 if plugin is None else plugin.zero_stage
    if stage != ZERO_STAGES[config.deepspeed]:
        raise _wrong_engine(config, f"DeepSpeed with ZeRO stage {stage}" if stage else "no DeepSpeed")


class EngineCheck(TrainerCallback):
    """Before the first update: the model is under the engine that was asked for, with the values asked for.

    The engine is made inside `Trainer.train`, so this cannot be looked at earlier. A training that was started the
    wrong way otherwise becomes plain DDP without a word, and needs the memory of unsharded weights.
    """

    def __init__(self, trainer: Any, config: TrainingConfig) -> None:
        self.trainer, self.config = trainer, config

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        check_engine(self.trainer.model_wrapped, self.trainer.args, self.config)


def check_engine(engine: Any, arguments: Any, config: TrainingConfig) -> None:
    """Refuse an engine other than the one that `config` asks for."""
    is_deepspeed = type(engine).__module__.partition(".")[0] == "deepspeed"
    if config.deepspeed == "none":
        if is_deepspeed:
            raise _wrong_engine(config, type(engine).__name__)
        return
    if not is_deepspeed:
        raise _wrong_engine(config, type(engine).__name__)
    asked = {
        "ZeRO stage": ZERO_STAGES[config.deepspeed],
        "processes": config.processes,
        "micro batch": arguments.per_device_train_batch_size,
        "accumulation": arguments.gradient_accumulation_steps,
        "gradient clipping": config.max_grad_norm,
        "bf16": config.precision == "bf16",
    }
    got = {
        "ZeRO stage": engine.zero_optimization_stage(),
        "processes": engine.world_size,
        "micro batch": engine.train_micro_batch_size_per_gpu(),
        "accumulation": engine.gradient_accumulation_steps(),
        "gradient clipping": engine.gradient_clipping(),
        "bf16": engine.bfloat16_enabled(),
    }
    if wrong := [
        f"{name} {got[name]} instead of {asked[name]}" for name in asked if got[name] != asked[name]
    ]:
        raise _wrong_engine(config, f"DeepSpeed with {', '.join(wrong)}")


class EpochOrder(TrainerCallback):
    """Tells the sampler which epoch begins, however deep accelerate has wrapped it.

    accelerate 1.15 looks for a sampler of ours (buckets, prompts of RL) two batch samplers deep. Where several
    processes share the batches and a resumed run skips those it has done, it lies three deep: the rest of that epoch
    came in the order of epoch 0, so some rows were trained on twice and others never.
    """

    def on_epoch_begin(
        self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any
    ) -> None:
        batches = train_dataloader.batch_sampler
        while hasattr(batches, "batch_sampler"):
            batches = batches.batch_sampler
        batches.sampler.set_epoch(int(state.epoch or 0))


def _wrong_engine(config: TrainingConfig, found: str) -> StageError:
    asked = "no DeepSpeed" if config.deepspeed == "none" else f"deepspeed: {config.deepspeed}"
    return StageError(
        f"{asked} is asked for and the training got {found}",
        "Start the stage through `studyc run`: it names the engine to accelerate and drops ACCELERATE_* variables.",
    )
