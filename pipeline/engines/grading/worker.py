r"""The grading process: reads [response, gold] per line, answers [outcome, extracted] per line.

Started by pipeline.grading as `python -m pipeline.engines.grading.worker SETTINGS`. Math-Verify's own
timeouts are off (they need the main thread and cannot stop C code); instead the kernel ends this process
with SIGPROF when one response has used its processor seconds, or SIGALRM at ten times as many wall-clock
seconds, and the caller starts another one.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from pipeline.engines.grading import by_kind, by_math_verify

GRADERS = {"math_verify": by_math_verify.judge, "by_kind": by_kind.judge}
"""Name of a grader → its function (response, gold, unboxed, gold_first) → (outcome, extracted)."""

MEMORY_BYTES = 6 * 2**30
"""Address space of a grading process: a tower of powers ends as an error, not as a full node."""


def limit_time(seconds: float, run: Callable[[], Any]) -> Any:
    """Run with the kernel's timers set; this process does not survive them."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    try:
        return run()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Serve until standard input ends."""
    settings = json.loads(sys.argv[1])
    seconds, unboxed, gold_first = settings["timeout_seconds"], settings["unboxed"], settings["gold_first"]
    judge = GRADERS[settings["grader"]]
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides what Ctrl-C ends
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    replies = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints may look like a reply
    judge(r"It is $\boxed{\frac{1}{2} + x}$.", "0.5 + x", unboxed=unboxed, gold_first=gold_first)
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        response, gold = json.loads(line)
        outcome = limit_time(
            seconds,
            lambda: judge(response, gold, unboxed=unboxed, gold_first=gold_first),  # noqa: B023
        )
        replies.write(json.dumps(outcome) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
