"""What `studyc run` does: Snakemake in a process of its own, and progress that a person can follow.

Snakemake's output goes to `results/logs/run-<time>.log`; what is shown is made from the records and the
progress files of the artifacts, so it looks the same on a laptop and on a cluster.

In a clone Snakemake finds Snakefile and profiles by itself; in any other folder it is told where those that came
with studyc lie. Specs, results and relative paths count from where the user stands, here and there.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import extras, project
from pipeline.cli.command import INCOMPLETE, RESULTS
from pipeline.cli.text import failure_text, verdict_lines
from pipeline.errors import RefusedError
from pipeline.locate import read_yaml
from pipeline.plan.compiled import Plan, compile_plan
from pipeline.plan.freeze import refuse_unpinned
from pipeline.plan.status import failures, in_one_value, progress_line
from pipeline.plan.text import counts_table
from pipeline.site import default_site_file
from pipeline.store.lock import is_locked
from pipeline.store.paths import run_log_path
from pipeline.store.record import is_done

if TYPE_CHECKING:
    from pipeline.cli.progress import Live

POLL_SECONDS = 1.0
PROFILE_FILES = ("profile.yaml", "config.yaml")
LINE_SECONDS = 15.0
"""Between two lines about a running stage where the output is no terminal."""


def run_studies(
    specs: Sequence[Path], results: Path, profile: str | None, passed_on: Sequence[str], *, is_quiet: bool
) -> int:
    """Run what is missing of some studies; 0 when everything is done, 3 when something is left."""
    found = project.find_profile(profile) if profile else None
    if found is not None:
        _require_executor(found)
    if results == RESULTS:
        _refuse_results_elsewhere(Path(found or profile, "site.yaml") if profile else default_site_file())
    plan = compile_plan(specs, results=results)
    refuse_unpinned(plan)
    _tell(counts_table(plan))
    command = [
        sys.executable, *_start_of_snakemake(), *(["--profile", str(found or profile)] if profile else []),
        "--config", f"studies={in_one_value(specs)}", *([f"results={results}"] if results != RESULTS else []),
        *passed_on,
    ]  # fmt: skip
    if any(word.startswith(("-n", "--dry-run", "--dryrun")) for word in passed_on):
        return subprocess.call(command)
    if is_quiet:
        return _finish(plan, _wait_for(subprocess.Popen(command)), None)
    log = run_log_path(results, f"{datetime.datetime.now():%Y%m%d-%H%M%S}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        child = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        _Follower(plan).follow(child)
    return _finish(plan, child.returncode, log)


def _start_of_snakemake() -> list[str]:
    """Python's words to start Snakemake; with our Snakefile it finds our profiles/default, too, unless there is one here.

    With -P, because a folder `pipeline` of the user's is not our package.
    """
    named = project.snakefile_words()
    return [*(["-P"] if named else []), "-m", "snakemake", *named]


def _require_executor(profile: Path) -> None:
    """RefusedError where a profile submits to SLURM and Snakemake's plug-in for that is not installed."""
    file = next((path for name in PROFILE_FILES if (path := profile / name).is_file()), None)
    content = read_yaml(file).value if file else None
    if isinstance(content, dict) and content.get("executor") == "slurm":
        extras.require("slurm")


def _refuse_results_elsewhere(site_file: Path) -> None:
    """Where only Snakemake would know of another folder, we would follow, report and check the wrong one."""
    content = read_yaml(site_file).value if site_file.is_file() else None
    named = content.get("results", RESULTS) if isinstance(content, dict) else RESULTS
    if Path(str(named)) != RESULTS:
        raise RefusedError(
            f"{site_file} puts the results into {named}; without --results this and the other commands look in {RESULTS}/",
            f"Say --results {named} to all of them, or make `{RESULTS}` a link to that folder and drop the line.",
        )


