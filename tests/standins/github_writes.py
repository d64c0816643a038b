"""What a workflow's own token may leave on GitHub: deployments with statuses, issues with comments.

Source: docs.github.com, REST "Deployments", "Deployment statuses", "Issues", "Issue comments".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.standins.github_query import ApiError, page
from tests.standins.github_workflow import UnprocessableError

if TYPE_CHECKING:
    from tests.standins.github import GitHub

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
LONGEST_DESCRIPTION = 140
LONGEST_BODY = 65_536


@dataclass
class Issue:
    """An issue; ``comments`` are the texts below it."""

    number: int
    title: str
    body: str
    state: str = "open"
    comments: list[str] = field(default_factory=list)

    def as_json(self, repository: str) -> dict[str, Any]:
        url = f"https://github.com/{repository}/issues/{self.number}"
        return {"number": self.number, "title": self.title, "state": self.state, "html_url": url}


class Writes:
    """The handlers; ``require`` refuses what the token may not do."""

    def __init__(self, github: GitHub, require: Callable[[str, str], None]) -> None:
        self._github = github
        self._require = require

    async def deployment(self, request: web.Request) -> web.Response:
        self._require("deployments", "write")
        body = await _object(request)
        ref = body.get("ref")
        known = {*self._github.refs, *self._github.refs.values(), *self._github.commits}
        if not isinstance(ref, str) or ref not in known:
            raise UnprocessableError(f"No ref found for: {ref}")
        if body.get("auto_merge", True) or body.get("required_contexts") != []:
            raise ApiError(409, "Conflict: Commit status checks failed for master.")
        sha = self._github.refs.get(ref, ref)
        environment = body.get("environment", "production")
        made = self._github.add_deployment(sha, states=(), environment=environment, ref=ref)
        self._github.changed()
        return web.json_response(made.as_json(""), status=201)

    async def status(self, request: web.Request) -> web.Response:
        self._require("deployments", "write")
        body = await _object(request)
        if body.get("state") not in STATES:
            raise UnprocessableError("Validation Failed: state is not included in the list")
        if len(body.get("description", "")) > LONGEST_DESCRIPTION:
            raise UnprocessableError("Validation Failed: description is too long")
        for deployment in self._github.deployments:
            if str(deployment.id) == request.match_info["deployment"]:
                deployment.statuses.append((body["state"], self._github.clock()))
                self._github.changed()
                return web.json_response(deployment.statuses_json()[0], status=201)
        raise ApiError(404, "Not Found")

    async def issues(self, request: web.Request) -> web.Response:
        self._require("issues", "read")
        wanted = request.query.get("state", "open")
        found = [i for i in reversed(self._github.issues) if wanted in ("all", i.state)]
        shown = [issue.as_json(self._github.repository) for issue in page(request, found)]
        return web.json_response(shown)

    async def issue(self, request: web.Request) -> web.Response:
        self._require("issues", "write")
        body = await _object(request)
        if not isinstance(body.get("title"), str) or not body["title"]:
            raise UnprocessableError("Validation Failed: title is missing")
        text = _text(body)
        made = Issue(len(self._github.issues) + 1, body["title"], text)
        self._github.issues.append(made)
        self._github.changed()
        return web.json_response(made.as_json(self._github.repository), status=201)

    async def comment(self, request: web.Request) -> web.Response:
        self._require("issues", "write")
        text = _text(await _object(request))
        for issue in self._github.issues:
            if str(issue.number) == request.match_info["issue"]:
                issue.comments.append(text)
                self._github.changed()
                return web.json_response({"id": 1}, status=201)
        raise ApiError(404, "Not Found")


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise ApiError(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "Body should be a JSON object")
    return body


def _text(body: dict[str, Any]) -> str:
    text = body.get("body", "")
    if not isinstance(text, str) or len(text) > LONGEST_BODY:
        raise UnprocessableError(
            "Validation Failed: body is too long (maximum is 65536 characters)"
        )
    return text
