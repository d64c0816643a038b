"""The two stories of the demo, as the end-to-end tests check them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.real.images import AppImage
from tests.real.processes import fetch, wait_for
from tests.real.project import APP
from tests.real.stage import Stage

Tell = Callable[[str], None]


def restart_cures(
    stage: Stage,
    tell: Tell,
    *,
    meanwhile: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Scene 1: somebody stops the app; a restart cures it; nothing is dispatched. The closed incident."""
    dispatches, known = len(stage.github.dispatches), stage.known()
    tell(f"docker stop {APP}")
    stage.engine.docker("stop", "--time", "1", APP)
    stage.wait_firing()
    if meanwhile:
        meanwhile()
    incident = stage.wait_over(known, "restart")
    assert len(stage.github.dispatches) == dispatches, (
        "a restart was enough, and yet a rollback was dispatched"
    )
    _same_card(stage)
    # A monitor that was killed exports nothing: the alert ends for a moment, and its steps with it.
    restarts = [s["state"] for s in incident["steps"] if s["action"] == "restart"]
    assert restarts.count("done") == 1, incident["steps"]
    assert set(restarts) <= {"done", "dropped"}, incident["steps"]
    assert fetch(f"{stage.project.app_url}/api/health")[0] == 200
    return incident


def bad_deploy_is_rolled_back(
    stage: Stage,
    tell: Tell,
    good: AppImage,
    bad: AppImage,
    *,
    meanwhile: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Scene 2: a good version, then a broken one; one dispatch; the good one runs again. The closed incident."""
    dispatches = len(stage.github.dispatches)
    tell(f"waiting until {good.tag} has proved good (GOOD_AFTER)")
    stage.wait_good(good)
    tell(f"deploying {bad.tag}, which is broken")
    known = stage.known()
    stage.deploy(bad)
    stage.wait_firing()
    if meanwhile:
        meanwhile()
    incident = stage.wait_over(known, "rollback")
    assert len(stage.github.dispatches) == dispatches + 1, (
        f"{len(stage.github.dispatches) - dispatches} dispatches"
    )
    assert stage.runs() == good.id, "another version runs"
    wait_for(lambda: fetch(f"{stage.project.app_url}/api/health")[0] == 200, "the app to answer")
    _same_card(stage)
    rollbacks = [s["state"] for s in incident["steps"] if s["action"] == "rollback"]
    assert rollbacks.count("done") == 1, incident["steps"]
    assert set(rollbacks) <= {"done", "dropped"}, incident["steps"]
    return incident


def _same_card(stage: Stage) -> None:
    """One card an incident, and its last version says that it is over.

    A kill between Discord's answer and its record leaves a copy, for webhooks have no idempotency
    key: then the card that counts says so.
    """
    by_incident: dict[str, list[dict[str, Any]]] = {}
    for message in stage.cards:
        footer = message.embeds[0]["footer"]["text"]
        by_incident.setdefault(footer.split(" · ")[1], []).append(message.embeds[0])
    incidents = stage.incidents()
    assert len(by_incident) == len(incidents), [m.content for m in stage.discord.messages]
    for copies in by_incident.values():
        kept = copies[-1]
        assert "Over" in kept["title"], kept["title"]
        assert len(copies) == 1 or "earlier copy" in kept["footer"]["text"], copies
