"""Tiny policies from scratch: a Qwen2 architecture, a tokenizer of words and bytes, and its pretraining.

Guaranteed: the weights follow from the seed; every text can be encoded (single bytes are the fallback) and
decoded again unchanged, through AutoTokenizer too.
The tokenizer is Qwen2's own class, because AutoTokenizer rebuilds that one's pre-tokenizer for this
architecture whatever was saved; the words are added tokens, which survive.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import quiet_libraries, save_policy
from pipeline.errors import InputError
from pipeline.stages.base import Phase, TinyModel
from pipeline.stages.sft import SftConfig
from pipeline.store.atomic import write_atomically
from pipeline.store.job import Job

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"

TAGS = ("<think>", "</think>")

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def make_policy(job: Job, config: TinyModel, *, data: tuple[Path, ...]) -> dict[str, Any]:
    """Initialise, pretrain phase by phase on `data` (data set folders), and save; returns facts per phase."""
    for phase in config.phases:
        if max(phase.data) >= len(data) or min(phase.data) < 0:
            raise InputError(
                f"a pretraining phase names data input {max(phase.data)} and there are {len(data)}",
                "Count the inputs from 0.",
            )
    quiet_libraries()
    tokenizer = build_tokenizer(config.tokenizer)
    if config.kind == "token_classification":
        tokenizer.cls_token, tokenizer.sep_token = USER, END  # an encoder's tokenizer has them
    model = build_model(config, len(tokenizer), tokenizer, seed=job.seed)
    facts: dict[str, Any] = {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}
    if config.phases:
        facts |= _pretrain(job, config, model, tokenizer, data)
    save_policy(model, tokenizer, job.folder / "model")
    return facts


def build_tokenizer(kind: str = "words") -> Any:
    """Qwen2's tokenizer without merges: bytes, and as added tokens the generators' phrases and 10 to 99.

    Kind `questions` has the fixed lines of the judges' questions besides, kind `tags` those of thinking.
    """
    from tokenizers import AddedToken, pre_tokenizers
    from transformers import Qwen2Tokenizer

    from pipeline.generators.arithmetic import STEM
    from pipeline.generators.chains import PHRASES
    from pipeline.generators.judge_questions import phrases

    specials = [PAD, END, SYSTEM, USER, ASSISTANT]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate([*specials, *alphabet])},
        merges=[],
        unk_token=None,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )
    words = [word for word in (*PHRASES, STEM) if len(word) > 1] + [str(number) for number in range(10, 100)]
    words += {"words": (), "questions": phrases(), "tags": TAGS}[kind]
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=False) for word in words])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(config: TinyModel, vocabulary: int, tokenizer: Any, *, seed: int) -> Any:
    """A Qwen2 model whose random fp32 weights the seed decides; a causal one shares input and output embeddings."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2ForTokenClassification

    torch.manual_seed(seed)
    architecture = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads or config.heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.max_positions,
        initializer_range=config.initializer_range,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=config.kind == "causal",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    if config.kind == "token_classification":
        architecture.num_labels = 2
        return Qwen2ForTokenClassification(architecture).float()
    return Qwen2ForCausalLM(architecture).float()


def _pretrain(
    job: Job, config: TinyModel, model: Any, tokenizer: Any, data: tuple[Path, ...]
) -> dict[str, Any]:
    """Train phase by phase in place; leaves one log.parquet whose steps count through all phases."""
    from pipeline.engines.training.log import read_log, store_log

    facts: dict[str, Any] = {"pretraining_tokens": 0, "pretraining_seconds": 0.0}
    log: dict[int, dict[str, float]] = {}
    for index, phase in enumerate(config.phases):
        work = job.work / f"phase-{index}"
        found = _train_phase(
            job, _phase_settings(config, phase), model, tokenizer, work, index, [data[i] for i in phase.data]
        )
        facts["pretraining_tokens"] += int(found["tokens_per_epoch"] * phase.epochs)
        facts["pretraining_seconds"] += found["training_seconds"]
        facts[f"phase_{index}_loss"] = found["final_loss"]
        before = max(log, default=0)
        log |= {before + step: metrics | {"phase": index} for step, metrics in read_log(work).items()}
    store_log(log, job.folder / "log.parquet")
    return facts


def _train_phase(
    job: Job, settings: SftConfig, model: Any, tokenizer: Any, work: Path, index: int, data: list[Path]
) -> dict[str, Any]:
    """Train one phase, or load what it left in `work` when it was finished before."""
    from safetensors.torch import load_model, save_model

    from pipeline.engines.sft import fit, read_examples, tokenize

    weights, facts_file = work / "weights.safetensors", work / "trained.json"
    if facts_file.exists():
        load_model(model, weights)
        return json.loads(facts_file.read_text())
    examples = [row for folder in data for row in read_examples(folder / "rows.parquet")]

    def progress(step: int, total: int, metrics: dict[str, float]) -> None:
        shown = {name: metrics[name] for name in ("loss",) if name in metrics}
        job.progress(step, total, "steps", phase=float(index), **shown)

    tokens = tokenize(examples, tokenizer, settings)
    _, facts = fit(
        lambda: model, tokenizer, tokens, settings, seed=job.seed + index, work=work, progress=progress
    )
    save_model(model, weights)
    write_atomically(facts_file, json.dumps(facts))
    return facts


def _phase_settings(config: TinyModel, phase: Phase) -> SftConfig:
    return SftConfig(
        epochs=phase.epochs,
        batch_size=phase.batch_size,
        learning_rate=phase.learning_rate,
        schedule=phase.schedule,
        warmup=0.0 if phase.schedule == "constant" else phase.warmup,
        weight_decay=phase.weight_decay,
        loss_on=phase.loss_on,
        max_length=config.max_positions,
        bucket_by_length=True,
        precision="fp32",
        prompt=config.prompt,
        save_every_minutes=config.save_every_minutes,
    )
