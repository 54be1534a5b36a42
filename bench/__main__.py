"""`python -m bench` runs every benchmark, `python -m bench NAME …` the named ones."""

from __future__ import annotations

import importlib
import sys

NAMES = ("planning", "dry_run", "training", "data_path", "token_counts", "budget")


def main(names: list[str]) -> int:
    """Run benchmarks by name; exit code 2 for a name that is none."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}\n    Known: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    for name in names or NAMES:
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
