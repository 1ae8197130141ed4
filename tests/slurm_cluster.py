"""A SLURM cluster of this one machine, with all its files in one folder: what scripts/slurm and the tests start and stop.

It runs as whoever starts it, beside a real cluster or another one of its kind, and needs nothing beyond Python, munge and
SLURM. A job that was queued again may start after ten seconds, not after SLURM's two minutes.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CONFIG = """\
ClusterName=dlcourse
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munged.socket,cred_expire=10
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2
ReturnToService=2
KillWait=5
MaxArraySize={max_array_size}
{node} NodeAddr=127.0.0.1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
DAEMONS = ("slurmd", "slurmctld", "munged")
"""In the order in which they are stopped."""
_PROGRAMS = (*DAEMONS, "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_PATIENCE = 60.0  # seconds until a cluster is up, or a daemon has ended
_START_UP = 5.0  # seconds in which a daemon says its number
_MAX_ARRAY_SIZE = 1001  # SLURM's own default


class ClusterError(Exception):
    """Why there is no cluster, in one line."""


def start(folder: Path, max_array_size: int = _MAX_ARRAY_SIZE) -> dict[str, str]:
    """Start a cluster and wait until it takes jobs; returns the environment variables with which it is used.

    Raises ClusterError, and then nothing is left running.
    """
    if missing := [program for program in _PROGRAMS if not _program(program)]:
        raise ClusterError(f"{', '.join(missing)} not found on the PATH; apt install slurm-wlm munge has them")
    folder = folder.absolute()
    if len(str(folder).split()) != 1:
        raise ClusterError(f"SLURM's configuration takes no spaces in a path: {str(folder)!r}")
    if running := [name for name in DAEMONS if _process(folder, name)]:
        raise ClusterError(f"{', '.join(running)} running in {folder}; scripts/slurm stop {folder} ends it")
    try:
        config = _write_config(folder, max_array_size)
    except OSError as error:
        raise ClusterError(f"cannot write in {folder}: {error.strerror}") from None
    variables = {"SLURM_CONF": str(config)}
    try:
        _launch(folder, "munged", "--force", *_munge_files(folder))
        _launch(folder, "slurmctld", "-c", "-f", str(config))
        _launch(folder, "slurmd", "-c", "-f", str(config))
        _wait_until_idle(folder, variables)
    except BaseException:
        stop(folder)
        raise
    return variables


def stop(folder: Path) -> None:
    """End the cluster and its jobs, as far as it runs."""
    folder = folder.absolute()
    if _process(folder, "slurmctld") and _process(folder, "slurmd"):
        _cancel_all(os.environ | {"SLURM_CONF": str(folder / "slurm.conf")})
    for name in DAEMONS:
        if process := _process(folder, name):
            until, number = time.monotonic() + _PATIENCE, int(signal.SIGTERM)
            while _runs(process, folder):  # a daemon removes the file with its number before it has ended
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
                number = signal.SIGKILL if time.monotonic() > until else 0
                time.sleep(0.05)


def _write_config(folder: Path, max_array_size: int) -> Path:
    """Write what the daemons read, and make the folders that they write to."""
    for name in (".", "state", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    key = folder / "munged.key"
    key.unlink(missing_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(128))
    controller_port, node_port = _free_ports()
    facts = subprocess.run([str(_program("slurmd")), "-C"], capture_output=True, text=True, check=False).stdout
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            host=os.uname().nodename.partition(".")[0],
            user=os.getuid(),
            controller_port=controller_port,
            node_port=node_port,
            max_array_size=max_array_size,
            node=facts.partition("\n")[0],  # NodeName=vm CPUs=2 ... RealMemory=24105
        )
    )
    return config


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _munge_files(folder: Path) -> list[str]:
    options = ("socket", "key-file", "log-file", "pid-file", "seed-file")
    return [f"--{option}={folder}/munged.{option.removesuffix('-file')}" for option in options]


def _launch(folder: Path, name: str, *options: str) -> None:
    """Start a daemon, which goes into the background by itself and then writes the number of its process."""
    command = [str(_program(name)), *options]
    with (folder / f"{name}.out").open("wb") as output:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, check=False)
    until = time.monotonic() + _START_UP
    while not _process(folder, name):
        if time.monotonic() > until:
            raise ClusterError(f"{name} does not start: {_last_words(folder, name)}")
        time.sleep(0.05)


def _program(name: str) -> str | None:
    """Where a program is; daemons are often on the PATH of root alone."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def _wait_until_idle(folder: Path, variables: dict[str, str]) -> None:
    command = ["sinfo", "--noheader", "--format=%T"]
    until = time.monotonic() + _PATIENCE
    while True:
        state = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)
        if state.stdout.strip() == "idle":
            return
        ended = [name for name in DAEMONS if not _process(folder, name)]
        if ended or time.monotonic() > until:
            name = ended[0] if ended else "slurmctld"
            raise ClusterError(f"the cluster takes no jobs; {name} says: {_last_words(folder, name)}")
        time.sleep(0.1)


def _last_words(folder: Path, name: str) -> str:
    """The last line that a daemon has printed or logged, if there is one."""
    lines: list[str] = []
    for path in (folder / f"{name}.log", folder / f"{name}.out"):
        with contextlib.suppress(OSError):
            lines += path.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it does not say why")


def _cancel_all(environment: dict[str, str]) -> None:
    """Cancel all jobs and wait until their processes have ended, which SLURM would leave behind."""
    subprocess.run(["scancel", f"--user={os.getuid()}"], capture_output=True, check=False, env=environment)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        queue = subprocess.run(["squeue", "--noheader"], capture_output=True, check=False, env=environment)
        if not queue.stdout.strip():
            return
        time.sleep(0.1)


def _process(folder: Path, name: str) -> int | None:
    """The number of a daemon's process, if it runs."""
    with contextlib.suppress(OSError, ValueError):
        number = int((folder / f"{name}.pid").read_text())
        return number if _runs(number, folder) else None
    return None


def _runs(number: int, folder: Path) -> bool:
    """Whether a process of this cluster has this number: another may have it by now. One that has ended has no words."""
    with contextlib.suppress(OSError):
        return os.fsencode(folder) + b"/" in Path(f"/proc/{number}/cmdline").read_bytes()
    return False


def main(words: list[str]) -> int:
    """The command of scripts/slurm; returns its exit code."""
    if len(words) != 2 or words[0] not in ("start", "stop"):
        print("usage: scripts/slurm start FOLDER, or scripts/slurm stop FOLDER", file=sys.stderr)
        return 2
    folder = Path(words[1])
    try:
        if words[0] == "stop":
            stop(folder)
        else:
            size = os.environ.get("MAX_ARRAY_SIZE", str(_MAX_ARRAY_SIZE))
            if not size.isdecimal():
                raise ClusterError(f"MAX_ARRAY_SIZE must be a whole number, got {size!r}")
            for name, value in start(folder, int(size)).items():
                print(f"export {name}={shlex.quote(value)}")
    except ClusterError as error:
        print(f"scripts/slurm: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
