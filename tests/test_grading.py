"""The grader: what counts as an answer, what counts as equal, and that nothing can hang it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.grading import Grader, Rule, find_box, grade_integers

TOWER = r"\boxed{9^{9^{9^{9}}}}"


@pytest.fixture(scope="module")
def grader():
    with Grader(timeout_seconds=5.0) as one:
        yield one


def outcome(grader, response, gold):
    return grader.grade([(response, gold)])[0].verdict


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"$\boxed{\text{a{b}c}}$", r"\text{a{b}c}"),
        (r"\boxed{7} no, wait: \boxed{42}", "42"),
        (r"\boxed{2} and $\boxed{3}$", "2,3"),
        (r"\boxed{2}, \boxed{2}", "2"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\fbox{3}", "3"),
        (r"\boxed {3}", "3"),
        (r"\boxed{4} then \boxed{}", "4"),
        (r"\boxed{4} then \boxed{5", "4"),
        (r"\boxed{", None),
        ("no box", None),
        (r"\boxed{" + "x" * 2000 + "}", None),
    ],
)
def test_the_final_box_is_found(text, box):
    assert find_box(text) == box


def test_a_response_that_repeats_an_open_box_costs_little():
    started = time.monotonic()
    assert find_box(r"\boxed{" * 20_000) is None
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("response", "gold", "verdict"),
    [
        (r"\boxed{27}", "27.0", "right"),
        (r"\boxed{27.0}", "27", "right"),
        (r"\boxed{28}", "27.0", "wrong"),
        (r"\boxed{\frac12}", "0.5", "right"),
        (r"\boxed{\dfrac{2}{4}}", r"\frac{1}{2}", "right"),
        (r"\boxed{0.333333}", r"\frac13", "right"),
        (r"\boxed{0.33}", r"\frac13", "wrong"),
        (r"\boxed{[1, 2)}", r"[1,2)", "right"),
        (r"\boxed{[1, 2]}", r"(1,2)", "wrong"),
        (r"\boxed{(3, \infty)}", r"x > 3", "right"),
        (r"\boxed{50\%}", "50", "right"),
        (r"\boxed{0.5}", r"50\%", "right"),
        (r"\boxed{x = 5}", "5", "right"),
        (r"\boxed{1{,}234}", "1,234", "right"),
        (r"\boxed{2\sqrt{2}}", r"\sqrt{8}", "right"),
        (r"\boxed{2} and \boxed{1}", "1, 2", "right"),
        (r"\boxed{(2,1)}", "(1,2)", "wrong"),
        (r"\boxed{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "right"),
        (r"\boxed{\text{(C)}}", "C", "right"),
        (r"\boxed{90^\circ}", "90", "right"),
        (r"\boxed{7}", r"$7$", "right"),
        (r"\boxed{7}", r"The answer is $x = 7$.", "right"),
        (r"\boxed{7}", r"\boxed{7}", "right"),
        (r"\boxed{18.90}", r"\$18.90", "right"),
        (r"\boxed{7.}", "7", "right"),
        (r"\boxed{$7+x$}", "x+7", "right"),
        (r"\boxed{20 cm^2}", "20 $cm^{2}$", "right"),
        (r"\boxed{3}", r"$\frac{6}{2}$", "right"),
        (r"\boxed{5.47 \times 10^5}", "5.47e5", "right"),
        (r"\boxed{547{,}000 \text{ m/s}}", "5.47e5", "right"),
        (r"\boxed{5.48 \times 10^5}", "5.47e5", "wrong"),
        (r"\boxed{870000000}", "8.7e8", "right"),
        (r"\boxed{-1.2e-8 \text{ C}}", r"-1.2 \times 10^{-8}", "right"),
        (r"\boxed{2.2 \times 10^{-19}}", "1.2e-19", "wrong"),
        (r"\boxed{0.0000014}", "0.000001", "wrong"),
        (r"\boxed{0.0}", "1.2e-8", "wrong"),
        (r"\boxed{0.05\%}", "0.0005", "right"),
        (r"\boxed{2 \times 10^{-20}}", r"10^{-20}", "wrong"),
        (r"\boxed{1000000000000001}", "1000000000000002", "wrong"),
        (r"\boxed{2.5 \sin \frac{1}{0}}", "1.2e-8", "wrong"),
        (r"\boxed{3 \sin \ln(-1) \frac{1}{0}}", "2.5", "wrong"),
        (r"\boxed{2e - 1}", "2e-1", "right"),
        (r"\boxed{10000}", r"10\,000", "right"),
        (r"\boxed{0}", r"10\,000", "wrong"),
        (r"\boxed{1\,234\,567.5 \text{ m}}", "1234567.5", "right"),
        (r"\boxed{\frac{2469}{20000}}", r"\dfrac{2469}{20,\!000}", "right"),
        (r"\boxed{\approx 8.24}", r"\approx 8.24 \text{ mph}", "right"),
        ("first 12, then 27", "27.0", "right"),
        ("The final answer is $7$. I hope it is correct, 99 times.", "7", "right"),
        ("no idea", "7", "unparsable"),
        ("", "7", "unparsable"),
        (r"\boxed{7}", "", "gold_unparsable"),
        (r"\boxed{b > a > c}", "b > a > c", "gold_unparsable"),
    ],
)
def test_verdicts(grader, response, gold, verdict):
    assert outcome(grader, response, gold) == verdict


def test_what_is_looked_for_without_a_box_is_a_rule():
    pairs = [("so it is 27", "27"), ("The answer is $27$.", "27"), (r"\boxed{27}", "27")]
    verdicts = {}
    for unboxed in ("last_number", "answer_phrase", "nothing"):
        with Grader(rule=Rule(unboxed)) as one:
            verdicts[unboxed] = [v.verdict for v in one.grade(pairs)]
    assert verdicts == {
        "last_number": ["right", "right", "right"],
        "answer_phrase": ["unparsable", "right", "right"],
        "nothing": ["unparsable", "unparsable", "right"],
    }


def test_a_hanging_response_is_a_timeout_and_its_neighbours_keep_their_verdicts():
    pairs = [
        (r"\boxed{\frac{1}{3}}", r"\frac13"),
        (TOWER, "3"),
        (r"\boxed{x+1}", "1+x"),
        (TOWER, "4"),
        ("z", "x"),
    ]
    with Grader(timeout_seconds=0.5) as one:
        started = time.monotonic()
        assert [v.verdict for v in one.grade(pairs)] == ["right", "timeout", "right", "timeout", "unparsable"]
        assert time.monotonic() - started < 30


def test_order_is_kept_with_several_processes():
    pairs = [(rf"\boxed{{\frac{{{i}}}{{7}}}}", rf"\frac{{{i if i % 3 else i + 1}}}{{7}}") for i in range(60)]
    with Grader(processes=2) as one:
        verdicts = one.grade(pairs)
    assert [v.correct for v in verdicts] == [bool(i % 3) for i in range(60)]
    assert [v.extracted for v in verdicts] == [rf"\frac{{{i}}}{{7}}" for i in range(60)]


def test_a_worker_killed_from_outside_changes_no_verdict(grader):
    pairs = [(rf"\boxed{{x+{i}}}", f"{i}+x") for i in range(20)]
    assert all(v.correct for v in grader.grade(pairs))
    os.kill(grader._workers[0]._process.pid, signal.SIGKILL)
    assert all(v.correct for v in grader.grade(pairs))


def test_no_process_outlives_its_owner():
    code = (
        "import os, signal; from pipeline.grading import Grader; g = Grader(); g.grade([('x', 'y+1')]);"
        "print(g._workers[0]._process.pid, flush=True); {}"
    )
    for ending in ("pass", "os.kill(os.getpid(), signal.SIGKILL)"):
        done = subprocess.run([sys.executable, "-c", code.format(ending)], capture_output=True, text=True)
        pid = int(done.stdout)
        for _ in range(100):
            if not _is_running(pid):
                break
            time.sleep(0.05)
        assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


INTEGER = st.integers(-(10**12) + 1, 10**12 - 1)


@given(value=INTEGER, other=INTEGER, same=st.booleans(), as_float=st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_integer_shortcut_agrees_with_math_verify(value, other, same, as_float):
    from pipeline.engines.grading.by_math_verify import judge

    gold = f"{value if same else other}" + (".0" if as_float else "")
    response = rf"thus \boxed{{{value}}}"
    quick = grade_integers(response, gold)
    assert (quick.verdict, quick.extracted) == judge(response, gold, unboxed="last_number", gold_first=True)


@given(value=st.integers(-2000, 2000), factor=st.sampled_from([1, 10, 100]), zeros=st.integers(0, 6))
@settings(max_examples=150, deadline=None)
def test_the_shortcut_agrees_near_percentages_and_long_floats(value, factor, zeros):
    from pipeline.engines.grading.by_math_verify import judge

    gold = f"{value * factor}" + ("." + "0" * zeros if zeros else "")
    response = rf"\boxed{{{value}}}"
    quick = grade_integers(response, gold)
    for gold_first in (True, False):
        assert (quick.verdict, quick.extracted) == judge(
            response, gold, unboxed="nothing", gold_first=gold_first
        )


@pytest.mark.parametrize("text", ["007", "+5", "1,000", "1e3", "12.5", "1234567890123", "x"])
def test_the_shortcut_leaves_everything_else_to_math_verify(text):
    assert grade_integers(rf"\boxed{{{text}}}", "5") is None
