"""GitHub Actions: dispatch the rollback workflow, and find and follow its run.

Facts are from github/docs: src/rest/data (actions), content/rest/using-the-rest-api (rate limits,
best practices, troubleshooting) and content/rest/about-the-rest-api (versions, breaking changes).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator

from receiver.actions.github_verdict import Trouble, verdict
from receiver.delivery import DeliveryError
from receiver.http import Answer, Http
from target.probe import USER_AGENT

API_VERSIONS: Final = ("2026-03-10", "2022-11-28")
"""Newest first: the first answers a dispatch with the run's id, the second with an empty 204."""
MAX_INPUTS: Final = 25
MAX_INPUT_CHARACTERS: Final = 65_535
MUTATION_GAP_SECONDS: Final = 1.0
BAD_CREDENTIALS_SECONDS: Final = 600.0
CLOCK_MARGIN: Final = timedelta(minutes=10)
_PAGE: Final = 100
_MAX_PAGES: Final = 10  # a filtered listing ends at 1,000 results
_REMEMBERED_RUNS: Final = 32


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


class _RunDetails(_Tolerant):
    workflow_run_id: int
    html_url: str = ""


class _Runs(_Tolerant):
    workflow_runs: tuple[Run, ...]


class _Workflow(_Tolerant):
    state: str


class _Runner(_Tolerant):
    status: str


class _Runners(_Tolerant):
    runners: tuple[_Runner, ...]


