"""A real SLURM cluster of one machine, for tests, started and stopped here.

One controller and two nodes (`g1` with four stand-in GPUs, `c1` without), on loopback, with ports, a munge key
and folders of its own. Guaranteed: the daemons are children of the test process and end with it; the links in
/etc/slurm, where Snakemake's plugin needs the configuration to be, are taken away again. Refused: a machine
that has a SLURM configuration already.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

DEFAULT_PLACE = Path("/etc/slurm")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol")
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
GPUS = 4
NODES = ("g1", "c1")
KILL_WAIT_SECONDS = 8
LOCK = "in-use"
MARK = "STUDYC_TEST_CLUSTER"

SLURM_CONF = """\
ClusterName=studyc
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait={kill_wait}
MinJobAge=300
MessageTimeout=20
SlurmctldTimeout=60
SlurmdTimeout=60
NodeName=g1 NodeHostName={host} NodeAddr=127.0.0.1 Port={g1} CPUs=8 RealMemory=16000 Gres=gpu:h100:{gpus}
NodeName=c1 NodeHostName={host} NodeAddr=127.0.0.1 Port={c1} CPUs=8 RealMemory=16000
PartitionName=small Nodes=c1 Default=YES MaxTime=120 PriorityTier=1 State=UP
PartitionName=accelerated Nodes=g1 MaxTime=60 PriorityTier=1 State=UP
PartitionName=urgent Nodes=c1,g1 MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
"""

GRES_CONF = "AutoDetect=off\nNodeName=g1 Name=gpu Type=h100 Flags=nvidia_gpu_env File={folder}/gpus/nvidia[0-{last}]\n"


def missing() -> str | None:
    """Why no cluster can be started here; None when one can."""
    if os.geteuid() != 0:
        return "starting a SLURM cluster needs root"
    absent = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    if absent:
        return (
            f"Debian's slurmctld slurmd slurm-client munge are not installed ({', '.join(absent)} not found)"
        )
    foreign = [
        p for p in (DEFAULT_PLACE / "slurm.conf", DEFAULT_PLACE / "gres.conf") if p.exists() or p.is_symlink()
    ]
    if foreign and not all(_is_stale(path) for path in foreign):
        return f"this machine has a SLURM configuration of its own ({foreign[0]})"
    return None


def _is_stale(link: Path) -> bool:
    """Whether a link was left by a test process that was killed: its folder is gone, or nobody holds its lock."""
    if not link.is_symlink():
        return False
    lock = link.readlink().parent / LOCK
    if not lock.exists():
        return not link.exists()
    with lock.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


@dataclass
class Cluster:
    """The running cluster; commands are run with `call`."""

    folder: Path
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    lock: IO[str] | None = None

    def call(self, *words: str) -> str:
        """The output of a SLURM command."""
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def jobs(self) -> list[dict[str, str]]:
        """What the controller knows of every job, finished ones too, as `scontrol show job` names it."""
        blocks = self.call("scontrol", "--oneliner", "show", "job").splitlines()
        return [
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            for line in blocks
            if "JobId=" in line
        ]

    def running(self, comment: str) -> list[str]:
        """The ids of running jobs whose comment (Snakemake's plugin names rule and wildcards there) has a text."""
        lines = self.call("squeue", "--noheader", "--states=R", "--format=%i|%k").splitlines()
        return [line.split("|")[0] for line in lines if comment in line]

    def start(self) -> None:
        """Start the daemons and wait until both nodes are idle."""
        self._write_configuration()
        self._spawn("munged", "--foreground", "--force", f"--key-file={self.folder}/munge/key",
                    f"--socket={self.folder}/munge/socket", f"--pid-file={self.folder}/munge/pid",
                    f"--log-file={self.folder}/munge/log", f"--seed-file={self.folder}/munge/seed")  # fmt: skip
        self._wait(lambda: (self.folder / "munge" / "socket").exists(), "munged")
        configuration = str(self.folder / "slurm.conf")
        self._spawn("slurmctld", "-D", "-c", "-f", configuration)
        for node in NODES:
            self._spawn("slurmd", "-D", "-N", node, "-f", configuration)
        self._wait(self._is_idle, "the nodes")

    def stop(self) -> None:
        """End every job and daemon, and take the links away; safe to call at any state."""
        with contextlib.suppress(Exception):
            self.call("scancel", "--full", "--signal=KILL", "--user=root")
            self.call("scancel", "--user=root")
            self._wait(lambda: not self.call("squeue", "--noheader").strip(), "the jobs' end", seconds=10)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._end_jobs()
        for link in self.links:
            link.unlink(missing_ok=True)
        self.links.clear()
        if self.lock is not None:
            self.lock.close()

    def mark(self) -> dict[str, str]:
        """The environment variable by which processes of this cluster's jobs are known; pass it to what submits them."""
        return {MARK: str(self.folder)}

    def _end_jobs(self) -> None:
        """Kill what is left of jobs when the daemons that would do it are gone."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder) and process.pid != os.getpid():
                    process.kill()

    def _write_configuration(self) -> None:
        self.lock = (self.folder / LOCK).open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        host = socket.gethostname().partition(".")[0]
        ports = dict(zip(("controller", *NODES), _free_ports(3), strict=True))
        for name in ("munge", "state", "gpus", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o711)
        (self.folder / "munge" / "key").write_bytes(os.urandom(1024))
        (self.folder / "munge" / "key").chmod(0o400)
        for number in range(GPUS):
            os.mknod(self.folder / "gpus" / f"nvidia{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        values = {"host": host, "folder": self.folder, "gpus": GPUS, "kill_wait": KILL_WAIT_SECONDS, **ports}
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**values))
        (self.folder / "gres.conf").write_text(GRES_CONF.format(folder=self.folder, last=GPUS - 1))
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
            link = DEFAULT_PLACE / name
            link.unlink(missing_ok=True)
            link.symlink_to(self.folder / name)
            self.links.append(link)

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.out").open("ab") as output:
            self.daemons.append(
                subprocess.Popen(
                    [str(shutil.which(program, path=SEARCHED)), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    preexec_fn=_end_with_parent,
                )
            )

    def _is_idle(self) -> bool:
        found = subprocess.run(
            ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"], capture_output=True, text=True
        )
        return set(found.stdout.split()) == set(NODES)

    def _wait(self, is_there, what: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not is_there():
            if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in self.daemons):
                logs = [
                    p.read_text(errors="replace")[-1500:]
                    for p in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out"))
                ]
                raise RuntimeError(f"{what} did not come up in {seconds} s\n" + "\n".join(logs))
            time.sleep(0.1)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """A cluster whose files lie in a folder; stopped at the end, whatever happens."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
