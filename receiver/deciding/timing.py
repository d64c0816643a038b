"""How long the receiver waits for what: the ``timing`` of policy.yml."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, model_validator

from target.durations import Duration


class Timing(BaseModel):
    """How long the receiver waits for what; each is a duration of policy.yml's ``timing``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recheck: Duration
    preflight: Duration = timedelta(hours=6)
    changed_lately: Duration = timedelta(days=1)
    run_poll: Duration
    run_lookup: Duration
    queue_deadline: Duration
    run_deadline: Duration
    verify_for: Duration
    verify_deadline: Duration
    deployment_grace: Duration = timedelta(minutes=2)

    @model_validator(mode="after")
    def _positive(self) -> Timing:
        for name in ("recheck", "preflight", "run_poll"):
            if getattr(self, name) < timedelta(milliseconds=50):
                raise ValueError(f"{name}: at least 50ms")
        return self
