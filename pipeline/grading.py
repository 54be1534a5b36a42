r"""Is this response right? Graders for measuring, filtering and rewards: Math-Verify in worker processes, and rules of our own.

How the answer is found in a response (`Rule.unboxed` says how far down the list to go):

1. the last non-empty, closed \boxed{…} or \fbox{…} of at most 1,000 characters; boxes before it that are
   separated by nothing but commas, dollars, spaces, `and`, `or` belong to it ("\boxed{2} and \boxed{3}"
   is the set {2, 3});
2. `answer_phrase`: LaTeX after "final answer is …" or "answer: …" (Math-Verify's anchored expressions);
3. `last_number`: the same phrases with plain numbers, then the last LaTeX expression or number of all.

Rules 2 and 3 read the last 4,000 characters. What was found and the gold answer are parsed by Math-Verify
0.9 with its default normalisation and compared by `verify(gold, answer)` with its defaults: floats to 6
digits, percent-lenient (50\% equals 50 and 0.5), `x = 5` equals 5, strict on variables and intervals. Ours come
before that: in boxes and golds 1.2e-8 is a power of ten and 10\,000 one number; numbers below 1e-4 are compared by
their own size, not in decimals; floats that differ by rounding are equal.

All this is the grader `math_verify`. The grader `by_kind` (`Rule.grader`) finds more unboxed answers – <answer> tags, what
follows "Answer:" and its like in twenty languages, what is bold at the very end (`pipeline.answers.unboxed`) – and compares in
this order:

1. a gold that says that there is none (proof, notfound, None, null, nan, N/A, nothing) is `gold_unparsable`;
2. plain integers of at most twelve digits are compared as integers;
3. signs and layout are written one way: Unicode, full-width digits, bold, dollars, brackets around one number;
4. both are read as one of: empty set, date, time, numeral with a base, exact number, move at chess, option, order of letters,
   words, set by a condition, numbers with words or units, list, run of numbers side by side, phrase, algebra
   (`pipeline.answers.reading`), and compared as what they are (`pipeline.answers.compare`): different kinds that are no algebra
   never agree; exact numbers agree when equal, at every size; 3 1/2 is three and a half, other numbers side by side are a
   sequence; 50\% is 50 and 0.5; 1011_2 is 13_8, and 1011 where one side names no base; 3:45 p.m. is 15:45; (B) 12 is right for
   B and for 12; a number among words is the number, unless a word changes it (at least 20) or both name units that differ;
5. what is left is algebra: written as Math-Verify reads what it means (`pipeline.answers.algebra`) and compared by it; exact
   numbers differ where their digits do.

Guarantees: verdicts in the order asked; the same verdict whatever the load of the machine, for the limit
counts *processor* seconds (with ten times as many wall-clock seconds as a backstop); the kernel ends a
worker that passes it, so nothing can hang; a gold answer that is no mathematics is `gold_unparsable`,
never right and never wrong; no process outlives its owner. Workers are fresh interpreters: they inherit
no thread, no CUDA context and no lock of the caller.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, Self

from pipeline.errors import StageError

Unboxed = Literal["last_number", "answer_phrase", "nothing"]
Name = Literal["math_verify", "by_kind"]
Outcome = Literal["right", "wrong", "unparsable", "timeout", "gold_unparsable"]

CHUNK = 16
"""Responses sent to a worker at once."""

BOX_CHARACTERS = 1_000
"""A longer box holds no answer."""

TAIL_CHARACTERS = 4_000
"""Where unboxed answers are looked for: the end of the response."""

EXTRACTED_CHARACTERS = 500
"""Longer answers are cut in the report."""

BOXES = 32
"""How many boxes, from the end, are looked at: a response that repeats itself costs no more."""

ATTEMPTS = 2
"""A response on which a worker dies for another reason than the limit is tried once more."""

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,11})")
_WHOLE_FLOAT = re.compile(r"(-?(?:0|[1-9]\d{0,11}))(?:\.0{1,6})?")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_JOINT = re.compile(r"[\s$,;]*(?:and|or)?[\s$,;]*")


@dataclass(frozen=True)
class Rule:
    """How an answer is looked for, and which of gold and answer is the reference of `verify`."""

    unboxed: Unboxed = "last_number"
    gold_first: bool = True
    grader: Name = "math_verify"
    """By whose rules: Math-Verify's alone, or each kind of answer as what it is."""


