"""install-workflow, install-units and the guide's health-monitor.sh, as a person types them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from sermon_monitor import health_monitor, serve
from sermon_monitor.cli import main
from sermon_monitor.settings import Settings
from tests.parts.cli_kit import Command
from tests.real.processes import fetch, free_port, spawn, wait_for
from tests.real.product import COMMAND

ROOT = Path(__file__).resolve().parents[2]
FRONT = ROOT / "scripts" / "health-monitor.sh"
SHIPPED = (ROOT / ".github" / "workflows" / "rollback.yml").read_text()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "the app's"
    (made / ".git").mkdir(parents=True)
    return made


def snapshot(directory: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(directory)): (path.read_text(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_workflow_and_an_example_are_put_in_place(command: Command, repository: Path) -> None:
    done = command("install-workflow", repository)
    assert (done.code, done.err) == (0, "")
    workflows = repository / ".github" / "workflows"
    assert (workflows / "rollback.yml").read_text() == SHIPPED
    # GitHub runs .yml and .yaml alone: an example starts no deployment.
    assert sorted(p.suffix for p in workflows.iterdir()) == [".example", ".yml"]
    assert f"git -C '{repository}' push".replace("'s", "'\"'\"'s") in done.out
    before = snapshot(repository)
    again = command("install-workflow", repository)
    assert again.code == 0
    assert again.out.count("unchanged: ") == 2
    assert snapshot(repository) == before


def test_what_was_changed_is_shown_and_stays(command: Command, repository: Path) -> None:
    file = repository / ".github" / "workflows" / "rollback.yml"
    file.parent.mkdir(parents=True)
    file.write_text(SHIPPED.replace("timeout-minutes: 45", "timeout-minutes: 7"))
    before = snapshot(repository)
    done = command("install-workflow", repository)
    assert done.code == 1
    assert "-    timeout-minutes: 7\n+    timeout-minutes: 45\n" in done.out
    assert "--force" in done.err
    assert command("install-workflow", repository, "--force", "--dry-run").code == 0
    assert snapshot(repository) == before
    assert command("install-workflow", repository, "--force").code == 0
    assert file.read_text() == SHIPPED


def test_a_wrong_place_is_refused_in_words(command: Command, tmp_path: Path) -> None:
    done = command("install-workflow", tmp_path)
    assert (done.code, "no checkout of a repository" in done.err) == (1, True)
    assert command("install-workflow", tmp_path / "nowhere").code == 2
    assert command("install-units", "--dir", ROOT / "README.md").code == 2


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_what_is_no_file_is_left_alone(command: Command, tmp_path: Path, kind: str) -> None:
    units = tmp_path / "units"
    unit = units / "sermon-uploader-health-monitor.service"
    units.mkdir()
    if kind == "link":
        unit.symlink_to("/dev/null")  # so systemd masks a unit
    else:
        unit.mkdir()
    done = command("install-units", "--dir", units, "--force")
    assert (done.code, str(unit) in done.err) == (1, True)
    assert unit.is_symlink() == (kind == "link")


def test_a_users_unit_comes_with_its_settings_which_stay_his(command: Command) -> None:
    config = Path(command.environment["HOME"]) / ".config"
    assert command("install-units", "--user").code == 0
    unit = (config / "systemd" / "user" / "sermon-uploader-health-monitor.service").read_text()
    installed = COMMAND.resolve()
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert Path(line.removeprefix("ExecStart=").split()[0]).resolve() == installed
    settings = config / "sermon-uploader" / "health-monitor.conf"
    assert stat.S_IMODE(settings.stat().st_mode) & 0o037 == 0
    settings.write_text("DRY_RUN=true\n")
    done = command("install-units", "--user", "--force")
    assert (done.code, settings.read_text()) == (0, "DRY_RUN=true\n")
    assert f"yours, left as it is: {settings}" in done.out
    # What it comes with is a file of settings that our own reader takes.
    (settings.parent / "as-shipped.conf").write_text(
        (ROOT / "deploy" / "health-monitor.conf").read_text()
    )
    assert command("--config", settings.parent / "as-shipped.conf", "rules").code == 0


def test_without_the_right_to_write_it_says_sudo(command: Command, tmp_path: Path) -> None:
    # Where even root makes no file.
    closed = Path("/proc/sys/units" if os.geteuid() == 0 else "/etc/systemd/system")
    done = command("install-units", "--dir", closed)
    assert done.code == 1
    assert str(closed) in done.err


def test_the_guides_front_serves(command: Command, tmp_path: Path) -> None:
    port, receiver = free_port(), free_port()
    config = tmp_path / "health-monitor.conf"
    config.write_text(
        f"EXPORTER_LISTEN=127.0.0.1:{port}\nRECEIVER_LISTEN=127.0.0.1:{receiver}\nHEALTH_CHECK_INTERVAL=30\n"
        'DISCORD_WEBHOOK_URL=""\nGITHUB_TOKEN=""\nGITHUB_REPO=""\nAUTO_ROLLBACK_ENABLED=true\n'
    )
    words: list[str | Path] = [FRONT, "--daemon", "--config-file", config, "--dry-run"]
    process = spawn(words, tmp_path / "log", env=command.environment)
    try:
        wait_for(
            lambda: fetch(f"http://127.0.0.1:{receiver}/readyz")[0] == 200, "it", process=process
        )
        assert fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200
    finally:
        process.stop(grace_seconds=40)
    assert process.popen.returncode == 0


@pytest.mark.parametrize("words", [[], ["--dry-run"]], ids=["acts", "dry"])
def test_the_guides_options_and_file_are_what_is_served(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr(serve, "serve", lambda settings, *_: served.append(settings))
    monkeypatch.delenv("SERMON_MONITOR_CONFIG", raising=False)
    monkeypatch.setenv("DRY_RUN", "")
    guide = tmp_path / "health-monitor.conf"
    guide.write_text(f"STATE_DIR={tmp_path}\nERROR_THRESHOLD=7  # as the guide has it\n")
    monkeypatch.setattr(health_monitor, "GUIDE_CONFIG", guide)
    done = CliRunner().invoke(main, ["health-monitor", "--daemon", *words])
    assert done.exit_code == 0, done.output
    assert [(s.error_threshold, s.dry_run) for s in served] == [(7, bool(words))]


def test_the_guides_front_says_what_is_wrong(command: Command, tmp_path: Path) -> None:
    def front(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FRONT, *words], env=command.environment, capture_output=True, text=True, check=False
        )

    assert "--config-file" in front("--help").stdout
    missing = front("--daemon", "--config-file", tmp_path / "none.conf")
    assert (missing.returncode, "none.conf" in missing.stderr) == (2, True)
    assert front("--interval").returncode == 2
