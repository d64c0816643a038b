"""A stand-in for GitHub's REST API: one repository, its workflows, runs, runners and deployments.

The paths and answers are in github_routes.py, what a workflow accepts in github_workflow.py. Where
GitHub publishes the status but not the words of a refusal, the words are ours.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import web

from tests.standins.github_routes import Routes
from tests.standins.github_runs import Deployment, Dispatch, Real, Run, Runner, Script
from tests.standins.github_workflow import Workflow, read_workflow, render_run_name
from tests.standins.github_writes import Issue
from tests.standins.server import StandIn

REPOSITORY = "White-Plains-Gospel-Chapel/sermon-uploader"
TOKEN = "github_pat_standin0000000000"
SHA = "693fec9b1f6e2d3c4a5968778695a4b3c2d1e0f9"
PERMISSIONS = {
    "actions": "write",
    "administration": "read",
    "contents": "read",
    "deployments": "read",
}

__all__ = ["Deployment", "Dispatch", "GitHub", "Real", "Run", "Runner", "Script"]


class GitHub(StandIn):
    """``workflows``: paths of the real workflow files; their name in the API is the file's name.

    ``refs``: branch and tag names with their commits. ``older``: a server that knows only
    API version 2022-11-28 and no ``return_run_details``. ``listing_delay_seconds``: how long a new
    run is missing from listings (GET of its id works at once). ``plan``: how runs go (``play``
    changes it). ``permissions``: what the token may do.
    """

    def __init__(
        self,
        workflows: Iterable[Path] = (),
        *,
        repository: str = REPOSITORY,
        token: str = TOKEN,
        refs: Mapping[str, str] | None = None,
        older: bool = False,
        listing_delay_seconds: float = 0.0,
        plan: Script | Real | None = None,
        rate_limit: int = 5000,
        **standin: Any,
    ) -> None:
        super().__init__(**standin)
        self.repository = repository
        self.token = token
        self.permissions = dict(PERMISSIONS)
        self.refs = dict(refs or {"main": SHA})
        self.older = older
        self.listing_delay_seconds = listing_delay_seconds
        self.plan: Script | Real = plan or Script()
        self.rate_limit = rate_limit
        self.workflows = {w.file: w for w in map(read_workflow, itertools.count(9001), workflows)}
        labels = sorted({label for one in self.workflows.values() for label in one.labels})
        self.runners = [Runner(1, "pi", ("self-hosted", *labels))]
        self.files: dict[tuple[str, str], str] = {}
        """(ref, path) of a file that differs there from the default branch's."""
        self.token_expires = ""
        """``2026-10-07 19:07:53 UTC``: what each answer says of the token; empty for none."""
        self.runs: list[Run] = []
        self.dispatches: list[Dispatch] = []
        self.deployments: list[Deployment] = []
        self.issues: list[Issue] = []
        self.commits: set[str] = set()
        """Commits of the repository beside the tips of ``refs``."""
        self._hooks: list[tuple[str, Callable[..., object]]] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._numbers = itertools.count(1)

    def application(self) -> web.Application:
        return Routes(self).application()

    async def start(self) -> Self:
        await super().start()
        for run in self.runs:
            self._follow(run)
        return self

    async def stop(self) -> None:
        """Stop serving. A step that really runs is waited for; other runs go on after a new start."""
        await super().stop()
        for run in self.runs:
            task = self._tasks.pop(run.id, None)
            if task is not None:
                if not (run.status == "in_progress" and isinstance(run.plan, Real)):
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def hook(self, event: Literal["dispatch", "run"], call: Callable[[Any], object]) -> None:
        """``dispatch``: called with the Dispatch after its run exists and before the answer is sent.

        ``run``: called with the Run at each change of its status.
        """
        self._hooks.append((event, call))

    def play(self, plan: Script | Real) -> None:
        """How the runs dispatched from now on go."""
        self.plan = plan

    def set_runner(self, *, online: bool) -> None:
        """Bring every self-hosted runner online or take it offline; queued runs then start or stay."""
        for runner in self.runners:
            runner.online = online
        self.changed()

    def set_workflow(self, file: str, state: str) -> None:
        """``active``, ``disabled_manually``, ``disabled_inactivity``, ``deleted``…"""
        self.workflows[file].state = state

    def add_deployment(
        self,
        sha: str,
        *,
        states: Iterable[str] = ("in_progress", "success"),
        environment: str = "production",
        ref: str = "main",
        seconds_ago: float = 0.0,
    ) -> Deployment:
        """One more deployment, newest of all, with these statuses from oldest to newest."""
        now = self.clock() - seconds_ago
        statuses = [(state, now) for state in states]
        number = 700_000 + len(self.deployments)
        self.deployments.append(Deployment(number, sha, ref, environment, now, statuses))
        return self.deployments[-1]

    def fail_next(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | str | None = None,
        *,
        times: int = 1,
        method: str | None = None,
        part: str = "",
    ) -> None:
        """Answer the next ``times`` requests (of ``method``, with ``part`` in their path) with this,
        without doing anything."""

        def answer() -> web.Response:
            page = isinstance(body, str)
            text = body if isinstance(body, str) else json.dumps(body or {"message": "scripted"})
            kind = "text/html" if page else "application/json"
            return web.Response(status=status, text=text, content_type=kind, headers=headers)

        self._fail_next(answer, times, method, part=part)

    def limit_secondary(
        self,
        retry_after: int = 60,
        *,
        status: int = 403,
        times: int = 1,
        method: str | None = None,
    ) -> None:
        """GitHub's secondary rate limit: 403 or 429 with ``retry-after`` in seconds."""
        words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        headers = {"Retry-After": str(retry_after)}
        self.fail_next(status, headers, {"message": words}, times=times, method=method)

    def add_run(self, file: str, status: str, *, seconds_ago: float = 0.0) -> Run:
        """A run that somebody else has begun and that only ``advance`` moves."""
        number, now = next(self._numbers), self.clock() - seconds_ago
        run = Run(
            id=16_000_000_000 + number,
            number=number,
            workflow=self.workflows[file],
            ref="main",
            sha=SHA,
            inputs={},
            title="by hand",
            plan=Script(by_hand=True),
            created_at=now,
            updated_at=now,
            status=status,
            history=[status],
        )
        self.runs.append(run)
        return run

    def run(self, run_id: int) -> Run | None:
        return next((run for run in self.runs if run.id == run_id), None)

    def advance(self, run: Run, status: str, conclusion: str | None = None) -> None:
        """Move a run by hand; ``conclusion`` goes with ``completed``. From any thread."""
        run.move(self.clock(), status, conclusion)
        self.changed()

    async def dispatch(
        self,
        workflow: Workflow,
        ref: str,
        inputs: dict[str, str],
        body: dict[str, Any],
        headers: Mapping[str, str],
    ) -> Run:
        """Create the run, record the dispatch, call the hooks. ``inputs`` have their defaults."""
        number, now = next(self._numbers), self.clock()
        context = {"actor": "sermon-monitor", "ref_name": ref, "run_number": str(number)}
        title = render_run_name(workflow, inputs, context | {"workflow": workflow.name})
        run = Run(
            id=16_000_000_000 + number,
            number=number,
            workflow=workflow,
            ref=ref,
            sha=self.refs[ref],
            inputs=inputs,
            title=title,
            plan=self.plan,
            created_at=now,
            updated_at=now,
        )
        self._line_up(run)
        self.runs.append(run)
        sent = dict(body.get("inputs") or {})
        accepted = Dispatch(now, ref, sent, body, headers, run)
        self.dispatches.append(accepted)
        self.changed()
        await self._tell("dispatch", accepted)
        self._follow(run)
        return run

    def cancel(self, run: Run) -> None:
        """Cancel what waits at once; a step that really runs is concluded as cancelled at its end."""
        run.cancel_asked = True
        if not (run.status == "in_progress" and isinstance(run.plan, Real)):
            self.advance(run, "completed", "cancelled")

    def _line_up(self, run: Run) -> None:
        """A concurrency group has one run under way and one pending, which a newer pending one replaces;
        with ``queue: max`` all wait for their turn.

        Source: docs.github.com, Actions, "Concurrency".
        """
        others = [other for other in self._group(run) if not other.done]
        for other in others:
            if other.status == "pending" and not run.workflow.keeps_pending:
                other.move(self.clock(), "completed", "cancelled")
        if any(not other.done for other in others):
            run.move(self.clock(), "pending")

    def _group(self, run: Run) -> list[Run]:
        group = run.workflow.concurrency
        members = [other for other in self.runs if other is not run and group]
        return [other for other in members if other.workflow.concurrency == group]

    def _follow(self, run: Run) -> None:
        by_hand = isinstance(run.plan, Script) and run.plan.by_hand
        if not (run.done or by_hand or run.id in self._tasks):
            self._tasks[run.id] = asyncio.create_task(self._carry_out(run))

    async def _carry_out(self, run: Run) -> None:
        """Pending, queued, in progress, completed: each as soon as its condition holds."""
        if run.status == "pending":
            await self._when(lambda: run.done or not self._held(run))
            await self._move(run, "queued")
        await self._pause(run.plan.queued_seconds)
        await self._when(lambda: run.done or self._take_runner(run))
        await self._move(run, "in_progress")
        try:
            if not run.done:
                await self._move(run, "completed", await self._conclude(run))
        finally:
            if run.runner is not None:
                run.runner.busy = False
            self.changed()

    def _held(self, run: Run) -> bool:
        return any(not (o.done or o.status == "pending") for o in self._group(run))

    def _take_runner(self, run: Run) -> bool:
        """Hosted labels always find a machine; self-hosted ones wait for a runner that is online and idle."""
        if "self-hosted" not in run.workflow.labels or run.status == "in_progress":
            return True
        for runner in self.runners:
            fits = set(run.workflow.labels) <= set(runner.labels)
            if fits and runner.online and not runner.busy:
                runner.busy, run.runner = True, runner
                return True
        return False

    async def _conclude(self, run: Run) -> str:
        if isinstance(run.plan, Real):
            conclusion = await asyncio.to_thread(run.plan.conclude, run)
            return "cancelled" if run.cancel_asked else conclusion
        await self._pause(run.plan.running_seconds)
        return run.plan.conclusion

    async def _move(self, run: Run, status: str, conclusion: str | None = None) -> None:
        if not run.done and run.status != status:
            self.advance(run, status, conclusion)
            await self._tell("run", run)

    async def _tell(self, event: str, subject: object) -> None:
        for wanted, call in self._hooks:
            if wanted == event:
                await self._call(call, subject)
