"""Tokens of long traces: ours (pipeline/filters/_token_counts.py) against `tokenizers`' own encode_batch_fast.

Both in one process and one thread, in turn, on the same traces in the lengths of OpenR1-Math-220k and with a
byte-level BPE of Qwen2's pattern, and both must find the same counts. Ours begins each time with nothing remembered.
The last line is the filter max_tokens as it decides, not counting what cannot change the answer: the peer cuts the
same pieces and counts them by encode_batch_fast.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.pairs import Row, show

TRACES = 600
TOKENS = 16_384
RUNS = 5


def main() -> None:
    """Print and keep the table."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from bench.openr1_rows import Text, write_tokenizer
    from pipeline.filters._token_counts import TokenCounts
    from pipeline.filters._token_limit import TokenLimit, from_text

    text = Text(1)
    with tempfile.TemporaryDirectory() as scratch:
        write_tokenizer(text, Path(scratch))
        description = Path(scratch, "tokenizer.json").read_text()
    data, offsets = text.traces(TRACES)
    traces = [data[a:b].decode() for a, b in itertools.pairwise(offsets)]

    def count_ours() -> list[int]:
        return TokenCounts(from_text(description), json.loads(description)).of_pieces(traces)

    def count_peer() -> list[int]:
        fast = from_text(description).backend_tokenizer
        batches = [traces[i : i + 16] for i in range(0, len(traces), 16)]
        return [
            len(one) for batch in batches for one in fast.encode_batch_fast(batch, add_special_tokens=False)
        ]

    def limit_ours() -> list[bool]:
        return TokenLimit(from_text(description), TOKENS).exceeded(traces)

    def limit_peer() -> list[bool]:
        limit = TokenLimit(from_text(description), TOKENS)
        limit.counts.of_pieces = limit.counts.of_texts  # type: ignore[method-assign]  # the tokenizer itself
        return limit.exceeded(traces)

    note = f"{TRACES} traces, {len(data) / 1e6:.1f} MB, one thread; peer: encode_batch_fast"
    rows = [
        _compare("every trace counted", count_ours, count_peer, "≤ 0.67"),
        _compare(f"which have more than {TOKENS:,}", limit_ours, limit_peer, "≤ 0.67"),
    ]
    show("token_counts", note, rows)


def _compare(what: str, ours: Callable[[], Any], peer: Callable[[], Any], target: str) -> Row:
    """One line of RUNS pairs, after one that does not count; RuntimeError where the two find something else."""
    pairs = []
    for _ in range(RUNS + 1):
        (found, mine), (expected, theirs) = _time(ours), _time(peer)
        if found != expected:
            raise RuntimeError(f"{what}: ours and the peer differ")
        pairs.append((mine, theirs))
    mine, theirs = zip(*pairs[1:], strict=True)
    ratios = tuple(a / b for a, b in pairs[1:])
    return Row(what, statistics.median(mine), statistics.median(theirs), "s", ratios, target)


def _time(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and its processor seconds: the other processes of the machine do not count."""
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


if __name__ == "__main__":
    main()
