"""A budget in words: the table that `studyc plan` prints under its counts, and the same for machines."""

from __future__ import annotations

from typing import Any

from pipeline.cost.estimate import Estimate
from pipeline.gpus import GIB
from pipeline.plan.budget import Budget, StageBudget

MOST_LINES = 5


def budget_text(budget: Budget) -> str:
    """The table, then what decides time, money and memory."""
    offer = budget.offer
    price = f", ${offer.price:,.2f} per GPU-hour" if offer.price is not None else ""
    nodes = f"{offer.nodes} node{'s' if offer.nodes != 1 else ''} × {offer.node_gpus} × {offer.gpu.name}"
    lines = [f"budget on {nodes}, {offer.limit_hours:g} h limit{price}"]
    if not budget.stages and not budget.gaps:
        return f"{lines[0]}\n  nothing that would run asks for a GPU"
    rows = [("stage", "jobs", "GPU-hours", "80 %", *(["price"] if price else []))]
    rows += [_row(stage, offer.price) for stage in (*budget.stages, budget.total)]
    lines.append(_table(rows))
    whole = budget.total.gpu_hours
    if whole.mid:
        money = f", ${whole.mean * offer.price:,.0f}" if offer.price is not None else ""
        lines.append(f"  mean {_hours(whole.mean)} GPU-hours{money}: apply for this; basis: {whole.basis}")
        low, mid, high = (_duration(hours) for hours in budget.makespan_hours)
        lines.append(f"  makespan {mid} ({low}–{high}); GPUs {budget.schedule.busy:.0%} busy")
        lines.append(f"  longest  {budget.longest}{_chunks(budget)}")
    lines += _memory_lines(budget)
    lines += [f"  not priced: {what} is not known ({key})" for what, key in budget.gaps.items()]
    if budget.schedule.unplaced:
        lines.append(f"  no room: {len(budget.schedule.unplaced)} jobs ask for more GPUs than there are")
    return "\n".join(lines)


def _row(stage: StageBudget, price: float | None) -> tuple[str, ...]:
    found = stage.gpu_hours
    money = [f"${found.mid * price:,.0f}"] if price is not None else []
    return (
        stage.stage,
        f"{stage.jobs:,}",
        _hours(found.mid),
        f"{_hours(found.low)}–{_hours(found.high)}",
        *money,
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    rule = "  " + "-" * (len(lines[0]) - 2)
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _hours(hours: float) -> str:
    """`0.42`, `6.3`, `1,240`."""
    return f"{hours:,.0f}" if hours >= 20 else f"{hours:.2g}"


def _duration(hours: float) -> str:
    """`40 min`, `5.2 h`, `3.1 d`."""
    if hours < 1.5:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def _chunks(budget: Budget) -> str:
    count = len(budget.schedule.chunks)
    return f"; {count} jobs are longer than the limit and run in chunks" if count else ""


def _memory_lines(budget: Budget) -> list[str]:
    lines = [
        f"  memory   {one.title}{f' and {one.alike} alike' if one.alike else ''}: {one.peak.total / GIB:.0f} of {budget.offer.gpu.memory_bytes / GIB:.0f} GiB, {one.verdict} "
        f"({one.peak.part} {_part(one.peak) / GIB:.0f})"
        for one in budget.memory[:MOST_LINES]
    ]
    more = len(budget.memory) - MOST_LINES
    return [*lines, *([f"           and {more} more that hardly fit or do not"] if more > 0 else [])]


def _part(peak: Any) -> float:
    parts = {
        "optimiser": peak.update,
        "states": peak.states_forward,
        "activations": peak.activations,
        "logits": peak.logits,
    }
    return float(parts[peak.part])


def budget_json(budget: Budget) -> dict[str, Any]:
    """The budget for machines."""
    low, mid, high = budget.makespan_hours
    price = budget.offer.price
    return {
        "gpu": budget.offer.gpu.name,
        "gpus": budget.offer.nodes * budget.offer.node_gpus,
        "stages": {stage.stage: _estimate(stage.gpu_hours) for stage in budget.stages},
        "total": {
            "gpu_hours": _estimate(budget.total.gpu_hours),
            "price": None if price is None else _price(budget, price),
        },
        "makespan_hours": {"low": low, "mid": mid, "high": high},
        "memory": [
            {"title": one.title, "peak_bytes": one.peak.total, "part": one.peak.part, "verdict": one.verdict}
            for one in budget.memory
        ],
        "unknown": [{"what": what, "key": key} for what, key in budget.gaps.items()],
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    return {"low": found.low, "mid": found.mid, "high": found.high, "mean": found.mean, "basis": found.basis}


def _price(budget: Budget, price: float) -> dict[str, float]:
    found = budget.total.gpu_hours
    return {name: getattr(found, name) * price for name in ("low", "mid", "high", "mean")}
