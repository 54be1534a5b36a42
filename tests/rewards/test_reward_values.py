"""Every value that the papers' facts print, and the edge cases of the catalogue table."""

from __future__ import annotations

import math
import statistics

import pytest

from pipeline.errors import InputError, StageError

RIGHT, WRONG, BARE = r"so \boxed{7}", r"so \boxed{8}", "it is 7"
UNREADABLE = "b > a > c"
TAGGED = "<think>\nhm\n</think>\n<answer>\n7\n</answer>"


def test_accuracy_is_one_zero_or_silent_where_gold_is_unreadable(call):
    assert call("accuracy", [RIGHT, WRONG, BARE], gold=["7", "7", UNREADABLE]) == [1.0, 0.0, None]


def test_accuracy_takes_no_bare_number_unless_told_so(call):
    assert call("accuracy", [BARE]) == [0.0]
    assert call("accuracy", [BARE], params={"unboxed": "last_number"}) == [1.0]
    assert call("accuracy", ["The final answer is $7$."]) == [1.0]


def test_accuracy_without_a_gold_answer_is_silent(call):
    assert call("accuracy", [RIGHT], gold=[None]) == [None]


def test_accuracy_open_rs_pays_in_full_where_gold_is_unreadable(call):
    assert call("accuracy_open_rs", [RIGHT, WRONG, WRONG], gold=["7", "7", UNREADABLE]) == [1.0, 0.0, 1.0]


def test_accuracy_open_rs_exchanges_gold_and_answer(call):
    gold, text = [r"x > 3"], [r"\boxed{(3, \infty)}"]
    assert call("accuracy", text, gold=gold) == [1.0]
    assert call("accuracy_open_rs", text, gold=gold) == [0.0]


def test_accuracy_deepscaler_needs_both_tags_and_a_box_after_them(call):
    thought = r"<think>\boxed{8}</think>"
    texts = [
        thought + RIGHT,
        thought + WRONG,
        "</think>" + RIGHT,
        RIGHT,
        thought + BARE,
        r"<think>\boxed{7}</think>no",
    ]
    assert call("accuracy_deepscaler", texts) == [1.0, -1.0, -1.0, -1.0, -1.0, -1.0]


def test_format_matches_the_tags_from_the_start_and_allows_lines_after_them(call):
    texts = [TAGGED, TAGGED + "\nmore", TAGGED + "more", "x" + TAGGED, TAGGED.removeprefix("<think>\n")]
    assert call("format", texts) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_format_open_rs_wants_the_closing_tag_exactly_once(call):
    assert call("format_open_rs", ["a\n</think>\nb", "a\n</think>\nb\n</think>\nc", "a</think>b", ""]) == [
        1,
        0,
        0,
        0,
    ]


def test_tag_counts_pay_per_tag_that_occurs_once(call):
    texts = [TAGGED, TAGGED + "\n</answer>", "<think>\nhm\n</think>\n7", "7"]
    assert call("tag_count", texts) == [1.0, 0.75, 0.5, 0.0]
    assert call("tag_count_open_rs", texts) == [1.0, 1.0, 1.0, 0.0]


def test_reasoning_steps_saturate_at_three_and_number_only_the_first_line(call):
    texts = ["Step 1: a\nStep 2: b\nStep 3: c\nStep 4: d", "1. a\n2. b", "First, a\n- b", "nothing"]
    assert call("reasoning_steps", texts) == pytest.approx([1, 1 / 3, 2 / 3, 0])


def test_boxed_format_asks_for_a_closed_box_with_something_in_it(call):
    assert call("boxed_format", [WRONG, r"\boxed{}", r"\boxed{7", BARE]) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("length", "right", "wrong"),
    [
        (0, 1, 0),
        (1792, 0.75, -0.25),
        (3584, 0.5, -0.5),
        (5376, 0.75, -0.25),
        (7168, 1, 0),
        (10752, 0.5, -0.5),
    ],
)
def test_cosine_as_run_is_periodic_in_characters(call, length, right, wrong):
    from pipeline.rewards.cosine import half_wave

    if length:
        texts = [" " * (length - len(RIGHT)) + RIGHT, " " * (length - len(WRONG)) + WRONG]
        assert call("cosine_chars_periodic", texts) == pytest.approx([right, wrong])
    assert half_wave(length, 3584, 0.5, 1.0) == pytest.approx(right)
    assert half_wave(length, 3584, -0.5, 0.0) == pytest.approx(wrong)


def test_cosine_as_run_pays_in_full_where_gold_is_unreadable(call):
    assert call("cosine_chars_periodic", [WRONG], gold=[UNREADABLE]) == [1.0]


def test_cosine_as_written_is_clipped_and_rises_for_wrong_answers(call):
    tokens = [-1 + n for n in (1, 1792, 3584, 7168)]  # the end-of-sequence token counts
    kwargs = {"params": {"max_length": 3584}, "tokens": tokens}
    first = (1 + math.cos(math.pi / 3584)) / 2
    assert call("cosine", [RIGHT] * 4, **kwargs) == pytest.approx([0.5 + 0.5 * first, 0.75, 0.5, 0.5])
    assert call("cosine", [WRONG] * 4, **kwargs) == pytest.approx([-0.5 - 0.5 * first, -0.75, -0.5, -0.5])
    assert call("cosine", [RIGHT], gold=[UNREADABLE], params={"max_length": 9}) == [None]


def test_kimi_length_pays_short_right_answers_and_never_wrong_ones(call):
    texts = [RIGHT, RIGHT + " " * 10, WRONG, WRONG + " " * 10]
    assert call("kimi_length", texts) == [0.5, -0.5, 0.0, -0.5]
    assert call("kimi_length", [RIGHT, RIGHT]) == [0.0, 0.0]
    assert call("kimi_length", [WRONG, WRONG + " "], gold=[UNREADABLE] * 2) == [0.5, -0.5]


