"""Snakemake's command line with the SLURM plugin's pauses between status polls capped; for tests only.

The plugin adds ten seconds to the pause after each poll in which nothing finished and has no setting for it;
a study of jobs of seconds would wait for minutes.
"""

from __future__ import annotations

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

LONGEST_PAUSE_SECONDS = 1.0


async def _pause(self: RemoteExecutor) -> None:
    await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, float(self.next_seconds_between_status_checks)))


if __name__ == "__main__":
    RemoteExecutor.sleep = _pause
    sys.exit(main())
