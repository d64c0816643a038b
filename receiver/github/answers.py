"""What GitHub's answers hold, as far as it is needed; what else they hold is passed over.

Source: github/docs, src/rest/data (actions, repos).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError, field_validator

from receiver.http import Answer
from receiver.telling.delivery import DeliveryError


class _Tolerant(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Dispatched(_Tolerant):
    """The answer to an accepted dispatch; without ``run_id`` the run must be found by its name."""

    run_id: int | None = None
    html_url: str = ""


class Run(_Tolerant):
    """One workflow run. ``conclusion`` is None until ``status`` is ``completed``; a value that
    nobody has heard of is not a success."""

    id: int
    status: str = ""
    conclusion: str | None = None
    html_url: str = ""
    display_title: str = ""
    created_at: datetime
    updated_at: datetime | None = None
    run_attempt: int = 1
    head_sha: str = ""

    @field_validator("status", "display_title", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value


class RunDetails(_Tolerant):
    workflow_run_id: int
    html_url: str = ""


class Runs(_Tolerant):
    workflow_runs: tuple[Run, ...]


class Workflow(_Tolerant):
    state: str


class Label(_Tolerant):
    name: str


class Runner(_Tolerant):
    """A self-hosted runner; GitHub compares labels without regard to case."""

    name: str = ""
    status: str
    labels: tuple[Label, ...] = ()

    @property
    def online(self) -> bool:
        return self.status == "online"

    def has(self, labels: frozenset[str]) -> bool:
        return labels <= {label.name.lower() for label in self.labels}


class Runners(_Tolerant):
    runners: tuple[Runner, ...]


class Deployment(_Tolerant):
    id: int
    sha: str
    created_at: datetime


class Deployments(RootModel[tuple[Deployment, ...]]):
    """Newest first."""


class DeploymentStatus(_Tolerant):
    state: str
    created_at: datetime


class DeploymentStatuses(RootModel[tuple[DeploymentStatus, ...]]):
    """Newest first; GitHub deletes them after 90 days."""


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], answer: Answer, *, ambiguous: bool = False) -> Model:
    """Raises DeliveryError where the answer does not hold what is needed."""
    try:
        return model.model_validate(answer.json())
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors()[:3])
        words = f"GitHub's answer lacks what is needed ({fields or 'an object'})"
    except ValueError as error:
        words = f"GitHub sent {error}"
    raise DeliveryError(words, ambiguous=ambiguous, code=answer.status)
