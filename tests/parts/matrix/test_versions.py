"""Versions of the application that are no good: how each verb meets them, and that the good one comes back."""

from __future__ import annotations

from functools import partial

import pytest

import recovery.acts
import recovery.run_rollback
from target.engine import Container
from target.verify import Patience, probe_once
from tests.parts.matrix.cells import Cell, call, plain
from tests.parts.matrix.page import compare
from tests.parts.matrix.place import Place
from tests.real.engine import DockerEngine
from tests.real.images import AppImage, app_image
from tests.real.processes import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.long]
NOWHERE = "127.0.0.1:9/team/app:v9"
ROLLBACK = ("--yes", "--force", "--reason", "the matrix", "--verify-timeout", "120")


@pytest.fixture(scope="module")
def versions(engine: DockerEngine, python_image: str) -> dict[str, AppImage]:
    return {
        name: app_image(engine, f"sermon-uploader:{name}", revision=f"{n}" * 40, behaviour=name)
        for n, name in enumerate(("crash", "unhealthy", "slow", "hungry"), 3)
    }


@pytest.fixture(autouse=True)
def _long_enough_to_crash(_short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that crashes answers for 2 seconds first."""
    monkeypatch.setattr(recovery.acts, "STEADY_SECONDS", 3.0)
    patience = partial(Patience, interval=0.2, stable=3.0, starting=10.0, unhealthy_share=0.01)
    monkeypatch.setattr(recovery.run_rollback, "Patience", patience)


def met(place: Place, verb: str, *words: str, shown: str = "") -> Cell:
    """Any verb, whatever comes of it."""
    done, said = call(place, "running", verb, *words)
    told = said["words"] if "plan" in said else "; ".join(
        f"{f['what']}: {f['words']}" for f in said["findings"] if f["level"] in ("problem", "warning")
    )  # fmt: skip
    return Cell(shown or verb, done.exit_code, said["outcome"], plain(place, told))


def deploy(place: Place, image: AppImage) -> None:
    """As a deployment that looks at nothing: the file, and up. It is seen until it shows what it is."""
    place.arrange("running", image.tag)
    wait_for(lambda: _shows_itself(place.client.container(place.app), image), image.tag)
    if image.tag.endswith((":slow", ":unhealthy")):
        url = f"http://127.0.0.1:{place.app_port}/api/health"
        wait_for(lambda: probe_once(url, 30).status is not None, "its first answer")


def _shows_itself(container: Container, image: AppImage) -> bool:
    tempers = {
        "slow": container.running,
        "crash": container.state == "exited",
        "unhealthy": container.health == "unhealthy",
        "hungry": container.oom_killed and container.state == "exited",
    }
    return tempers[image.tag.partition(":")[2]]


@pytest.mark.parametrize("name", ["crash", "unhealthy", "hungry"])
def test_a_bad_version_is_seen_and_the_good_one_comes_back(
    apart: Place, versions: dict[str, AppImage], name: str
) -> None:
    bad = versions[name]
    deploy(apart, bad)
    found = [met(apart, "health-check"), met(apart, "post-deploy", "--yes")]
    found.append(met(apart, "restart-services", "--yes", "--verify-timeout", "120"))
    assert [cell.exit_code for cell in found] == [1, 1, 1]
    back = met(apart, "rollback", *ROLLBACK)
    assert (back.outcome, apart.client.container(apart.app).image_id) == ("done", apart.former.id)
    compare("version", name, [*found, back, _there_and_back(apart, bad)])


def test_a_slow_version_is_warned_about_and_not_rolled_back_to(
    apart: Place, versions: dict[str, AppImage]
) -> None:
    deploy(apart, versions["slow"])
    found = met(apart, "health-check")
    assert (found.exit_code, "only after" in found.words) == (0, True)
    back = _there_and_back(apart, versions["slow"], "--verify-timeout", "8")
    compare("version", "slow", [found, back])


def _there_and_back(place: Place, bad: AppImage, *words: str) -> Cell:
    place.arrange("running")
    before = place.compose_file.read_bytes()
    shown = "rollback --to-version"
    cell = met(place, "rollback", *ROLLBACK, "--to-image", bad.tag, *words, shown=shown)
    assert (cell.exit_code, cell.outcome) == (1, "put_back")
    assert place.client.container(place.app).image_id == place.good.id
    assert place.compose_file.read_bytes() == before
    return cell


def test_a_version_that_is_not_to_be_had_stops_nothing(apart: Place) -> None:
    apart.arrange("half-up")
    apart.write(NOWHERE)
    before = apart.fingerprint()
    found = [met(apart, "health-check")]
    for verb in ("quick-fix", "restart-services", "emergency-restart", "post-deploy"):
        found.append(met(apart, verb, "--yes"))
        assert (found[-1].exit_code, found[-1].outcome) == (1, "refused")
    assert apart.fingerprint()["containers"] == before["containers"]
    found.append(met(apart, "rollback", *ROLLBACK))
    assert apart.client.container(apart.app).image_id == apart.former.id
    apart.arrange("running")
    shown = "rollback --to-version"
    found.append(met(apart, "rollback", *ROLLBACK, "--to-image", NOWHERE, shown=shown))
    assert (found[-1].outcome, apart.well()) == ("refused", True)
    compare("version", "not to be had", found)
