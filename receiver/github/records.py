"""What a change of the deployment leaves on GitHub: a deployment with its status, and an issue where it failed.

Facts are from github/docs, REST "Deployments", "Deployment statuses" and "Issues".
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, RootModel

from receiver.github.answers import parse
from receiver.github.api import Api
from receiver.github.preflight import ENVIRONMENT

LONGEST_DESCRIPTION: Final = 140
"""Of a deployment status."""
_NEWEST: Final = 100


class _Numbered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int


class _Issue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    title: str = ""
    html_url: str = ""


class _Issues(RootModel[tuple[_Issue, ...]]):
    """Newest first; pull requests are among them."""


class Records:
    """One repository. Every method raises DeliveryError."""

    def __init__(self, api: Api, api_url: str, repo: str) -> None:
        self._api = api
        self._repo = f"{api_url.rstrip('/')}/repos/{quote(repo)}"

    async def deployment(
        self, commit: str, state: Literal["success", "failure"], words: str, log_url: str
    ) -> None:
        """Record that ``commit`` was deployed to ``production``, and how that ended. Deploys nothing."""
        body = {
            "ref": commit,
            "environment": ENVIRONMENT,
            "description": words[:LONGEST_DESCRIPTION],
            "auto_merge": False,
            "required_contexts": [],  # it has happened already: no check may stop its record
            "production_environment": True,
        }
        answer = await self._api.change(f"{self._repo}/deployments", body, accepted=(201,))
        made = parse(_Numbered, answer, ambiguous=True)
        status = {
            "state": state,
            "log_url": log_url,
            "description": words[:LONGEST_DESCRIPTION],
            "auto_inactive": False,
        }
        url = f"{self._repo}/deployments/{made.id}/statuses"
        await self._api.change(url, status, accepted=(201,))

    async def issue(self, title: str, body: str) -> str:
        """Open an issue, or add to the open one of the same title; where it is."""
        query = urlencode({"state": "open", "per_page": _NEWEST})
        found = parse(_Issues, await self._api.ask(f"{self._repo}/issues?{query}")).root
        same = next((issue for issue in found if issue.title == title), None)
        if same is not None:
            url = f"{self._repo}/issues/{same.number}/comments"
            await self._api.change(url, {"body": body}, accepted=(201,))
            return same.html_url
        answer = await self._api.change(
            f"{self._repo}/issues", {"title": title, "body": body}, accepted=(201,)
        )
        return parse(_Issue, answer, ambiguous=True).html_url
