"""Policies on disk: loading, checking and saving a Hugging Face folder.

Guaranteed: weights come from safetensors only, no code of the folder is ever run, nothing is fetched;
a folder appears under its final name only when it is complete.
Refused, each with its remedy: no folder or config, no safetensors (pickle can run code), unreadable or
truncated weights, no chat template, no EOS, token ids beyond the embedding's rows.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.prompt import Prompt
from pipeline.store.atomic import replaced_folder
from pipeline.store.job import QUIET

# Llama 3's templates write today's date into the system message, and this one where they are told none
TEMPLATE_DATE = datetime(2024, 7, 26)


def quiet_libraries() -> None:
    """Silence bars, advice and telemetry of the Hugging Face libraries; call before importing them."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("accelerate", "datasets", "trl", "peft", "deepspeed", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*pin_memory.*")


def render_prompt(tokenizer: Any, prompt: Prompt, messages: Sequence[Mapping[str, str]]) -> str:
    """The text of a chat up to where the response begins, with the opening think tag as the prompt wants it."""
    return prompt.opening(apply_template(tokenizer, list(messages), add_generation_prompt=True))


def apply_template(tokenizer: Any, chats: Any, **options: Any) -> Any:
    """The text of a chat (or of each of several); a template that asks for today gets a fixed date.

    Else the same configuration would be asked otherwise tomorrow, and trained otherwise than it is measured.
    """
    return tokenizer.apply_chat_template(
        chats, tokenize=False, strftime_now=TEMPLATE_DATE.strftime, **options
    )


def read_turn_end(tokenizer: Any) -> int | None:
    """The special token with which the chat template ends an answer, if it ends it with one.

    Base models have a chat template whose end they do not declare (Qwen2.5: <|im_end|>). Trained on chats they write it,
    and would go on behind it up to the limit.
    """
    answer = "0123456789"
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    try:
        text = apply_template(tokenizer, chat) if tokenizer.chat_template else ""
    except Exception:  # a template refuses by whatever it raises; this one then ends no answer of ours
        return None
    known = tokenizer.added_tokens_decoder
    after = tokenizer(text.rpartition(answer)[2], add_special_tokens=False)["input_ids"]
    return next((token for token in after if token in known and known[token].special), None)


def asks_for_today(tokenizer: Any) -> bool:
    """Whether the text of a chat depends on the day on which it is made."""
    return "strftime_now" in str(tokenizer.chat_template)


