"""docker-compose.monitoring.yml for real, as one story: up, what it sees, what it survives, and both scenes inside it.

The tests of this file follow each other on one stack, from top to bottom.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from target.version_keeper import LedgerFile
from tests.conftest import AppImages, Tell, tier_missing
from tests.real.debian import DebianError
from tests.real.engine import DockerEngine
from tests.real.machine import shows_this_machine
from tests.real.processes import fetch, wait_for
from tests.real.project import APP, MINIO
from tests.real.scenes import bad_deploy_is_rolled_back, restart_cures
from tests.real.stack import Stack, found_up, set_up
from tests.real.stack_images import monitor_image, stack_images
from tests.real.stage import Stage

pytestmark = [
    pytest.mark.engine,
    pytest.mark.daemons,
    pytest.mark.long,
    pytest.mark.timeout(900),
]
LASTING = ("docker-proxy", "monitor", "prometheus", "alertmanager", "grafana")
GUIDES_CURLS = (
    (9090, "/-/healthy"),
    (9093, "/-/healthy"),
    (3000, "/api/health"),
    (9100, "/metrics"),
    (8080, "/metrics"),
    (10980, "/healthz"),
    (5001, "/healthz"),
)


class Story(NamedTuple):
    stack: Stack
    stage: Stage


@pytest.fixture(scope="module")
def story(engine: DockerEngine, app_images: AppImages, tell: Tell) -> Iterator[Story]:
    tell("making the images of the stack")
    try:
        stack_images(engine)
    except DebianError as problem:
        tier_missing(f"no images of the stack: {problem}")
    monitor_image(engine)
    with (
        tempfile.TemporaryDirectory(prefix="sermon-stack-") as directory,
        set_up(engine, Path(directory), app_images.v1) as made,
    ):
        stack, stage = made
        stack.up()
        found_up(stack, stage)
        yield Story(stack, stage)


def test_all_of_it_is_up_and_the_guides_addresses_answer(story: Story) -> None:
    stack, stage = story
    for port, path in GUIDES_CURLS:
        assert fetch(stack.url(port) + path, timeout=15)[0] == 200, (port, path)
    for port in (9100, 8080):
        assert (
            b"\nnode_memory_MemTotal_bytes " in fetch(f"{stack.url(port)}/metrics", timeout=15)[1]
        )
    assert stack.container("secrets").attrs["State"]["ExitCode"] == 0
    wait_for(lambda: {_health(stack, one) for one in LASTING} == {"healthy"}, "all health", 120)
    told = json.loads(fetch(f"{stack.url(3000)}/api/health")[1])
    assert told["password"], "Grafana's stand-in reads the secret that was made"
    assert told["home"] == "sermon-overview"
    assert told["provisioned"] == ["dashboards.yml", "datasources.yml"]
    targets = {one["metric"]["job"]: one["value"][1] for one in stack.asked("up")}
    assert targets == {"sermon-uploader": "1", "prometheus": "1", "alertmanager": "1"}
    assert "sermon-monitor" in stage.product.command("--version")


def _health(stack: Stack, service: str) -> str:
    return str(stack.container(service).attrs["State"]["Health"]["Status"])


def test_the_exporter_shows_this_machine_and_not_its_container(story: Story) -> None:
    said = shows_this_machine(story.stage.product.metrics)
    names = set(re.findall(r'^container_memory_usage_bytes\{[^}]*name="([^"]+)"', said, re.M))
    assert names == {APP, MINIO}, "what is watched, by the host's cgroups"


def test_check_finds_inside_what_these_tests_have_changed_and_nothing_else(story: Story) -> None:
    asked = "sermon-monitor check --json || test $? = 1"
    found = json.loads(story.stack.compose("exec", "-T", "monitor", "sh", "-c", asked))
    wrong = [one for one in found if one["level"] == "problem"]
    assert {one["what"] for one in wrong} == {"rules"}, wrong
    assert any("ServiceDown: for is 60s here and 3s in Prometheus" in one["words"] for one in wrong)
    assert {"docker", "memory controller", "application", "MinIO", "Alertmanager", "Prometheus"} <= {one["what"] for one in found}, found  # fmt: skip


def test_the_stopped_application_is_cured(story: Story, tell: Tell) -> None:
    # On a busy machine Prometheus is up some seconds before the monitor, and says that it is blind.
    _settled(story.stage)
    restart_cures(story.stage, tell)


class Kept(NamedTuple):
    """What must not be lost. A stack that is changed may see itself as blind for a moment: that adds to it."""

    told: set[Any]
    """Of each incident: what its timeline says. One that ended may open again, and has another verdict then."""
    versions: set[Any]
    secrets: dict[str, bytes]
    silences: Any
    scraped: float

    def within(self, later: Kept) -> bool:
        same = (self.secrets, self.silences) == (later.secrets, later.silences)
        more = self.told <= later.told and self.versions <= later.versions
        return same and more and 0 < self.scraped <= later.scraped


def _kept(story: Story) -> Kept:
    stack, stage = story
    found = stage.product.incidents()
    ledger, _ = LedgerFile(stage.product.state / "versions.json").read()
    secrets = {path.name: path.read_bytes() for path in stack.volume("secrets").iterdir()}
    silences = json.loads(fetch(f"{stack.url(9093)}/api/v2/silences")[1])
    (count,) = stack.asked("sum(count_over_time(sermon_uploader_up[1h]))")
    return Kept(
        {(i["id"], i["opened_at"], e["at"], e["words"]) for i in found for e in i["events"]},
        {(one.service, one.image_id, one.since) for one in ledger.releases},
        secrets,
        [(one["id"], one["status"]["state"]) for one in silences],
        float(count["value"][1]),
    )


def _survives(story: Story, change: Callable[[], object]) -> None:
    before = _kept(story)
    assert before.told
    assert before.versions
    assert len(before.secrets) == 4
    change()
    story.stack.wait_ready()
    after = _kept(story)
    assert before.within(after), (before, after)


def _settled(stage: Stage) -> None:
    """Until nothing is open any more."""
    wait_for(
        lambda: all(one["state"] == "resolved" for one in stage.incidents()),
        "all incidents to be over",
        within=180,
    )


def test_a_restart_loses_nothing(story: Story) -> None:
    stack, _ = story
    silence = {
        "matchers": [{"name": "alertname", "value": "Nothing", "isRegex": False, "isEqual": True}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2040-01-01T00:00:00Z",
        "createdBy": "the tests",
        "comment": "kept",
    }
    status, _ = fetch(f"{stack.url(9093)}/api/v2/silences", "POST", json.dumps(silence).encode())
    assert status == 200
    _survives(story, lambda: stack.compose("restart"))


def test_down_and_up_lose_nothing(story: Story) -> None:
    stack, _ = story
    before = stack.container("monitor").id
    starts = json.loads(fetch(f"{stack.url(3000)}/api/health")[1])["starts"]

    def again() -> None:
        stack.down()
        stack.up()

    _survives(story, again)
    assert stack.container("monitor").id != before
    assert json.loads(fetch(f"{stack.url(3000)}/api/health")[1])["starts"] == starts + 1


@pytest.mark.parametrize("service", ["prometheus", "monitor"])
def test_what_is_killed_comes_back_by_itself(story: Story, service: str) -> None:
    stack, _ = story
    count = stack.container(service).attrs["RestartCount"]

    def kill() -> None:
        stack.kill(service)
        wait_for(lambda: stack.container(service).attrs["RestartCount"] > count, "Docker")

    _survives(story, kill)


def test_another_image_goes_on_with_what_is_there(story: Story, tell: Tell) -> None:
    """``EXTRAS=true`` in .env and ``up -d --build``; what the build does is done by hand, for its network."""
    stack, stage = story
    old = stack.container("monitor").attrs["Image"]
    others = {name: stack.container(name).id for name in ("prometheus", "alertmanager")}
    tell("building the image with all extras")
    new = monitor_image(stack.engine, extras=True)
    _survives(story, stack.up)
    assert stack.container("monitor").attrs["Image"] == new != old
    assert {name: stack.container(name).id for name in others} == others
    imported = "import matplotlib, apprise, psycopg; print('all')"
    assert "all" in stack.compose("exec", "-T", "monitor", "python", "-c", imported)
    assert stage.product.metrics()


def test_a_bad_deploy_is_rolled_back_and_its_card_has_a_picture(
    story: Story, app_images: AppImages, tell: Tell
) -> None:
    """The monitor is killed in the middle of it, and Docker starts it again."""
    stage = story.stage
    _settled(stage)

    def die() -> None:
        tell("kill -9 of the monitor in its container")
        stage.product.kill()

    incident = bad_deploy_is_rolled_back(stage, tell, app_images.v1, app_images.v2, meanwhile=die)
    assert "verified" in incident["verdict"]
    stage.discord.until(lambda _: stage.cards[-1].attachments, 180)
    (picture,) = stage.cards[-1].attachments
    assert picture["filename"].endswith(".png")
    assert picture["size"] > 5_000


def test_the_monitor_ends_in_order(story: Story) -> None:
    """In the time that the compose file gives it, after all of this."""
    stack, _ = story
    stack.compose("stop", "monitor")
    state = stack.container("monitor").attrs["State"]
    logs = stack.compose("logs", "--no-color", "--tail", "20", "monitor")
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False), logs


def test_nothing_was_refused_and_no_secret_was_told(story: Story) -> None:
    stack, stage = story
    assert "blocked request" not in stack.compose("logs", "--no-color", "docker-proxy")
    logs = stack.compose("logs", "--no-color")
    assert "Traceback" not in logs
    secrets = [path.read_text().strip() for path in stack.volume("secrets").iterdir()]
    for secret in (*secrets, stage.github.token):
        assert secret not in logs
