"""The machine of the guide: what breaks on it, and that a person who follows the guide ends with a healthy one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from target.engine import Engine
from target.version_keeper import LedgerFile
from target.versions import observe
from tests.conftest import AppImages
from tests.parts.deployment.alike import differences
from tests.parts.deployment.kit import ROOT, START, facts_of
from tests.parts.deployment.volunteer import Volunteer, at_a_terminal, typed
from tests.real.images import app_image
from tests.real.processes import fetch, wait_for
from tests.real.project import APP, MINIO, PROJECT, Project

TRANSCRIPTS = ROOT / "docs" / "transcripts"
FORMAT = "/data/.minio.sys/format.json"
Break = Callable[["Machine"], None]


class Machine(NamedTuple):
    """The machine of the deployment, for whoever breaks it."""

    project: Project
    client: Engine
    images: AppImages
    ledger: LedgerFile
    programs: list[subprocess.Popen[bytes]]

    def docker(self, *words: str) -> str:
        return self.project.engine.docker(*words)


def stopped(machine: Machine) -> None:
    machine.docker("stop", APP)


def hungry(machine: Machine) -> None:
    """A program in the application's container that keeps what it got."""
    hog = "import time; kept = bytearray(64 << 20); time.sleep(600)"
    fed: set[str] = set()

    def at_work() -> bool:
        """It is started once more where it went with a container that was just being started anew."""
        container = machine.client.container(APP).id
        if container not in fed:
            machine.docker("exec", "--detach", APP, "python3", "-c", hog)
            fed.add(container)
        return "time.sleep(600)" in machine.docker("top", APP, "-eo", "pid,args")

    try:
        wait_for(at_work, "the hungry program", within=60)
    except AssertionError as error:
        raise AssertionError(machine.docker("top", APP)) from error


def full(machine: Machine) -> None:
    """Versions that nothing names any more."""
    for number in range(2):
        build = ["docker", "build", "--quiet", "-"]
        text = f"FROM {machine.images.v1.tag}\nENV LEFT_OVER={number}\n"
        subprocess.run(
            build, input=text.encode(), check=True, capture_output=True,
            env={**os.environ, **machine.project.engine.environment()},
        )  # fmt: skip


def storage_down(machine: Machine) -> None:
    machine.docker("kill", MINIO)


def data_broken(machine: Machine) -> None:
    """What a power cut leaves: the file by which MinIO knows its disk is empty."""
    machine.docker("exec", MINIO, "truncate", "--size", "0", FORMAT)


def data_mended(machine: Machine) -> None:
    """By whoever has the backups, on the disk of a MinIO that is stopped; the volume itself stays."""
    root = str(machine.client.info()["DockerRootDir"])
    path = Path(root) / "volumes" / f"{PROJECT}_data" / "_data" / FORMAT.removeprefix("/data/")
    path.write_text('{"version": "1", "format": "xl-single"}')


def port_taken(machine: Machine) -> None:
    """Somebody else came first; the test's own program, which its owner ends."""
    # Given the time it needs on a loaded machine, it ends by itself and not by a kill.
    machine.docker("stop", "--time", "120", APP)
    port = machine.project.app_url.rpartition(":")[2]
    program = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port]
    machine.programs.append(subprocess.Popen(program, stderr=subprocess.DEVNULL))
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/")[0] == 200, "the program at the port")


def ended_by_its_owner(machine: Machine) -> None:
    for program in machine.programs:
        program.terminate()
        program.wait()


def crashing(machine: Machine) -> None:
    engine = machine.project.engine
    image = app_image(engine, "sermon-uploader:crash", revision="cc" * 20, behaviour="crash")
    machine.project.write(image.tag)
    machine.project.up(answering=False)
    wait_for(lambda: machine.client.container(APP).state == "exited", "the crash")
    known = observe(machine.ledger.load(), "app", facts_of(image), START + timedelta(hours=1))
    machine.ledger.save(known)


