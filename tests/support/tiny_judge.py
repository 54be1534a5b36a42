"""A tiny policy that has learnt to judge: trained here in seconds, served by real engines.

It answers the reflection question with 2 where the response says "recheck", with 1 where it does not, and with
something that is no category where the response is "???". The fixed text of the question is one token per line, so
that a prompt has some forty tokens.
"""

from __future__ import annotations

import random
from pathlib import Path

from pipeline import judges

REFLECTS, STRAIGHT, MUTE = "It looks back. 2.", "It goes straight on. 1.", "Hm, hard to say."
WORD = "recheck"
CONTEXT = 512


def reply_to(response: str) -> str:
    """What the judge has learnt to say about a response."""
    return MUTE if "???" in response else REFLECTS if WORD in response else STRAIGHT


def make_response(draw: random.Random) -> str:
    """A response of a few digits, with or without the word."""
    digits = " ".join(str(draw.randrange(10)) for _ in range(draw.randrange(1, 9)))
    kind = draw.randrange(5)
    if kind == 0:
        return f"{digits} ???"
    cut = draw.randrange(len(digits))
    return f"{digits[:cut]} {WORD} {digits[cut:]}" if kind < 3 else digits


def make_rows(n: int, seed: int) -> list[dict[str, str]]:
    """Problems and responses that the judge can sort."""
    draw = random.Random(seed)
    return [
        {"problem": f"{draw.randrange(100)}+{draw.randrange(100)}?", "response": make_response(draw)}
        for _ in range(n)
    ]


def build(folder: Path, *, steps: int = 160) -> Path:
    """Train the judge and save it as folder/model; refuses to return one that has not learnt."""
    import torch

    from pipeline.engines.policy.folder import save_policy
    from pipeline.engines.tiny import build_model
    from pipeline.stages.base import TinyModel

    tokenizer = _tokenizer()
    shape = TinyModel(hidden_size=64, layers=2, heads=2, intermediate_size=128, max_positions=CONTEXT)
    model = build_model(shape, len(tokenizer), tokenizer, seed=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    loss = torch.tensor(9.0)
    for step in range(steps):
        ids, labels, mask = _batch(tokenizer, make_rows(16, seed=1000 + step))
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
    assert loss.item() < 0.02, f"the tiny judge has not learnt its task: loss {loss.item():.3f}"
    save_policy(model.eval(), tokenizer, folder / "model")
    return folder


def _tokenizer():
    from tokenizers import AddedToken

    from pipeline.engines.tiny import build_tokenizer

    tokenizer = build_tokenizer()
    (message,) = judges.ask("reflection", {"problem": "\n", "response": "\n"})
    lines = {line for line in message["content"].splitlines() if len(line) > 1}
    phrases = [*lines, WORD, "It looks back. ", "It goes straight on. ", MUTE]
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in phrases])
    return tokenizer


def _batch(tokenizer, rows):
    """Right-padded rows with the loss on the reply alone."""
    import torch

    examples = []
    for row in rows:
        prompt = tokenizer.apply_chat_template(
            judges.ask("reflection", row), add_generation_prompt=True, return_dict=False
        )
        reply = tokenizer(reply_to(row["response"]), add_special_tokens=False)["input_ids"]
        examples.append((prompt, [*reply, tokenizer.eos_token_id]))
    width = max(len(prompt) + len(reply) for prompt, reply in examples)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for i, (prompt, reply) in enumerate(examples):
        end = len(prompt) + len(reply)
        ids[i, :end] = torch.tensor([*prompt, *reply])
        labels[i, len(prompt) : end] = torch.tensor(reply)
        mask[i, :end] = 1
    return ids, labels, mask
