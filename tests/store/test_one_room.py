"""Only pipeline/store knows what lies where in results/, takes locks and renames files: the whole package is read for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "pipeline" / "store"

FILES = {"record.json", "job.json", "facts.json", "progress.json", "failure.json", ".lock"}
FOLDERS = {"work", "attempts", "plans", "reports", "logs", "benchmarks"}
IN_TEXT = re.compile(rf"^/({'|'.join(FOLDERS)})(/|$)")
RENAMES = {"os.replace", "os.rename", "os.renames", "shutil.move"}
JOINS = {"Path", "os.path.join", "joinpath"}
RESULTS = {"results", "results_root"}


def find_breaches(source: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of every place where a module does what is pipeline.store's to do."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            names = FILES & set(node.value.split("/"))
            if names and " " not in node.value:
                yield node.lineno, f"names {names.pop()}: pipeline.store.paths has a function for its path"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield from _joined(node, node.left, node.right)
        elif isinstance(node, ast.JoinedStr):
            yield from _in_text(node)
        elif isinstance(node, ast.Call):
            yield from _called(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imported = {getattr(node, "module", None), *(alias.name for alias in node.names)}
            if "fcntl" in imported:
                yield node.lineno, "imports fcntl: locks are pipeline.store.lock's"
        elif isinstance(node, ast.Attribute) and node.attr == "parent":
            is_above = isinstance(node.value, ast.Attribute) and node.value.attr == "parent"
            if is_above and "__file__" not in ast.unparse(node):
                yield node.lineno, "climbs out of an artifact or a plan: results_of_artifact, results_of_plan"


def _joined(where: ast.expr, left: ast.expr, right: ast.expr) -> Iterator[tuple[int, str]]:
    """A path's `/`: onto results/, with a folder of the layout, or with a stage."""
    if _last_name(left) in RESULTS or _last_name(right) == "stage":
        yield where.lineno, f"joins {ast.unparse(where)}: pipeline.store.paths knows the layout of results/"
    elif isinstance(right, ast.Constant) and right.value in FOLDERS:
        yield where.lineno, f"joins {ast.unparse(right)}: pipeline.store.paths has a function for that folder"


def _in_text(text: ast.JoinedStr) -> Iterator[tuple[int, str]]:
    """A path that is made as an f-string."""
    for before, after in zip(text.values, text.values[1:], strict=False):
        if not (isinstance(before, ast.FormattedValue) and isinstance(after, ast.Constant)):
            continue
        is_onto = _last_name(before.value) in RESULTS and after.value.startswith("/")
        if is_onto or IN_TEXT.match(after.value):
            yield text.lineno, f"joins {ast.unparse(text)}: pipeline.store.paths has a function for that text"
    if "getpid()" in ast.unparse(text):
        yield text.lineno, "makes up a scratch name: pipeline.store.atomic does"


def _called(call: ast.Call) -> Iterator[tuple[int, str]]:
    name = ast.unparse(call.func)
    if name in RENAMES:
        yield call.lineno, f"calls {name}: pipeline.store.atomic renames"
    elif name.endswith(".rename") and len(call.args) == 1 and not call.keywords:
        if not isinstance(
            call.args[0], (ast.Dict, ast.DictComp, ast.Constant)
        ):  # those are a table's columns
            yield call.lineno, f"calls {name}: pipeline.store.atomic renames"
    elif name in JOINS or name.endswith(".joinpath"):
        for first, second in zip(call.args, call.args[1:], strict=False):
            yield from _joined(call, first, second)


def _last_name(node: ast.expr) -> str:
    """`plan.results`, `results` → results; `artifacts[key].stage` → stage; `self.stage(key)` → stage."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_only_the_store_knows_the_layout_takes_locks_and_renames() -> None:
    breaches = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in sorted((ROOT / "pipeline").rglob("*.py"))
        if ROOM not in path.parents
        for line, what in find_breaches(path.read_text())
    ]
    assert not breaches, "these are pipeline/store's to do:\n" + "\n".join(breaches)


@pytest.mark.parametrize(
    "line",
    [
        "folder = plan.results / artifact.stage / key",
        "folder = self.results / self.stage(key) / key",
        "folder = root / stage / key",
        "folder = Path(root, artifact.stage, key)",
        "folder = root.joinpath(artifact.stage, stage)",
        'text = f"{self.plan.results}/{stage}/{key}"',
        'text = f"{folder}/work"',
        'work = folder / "work"',
        'note = folder / "work/facts.json"',
        'names = glob("*/record.json")',
        'page = plan.results / "reports" / study',
        'log = folder / "attempts"',
        "os.replace(scratch, target)",
        "scratch.rename(target)",
        "import fcntl",
        'scratch = target.with_name(f".{target.name}-{os.getpid()}")',
        "results = job.folder.parent.parent",
    ],
)
def test_the_scan_finds(line: str) -> None:
    assert list(find_breaches(line))


@pytest.mark.parametrize(
    "line",
    [
        'rows = job.folder / "rows.parquet"',
        'part = job.work / "turn-1.parquet"',
        'share = done / total; text = text.replace("a", "b"); table = table.rename({"id": "problem_id"})',
        'message = f"{what}; the log up to this step is in work/log.jsonl."',
        "root = Path(__file__).resolve().parent.parent",
        'def f():\n    """What is in results/plans/code and work/facts.json."""',
    ],
)
def test_the_scan_leaves_alone(line: str) -> None:
    assert not list(find_breaches(line))
