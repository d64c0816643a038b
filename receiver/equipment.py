"""What a receiver is equipped with by its settings: the policy, GitHub, the actions."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from receiver.actions import Action
from receiver.actions.cleanup import CleanUp
from receiver.actions.emergency_stop import EmergencyStop
from receiver.actions.investigate import Investigate
from receiver.actions.local_rollback import LocalRollback, SaveFirst
from receiver.actions.person import Person
from receiver.actions.restart import Restart
from receiver.actions.rollback import Rollback
from receiver.deciding.policy import Policy
from receiver.deciding.situation import Lookout
from receiver.github.client import GitHub
from receiver.http import Http
from receiver.settings import ReceiverSettings
from target.engine import Engine


def policy_path(settings: ReceiverSettings) -> Path:
    """POLICY_FILE, or the table that this release ships."""
    return settings.policy_file or Path(str(resources.files("monitoring").joinpath("policy.yml")))


def build_github(settings: ReceiverSettings, http: Http) -> GitHub | None:
    """None where GitHub is not configured."""
    if not (settings.github_token and settings.github_repo):
        return None
    return GitHub(
        http,
        settings.github_api_url,
        settings.github_repo,
        settings.github_token,
        settings.rollback_workflow,
        settings.rollback_ref,
    )


def build_actions(
    settings: ReceiverSettings,
    engine: Engine,
    github: GitHub | None,
    lookout: Lookout,
    policy: Policy,
    save_first: SaveFirst | None = None,
) -> Mapping[str, Action]:
    """ACTIONS: one line each."""
    local = LocalRollback(settings, engine, policy.timing, save_first)
    made: tuple[Action, ...] = (
        Restart(settings, engine),
        CleanUp(settings, engine),
        EmergencyStop(engine, policy.timing, lookout.confirmer, github, lookout.settings.zone),
        Rollback(github, lookout, policy.timing, local),
        Person(settings.contacts),
        Investigate(settings, engine),
    )
    return {action.name: action for action in made}
