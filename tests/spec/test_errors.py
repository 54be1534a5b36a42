"""Every error of a spec: where, what, why, remedy, all at once, as golden texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.errors import SpecErrors
from tests.support.studies import BASIC, compile_text, edited


def errors_of(text: str, folder: Path) -> str:
    with pytest.raises(SpecErrors) as caught:
        compile_text(text, folder)
    return str(caught.value).replace(f"{folder}/", "")


CASES = {
    "unknown_keys_at_every_depth": edited(
        ("question:", "quesstion:"),
        ("rows: 400, seed: 1,", "rows: 400, sed: 1,"),
        ("style: short", "styl: short"),
        ("hidden_size: 32", "hiden_size: 32"),
        ("epochs: 1}]", "epoch: 1}]"),
        ("learning_rate: 5e-4", "learnign_rate: 5e-4"),
        ("rollouts: 4", "rolouts: 4"),
        ("alpha: 4", "alfa: 4"),
        ("sampling: {samples: 2", "sampling: {sample: 2"),
        ("at_least: 0.1", "at_last: 0.1"),
    ),
    "unknown_names": edited(
        ("synthetic: chains, rows: 400", "synthetic: chanes, rows: 400"),
        ("[deduplicate]", "[deduplicat]"),
        ('"32": {inherits: sft, data: long', '"32": {inherits: sfft, data: long'),
        ('"64": {inherits: sft, data: long', '"64": {inherits: sft, data: lang'),
        ("reward: {accuracy: 1}", "reward: {acuracy: 1}"),
        ("heldout:\nanalyses", "aime25:\nanalyses"),
        ("[reflection_keywords]", "[reflections]"),
        ('sft: ["32"]}]', 'sft: ["33"]}]'),
    ),
    "wrong_types_and_units": edited(
        ("rows: 300", "rows: 8k"),
        ("batch_size: 8", "batch_size: '8'"),
        ("learning_rate: 5e-4", "learning_rate: fast"),
        ("steps: 4", "steps: 4.5"),
        ("max_new_tokens: 48\n    precision", "max_new_tokens: -1\n    precision"),
        ("replicates: 2", "replicates: [1, 2]"),
        ("checkpoints: [2]", "checkpoints: [9]"),
        ("samples: 2", "samples: true"),
    ),
    "unsafe_names": edited(
        ("study: basic", "study: ../basic"),
        ("    acc: {", "    a;rm -rf: {"),
        ("  early: {", "  'ea rly': {"),
    ),
    "subsets_larger_than_their_data": edited(
        ('"64": {inherits: sft, data: long, rows: 64}', '"64": {inherits: sft, data: long, rows: 64_000}'),
    ),
    "claims_about_nothing": edited(
        ("{sft: none, rl: none}, at_least", "{sft: none, rl: acc}, at_least"),
        ("step: 2}", "step: 3}"),
        ("above: {sft: none}, times", 'above: {sft: "64"}, times'),
        ("metric: accuracy, of: {rl: acc", "metric: reflecton_keywords.share, of: {rl: acc"),
    ),
    "several_claims_about_cells_that_do_not_run": edited(
        ("{sft: none, rl: none}, at_least", "{sft: none, rl: acc}, at_least"),
        ("step: 2}", "step: 3}"),
    ),
    "a_measure_of_nothing_and_claims_about_it": edited(
        (
            "  heldout:\nanal",
            "  heldout:\n  second: {benchmark: heldout}\n  third: {benchmark: math50}\nanal",
        ),
    ),
    "recipes_in_a_circle": edited(
        ("recipes:\n", "recipes:\n  a: {inherits: b}\n  b: {inherits: a}\n"),
        ("inherits: sft, data: long, rows: 32", "inherits: a"),
    ),
    "a_factor_that_changes_nothing": edited(("factors:\n", "factors:\n  mood: [calm, eager]\n")),
    "references_to_nothing": edited(("learning_rate: 1e-4", "learning_rate: ${lrr}")),
    "sources": edited(
        (
            "synthetic: chains, rows: 400, seed: 1, params: {style: short, split: train}",
            "file: nowhere.jsonl",
        ),
        (
            "{synthetic: chains, rows: 16, seed: 3, params: {split: test}}",
            "{dataset: gsm8k, benchmark: gsm8k}",
        ),
    ),
    "judges": edited(
        (
            "[reflection_keywords]\n",
            "[{reflection: {judge: gpt}}, {reflection: {judge: gpt}}, {length: {judge: gpt}}]\n"
            "policies: {tiny: {path: .}}\n"
            "judges:\n"
            "  gpt: {judge: reflexion, engine: openai, model: m, url: http://h/v1}\n"
            "  no_url: {judge: reflection, engine: openai, model: m}\n"
            "  a_key_in_the_url: {judge: reflection, engine: openai, model: m, url: 'http://me:pw@h/v1'}\n"
            "  a_key: {judge: reflection, engine: openai, model: m, url: http://h/v1, key_variable: sk-12}\n"
            "  typing: {judge: reflection, engine: openai, model: m, url: http://h/v1, retrys: 2, parallel: '4'}\n"
            "  both: {judge: reflection, engine: openai, model: m, url: http://h/v1, policy: tiny}\n"
            "  nobody: {judge: reflection, engine: vllm}\n"
            "  somebody: {judge: reflection, engine: vllm, policy: tony}\n"
            "  mixed: {judge: reflection, engine: vllm, policy: tiny, model: m}\n"
            "  wordy: {judge: clean_question, engine: vllm, policy: tiny, params: {words: 3}}\n"
            "  number: 3\n",
        ),
    ),
    "analyses_without_their_judge": edited(
        (
            "[reflection_keywords]\n",
            "[reflection, {reflection: {judge: gtp}}, {reflection: {judge: noise}}, length, length, {operations: {measures: [heldot]}}]\n"
            "judges:\n"
            "  gpt: {judge: reflection, engine: openai, model: m, url: http://h/v1}\n"
            "  noise: {judge: clean_question, engine: openai, model: m, url: http://h/v1}\n",
        ),
    ),
    "made_data": edited(
        (
            "data:\n",
            "policies:\n"
            "  outside: {hub: a/model, revision: main}\n"
            "  phase1: {of: {sft: dialogs}}\n"
            '  two: {of: {sft: [none, "16"]}}\n'
            "  self: {of: {}}\n"
            "data:\n"
            "  both: {sampled: {}, rejection: {}}\n"
            "  lacking: {sampled: {samples: 1}}\n"
            "  misspelt: {rejection: {problems: chians, policy: slef, rounds: [4, 4], max_new_token: 10}}\n"
            "  circle: {dialogue: {problems: circle, policy: self, max_new_tokens: 8}}\n"
            "  budget: {rejection: {problems: heldout, policy: self, max_new_tokens: 8, match_budget_of: heldout}}\n"
            "  shorter: {compressed: {data: heldout, compressor: self, keep_rates: [1.5]}}\n"
            "  filtered:\n"
            "    source: {synthetic: chains, rows: 4}\n"
            "    filters: [{solved_by: {policy: self, samples: 2, max_new_tokens: 8}}, {judged: {by: nobody, keep: [clean]}}, solved_by]\n",
        ),
    ),
    "families_of_a_figure": BASIC + "figures:\n"
    "  both: {x: tokens, lines: rl, families: {A: {rl: acc}}}\n"
    "  over_a_factor: {x: sft, families: {A: {rl: acc}}}\n"
    "  over_steps: {x: step, families: {A: {rl: acc}}}\n"
    '  elsewhere: {x: tokens, families: {A: {rl: plp}, B: {rl: none}}, where: {sft: "64"}}\n'
    "  unknown: {x: tokens, families: {A: {rl: plpp}, B: {rll: none}}}\n",
    "mappings_where_lists_are_meant": edited(
        ("question:", "cites: {a: b}\nquestion:"),
        ("filters: [deduplicate]", "filters: {deduplicate: }"),
        ('cells: [{rl: none}, {rl: [acc, plp], sft: ["32"]}]', "cells: {rl: none}"),
        ("analyses: [reflection_keywords]", "analyses: {reflection_keywords: }"),
        ("claims:\n", "claims:\n  ordered: {order: {sft: [none]}, where: {rl: none}}\n"),
    )
    + "published: {source: x, value: 1}\n",
    "a_broken_section_is_one_error": edited(
        ("data:\n", "data: [a]\nrecipes: text\nsampling: [1]\nx_data:\n"),
        ("recipes:\n", "x_recipes:\n"),
        ("sampling: {samples", "x_sampling: {samples"),
    ),
    "kinds_of_values": edited(
        ("replicates: 2", "replicates: '2'"),
        ("cells: [{rl: none}", "cells: [{rl: true}"),
        ("{source: {synthetic: chains, rows: 16, seed: 3, params: {split: test}}}", ""),
        ("analyses: [reflection_keywords]", "analyses: [null]"),
        (
            "claims:\n",
            "claims:\n"
            "  few: {of: {rl: none}, between: [0.1]}\n"
            "  many: {of: {rl: none}, between: [0.1, 0.2, 0.3]}\n"
            "  single: {order: [{sft: none}], where: {rl: none}}\n"
            "  both: {metric: {mean: tokens, sd: tokens}, of: {rl: none}, at_least: 1}\n"
            "  maybe: {metric: {mean: tokens, given: {correct: maybe}}, of: {rl: none}, at_least: 1}\n",
        ),
    ),
    "seeds_of_replicates": edited(("replicates: 2", "replicates: {seeds: [1.5, -1], vary: [trian]}")),
    "replicates_that_vary_nothing": edited(("replicates: 2", "replicates: {seeds: [0, 1], vary: []}")),
    "no_factor_is_the_model": edited(
        ("  model:\n", "  Model:\n"), ("  rl:\n    none:", "  step: [1]\n  rl:\n    none:")
    ),
    "a_chain_without_a_model": BASIC + "chain: [sft, rl]\n",
    "levels_that_are_no_recipes": edited(
        ('    none:\n    "32": {inherits: sft, data: long, rows: 32}', '    none: skip\n    "32": 32'),
        ("factors:\n", "factors:\n  warmth: [-1, 1]\n"),
    ),
    "values_that_planning_must_read_itself": edited(
        ("phases: [{data: [short, long], epochs: 1}]", "phases: [{data: [{a: b}]}, 3, {data: 4}]"),
        ("data: short\n    steps", "data: {a: b}\n    steps"),
        ("reward: {accuracy: 1}", "reward: {accuracy: .nan, format: {weight: -.inf}}"),
        ("measure:\n  heldout:", "measure:\n  heldout: {rows: 0}\n  again: {data: [heldout], rows: 1.5}"),
        (
            "analyses: [reflection_keywords]",
            "analyses: [{operations: 5}, {length: , think: }, {}, {layout: {measures: []}}, {repetition: {measures: [{}]}}]",
        ),
        (
            "claims:\n",
            "judges: {j: {judge: reflection, engine: openai, model: m, url: http://h/v1, params: 5}}\n"
            "claims:\n"
            "  squared: {metric: pass@², of: {rl: none}, at_least: 1}\n"
            "  one_step: {along: {step: [2]}, trend: rises, of: {rl: acc}}\n"
            "  no_steps: {along: {step: [x, y]}, trend: rises, of: {rl: acc}}\n"
            "  two_ways: {along: {sft: [none, '32'], rl: [none, acc]}, trend: rises}\n"
            "  twice: {along: {sft: [none, none]}, trend: rises}\n",
        ),
    ),
    "levels_that_are_equal_and_not_the_same": edited(
        ("    rollouts: 4\n", "    rollouts: 4\n    mask_truncated: ${mask}\n"),
        ("factors:\n", "factors:\n  mask: {on: true, one: 1}\n"),
    ),
    "words_that_a_source_does_not_heed": edited(
        ("seed: 1, params: {style: short, split: train}", "split: train"),
        (
            "data:\n",
            "data:\n"
            "  a: {source: {dataset: gsm8k, split: test}}\n"
            "  b: {source: {hub: https://huggingface.co/datasets/a/b}}\n"
            "  c: {source: {hub: ./a}}\n"
            "  d: {source: {hub: a/b, rows: 5}}\n"
            "  e: {source: {}}\n"
            "  f: {source: {synthetic: chains, rows: 4}, filters: [{where: nonsense}, judged, {judged: {by: x}}]}\n",
        ),
        (
            "  model:\n",
            "  model:\n    folder: ./model\n    url: https://huggingface.co/a/b\n    spaced: {hub: a b}\n",
        ),
    ),
    "numbers_that_are_levels": edited(
        ('"64": {inherits', "5e-5: {inherits"),
        ('of: {sft: "64"}', "of: {sft: 5e-5}"),
        ('of: {rl: acc, sft: "32", step: 2}', "of: {rl: [], sft: '32', step: []}"),
        ("at_least: 0.1}", "at_least: 0.1, where: {sft: {max: []}}}"),
    ),
    "references_to_what_a_level_lacks": edited(
        ("learning_rate: 1e-4", "learning_rate: ${pace.lr}"),
        ("factors:\n", "factors:\n  pace: {slow: {lr: 1e-4}, fast: {lrr: 1e-3}}\n"),
    ),
    "only_where_nothing_is": edited(
        ("[reflection_keywords]", "[{reflection_keywords: {only: [{rl: acc}, {rl: acc, sft: none}]}}]"),
        ("  heldout:\n", "  heldout:\n  again: {data: heldout, only: [{rl: none}, {step: 3}]}\n"),
    ),
    "claims_that_say_what_cannot_be": edited(
        (
            "claims:\n",
            "claims:\n"
            "  percent: {of: {rl: none}, at_least: 60}\n"
            "  points: {of: {sft: none}, above: {sft: '32'}, by: -3, where: {rl: none}}\n"
            "  span: {metric: pass@2, of: {rl: none}, between: [10, 20]}\n"
            "  left_out: {of: {sft: none, rl: none}, at_least: 0.1, where: {sft: '32'}}\n"
            "  twice: {of: {rl: none}, at_least: 0.1, for_each: [sft, sft], measure: [heldout, heldout]}\n"
            "  backwards: {metric: training.reward, of: {rl: acc, step: {from: 9, to: 1}}, at_least: 0}\n"
            "  truth: {metric: {mean: tokens, given: {tokens: true}}, of: {rl: none}, at_least: 1}\n",
        ),
    ),
    "claims_about_less_than_they_list": edited(
        (
            "claims:\n",
            "claims:\n"
            "  steps: {of: {rl: acc, step: [2, 3]}, at_least: 0.1}\n"
            "  levels: {of: {rl: [acc, none], sft: [none, '32']}, at_least: 0.1}\n"
            "  nowhere: {of: {rl: acc, sft: ['32', '64']}, at_least: 0.1}\n"
            "  log: {metric: training.reward, of: {rl: none, sft: '32'}, at_least: 0.1}\n",
        ),
    ),
    "figures_and_tables_of_what_is_not": BASIC + "figures:\n"
    "  nothing: {x: sft, y: [], where: {rl: none}}\n"
    "  band: {x: sft, band: [1, 0], where: {rl: none}}\n"
    "  both: {x: step, y: [accuracy, training.reward], lines: rl}\n"
    "  counts: {x: sft, y: data.long.rows_out, where: {rl: none}}\n"
    "  scatter: {x: training.reward, lines: rl}\n"
    "tables:\n"
    "  steps: {rows: [sft, rl, step], columns: [accuracy, training.reward], where: {rl: acc, step: [2, 3]}}\n"
    "published:\n"
    "  - {source: x, columns: [accuracy], rows: [{sft: none, rl: none, values: [.nan]}, {sft: none, rl: none, vales: [1]}]}\n"
    "  - {source: x, columns: [accuracy], rows: [{sft: none, rl: none, values: [1, 2]}, {label: y, values: ['1']}]}\n",
    "recipes_that_nothing_uses": edited(
        ("recipes:\n", "recipes:\n  lost: {inherits: sfft}\n  a: {inherits: b}\n  b: {inherits: a}\n"),
        ("reward: {accuracy: 1}", "reward: {accuracy: {wieght: 2}}"),
    ),
    "folders_and_files_that_are_none": edited(
        ("synthetic: chains, rows: 400, seed: 1, params: {style: short, split: train}", "file: /dev/null"),
        ("  model:\n", "  model:\n    file: {path: study.yaml}\n    nowhere: {path: none}\n"),
        ("learning_rate: 5e-4", "lr: 5e-4"),
    ),
    "checkpoints_that_are_none": edited(("checkpoints: [2]", "checkpoints: [0, 9, x, true]")),
    "a_table_of_checkpoints_that_are_none": BASIC
    + "tables:\n  steps: {rows: [sft, rl, step], columns: [accuracy], where: {rl: acc, step: [2, 3]}}\n",
    "made_data_that_would_fail_when_run": edited(
        (
            "data:\n",
            "policies: {p: {hub: a/model}}\n"
            "judges: {j: {judge: clean_question, engine: openai, model: m, url: http://h/v1}}\n"
            "data:\n"
            "  roundless: {rejection: {problems: short, policy: p, max_new_tokens: 8, rounds: []}}\n"
            "  rounds: {rejection: {problems: short, policy: p, max_new_tokens: 8, rounds: [1, 4]}}\n"
            "  both: {rejection: {problems: short, policy: p, max_new_tokens: 8, rounds: [2], match_budget_of: rounds}}\n"
            "  judged: {source: {synthetic: chains, rows: 4}, filters: [{judged: {by: j, keep: [claen]}}]}\n"
            "  counted: {source: {synthetic: chains, rows: 4}, filters: [{max_tokens: {tokens: 5, tokenizer: a b}},"
            " {max_tokens: {tokens: 5, tokenizer: a/b, policy: p}}]}\n",
        ),
    ),
    "batches_that_no_processes_share": edited(
        ("batch_size: 8, learning_rate", "batch_size: 8, micro_batch: 3, learning_rate"),
        ("    rollouts: 4\n", "    rollouts: 4\n    gpus: 3\n"),
    ),
    "no_mapping": "just text\n",
    "empty_sections": "study: x\nfactors: {}\nmeasure: {}\n",
}


@pytest.mark.parametrize("name", CASES)
def test_all_errors_of_a_file_are_shown_at_once(name: str, tmp_path: Path, golden, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    golden(f"errors/{name}.txt", errors_of(CASES[name], tmp_path) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_every_error_names_a_place(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in errors_of(CASES[name], tmp_path).splitlines():
        assert line.startswith("    ") or re.match(r"study\.yaml:\d+:\d+: \S", line), line


def test_the_command_line_shows_errors_without_a_traceback(tmp_path: Path, capsys) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(CASES["unknown_keys_at_every_depth"])
    assert main(["check", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert "Did you mean 'question'?" in shown


@pytest.mark.parametrize(
    "arguments", [["check", "none.yaml"], ["plan", "."], ["why", "abc", "none.yaml"], ["run", "none.yaml"]]
)
def test_a_missing_file_is_one_message(arguments: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(SpecErrors, match="aliases expand"):
        compile_text("study: x\n" + "\n".join(lines), tmp_path)
