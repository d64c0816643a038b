"""The paths of GitHub's REST API that a rollback needs, with its checks, limits and refusals.

Sources: docs.github.com, REST "Actions" (workflows, runs, jobs, self-hosted runners), "Deployments",
"API versions", "Rate limits for the REST API", "Authenticating to the REST API".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.standins.github_query import ApiError, conditional, matches, page
from tests.standins.github_runs import Run, html_url
from tests.standins.github_workflow import UnprocessableError, Workflow, check_inputs
from tests.standins.github_writes import Writes

if TYPE_CHECKING:
    from tests.standins.github import GitHub

OLD, NEW = "2022-11-28", "2026-03-10"
_REPO = "/repos/{owner}/{repo}"
_FORBIDDEN = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent "
    "header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). "
    "Check https://developer.github.com for other possible causes."
)
_BAD_ATTEMPTS = 5
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Routes:
    """The handlers, over one GitHub's state."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._used = 0
        self._resets_at = 0.0
        self._bad_attempts = 0

    def application(self) -> web.Application:
        application = web.Application()
        writes = Writes(self._github, self._require)
        runs, flows = f"{_REPO}/actions/runs", f"{_REPO}/actions/workflows/{{workflow}}"
        for method, path, handler in (
            ("GET", _REPO, self._repository),
            ("POST", f"{flows}/dispatches", self._dispatch),
            ("GET", flows, self._workflow_state),
            ("GET", f"{flows}/runs", self._workflow_runs),
            ("GET", runs, self._runs),
            ("GET", f"{runs}/{{run}}", self._run),
            ("GET", f"{runs}/{{run}}/jobs", self._jobs),
            ("POST", f"{runs}/{{run}}/cancel", self._cancel),
            ("POST", f"{runs}/{{run}}/force-cancel", self._cancel),
            ("GET", f"{_REPO}/actions/runners", self._runners),
            ("GET", f"{_REPO}/contents/{{path:.+}}", self._contents),
            ("GET", f"{_REPO}/deployments", self._deployments),
            ("GET", f"{_REPO}/deployments/{{deployment}}/statuses", self._statuses),
            ("POST", f"{_REPO}/deployments", writes.deployment),
            ("POST", f"{_REPO}/deployments/{{deployment}}/statuses", writes.status),
            ("GET", f"{_REPO}/issues", writes.issues),
            ("POST", f"{_REPO}/issues", writes.issue),
            ("POST", f"{_REPO}/issues/{{issue}}/comments", writes.comment),
            ("*", "/{path:.*}", self._nothing),
        ):
            application.router.add_route(method, path, self._guarded(handler))
        return application

    def _guarded(self, handler: Handler) -> Handler:
        """Everything that is the same for each path: who calls, how often, which version, ETags."""

        async def guarded(request: web.Request) -> web.Response:
            if not request.headers.get("User-Agent", "").strip():
                return web.Response(status=403, text=_FORBIDDEN, content_type="text/html")
            try:
                self._admit(request)
                answer = conditional(request, await handler(request))
            except UnprocessableError as error:
                answer = ApiError(422, str(error)).answer()
            except ApiError as error:
                answer = error.answer()
            if answer.status != 304:  # a conditional answer costs nothing
                self._used += 1
            answer.headers.update(self._rate_headers())
            answer.headers["X-GitHub-Api-Version-Selected"] = _version(request)
            if self._github.token_expires and answer.status != 401:
                answer.headers["GitHub-Authentication-Token-Expiration"] = (
                    self._github.token_expires
                )
            return answer

        return guarded

    def _admit(self, request: web.Request) -> None:
        self._authenticate(request)
        now = self._github.clock()
        if now >= self._resets_at:
            self._used, self._resets_at = 0, now + 3600
        if self._used >= self._github.rate_limit:
            raise ApiError(403, "API rate limit exceeded for user ID 1.")
        known = (OLD,) if self._github.older else (OLD, NEW)
        if _version(request) not in known:
            raise ApiError(400, f"The API version {_version(request)} is not supported.")
        if "owner" in request.match_info:
            names = (request.match_info["owner"], request.match_info["repo"])
            if "/".join(names).lower() != self._github.repository.lower():
                raise ApiError(404, "Not Found")

    def _authenticate(self, request: web.Request) -> None:
        """401 for a bad token; after several of them 403 for everybody, the right one included."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if self._bad_attempts >= _BAD_ATTEMPTS:
            words = "Maximum number of login attempts exceeded. Please try again later."
            raise ApiError(403, words)
        if not token:
            raise ApiError(401, "Requires authentication")
        if scheme.lower() not in ("bearer", "token") or token != self._github.token:
            self._bad_attempts += 1
            raise ApiError(401, "Bad credentials")

    def _rate_headers(self) -> dict[str, str]:
        limit = self._github.rate_limit
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - self._used)),
            "X-RateLimit-Used": str(self._used),
            "X-RateLimit-Reset": str(int(self._resets_at)),
            "X-RateLimit-Resource": "core",
        }

    def _require(self, permission: str, level: str) -> None:
        """A classic mistake of set-up: the token is valid and may not do this."""
        held = self._github.permissions.get(permission)
        if held not in ("write", level):
            needed = {"X-Accepted-GitHub-Permissions": f"{permission}={level}"}
            raise ApiError(403, "Resource not accessible by personal access token", needed)

    async def _dispatch(self, request: web.Request) -> web.Response:
        self._require("actions", "write")
        workflow = self._workflow(request)
        if workflow.state != "active":
            raise UnprocessableError("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
        body = await self._dispatch_body(request)
        ref = str(body["ref"]).removeprefix("refs/heads/").removeprefix("refs/tags/")
        if ref not in self._github.refs:
            raise UnprocessableError(f"No ref found for: {body['ref']}")
        inputs = check_inputs(workflow, body.get("inputs"))
        run = await self._github.dispatch(workflow, ref, inputs, body, dict(request.headers))
        if _version(request) != NEW and body.get("return_run_details") is not True:
            return web.Response(status=204)
        details = {
            "workflow_run_id": run.id,
            "run_url": f"{self._api(request)}/actions/runs/{run.id}",
            "html_url": html_url(self._github.repository, run.id),
        }
        return web.json_response(details)

    async def _dispatch_body(self, request: web.Request) -> dict[str, Any]:
        try:
            body = json.loads(await request.read())
        except ValueError:  # neither UTF-8 nor JSON
            raise ApiError(400, "Problems parsing JSON") from None
        if not isinstance(body, dict):
            raise ApiError(400, "Body should be a JSON object")
        for key in body.keys() - {"ref", "inputs", "return_run_details"}:
            raise UnprocessableError(f'Invalid request.\n\n"{key}" is not a permitted key.')
        if self._github.older and "return_run_details" in body:
            words = 'Invalid request.\n\n"return_run_details" is not a permitted key.'
            raise ApiError(400, words)
        if not isinstance(body.get("ref"), str):
            raise UnprocessableError('Invalid request.\n\n"ref" wasn\'t supplied.')
        return body

    def _workflow(self, request: web.Request) -> Workflow:
        """By file name or by id."""
        wanted = request.match_info["workflow"]
        for workflow in self._github.workflows.values():
            if wanted in (workflow.file, str(workflow.id)):
                return workflow
        raise ApiError(404, "Not Found")

    async def _workflow_state(self, request: web.Request) -> web.Response:
        workflow = self._workflow(request)
        shown = {
            "id": workflow.id,
            "name": workflow.name,
            "path": f".github/workflows/{workflow.file}",
            "state": workflow.state,
            "url": f"{self._api(request)}/actions/workflows/{workflow.id}",
        }
        return web.json_response(shown)

    async def _workflow_runs(self, request: web.Request) -> web.Response:
        workflow = self._workflow(request)
        return self._listing(request, [r for r in self._listed() if r.workflow is workflow])

    async def _runs(self, request: web.Request) -> web.Response:
        return self._listing(request, self._listed())

    def _listed(self) -> list[Run]:
        """Newest first; the listing lags behind the truth."""
        horizon = self._github.clock() - self._github.listing_delay_seconds
        return [run for run in reversed(self._github.runs) if run.created_at <= horizon]

    def _listing(self, request: web.Request, runs: list[Run]) -> web.Response:
        found = [run for run in runs if matches(request.query, run)]
        api, repository = self._api(request), self._github.repository
        shown = [run.as_json(api, repository) for run in page(request, found)]
        return web.json_response({"total_count": len(found), "workflow_runs": shown})

    def _found(self, request: web.Request) -> Run:
        number = request.match_info["run"]
        run = self._github.run(int(number)) if number.isdigit() else None
        if run is None:
            raise ApiError(404, "Not Found")
        return run

    async def _run(self, request: web.Request) -> web.Response:
        run = self._found(request)
        return web.json_response(run.as_json(self._api(request), self._github.repository))

    async def _jobs(self, request: web.Request) -> web.Response:
        run = self._found(request)
        return web.json_response({"total_count": 1, "jobs": [run.job_json()]})

    async def _cancel(self, request: web.Request) -> web.Response:
        self._require("actions", "write")
        run = self._found(request)
        if run.done:
            raise ApiError(409, "Cannot cancel a workflow run that is completed.")
        self._github.cancel(run)
        return web.json_response({}, status=202)

    async def _runners(self, request: web.Request) -> web.Response:
        self._require("administration", "read")
        runners = [runner.as_json() for runner in self._github.runners]
        return web.json_response({"total_count": len(runners), "runners": page(request, runners)})

    async def _contents(self, request: web.Request) -> web.Response:
        """A file: whole with the raw media type, else as base64 in JSON. REST "Get repository content"."""
        self._require("contents", "read")
        path = request.match_info["path"]
        ref = request.query.get("ref") or next(iter(self._github.refs))
        if ref not in self._github.refs:
            raise ApiError(404, f"No commit found for the ref {ref}")
        text = self._github.files.get((ref, path))
        if text is None:
            name = path.removeprefix(".github/workflows/")
            workflow = self._github.workflows.get(name)
            if workflow is None or name == path:
                raise ApiError(404, "Not Found")
            text = workflow.path.read_text(encoding="utf-8")
        if "raw" in request.headers.get("Accept", ""):
            return web.Response(text=text, content_type="application/vnd.github.raw+json")
        encoded = base64.encodebytes(text.encode()).decode()
        shown = {"type": "file", "encoding": "base64", "path": path, "content": encoded}
        return web.json_response(shown)

    async def _deployments(self, request: web.Request) -> web.Response:
        self._require("deployments", "read")
        wanted = {
            key: request.query[key] for key in ("environment", "sha", "ref") if key in request.query
        }
        found = [
            deployment
            for deployment in reversed(self._github.deployments)
            if all(getattr(deployment, key) == value for key, value in wanted.items())
        ]
        api = self._api(request)
        return web.json_response([one.as_json(api) for one in page(request, found)])

    async def _statuses(self, request: web.Request) -> web.Response:
        self._require("deployments", "read")
        wanted = request.match_info["deployment"]
        for deployment in self._github.deployments:
            if str(deployment.id) == wanted:
                return web.json_response(page(request, deployment.statuses_json()))
        raise ApiError(404, "Not Found")

    async def _repository(self, request: web.Request) -> web.Response:
        repository = self._github.repository
        shown = {
            "id": 1,
            "name": repository.split("/")[1],
            "full_name": repository,
            "private": False,
            "default_branch": next(iter(self._github.refs)),
            "url": self._api(request),
        }
        return web.json_response(shown)

    async def _nothing(self, _request: web.Request) -> web.Response:
        raise ApiError(404, "Not Found")

    def _api(self, request: web.Request) -> str:
        """As the caller reached it: a container sees another address than this process."""
        return f"{request.scheme}://{request.host}/repos/{self._github.repository}"


def _version(request: web.Request) -> str:
    return request.headers.get("X-GitHub-Api-Version", OLD)
