"""The systemd unit under a real systemd, which is process 1 of a container, put there as the verb says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import tier_missing
from tests.parts.backup_kit import COMPOSE, ENV
from tests.parts.deployment.volunteer import at_a_terminal, typed
from tests.real import storage
from tests.real.debian import DebianError
from tests.real.engine import DockerEngine
from tests.real.images import systemd_base
from tests.real.processes import wait_for
from tests.real.product import COMMAND

ROOT = Path(__file__).resolve().parents[2]
UNIT = "sermon-uploader-health-monitor"
CONTAINER = "sermon-monitor-systemd"
Inside = Callable[..., str]
METRICS = """\
import urllib.request as r
try:
    print(r.urlopen("http://127.0.0.1:10980/metrics", timeout=20).read().decode())
except OSError:
    pass
"""


@pytest.fixture(scope="module")
def inside(engine: DockerEngine) -> Iterator[Inside]:
    """Run a command in a container where systemd has come up; its stdout."""
    try:
        image = systemd_base(engine)
    except DebianError as problem:
        tier_missing(f"no image with systemd: {problem}")
    mounts = {ROOT, Path(sys.base_prefix)} - {Path("/usr"), Path("/usr/local")}
    engine.docker(
        *("run", "--detach", "--name", CONTAINER, "--network", "none", "--cap-add", "SYS_ADMIN"),
        *(f"--security-opt={name}=unconfined" for name in ("seccomp", "apparmor", "systempaths")),
        *(f"--tmpfs={path}" for path in ("/run", "/run/lock", "/tmp")),
        *(f"--volume={path}:{path}:ro" for path in sorted(mounts)),
        *_control_groups(),
        image,
    )

    def run(*words: str | Path) -> str:
        return engine.docker("exec", CONTAINER, *words)

    try:
        wait_for(lambda: _up(engine), "systemd", within=60)
        # The user docker's group is the machine's; a Python that lies in root's home may be read by all.
        run("sh", "-ec", "echo 'g docker -' >/usr/lib/sysusers.d/docker.conf; systemd-sysusers")
        run("chmod", "755", "/root")
        yield run
    finally:
        engine.docker("rm", "--force", CONTAINER)


def _control_groups() -> list[str]:
    """systemd wants a tree that it may write: its own on version 1, its namespace's on version 2."""
    if Path("/sys/fs/cgroup/systemd").exists():
        tree = "/sys/fs/cgroup"
        return [f"--volume={tree}:{tree}:ro", f"--volume={tree}/systemd:{tree}/systemd:rw"]
    return ["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]


def _up(engine: DockerEngine) -> bool:
    asked = "systemctl is-system-running || true"
    return engine.docker("exec", CONTAINER, "sh", "-c", asked).strip() in ("running", "degraded")


def shown(inside: Inside, name: str) -> str:
    return inside("systemctl", "show", "--property", name, "--value", UNIT).strip()


@pytest.mark.engine
@pytest.mark.long
def test_the_unit_starts_restarts_and_stops(inside: Inside) -> None:
    said = inside(COMMAND, "install-units")
    steps = (
        said.partition("next:\n")[2]
        .replace("sudo ", "")
        .replace("systemctl ", "systemctl --no-pager ")
    )
    assert f"enable --now {UNIT}" in steps
    inside("sh", "-euxc", steps)

    def healthy() -> str:
        return inside("python3", "-c", METRICS).strip()

    metrics = wait_for(healthy, "the exporter", within=60)
    assert 'sermon_monitor_collector_success{collector="host"} 1' in metrics  # hardened as it is
    assert 'mountpoint="/var/lib/sermon-monitor"' not in metrics
    assert inside("stat", "-c", "%U %G %a", "/var/lib/sermon-monitor").split() == [
        "sermon-monitor", "sermon-monitor", "2770",
    ]  # fmt: skip

    first = shown(inside, "MainPID")
    inside("systemctl", "kill", "--signal=SIGKILL", UNIT)
    wait_for(lambda: shown(inside, "NRestarts") == "1", "the restart", within=60)
    wait_for(healthy, "the exporter again", within=60)
    assert shown(inside, "MainPID") not in (first, "0")

    inside("systemctl", "stop", "sermon-monitor")  # by its short name
    assert (shown(inside, "ActiveState"), shown(inside, "Result")) == ("inactive", "success")
    assert "stopped" in inside("journalctl", "--no-pager", "--unit", UNIT)


@pytest.mark.engine
@pytest.mark.long
def test_the_guides_commands_for_systemd_work(inside: Inside) -> None:
    """Those that the guide's own tests leave to this file: each is typed, in the guide's order."""
    docker = "[Service]\nExecStart=/bin/sleep infinity\n"
    inside(
        "sh",
        "-ec",
        f"printf '{docker}' >/etc/systemd/system/docker.service; systemctl daemon-reload",
    )
    inside("systemctl", "start", "docker")
    lines = [line for line in typed() if not at_a_terminal(line)]
    assert any(line.startswith(f"systemctl start {UNIT}") for line in lines)
    for line in lines:
        command = line.replace("/opt/sermon-monitor/.venv/bin/sermon-monitor", str(COMMAND))
        for program in ("systemctl", "journalctl"):
            command = command.replace(f"{program} ", f"{program} --no-pager ")
        inside("sh", "-ec", command)
    assert shown(inside, "ActiveState") == "active"


THEIRS = "/opt/sermon-uploader/docker-compose.yml"
WORK = f"""\
import pathlib
from receiver.pictures.painter import bound
from target.files import replace_text
replace_text(pathlib.Path("{THEIRS}"), "services: {{}}\\n")
bound()
"""
BACKUP = "sermon-uploader-backup"
PORT = 8333
"""Of an S3 server within the container, which has no network."""
FILL = f"""\
import io, sys, time
from minio import Minio
client = Minio("127.0.0.1:{PORT}", "{storage.USER}", "{storage.PASSWORD}", secure=False)
for _ in range(600):
    try:
        client.bucket_exists("sermons") or client.make_bucket("sermons")
        client.put_object("sermons", "a.wav", io.BytesIO(b"a"), 1)
        break
    except Exception:
        time.sleep(0.1)
"""


@pytest.fixture
def deployment(inside: Inside, engine: DockerEngine) -> None:
    """A project and an S3 server with a sermon in it, inside."""
    conf = f"MINIO_URL=http://127.0.0.1:{PORT}"
    for path, text, mode in (
        ("/opt/sermon-uploader/docker-compose.yml", COMPOSE, "644"),
        ("/opt/sermon-uploader/.env", ENV, "600"),
        ("/etc/sermon-uploader/health-monitor.conf", conf, "640"),
        ("/srv/s3.json", storage.identities(), "600"),
    ):
        inside("install", "-D", "-m", mode, "/dev/null", path)
        inside("sh", "-ec", 'printf "%s\\n" "$1" >"$2"', "_", text, path)
    inside("mkdir", "-p", "/srv/data")
    words = storage.command(Path("/srv"), PORT)
    inside("systemd-run", "--unit=storage", *words)
    inside(Path(sys.executable), "-c", FILL)


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.usefixtures("deployment")
def test_the_timers_services_back_up_and_try_to_restore(inside: Inside) -> None:
    """Each is started once, as its timer does; behind its walls it may write what it must."""
    inside(COMMAND, "install-units", "--force")
    inside("systemctl", "daemon-reload")
    inside("systemctl", "enable", "--now", f"{BACKUP}.timer", f"{BACKUP}-drill.timer")
    timers = inside("systemctl", "--no-pager", "list-timers", f"{BACKUP}*")
    assert "2 timers listed" in timers
    for unit in (BACKUP, f"{BACKUP}-drill"):
        inside("sh", "-ec", f"systemctl start {unit} || {{ journalctl --unit {unit}; false; }}")
    listed = inside("find", "/opt/sermon-uploader-backups", "-type", "f", "-printf", "%m %u %P\\n")
    files = {line.split(" ", 2)[2]: line.split(" ")[:2] for line in listed.splitlines()}
    assert files.pop(".status.json") == ["644", "root"]
    assert files.pop(".lock")[1] == "root"
    assert all(one == ["600", "root"] for one in files.values()), files
    names = {path.partition("/")[2] for path in files}
    assert names >= {"project/.env", "receiver.sqlite3", "objects.jsonl"}, "the monitor's store too"
    assert "1 objects (1 B) through MinIO" in inside(
        "journalctl", "--no-pager", "--unit", f"{BACKUP}-drill"
    )
    inside("systemctl", "stop", "storage", f"{BACKUP}.timer", f"{BACKUP}-drill.timer")


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_systemd_finds_nothing_wrong(inside: Inside, user: bool) -> None:
    """An unknown key is only a line on stderr: both streams are to be silent."""
    words = ["--user"] if user else []
    inside(COMMAND, "install-units", "--dir", "/tmp/units", *words, "--force")
    command = f"XDG_RUNTIME_DIR=/run systemd-analyze {' '.join(words)} verify /tmp/units/{UNIT}.service 2>&1"
    assert inside("sh", "-c", command) == ""


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.parametrize("unit", [UNIT, BACKUP, f"{BACKUP}-drill"])
def test_a_unit_is_hardened(inside: Inside, unit: str) -> None:
    inside(COMMAND, "install-units", "--force")
    path = f"/etc/systemd/system/{unit}.service"
    said = inside(
        "systemd-analyze", "--no-pager", "security", "--offline=yes", "--threshold=30", path
    )
    assert "Overall exposure level" in said  # above 3.0 it fails


@pytest.mark.engine
@pytest.mark.long
def test_within_its_walls_it_may_do_what_it_must(inside: Inside) -> None:
    """Pin an image in a compose file that is somebody else's, and draw a picture: neither may end the process."""
    inside(COMMAND, "install-units", "--force")
    inside("systemd-sysusers", "sermon-monitor.conf")
    inside("install", "-d", "-g", "sermon-monitor", "-m", "2775", "/opt/sermon-uploader")
    inside("install", "-m", "664", "-g", "sermon-monitor", "/dev/null", THEIRS)
    inside("sh", "-ec", 'printf %s "$1" >/srv/work.py', "_", WORK)
    command = f"s#^ExecStart=.*#ExecStart={COMMAND.with_name('python')} /srv/work.py#"
    once = r"s/^Type=.*/Type=oneshot/; s/^Restart=.*/Restart=no/; /^Alias/d"
    unit = f"/etc/systemd/system/{UNIT}.service"
    inside("sh", "-ec", f"sed '{command}; {once}' {unit} >/run/systemd/system/walls.service")
    inside("systemctl", "daemon-reload")
    inside("sh", "-ec", "systemctl start walls || { journalctl --no-pager --unit walls; false; }")
    assert inside("cat", THEIRS) == "services: {}\n"
