"""docs/rollback-and-recovery.md as a volunteer would follow it: each command is typed, each trouble ends healthy.

``UPDATE_GOLDEN=1 pytest tests/parts/deployment/test_guide.py`` writes docs/transcripts anew; read them as a diff.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from target.engine import Engine
from tests.conftest import AppImages
from tests.parts.deployment.kit import ROOT, Env, deploy
from tests.parts.deployment.volunteer import GUIDE, Volunteer, at_a_terminal, steps_of, typed
from tests.real.images import app_image
from tests.real.processes import wait_for
from tests.real.project import APP, MINIO, Project
from tests.standins.discord import Discord

TRANSCRIPTS = ROOT / "docs" / "transcripts"
Break = Callable[["Machine"], None]


class Machine(NamedTuple):
    """The machine of the deployment, for whoever breaks it."""

    project: Project
    client: Engine
    images: AppImages
    programs: list[subprocess.Popen[bytes]]

    def docker(self, *words: str) -> str:
        return self.project.engine.docker(*words)


@pytest.fixture
def machine(env: Env, project: Project, client: Engine, app_images: AppImages) -> Iterator[Machine]:
    """v1, which is good, runs, and so does MinIO; afterwards nothing is left of the trouble."""
    former, project.storage_image = project.storage_image, app_images.v1.tag
    deploy(project, client, app_images.v1)
    project.up()
    made = Machine(project, client, app_images, [])
    yield made
    for program in made.programs:
        program.kill()
        program.wait()
    project.storage_image = former
    project.write(app_images.v1.tag)
    project.compose("up", "--detach", "--force-recreate", "--pull", "never", "--no-color")


@pytest.fixture
def volunteer(env: Env, machine: Machine) -> Volunteer:
    settings = {
        "APP_SERVICE": "app",
        "MINIO_SERVICE": "minio",
        "MINIO_URL": machine.project.minio_url,
    }
    return Volunteer(machine.project, {**env, **settings, "PROMETHEUS_URL": "", "TERM": "dumb"})


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


def port_taken(machine: Machine) -> None:
    """Somebody else came first; the test's own program, which its owner ends."""
    machine.docker("stop", APP)
    port = machine.project.app_url.rpartition(":")[2]
    program = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port]
    machine.programs.append(subprocess.Popen(program, stderr=subprocess.DEVNULL))


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


def killed(machine: Machine) -> None:
    """The kernel kills in the container for want of memory."""
    machine.docker("update", "--memory", "64m", "--memory-swap", "64m", APP)
    subprocess.run(
        ["docker", "exec", APP, "python3", "-c", "kept = bytearray(512 << 20)"],
        env={**os.environ, **machine.project.engine.environment()}, check=False, capture_output=True,
    )  # fmt: skip


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
        "5. Container won't start", "5-container-wont-start", port_taken, 1,
        ("sermon-recovery network-test", ended_by_its_owner),
    ),
    Trouble("Container exits immediately", "container-exits-immediately", crashing, 1),
    Trouble("Memory: containers are killed", "containers-are-killed", killed),
    Trouble("MinIO times out", "minio-times-out", storage_hangs, 1),
)  # fmt: skip


@pytest.mark.engine
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.file)
def test_a_trouble_ends_healthy(trouble: Trouble, machine: Machine, volunteer: Volunteer) -> None:
    before = machine.client.container(APP).started_at
    trouble.breaks(machine)
    lines = [line for line in typed(trouble.heading) if at_a_terminal(line)]
    assert lines
    for line in lines:
        volunteer.type(line)
        if trouble.midway and line == trouble.midway[0]:
            trouble.midway[1](machine)
    wait_for(lambda: _looks_again(volunteer), "the last look to find it well")
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
    """What was typed, and that it ended well; the words depend on the machine (its disks, its memory)."""
    file = TRANSCRIPTS / f"{trouble.file}.md"
    now = volunteer.transcript(trouble.heading)
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(now, encoding="utf-8")
    kept, made = (steps_of(text) for text in (file.read_text(encoding="utf-8"), now))
    assert [line for line, _ in kept] == [line for line, _ in made]
    assert kept[-1] == made[-1]


@pytest.mark.engine
def test_every_other_command_of_the_guide_runs(
    machine: Machine, volunteer: Volunteer, tmp_path: Path
) -> None:
    """On a deployment that is well; what asks is answered with yes."""
    procedures = {line for trouble in TROUBLES for line in typed(trouble.heading)}
    lines = [
        line for line in dict.fromkeys(typed()) if line not in procedures and at_a_terminal(line)
    ]
    assert len(lines) > 15
    (tmp_path / "outside").mkdir()
    with Discord.in_thread() as discord:
        volunteer.env["DISCORD_WEBHOOK_URL"] = discord.url
        for line in lines:
            code = volunteer.type(line)
            assert code in (0, 1), volunteer.said[-1]
        assert discord.messages  # the test card
    failed = {line for line, code, _ in volunteer.said if code}
    # What compares with things that are not here: Prometheus, GitHub, the kernel of a Pi.
    assert failed <= {
        "sermon-monitor check --send",
        "sermon-monitor explain HighErrorRate",
        "./scripts/recovery-toolkit.sh diagnose",
        "sermon-recovery check-discord",
        "sermon-recovery pre-deploy",
    }, [said for said in volunteer.said if said[0] in failed]


def test_the_guide_names_every_transcript_and_no_other() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"(transcripts/{trouble.file}.md)" in text for trouble in TROUBLES)
    assert {path.stem for path in TRANSCRIPTS.iterdir()} == {trouble.file for trouble in TROUBLES}