@dataclass(frozen=True)
class Verdict:
    """What the grader says of one response; `extracted` is the answer it found, as text."""

    verdict: Outcome
    extracted: str | None
    gold: str

    @property
    def correct(self) -> bool:
        """True for `right` only."""
        return self.verdict == "right"


def find_box(response: str) -> str | None:
    """The content of the response's final box (adjacent boxes joined by commas); None without one."""
    contents: list[str] = []
    following = None
    for match in reversed(list(_BOX.finditer(response))[-BOXES:]):
        end = _closing_brace(response, match.end())
        if end is None or not (content := response[match.end() : end].strip()):
            if contents:
                break
            continue
        if following is not None and not _JOINT.fullmatch(response, end + 1, following):
            break
        if not contents or contents[-1] != content:
            contents.append(content)
        following = match.start()
    return ",".join(reversed(contents)) or None


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for position in range(start, min(len(text), start + BOX_CHARACTERS + 1)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return None


def grade_integers(response: str, gold: str) -> Verdict | None:
    """The verdict where box and gold are plain integers of at most 12 digits; None otherwise.

    The only comparison made without Math-Verify; a property test holds the two together.
    """
    expected = _WHOLE_FLOAT.fullmatch(gold.strip())
    if not expected:
        return None
    found = find_box(response)
    if found is None or not _INTEGER.fullmatch(found):
        return None
    return Verdict("right" if int(found) == int(expected[1]) else "wrong", found, gold)


def find_answer(response: str, unboxed: Unboxed) -> str | None:
    """The response's final box, else the answer that it states, as far as `unboxed` allows; None without either."""
    from pipeline.answers.unboxed import find_stated  # not before an answer is graded: planning names rewards

    box = find_box(response)
    if box is not None or unboxed == "nothing":
        return box
    return find_stated(response[-TAIL_CHARACTERS:], is_latex_only=unboxed == "answer_phrase")


def grade_plainly(response: str, gold: str, rule: Rule) -> Verdict | None:
    """The verdict of `by_kind` where no computer algebra is needed for it (pipeline.answers); None otherwise."""
    from pipeline.answers.compare import compare, is_no_gold

    verdict = grade_integers(response, gold)
    if verdict is not None:
        return verdict
    found = find_answer(response, rule.unboxed)
    if is_no_gold(gold):
        return Verdict("gold_unparsable", found, gold)
    decision = None if found is None else compare(find_box(gold) or gold, found)
    if found is None or not isinstance(decision, bool):
        return None
    return Verdict("right" if decision else "wrong", found[:EXTRACTED_CHARACTERS], gold)


class Grader:
    """A pool of grading processes, started when the first response needs one and reused after that.

    `timeout_seconds` is the limit per response in processor seconds. Use it as a context manager, or
    call `close`; processes also end with the Grader object, with the caller, and when the caller is killed.
    """

    def __init__(self, timeout_seconds: float = 5.0, processes: int = 1, rule: Rule | None = None) -> None:
        self.timeout_seconds = timeout_seconds
        self.rule = rule or Rule()
        self._lock = threading.Lock()
        self._workers = [_Worker(timeout_seconds, self.rule) for _ in range(processes)]
        self._closer = weakref.finalize(self, _stop_all, self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; the next `grade` starts new ones."""
        _stop_all(self._workers)

    def _grade_here(self, response: str, gold: str) -> Verdict | None:
        """The verdict where this process can give it, without computer algebra."""
        if self.rule.grader == "by_kind":
            return grade_plainly(response, gold, self.rule)
        return grade_integers(response, gold)

    def grade(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict per (response, gold), in order."""
        verdicts: dict[int, Verdict] = {}
        for i, (response, gold) in enumerate(pairs):
            if (verdict := self._grade_here(response, gold)) is not None:
                verdicts[i] = verdict
        missing = [i for i in range(len(pairs)) if i not in verdicts]
        chunks = deque(missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK))
        with self._lock:
            busy = self._workers[: len(chunks)]
            if len(busy) == 1:
                _serve(busy[0], chunks, pairs, verdicts)
            elif busy:
                with ThreadPoolExecutor(len(busy)) as threads:
                    list(threads.map(lambda worker: _serve(worker, chunks, pairs, verdicts), busy))
        return [verdicts[i] for i in range(len(pairs))]


def _serve(
    worker: _Worker,
    chunks: deque[list[int]],
    pairs: Sequence[tuple[str, str]],
    verdicts: dict[int, Verdict],
) -> None:
    """Take chunks until there is none left; each response gets its verdict whatever happens to the worker."""
    while True:
        try:
            waiting = deque(chunks.popleft())
        except IndexError:
            return
        deaths = 0
        while waiting:
            answers, over_limit = worker.ask([pairs[i] for i in waiting])
            for outcome, extracted in answers:
                index = waiting.popleft()
                verdicts[index] = Verdict(outcome, extracted, pairs[index][1])
                deaths = 0
            if waiting:
                deaths += 1
                if over_limit or deaths == ATTEMPTS:
                    index = waiting.popleft()
                    verdicts[index] = Verdict("timeout", find_box(pairs[index][0]), pairs[index][1])
                    deaths = 0


class _Worker:
    """One grading process (python -m pipeline.engines.grading.worker), restarted after each death."""

    def __init__(self, timeout_seconds: float, rule: Rule) -> None:
        self._settings = json.dumps({"timeout_seconds": timeout_seconds, **asdict(rule)})
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[tuple[Outcome, str | None]], bool]:
        """The answers that came (all, or those before a death) and whether the limit ended the worker."""
        process = self._ready()
        try:
            answers = self._exchange(process, pairs)
        except BaseException:
            self.stop()
            raise
        if len(answers) == len(pairs):
            return answers, False
        code = process.wait()
        self.stop()
        return answers, code in (-signal.SIGPROF, -signal.SIGALRM)

    def stop(self) -> None:
        """End the process, if it is ours and alive, and reap it."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in _pipes(process):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _exchange(
        self, process: subprocess.Popen[str], pairs: Sequence[tuple[str, str]]
    ) -> list[tuple[Outcome, str | None]]:
        answers: list[tuple[Outcome, str | None]] = []
        given, said, _ = _pipes(process)
        try:
            given.write("".join(json.dumps(pair) + "\n" for pair in pairs))
            given.flush()
        except BrokenPipeError:
            pass  # it died while we wrote; what it had answered before is still to be read
        while len(answers) < len(pairs) and (line := said.readline()).endswith("\n"):
            answers.append(tuple(json.loads(line)))
        return answers

    def _ready(self) -> subprocess.Popen[str]:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return self._process
        self.stop()
        root = str(Path(__file__).resolve().parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.engines.grading.worker", self._settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )
        self._process, self._owner = process, os.getpid()
        _, said, errors = _pipes(process)
        if said.readline() != "ready\n":
            last_words = errors.read().strip().splitlines()[-1:] or ["no message"]
            self.stop()
            raise StageError(
                f"the grading process did not start: {last_words[0]}",
                "The environment of this stage needs math-verify (see envs/).",
            )
        return process


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str], IO[str]]:
    """Standard input, output and error of a grading process: all three were asked for as pipes."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    return process.stdin, process.stdout, process.stderr


def _stop_all(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.stop()


@lru_cache(maxsize=8)
def _shared_grader(timeout_seconds: float, rule: Rule) -> Grader:
    return Grader(timeout_seconds, 1, rule)


@lru_cache(maxsize=4)
def grade_once(pairs: tuple[tuple[str, str], ...], timeout_seconds: float, rule: Rule) -> tuple[Verdict, ...]:
    """Grade with the process's shared grader; several rewards of one step grade its rollouts only once."""
    return tuple(_shared_grader(timeout_seconds, rule).grade(pairs))