def encode_prompt(tokenizer: Any, prompt: Prompt, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
    """The token ids of the same text; the template writes the special tokens itself."""
    return tuple(tokenizer(render_prompt(tokenizer, prompt, messages), add_special_tokens=False)["input_ids"])


def load_policy(
    folder: Path,
    precision: str = "fp32",
    device: str = "cpu",
    *,
    chat_template: bool = True,
    attention: str = "sdpa",
) -> tuple[Any, Any]:
    """Load a policy folder as (model in eval mode, tokenizer).

    `precision` is the dtype of the weights (fp32 or bf16). A missing pad token is set to EOS.
    Raises InputError for every folder that is not usable; `chat_template=False` allows one without.
    """
    folder = Path(folder)
    check_policy_folder(folder)
    quiet_libraries()
    tokenizer = load_tokenizer(folder, chat_template=chat_template)
    model, loaded = load_weights("AutoModelForCausalLM", folder, precision, attn_implementation=attention)
    _check_weights(folder, model, tokenizer, loaded)
    model.generation_config = _only_tokens(model.generation_config)
    return model.to(device).eval(), tokenizer


def _only_tokens(defaults: Any) -> Any:
    """Generation defaults without those of sampling.

    They never apply here, and transformers saves no model whose defaults it finds at odds (a top_p without do_sample,
    as published models have it): a training would end at its first checkpoint.
    """
    from transformers import GenerationConfig

    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return GenerationConfig(**{name: getattr(defaults, name) for name in names})


def load_weights(kind: str, folder: Path, precision: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A model by transformers' class `kind` from a folder's safetensors, and what loading found; InputError."""
    import torch
    import transformers
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return getattr(transformers, kind).from_pretrained(
            folder,
            dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision],
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    except Exception as problem:  # transformers and safetensors raise whatever a damaged file leads to
        raise InputError(
            f"{folder}: the weights cannot be loaded: {_first_line(problem)}",
            "The folder is damaged or of an unknown architecture: copy or download it again.",
        ) from problem


def load_tokenizer(folder: Path, *, chat_template: bool = True, is_classifier: bool = False) -> Any:
    """Load only the tokenizer of a policy folder, with the checks that concern it (a classifier has no EOS)."""
    quiet_libraries()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as problem:
        raise InputError(
            f"{folder}: the tokenizer cannot be loaded: {_first_line(problem)}",
            "A policy folder needs tokenizer.json and tokenizer_config.json beside its weights.",
        ) from problem
    if is_classifier:
        return tokenizer
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"{folder}: the tokenizer has no EOS token, so a response could never end",
            "Name eos_token in tokenizer_config.json.",
        )
    if chat_template and not tokenizer.chat_template:
        raise InputError(
            f"{folder}: the tokenizer has no chat template, so no prompt can be built",
            "Take the instruct variant of the model, or add chat_template.jinja to the folder.",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_policy_folder(folder: Path) -> None:
    """Refuse, before anything heavy is imported, what cannot be a policy folder."""
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such model folder", "Check the path, or make the artifact first."
        )
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: config.json is missing", "Point to a Hugging Face model folder.")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f" (found {', '.join(pickles)}, which could run code when loaded)" if pickles else ""
        raise InputError(
            f"{folder}: there are no safetensors weights{found}",
            "Convert the weights: save_pretrained(…, safe_serialization=True).",
        )
    for index in folder.glob("*.safetensors.index.json"):
        if absent := [name for name in _indexed_files(index) if not (folder / name).is_file()]:
            raise InputError(
                f"{folder}: {len(absent)} weight files of the index are missing, first {absent[0]}",
                "The folder is incomplete: copy or download it again.",
            )


def _indexed_files(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as problem:
        raise InputError(
            f"{index}: not an index of weight files", "Copy or download the folder again."
        ) from problem


def save_policy(model: Any, tokenizer: Any, folder: Path, *, start: Path | None = None) -> None:
    """Save weights (safetensors) and tokenizer; `folder` appears, or is replaced, only when complete.

    The generation defaults are those of policy `start`, where it is given and has some.
    """
    with replaced_folder(Path(folder)) as scratch:
        model.save_pretrained(scratch, safe_serialization=True)
        tokenizer.save_pretrained(scratch)
        if start and (start / "generation_config.json").is_file():
            shutil.copyfile(start / "generation_config.json", scratch / "generation_config.json")


def check_vocabulary(folder: Path, tokenizer: Any, rows: int) -> None:
    """Refuse a tokenizer that can ask for rows beyond the embedding's (an embedding may have more than it needs).

    A special token that neither the chat template nor a sequence's ends need never comes up: Gemma 3 1B, a model
    without eyes, carries the image token of its larger siblings beyond its last row.
    """
    added = tokenizer.added_tokens_decoder
    ends = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    for token, number in tokenizer.get_vocab().items():
        if number < rows:
            continue
        is_needed = number in ends or token in str(tokenizer.chat_template)
        if is_needed or number not in added or not added[number].special:
            raise InputError(
                f"{folder}: the embedding has only {rows} rows and the tokenizer's token {token!r} is number {number}",
                "Tokenizer and weights belong to different models; take both from one folder.",
            )


def _check_weights(folder: Path, model: Any, tokenizer: Any, loaded: dict[str, Any]) -> None:
    check_vocabulary(folder, tokenizer, model.config.get_text_config().vocab_size)
    missing = sorted(loaded.get("missing_keys", ()))
    if missing:
        raise InputError(
            f"{folder}: {len(missing)} weights are missing, first {missing[0]}",
            "The folder is incomplete, or holds only an adapter: merge it into its base first.",
        )


def _first_line(problem: BaseException) -> str:
    text = str(problem).strip()
    return text.splitlines()[0] if text else type(problem).__name__
