"""``sermon-recovery`` as a person runs it, on a real engine and compose project."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recovery.rollback_target import Wanted, resolve
from target.deploy import LOCK_NAME
from target.deployment import DeployError, find_deployment
from target.engine import Engine
from target.lock import exclusive
from target.settings import DeploymentSettings, read_settings
from target.version_keeper import LedgerFile
from target.versions import (
    Facts,
    Ledger,
    known_good_reference,
    observe,
)
from tests.conftest import AppImages
from tests.parts.deployment.kit import (
    COMMAND,
    ROOT,
    START,
    Call,
    Env,
    deploy,
    history,
    run,
    state_of,
)
from tests.real.project import APP, Project


@pytest.mark.engine
def test_the_last_known_good_version_comes_back_even_when_stopped_midway(
    recovery: Call,
    env: Env,
    project: Project,
    client: Engine,
    app_images: AppImages,
    tmp_path: Path,
) -> None:
    code, output, said = _stopped_midway(
        ("rollback", "--yes", "--json", "--reason", "broken"),
        {**env, "LOG_DIR": str(tmp_path / "log")},
    )
    assert code == 0, said
    assert "SIGTERM came meanwhile" in said
    answer = json.loads(output)
    assert (answer["outcome"], answer["reason"]) == ("done", "broken")
    assert (answer["former_image_id"], answer["image_id"]) == (app_images.v2.id, app_images.v1.id)
    assert client.container(APP).image_id == app_images.v1.id
    assert f"# sermon-monitor: was {app_images.v2.tag}" in project.compose_file.read_text()
    assert "pinned the image of app" in (tmp_path / "log" / "recovery.log").read_text()

    again = recovery("rollback", "--yes", "--to-version", "v1")
    assert again.returncode == 0, again.stderr
    assert "already: v1" in again.stderr
    # v2 is marked as left, and never comes back by itself.
    default = recovery("rollback", "--yes", "--force")
    assert default.returncode == 1
    assert "no version of app other than the running one is known to be good" in default.stderr
    rows = json.loads(recovery("versions", "--json").stdout)
    assert [(row["tag"], row["verdict"]) for row in rows] == [("v1", "good"), ("v2", "bad")]


def _stopped_midway(words: tuple[str, ...], env: Env) -> tuple[int, str, str]:
    """Send SIGTERM, as a cancelled workflow does, once the change has begun."""
    with subprocess.Popen(
        [str(COMMAND), *words],
        env={"PATH": os.environ["PATH"], **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("docker compose up"):
                process.terminate()
                break
        output, rest = process.communicate(timeout=120)
        return process.returncode, output, said + rest


@pytest.mark.engine
@pytest.mark.parametrize("force", [True, False], ids=["forced", "not forced"])
def test_a_healthy_app_is_rolled_back_only_by_force(
    force: bool, recovery: Call, project: Project, client: Engine, app_images: AppImages
) -> None:
    deploy(project, client, app_images.v1)
    before = project.compose_file.read_bytes()
    words = ["rollback", "--yes", "--json", "--to-version", "v2", "--verify-timeout", "5"]
    done = recovery(*words, *(["--force"] if force else []))
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["outcome"] == ("put_back" if force else "not_needed")
    assert ("--force" in answer["words"]) is not force
    # Either way what was there is there: v2 is broken, and was taken back.
    assert client.container(APP).image_id == app_images.v1.id == answer["image_id"]
    assert project.compose_file.read_bytes() == before


@pytest.mark.engine
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--dry-run",), 0, "nothing was changed"),
        (("--dry-run", "--to-commit", "a1a1a1a"), 0, "goes to"),
        ((), 1, "not confirmed; without a terminal"),
        (("--yes", "--expires-at", "2026-01-02T03:04:05Z"), 1, "expired at 2026-01-02T03:04:05Z"),
        (("--yes", "--to-version", "v2"), 1, "cures nothing"),
        (("--yes", "--to-image", "sha256:" + "0" * 64), 1, "no longer on this machine"),
        (("--yes", "--to-image", "127.0.0.1:9/team/app:v9"), 1, "nothing was stopped"),
        (("--yes", "--to-version", "v1", "--to-commit", "b2b2b2b"), 1, "not b2b2b2b"),
        (("--yes", "--service", "web"), 1, "none of web is a service"),
        (("--yes", "--to-version", "a b"), 2, "allowed: an image's tag"),
        (("--yes", "--to-commit", "$(reboot)"), 2, "allowed: 7 to 64 hexadecimal"),
        (("--yes", "--to-image", "--force"), 2, "allowed: an image reference"),
        (("--yes", "--to-image", "app;id"), 2, "allowed: an image reference"),
        (("--yes", "--expires-at", "tomorrow"), 2, "allowed: a time like"),
        (("--yes", "--correlation-id", "a\nb"), 2, "allowed: letters"),
        (("--yes", "--service", "../x"), 2, "allowed: the name"),
        (("--yes", "--rollback-type", "specific_commit"), 2, "specific_commit needs"),
        (("--yes", "--config", "/nowhere.conf"), 2, "cannot be read"),
        (("--nonsense",), 2, "No such option"),
    ],
)
def test_what_is_refused_changes_nothing(
    words: tuple[str, ...], code: int, said: str, recovery: Call, project: Project, client: Engine
) -> None:
    (project.directory / LOCK_NAME).touch()
    before = state_of(project, client)
    done = recovery("rollback", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    if "/team/app:v9" in " ".join(words):  # this one took the lock, and wrote its name into it
        before["files"].pop(LOCK_NAME)
    after = state_of(project, client)
    after["files"].pop(LOCK_NAME) if LOCK_NAME not in before["files"] else None
    assert after == before


@pytest.mark.engine
def test_two_at_once_are_one_and_a_refusal(
    recovery: Call, project: Project, client: Engine
) -> None:
    with exclusive(project.directory / LOCK_NAME, "pid 1 since noon"):
        before = state_of(project, client)
        done = recovery("rollback", "--yes")
        assert state_of(project, client) == before
    assert done.returncode == 1
    assert "another change of this deployment is at work: pid 1 since noon" in done.stderr


@pytest.mark.engine
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"COMPOSE_PROJECT_DIR": "/nowhere"}, "COMPOSE_PROJECT_DIR=/nowhere: there is no such"),
        ({"COMPOSE_PROJECT_DIR": "/dev"}, "no compose file in /dev"),
        ({"COMPOSE_FILE": "other.yml"}, "other.yml: there is no such file"),
        ({"DOCKER_HOST": "unix:///nowhere.sock"}, "does not answer"),
        ({"DOCKER_CONFIG": "/nowhere", "PATH": "/usr/bin:/bin"}, "is not installed"),
    ],
    ids=["no directory", "no compose file", "wrong file", "no engine", "no compose"],
)
def test_a_machine_that_is_not_ready_is_said(
    changes: Env, said: str, recovery: Call, project: Project, client: Engine
) -> None:
    before = state_of(project, client)
    done = recovery("rollback", "--yes", "--json", **changes)
    assert done.returncode == 1
    assert said in done.stderr
    assert json.loads(done.stdout)["outcome"] == "refused"
    assert state_of(project, client) == before


@pytest.mark.engine
def test_a_reader_that_goes_away_stops_no_rollback(
    env: Env, client: Engine, app_images: AppImages
) -> None:
    with subprocess.Popen(
        [str(COMMAND), "rollback", "--yes"],
        env={"PATH": os.environ["PATH"], **env, "LOG_DIR": "/dev/full"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(timeout=120) == 0
    assert client.container(APP).image_id == app_images.v1.id


@pytest.mark.engine
def test_a_full_disk_stops_nothing(env: Env, project: Project, client: Engine) -> None:
    before = project.compose_file.read_bytes(), client.container(APP).id
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"ulimit -f 0; exec {COMMAND} rollback --yes",
        ],  # a write fails like on a full disk
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert (project.compose_file.read_bytes(), client.container(APP).id) == before


@pytest.mark.engine
def test_a_ledger_that_cannot_be_used_is_said_and_a_named_target_still_works(
    recovery: Call, app_images: AppImages, tmp_path: Path
) -> None:
    (tmp_path / "state" / "versions.json").write_text("{")
    assert recovery("versions").returncode == 1
    done = recovery("rollback", "--dry-run", "--to-image", app_images.v1.tag)
    assert done.returncode == 0, done.stderr
    assert "the version ledger cannot be used" in done.stderr
    assert f"goes to {app_images.v1.tag}" in done.stderr


@pytest.mark.engine
def test_targets_are_found_by_tag_commit_and_digest(
    env: Env, client: Engine, app_images: AppImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    deployment = find_deployment(read_settings(DeploymentSettings, env), client)
    ledger = history(app_images)
    v1 = app_images.v1.id
    kept = known_good_reference("app", v1)

    def references(wanted: Wanted, ledger: Ledger = ledger) -> tuple[str, ...]:
        return resolve(wanted, deployment, ledger, client).references

    assert references(Wanted()) == (v1, kept)
    assert references(Wanted(version="v1")) == (v1, kept)
    assert references(Wanted(version="v9")) == ("sermon-uploader:v9",)
    assert references(Wanted(version="hub/app:v1")) == ("hub/app:v1",)
    nought = "sha256:" + "0" * 64
    assert references(Wanted(version=nought)) == (f"sermon-uploader@{nought}", nought)
    assert references(Wanted(image=v1, version="v2")) == (v1, v1, kept)
    assert references(Wanted(commit="A1A1A1A"))[:2] == (v1, kept)
    assert references(Wanted(commit="a1a1a1a"), Ledger()) == (v1,)
    branch = replace(ledger.releases[0], tag="live-0123456")
    assert references(Wanted(commit="9" * 40), Ledger((branch,))) == tuple(
        f"sermon-uploader:{name}-9999999" for name in ("live", "master", "main", "production")
    )
    twice = Ledger((*ledger.releases, replace(ledger.releases[1], tag="v1", image_id="sha256:x")))
    with pytest.raises(DeployError, match="was the name of 2 images"):
        references(Wanted(version="v1"), twice)


def test_the_ledger_is_shown_as_a_table(tmp_path: Path) -> None:
    ledger = observe(
        Ledger(),
        "app",
        Facts("hub/app:v1", "sha256:0123456789abcdef", tag="v1", revision="1f0c9aa1"),
        START,
    )
    LedgerFile(tmp_path / "versions.json").save(ledger)
    done = run(("versions",), {"STATE_DIR": str(tmp_path)})
    assert done.returncode == 0
    for cell in ("app", "v1 (1f0c9aa)", "0123456789ab", "2026-03-01 10:00", "runs", "unknown"):
        assert cell in done.stdout
    nothing = run(("versions", "--json"), {"STATE_DIR": str(tmp_path / "none")})
    assert (nothing.returncode, json.loads(nothing.stdout)) == (0, [])


@pytest.mark.parametrize(
    "words", [("--help",), ("rollback", "--help"), ("versions", "--help"), ("--version",)]
)
def test_help_needs_nothing(words: tuple[str, ...]) -> None:
    done = run(words, {"STATE_DIR": "/nowhere"})
    assert done.returncode == 0
    assert "Example:" in done.stdout or "sermon-recovery, version" in done.stdout


def test_the_guides_command_is_a_front(tmp_path: Path) -> None:
    front = ROOT / "scripts" / "recovery-toolkit.sh"
    link = tmp_path / "recovery-toolkit.sh"
    link.symlink_to(front)
    done = subprocess.run(
        [str(link), "versions", "--json"],
        env={"PATH": f"{COMMAND.parent}:/usr/bin:/bin", "STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
