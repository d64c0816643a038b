"""Versions of the application that are no good: how each verb meets them, and that the good one comes back."""

from __future__ import annotations

from target.engine import Container
from target.verify import probe_once
from tests.parts.matrix.cells import LOOKS, Cell, call, look, plain
from tests.parts.matrix.page import VERSIONS_IN, compare
from tests.parts.matrix.place import Place
from tests.real.images import AppImage
from tests.real.processes import wait_for

MENDING = ("quick-fix", "post-deploy", "restart-services", "emergency-restart")
"""None of them makes a bad version a good one, and each says so."""
ROLLBACK = ("--yes", "--force", "--reason", "the matrix", "--verify-timeout", "120")


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


def seen_and_left(place: Place, bad: AppImage) -> None:
    """Every verb meets it; in the end nothing runs."""
    deploy(place, bad)
    found = [look(place, "running", verb) for verb in LOOKS]
    assert {c.verb: c.outcome for c in found}["health-check"] == "unhealthy"
    for verb in MENDING:
        found.append(met(place, verb, "--yes"))
        assert found[-1].exit_code == 1, found[-1]
    back = met(place, "rollback", *ROLLBACK)
    assert (back.outcome, place.client.container(place.app).image_id) == ("done", place.former.id)
    found += [back, there_and_back(place, bad)]
    deploy(place, bad)
    found.append(met(place, "emergency-stop", "--yes"))
    assert not any(one.running for one in place.containers())
    compare(VERSIONS_IN[place.layout], bad.tag.partition(":")[2], found)


def there_and_back(place: Place, bad: AppImage, *words: str) -> Cell:
    place.arrange("running")
    before = place.compose_file.read_bytes()
    shown = "rollback --to-version"
    cell = met(place, "rollback", *ROLLBACK, "--to-image", bad.tag, *words, shown=shown)
    assert (cell.exit_code, cell.outcome) == (1, "put_back")
    assert place.client.container(place.app).image_id == place.good.id
    assert place.compose_file.read_bytes() == before
    return cell