def _wait_for(child: subprocess.Popen[bytes]) -> int:
    """Snakemake's exit code; Ctrl-C is passed on and waited for: it has jobs to end, on a cluster, too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: child.send_signal(signal.SIGTERM))
    end = signal.SIGINT
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.send_signal(end)
            end = signal.SIGKILL


def _finish(plan: Plan, code: int, log: Path | None) -> int:
    after = dataclasses.replace(plan)
    failed = failures(after)
    for failure in failed:
        print(failure_text(failure), file=sys.stderr)
    if code == 0 and not after.to_run:
        from pipeline.cli.pages import build_reports

        for page in build_reports(after):
            print("\n".join(["", f"report of {page.study}: {page.path}", *verdict_lines(page.claims)]))
        return 0
    left = len(after.to_run)
    if left:
        where = f" Snakemake's log: {log}" if log else ""
        print(f"{left} artifacts are not done; run again to resume.{where}", file=sys.stderr)
    if log and not failed:
        words = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-6:]
        print(
            "\n".join([f"Snakemake ended with exit code {code}:", *(f"    {line}" for line in words)]),
            file=sys.stderr,
        )
    return INCOMPLETE


def _can_redraw() -> bool:
    """Whether our output is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _tell(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        _be_silent(error)


def _be_silent(error: OSError) -> None:
    """Those we tell are gone (`| head`, a closed terminal): the run goes on without them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout,) if error.errno == errno.EPIPE else (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Follower:
    """Shows what finishes and what runs: bars on a terminal, lines elsewhere."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.open = {key: plan.folder(key) for key in plan.to_run}
        self.total = len(self.open)
        self.started = time.monotonic()
        self.spoken: dict[str, tuple[float, str]] = {}
        self.to_tell: list[str] = []  # a signal's handler may not print

    def follow(self, child: subprocess.Popen[bytes]) -> None:
        """Watch until the child ends; Ctrl-C is passed on and waited for."""
        live = self._live() if _can_redraw() else None
        interrupted = False
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._let_end(child))
        while True:
            try:
                finished = child.poll() is not None
                while self.to_tell:
                    self._say(self.to_tell.pop(), live)
                running = self._step(live)
                if live is not None:
                    live.show(self.total - len(self.open), self.total, running)
                if finished:
                    break
                time.sleep(POLL_SECONDS)
            except OSError as error:
                _be_silent(error)
            except KeyboardInterrupt:
                if interrupted:
                    child.kill()
                else:
                    self.to_tell.append(
                        "interrupted: Snakemake ends its jobs; Ctrl-C again to wait no longer"
                    )
                interrupted = True
                child.send_signal(signal.SIGINT)
        if live is not None:
            live.close()

    def _let_end(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(signal.SIGTERM)
        self.to_tell.append("asked to end: no more jobs are started; those that run are waited for")

    def _live(self) -> Live:
        from pipeline.cli.progress import Live

        return Live()

    def _step(self, live: Live | None) -> list[tuple[str, Path]]:
        running = []
        for key, folder in list(self.open.items()):
            if is_done(folder):
                del self.open[key]
                self._say(
                    f"[{self.total - len(self.open)}/{self.total}] {self._clock()}  {self._name(key)}  done",
                    live,
                )
            elif folder.is_dir() and is_locked(folder):
                running.append((self._name(key), folder))
                if live is None:
                    self._say_sometimes(key)
        return running

    def _say_sometimes(self, key: str) -> None:
        now = time.monotonic()
        last, text = self.spoken.get(key, (now, ""))
        fresh = progress_line(self.plan, key)
        if now - last >= LINE_SECONDS and fresh != text:
            _tell(f"        {self._clock()}  {fresh}")
            self.spoken[key] = (now, fresh)
        else:
            self.spoken.setdefault(key, (last, text))

    def _say(self, line: str, live: Live | None) -> None:
        (live.say if live is not None else _tell)(line)

    def _name(self, key: str) -> str:
        artifact = self.plan.artifacts[key]
        return f"{artifact.stage:<10} {artifact.title}"

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60:d}:{seconds % 60:02d}"