def test_kimi_length_compares_one_prompt_or_the_whole_call(call):
    texts, prompts = [RIGHT, RIGHT + " " * 10, RIGHT, RIGHT + " " * 20], ["p", "p", "q", "q"]
    assert call("kimi_length", texts, prompts=prompts) == [0.5, -0.5, 0.5, -0.5]
    assert call("kimi_length", texts, prompts=prompts, params={"over": "call"}) == [0.5, 0.0, 0.5, -0.5]


def test_repetition_penalty_counts_trigrams(call):
    assert call("repetition_penalty", ["", "a b", "a b c", "a a a a", "a b c A B C"]) == pytest.approx(
        [0, 0, 0, -0.5, -0.25]
    )


def test_soft_overlong_slopes_over_the_cache(call):
    tokens = [12287, 12288, 14335, 16383, 16384]  # plus one end-of-sequence token each
    assert call("soft_overlong", ["x"] * 5, tokens=tokens) == pytest.approx([0, -1 / 4096, -0.5, -1, -1])


def test_l1_exact_pays_for_the_distance_to_the_budget(call):
    prompts = ["Q. Think for 1000 tokens."] * 3
    values = call("l1_exact", [RIGHT, RIGHT, WRONG], prompts=prompts, tokens=[999, 1999, 499])
    assert values == pytest.approx([1.0, 0.7, -0.15])


def test_l1_max_has_the_papers_form_and_the_codes(call):
    asked = {"tokens": [999, 1999, 3999, 99], "target_tokens": [1000] * 4}
    texts = [RIGHT, RIGHT, RIGHT, WRONG]
    assert call("l1_max", texts, **asked) == pytest.approx([0.5, 0.2, 0.0, 0.0])
    assert call("l1_max", texts, params={"form": "code"}, **asked) == pytest.approx([0.5, 0.35, 0.05, 0.0])


def test_l1_without_a_budget_is_refused(call):
    with pytest.raises(InputError, match="no token budget"):
        call("l1_max", [RIGHT])


@pytest.mark.parametrize(
    ("tokens", "value"), [(100, 1.4), (300, 1.231), (600, 1.163), (2000, 1.089), (7000, 1.048), (10000, 1.04)]
)
def test_powered_length_penalty_has_the_papers_values(call, tokens, value):
    params = {"alpha": 4}
    assert call("powered_length_penalty", [RIGHT], tokens=[tokens], params=params) == [
        pytest.approx(value, abs=5e-4)
    ]


def test_powered_length_penalty_gives_nothing_to_wrong_or_cut_rollouts(call):
    values = call("powered_length_penalty", [WRONG, RIGHT], finished=[True, False], params={"alpha": 4})
    assert values == [0.0, 0.0]


def test_powered_length_penalty_presses_on_short_responses(call):
    def spread(low, high):
        lengths = list(range(low, high))
        texts = [RIGHT] * len(lengths)
        return statistics.pstdev(call("powered_length_penalty", texts, tokens=lengths, params={"alpha": 1}))

    short, long = spread(300, 601), spread(7000, 10_001)
    assert short == pytest.approx(4.78e-3, rel=0.01)
    assert long == pytest.approx(5.60e-4, rel=0.01)
    assert (short / long) ** 2 == pytest.approx(72.8, rel=0.02)


def test_arora_zanette_discounts_by_rank_in_the_group(call):
    values = call(
        "arora_zanette",
        [RIGHT, RIGHT, WRONG, RIGHT],
        tokens=[100, 300, 9000, 9000],
        finished=[True, True, True, False],
        params={"alpha": 0.2},
    )
    assert values == pytest.approx([1 - 0.2 / (1 + math.e), 1 - 0.2 * math.e / (1 + math.e), 0, 0])


def test_arora_zanette_gives_a_single_right_rollout_half_the_discount(call):
    assert call("arora_zanette", [RIGHT, WRONG], params={"alpha": 0.4}) == pytest.approx([0.8, 0.0])


def test_simplerl_has_two_modes(call):
    texts = [RIGHT, BARE, WRONG, "it is 8"]
    assert call("simplerl", texts) == [1, 1, 0, 0]
    assert call("simplerl", texts, params={"mode": "independent"}) == [1, 0.5, -0.5, -1]


def test_without_end_tokens_no_rollout_counts_as_cut_off() -> None:
    from pipeline import rewards

    reward = rewards.build("powered_length_penalty", {"alpha": 4})
    values = reward(["1+1"], ["\\boxed{2}"], completion_ids=[[5] * 100], answer=["2"])
    assert values == pytest.approx([1.4])


def test_a_split_group_is_refused():
    from pipeline import rewards

    reward = rewards.build("arora_zanette", {}, eos_token_ids=(2,), group_size=4)
    with pytest.raises(StageError, match="groups of 4"):
        reward(prompts=["p"] * 3, completions=[RIGHT] * 3, completion_ids=[[2]] * 3, solution=["7"] * 3)


def test_plain_completions_and_the_solution_column_work_too():
    from pipeline import rewards

    assert rewards.build("accuracy")(prompts=["p"], completions=[RIGHT], solution=["7"]) == [1.0]
    assert rewards.build("accuracy")(
        prompts=["p"], completions=[RIGHT], solution=["long text"], answer=["7"]
    ) == [1.0]


def test_a_reward_that_grades_needs_gold_answers():
    from pipeline import rewards

    with pytest.raises(InputError, match="without gold"):
        rewards.build("accuracy")(prompts=["p"], completions=[RIGHT])