def killed(machine: Machine) -> None:
    """The kernel kills the application for want of memory: a container of 64 MiB in which much more is asked for."""
    machine.docker("update", "--memory", "64m", "--memory-swap", "64m", APP)
    first = "echo 1000 > /proc/1/oom_score_adj"  # proc(5): of all in the container the application goes first
    hog = "exec python3 -c 'kept = bytearray(512 << 20)'"
    subprocess.run(
        ["docker", "exec", APP, "bash", "-c", f"{first}; {hog}"],
        env={**os.environ, **machine.project.engine.environment()}, check=False, capture_output=True,
    )  # fmt: skip
    wait_for(lambda: machine.client.container(APP).state == "exited", "the kill")
    assert machine.client.container(APP).exit_code == 137


def storage_hangs(machine: Machine) -> None:
    machine.docker("pause", MINIO)


class Trouble(NamedTuple):
    """A procedure of the guide: its heading, its transcript, what is broken, and what is done by others midway
    (after the command that has found it)."""

    heading: str
    file: str
    breaks: Break
    found_by: int = 0
    midway: tuple[str, Break] | None = None
    """The position counts from 1; 0: nothing that a command must find."""


TROUBLES = (
    Trouble("1. Service not responding", "1-service-not-responding", stopped, 1),
    Trouble("2. High memory usage", "2-high-memory-usage", hungry),
    Trouble("3. Disk space", "3-disk-space", full),
    Trouble("4. MinIO or its data are broken", "4-minio", storage_down, 1),
    Trouble(
        "4. MinIO or its data are broken", "4-minio-data", data_broken, 1,
        ("sermon-recovery backup-create before-minio", data_mended),
    ),
    Trouble(
        "5. Container won't start", "5-container-wont-start", port_taken, 1,
        ("sermon-recovery network-test", ended_by_its_owner),
    ),
    Trouble("Container exits immediately", "container-exits-immediately", crashing, 1),
    Trouble("Memory: containers are killed", "containers-are-killed", killed, 1),
    Trouble("MinIO times out", "minio-times-out", storage_hangs, 1),
)  # fmt: skip


def of_storage(trouble: Trouble) -> bool:
    """The tests of these have a file of their own, for another worker."""
    return trouble.breaks in (full, storage_down, data_broken, storage_hangs)


def ends_healthy(trouble: Trouble, machine: Machine, volunteer: Volunteer) -> None:
    """Break it, type what the guide says, and see it well, by the guide's own last look and by ours."""
    before = machine.client.container(APP).started_at
    trouble.breaks(machine)
    lines = [line for line in typed(trouble.heading) if at_a_terminal(line)]
    assert lines
    for line in lines:
        volunteer.type(line)
        if trouble.midway and line == trouble.midway[0]:
            trouble.midway[1](machine)
    try:
        wait_for(lambda: _looks_again(volunteer), "the last look to find it well")
    except AssertionError as error:
        raise AssertionError(volunteer.transcript(trouble.heading)) from error
    codes = [code for _, code, _ in volunteer.said]
    assert not {2, 126, 127} & set(codes), volunteer.said
    if trouble.found_by:
        assert codes[trouble.found_by - 1] == 1, volunteer.said  # it is seen to be broken
    assert codes[-1] == 0, volunteer.said[-1]
    assert Volunteer(volunteer.project, volunteer.env).type("sermon-recovery health-check") == 0
    if trouble.breaks in (hungry, killed):
        assert machine.client.container(APP).started_at != before
    if trouble.breaks is full:
        assert not machine.docker("images", "--quiet", "--filter", "dangling=true")
    _compare(trouble, volunteer)


def _looks_again(volunteer: Volunteer) -> bool:
    """A health check of Docker's takes a moment to change its mind; whoever looks too early looks again."""
    line, code, _ = volunteer.said[-1]
    if code == 1:
        volunteer.said.pop()
        code = volunteer.type(line)
    return code != 1


def _compare(trouble: Trouble, volunteer: Volunteer) -> None:
    file = TRANSCRIPTS / f"{trouble.file}.md"
    now = volunteer.transcript(trouble.heading)
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(now, encoding="utf-8")
    unlike = differences(file.read_text(encoding="utf-8"), now)
    assert not unlike, "\n".join(unlike)
