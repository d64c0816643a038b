"""What a rollback needs of GitHub: dispatch its workflow, find and follow the run, look beforehand.

Facts are from github/docs: src/rest/data (actions, repos).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from receiver.github.answers import (
    Deployment,
    Deployments,
    DeploymentStatus,
    DeploymentStatuses,
    Dispatched,
    Run,
    RunDetails,
    Runner,
    Runners,
    Runs,
    Workflow,
    parse,
)
from receiver.github.api import RAW, Api, Value
from receiver.http import Answer, Http
from receiver.telling.delivery import DeliveryError

MAX_INPUTS: Final = 25
MAX_INPUT_CHARACTERS: Final = 65_535
CLOCK_MARGIN: Final = timedelta(minutes=10)
_PAGE: Final = 100
_MAX_PAGES: Final = 10  # a filtered listing ends at 1,000 results
_NEWEST: Final = 20


class GitHub:
    """One workflow of one repository, seen through one token.

    Every method raises DeliveryError; ``ambiguous`` means that GitHub may have acted.
    """

    def __init__(
        self,
        http: Http,
        api_url: str,
        repo: str,
        token: SecretStr,
        workflow: str,
        ref: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.workflow_file = workflow
        self.ref = ref
        self._api = Api(http, token, clock=clock, sleep=sleep)
        self._repo = f"{api_url.rstrip('/')}/repos/{quote(repo)}"
        self._workflow = self._workflow_url(workflow)

    @property
    def token_expires(self) -> datetime | None:
        """When the token ends, as far as GitHub's last answer can be believed."""
        return self._api.token_expires

    async def dispatch(self, inputs: Mapping[str, str]) -> Dispatched:
        """Start the workflow at ``ref`` with ``inputs`` (at most 25, together 65,535 characters).

        There is no idempotency key: after an ambiguous failure look for the run before trying again.
        """
        if len(inputs) > MAX_INPUTS or sum(map(len, inputs.values())) > MAX_INPUT_CHARACTERS:
            raise DeliveryError(
                "too many or too long inputs for a workflow dispatch", permanent=True
            )
        body = {"ref": self.ref, "inputs": dict(inputs)}
        answer = await self._api.change(f"{self._workflow}/dispatches", body, accepted=(200, 204))
        if answer.status == 204:
            return Dispatched()
        details = parse(RunDetails, answer, ambiguous=True)
        return Dispatched(run_id=details.workflow_run_id, html_url=details.html_url)

    async def find_run(self, correlation_id: str, since: datetime) -> Run | None:
        """The run whose name has ``correlation_id`` as a whole word; the oldest where there are more.

        The listing lags behind by some 20 s: None soon after a dispatch proves nothing. Runs made
        up to 10 minutes before ``since`` are looked at too, for a clock that goes ahead.
        """
        word = re.compile(rf"(?<![\w-]){re.escape(correlation_id)}(?![\w-])")
        after = (since - CLOCK_MARGIN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found: list[Run] = []
        for page in range(1, _MAX_PAGES + 1):
            query = {
                "event": "workflow_dispatch",
                "created": f">={after}",
                "per_page": _PAGE,
                "page": page,
            }
            answer = await self._api.ask(f"{self._workflow}/runs?{urlencode(query)}")
            runs = parse(Runs, answer).workflow_runs
            found += [run for run in runs if word.search(run.display_title)]
            if len(runs) < _PAGE:
                break
        return min(found, key=lambda run: (run.created_at, run.id), default=None)

    async def run(self, run_id: int) -> Run:
        """How a run stands."""
        return await self._api.ask_again(
            f"{self._repo}/actions/runs/{run_id}", lambda answer: parse(Run, answer)
        )

    async def cancel(self, run_id: int) -> bool:
        """Ask for a run's end; False where it cannot be cancelled any more (it is over). Repeating is safe."""
        url = f"{self._repo}/actions/runs/{run_id}/cancel"
        answer = await self._api.change(url, None, accepted=(202, 409))
        return answer.status == 202

    async def workflow_state(self) -> str:
        """``active``, or ``disabled_manually`` and the like; an unknown workflow is a permanent error 404."""
        found = await self._api.ask_again(self._workflow, lambda answer: parse(Workflow, answer))
        return found.state

    async def workflow_text(self) -> str | None:
        """The workflow's file at ``ref``; None where the token may not read it.

        A file that is not there is a permanent error 404. It takes Contents: read, which every token
        has for a public repository.
        """
        path = f".github/workflows/{quote(self.workflow_file, safe='')}"
        url = f"{self._repo}/contents/{path}?ref={quote(self.ref, safe='')}"
        return await self._allowed(self._api.ask_again(url, _text, accept=RAW), (403,))

    async def runners(self) -> tuple[Runner, ...] | None:
        """The repository's self-hosted runners; None where the token may not ask (Administration: read).

        An organisation's runners are not among them.
        """
        found: list[Runner] = []
        for page in range(1, _MAX_PAGES + 1):
            url = f"{self._repo}/actions/runners?per_page={_PAGE}&page={page}"
            asked = self._api.ask_again(url, lambda answer: parse(Runners, answer))
            some = await self._allowed(asked, (403, 404))
            if some is None:
                return None
            found += some.runners
            if len(some.runners) < _PAGE:
                break
        return tuple(found)

    async def unfinished_runs(self, workflow: str) -> tuple[Run, ...]:
        """Of the newest runs of a workflow file, those that are not over; none where there is no such workflow."""
        url = f"{self._workflow_url(workflow)}/runs?per_page={_NEWEST}"
        asked = self._api.ask_again(url, lambda answer: parse(Runs, answer))
        found = await self._allowed(asked, (404,))
        return tuple(r for r in found.workflow_runs if r.status != "completed") if found else ()

    async def deployments(
        self, environment: str, newest: int = _NEWEST
    ) -> tuple[Deployment, ...] | None:
        """The newest deployments, newest first; None where the token may not ask (Deployments: read)."""
        query = urlencode({"environment": environment, "per_page": newest})
        asked = self._api.ask_again(
            f"{self._repo}/deployments?{query}", lambda answer: parse(Deployments, answer)
        )
        found = await self._allowed(asked, (403, 404))
        return found.root if found else None

    async def deployment_statuses(self, deployment: int) -> tuple[DeploymentStatus, ...]:
        """Newest first; none where they are older than 90 days, which GitHub deletes."""
        url = f"{self._repo}/deployments/{deployment}/statuses?per_page={_NEWEST}"
        found = await self._api.ask_again(url, lambda answer: parse(DeploymentStatuses, answer))
        return found.root

    def _workflow_url(self, file: str) -> str:
        return f"{self._repo}/actions/workflows/{quote(file, safe='')}"

    @staticmethod
    async def _allowed(asked: Awaitable[Value], codes: tuple[int, ...]) -> Value | None:
        """None where GitHub refuses for good with one of ``codes``. A rate limit is no such refusal."""
        try:
            return await asked
        except DeliveryError as error:
            if error.permanent and error.code in codes:
                return None
            raise


def _text(answer: Answer) -> str:
    if answer.cut:
        raise DeliveryError("the workflow's file is longer than 1 MiB", permanent=True)
    return answer.body.decode("utf-8", "replace")
