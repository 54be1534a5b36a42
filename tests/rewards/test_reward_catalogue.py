"""Properties that hold for every reward, and how the catalogue answers."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline import rewards
from pipeline.errors import StudyError

PARAMS = {"cosine": {"max_length": 50}, "powered_length_penalty": {"alpha": 4}}
RANGES = {
    "accuracy": (0, 1), "accuracy_open_rs": (0, 1), "accuracy_deepscaler": (-1, 1), "format": (0, 1),
    "format_open_rs": (0, 1), "boxed_format": (0, 1), "tag_count": (0, 1), "tag_count_open_rs": (0, 1),
    "reasoning_steps": (0, 1), "cosine": (-1, 1), "cosine_chars_periodic": (-0.5, 1),
    "kimi_length": (-0.5, 0.5), "repetition_penalty": (-1, 0), "soft_overlong": (-1, 0),
    "l1_exact": (-1, 1), "l1_max": (0, 1),
    "arora_zanette": (0, 1), "powered_length_penalty": (0, 5), "simplerl": (0, 1),
}  # fmt: skip
ROLLOUT = st.tuples(
    st.sampled_from(["Think for 40 tokens. P", "Think for 40 tokens. Q"]),
    st.text("ab \n", max_size=12),
    st.sampled_from([r"\boxed{7}", r"\boxed{8}", "7", "\n</think>\n", "<think>\n a\n</think>\n", ""]),
    st.integers(1, 60),
    st.booleans(),
)


def evaluate(name, rollouts):
    reward = rewards.build(name, PARAMS.get(name, {}), eos_token_ids=(2,))
    return reward(
        prompts=[r[0] for r in rollouts],
        completions=[r[1] + r[2] for r in rollouts],
        completion_ids=[[5] * r[3] + [2] * r[4] for r in rollouts],
        answer=["7"] * len(rollouts),
    )


def test_the_whole_catalogue_is_here():
    assert set(rewards.names()) == set(RANGES)


@pytest.mark.parametrize("name", sorted(RANGES))
@given(rollouts=st.lists(ROLLOUT, min_size=1, max_size=6), order=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_every_reward_stays_in_its_range_and_does_not_care_about_order(name, rollouts, order):
    low, high = RANGES[name]
    values = evaluate(name, rollouts)
    assert all(low <= value <= high for value in values)
    shuffled = list(range(len(rollouts)))
    order.shuffle(shuffled)
    assert evaluate(name, [rollouts[i] for i in shuffled]) == pytest.approx([values[i] for i in shuffled])


@pytest.mark.parametrize("name", ["powered_length_penalty", "arora_zanette", "cosine", "l1_max"])
@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=6))
@settings(max_examples=15, deadline=None)
def test_longer_right_answers_never_earn_more(name, lengths):
    lengths = sorted(lengths)
    values = evaluate(
        name, [("Think for 40 tokens. P", "", r"\boxed{7}", length, True) for length in lengths]
    )
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("name", sorted(RANGES))
def test_every_reward_describes_itself(name):
    module = rewards.get(name)
    assert name == module.NAME
    assert all(getattr(module, field) for field in ("FORMULA", "SOURCE", "DOC"))
    text = str(rewards.describe(name))
    assert module.FORMULA in text and all(key in text for key in module.Params.model_fields)


def test_names_in_the_log_tell_parameters_apart():
    short = rewards.build("l1_max").__name__
    assert short == "l1_max"
    assert rewards.build("l1_max", {"form": "paper"}).__name__ == short
    assert (
        rewards.build("l1_max", {"alpha": 0.001, "form": "code"}).__name__
        == 'l1_max[alpha=0.001,form="code"]'
    )


def test_an_unknown_reward_gets_the_nearest_name():
    with pytest.raises(StudyError) as caught:
        rewards.build("acuracy")
    assert str(caught.value) == "reward 'acuracy' is unknown\n    Did you mean 'accuracy'?"


def test_bad_parameters_are_named():
    with pytest.raises(StudyError, match="'cosine': max_length: Field required"):
        rewards.build("cosine")
    with pytest.raises(StudyError, match="max_penalty: Input should be less than or equal to 0"):
        rewards.build("repetition_penalty", {"max_penalty": 1.0})
    with pytest.raises(StudyError, match="cache 4096 is larger than max_length 100"):
        rewards.build("soft_overlong", {"max_length": 100})
    with pytest.raises(ValidationError):
        rewards.validate("l1_max", {"form": "poem"})


def test_the_signature_is_trls():
    first = list(inspect.signature(rewards.build("accuracy")).parameters)[:4]
    assert first == ["prompts", "completions", "completion_ids", "solution"]


def test_importing_the_catalogue_loads_nothing_heavy():
    code = (
        "import sys; from pipeline import rewards, analyses; [rewards.describe(n) for n in rewards.names()];"
        "[analyses.describe(n) for n in analyses.names()];"
        "print([m for m in ('torch','sympy','math_verify','polars','numpy','trl') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