Model = TypeVar("Model", bound=BaseModel)


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
        self._http = http
        self._repo = f"{api_url.rstrip('/')}/repos/{quote(repo)}"
        self._workflow = f"{self._repo}/actions/workflows/{quote(workflow, safe='')}"
        self._ref = ref
        self._token = token
        self._authorization = SecretStr(f"Bearer {token.get_secret_value()}")
        self._clock = clock
        self._sleep = sleep
        self._version = API_VERSIONS[0]
        self._mutation = asyncio.Lock()
        self._next_mutation = 0.0
        self._refusal: tuple[float, DeliveryError] | None = None
        self._runs: OrderedDict[int, tuple[str, Run]] = OrderedDict()

    async def dispatch(self, inputs: Mapping[str, str]) -> Dispatched:
        """Start the workflow at ``ref`` with ``inputs`` (at most 25, together 65,535 characters).

        There is no idempotency key: after an ambiguous failure look for the run before trying again.
        """
        if len(inputs) > MAX_INPUTS or sum(map(len, inputs.values())) > MAX_INPUT_CHARACTERS:
            raise DeliveryError(
                "too many or too long inputs for a workflow dispatch", permanent=True
            )
        body = {"ref": self._ref, "inputs": dict(inputs)}
        answer = await self._change(f"{self._workflow}/dispatches", body, accepted=(200, 204))
        if answer.status == 204:
            return Dispatched()
        details = _parse(_RunDetails, answer, ambiguous=True)
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
            answer = await self._ask(f"{self._workflow}/runs?{urlencode(query)}")
            runs = _parse(_Runs, answer).workflow_runs
            found += [run for run in runs if word.search(run.display_title)]
            if len(runs) < _PAGE:
                break
        return min(found, key=lambda run: (run.created_at, run.id), default=None)

    async def run(self, run_id: int) -> Run:
        """How a run stands. An unchanged one costs nothing of the rate limit (ETag)."""
        known = self._runs.get(run_id)
        extra = {"If-None-Match": known[0]} if known else {}
        answer = await self._ask(f"{self._repo}/actions/runs/{run_id}", extra, accepted=(200, 304))
        if answer.status == 304:
            if known:
                return known[1]
            raise DeliveryError("GitHub answered 304 to a question without a condition", code=304)
        run = _parse(Run, answer)
        if etag := answer.headers.get("ETag"):
            self._runs[run_id] = (etag, run)
            self._runs.move_to_end(run_id)
            if len(self._runs) > _REMEMBERED_RUNS:
                self._runs.popitem(last=False)
        return run

    async def cancel(self, run_id: int) -> bool:
        """Ask for a run's end; False where it cannot be cancelled any more (it is over). Repeating is safe."""
        url = f"{self._repo}/actions/runs/{run_id}/cancel"
        answer = await self._change(url, None, accepted=(202, 409))
        return answer.status == 202

    async def workflow_state(self) -> str:
        """``active``, or ``disabled_manually`` and the like; an unknown workflow is a permanent error 404."""
        return _parse(_Workflow, await self._ask(self._workflow)).state

    async def runner_online(self) -> bool | None:
        """Whether a self-hosted runner of the repository is online.

        None where that cannot be told: the token may not ask (it takes Administration: read), or
        the repository has none of its own (an organisation's runners are not in this list).
        """
        url = f"{self._repo}/actions/runners?per_page={_PAGE}"
        answer = await self._ask(url, accepted=(200, 403, 404))
        if answer.status != 200:
            return None
        runners = _parse(_Runners, answer).runners
        return any(runner.status == "online" for runner in runners) if runners else None

    async def _ask(
        self,
        url: str,
        extra: Mapping[str, str] | None = None,
        *,
        accepted: tuple[int, ...] = (200,),
    ) -> Answer:
        return await self._exchange("GET", url, extra or {}, None, accepted)

    async def _change(self, url: str, body: Any, *, accepted: tuple[int, ...]) -> Answer:
        """GitHub asks for one change at a time, and a second between two."""
        async with self._mutation:
            early = self._next_mutation - self._clock()
            if early > 0:
                await self._sleep(early)
            try:
                return await self._exchange("POST", url, {}, body, accepted)
            finally:
                self._next_mutation = self._clock() + MUTATION_GAP_SECONDS

    async def _exchange(
        self, method: str, url: str, extra: Mapping[str, str], body: Any, accepted: tuple[int, ...]
    ) -> Answer:
        self._check_refusal()
        answer = await self._send(method, url, extra, body)
        if answer.status == 400 and self._version != API_VERSIONS[-1] and _names_version(answer):
            self._version = API_VERSIONS[-1]  # a 400 did nothing: sending again is safe
            answer = await self._send(method, url, extra, body)
        error = verdict(answer, accepted, changes=method != "GET")
        if error is None:
            return answer
        if error.retry_after:
            self._refusal = (self._clock() + error.retry_after, error)
        if error.code == 401:
            # Going on with bad credentials makes GitHub refuse the user's good ones too.
            self._refusal = (self._clock() + BAD_CREDENTIALS_SECONDS, error)
        raise error

    def _check_refusal(self) -> None:
        """While GitHub asked for silence, nothing is sent. Raises the refusal again."""
        if self._refusal is None:
            return
        until, error = self._refusal
        left = until - self._clock()
        if left <= 0:
            self._refusal = None
            return
        wait = None if error.permanent else left
        raise DeliveryError(
            error.words, permanent=error.permanent, retry_after=wait, code=error.code
        )

    async def _send(self, method: str, url: str, extra: Mapping[str, str], body: Any) -> Answer:
        return await self._http.request(
            method,
            url,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": self._authorization,
                "X-GitHub-Api-Version": self._version,
                "User-Agent": USER_AGENT,
                **extra,
            },
            json=body,
            secret_parts=[self._token],
            follow=True,
        )


def _names_version(answer: Answer) -> bool:
    return "version" in Trouble.of(answer).message.lower()


def _parse(model: type[Model], answer: Answer, *, ambiguous: bool = False) -> Model:
    try:
        return model.model_validate(answer.json())
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors()[:3])
        words = f"GitHub's answer lacks what is needed ({fields or 'an object'})"
    except ValueError as error:
        words = f"GitHub sent {error}"
    raise DeliveryError(words, ambiguous=ambiguous, code=answer.status)
