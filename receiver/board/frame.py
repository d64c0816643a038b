"""What every page of the board has in common: its headers, its templates, the words of its times."""

from __future__ import annotations

from datetime import datetime, tzinfo
from importlib import resources
from typing import Any

import jinja2
from aiohttp import web
from markupsafe import Markup

from receiver.approving.wording import title
from receiver.paths import base

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ASSETS = {"board.css": "text/css", "board.js": "text/javascript", "icon.svg": "image/svg+xml"}
STEP_NAMES = {
    "restart": "Restart",
    "rollback": "Rollback",
    "person": "Call for a person",
    "cleanup": "Clean-up of the disk",
    "emergency_stop": "Emergency stop",
    "investigate": "Collecting evidence",
}


class Frame:
    """Renders pages in the time zone of TIMEZONE. ``deployment``: whose, where there are several."""

    def __init__(self, zone: tzinfo, deployment: str = "") -> None:
        self._zone = zone
        self.base = base(deployment)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("receiver", "templates/board"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "at": self._at,
            "title_of": title,
            "step_name": lambda action: STEP_NAMES.get(action, action),
        }
        self._templates.globals |= {"base": self.base, "deployment": deployment}
        self._assets = {
            name: resources.files("receiver").joinpath("templates/board", name).read_bytes()
            for name in _ASSETS
        }

    def page(self, name: str, *, status: int = 200, **values: Any) -> web.Response:
        html = self._templates.get_template(f"{name}.html.j2").render(**values)
        return web.Response(text=html, status=status, content_type="text/html", headers=_HEADERS)

    def refusal(self, status: int, heading: str, words: str) -> web.Response:
        return self.page("refusal", status=status, heading=heading, words=words)

    def picture(self, png: bytes) -> web.Response:
        """Kept by nobody else; its address changes with it."""
        headers = {**_HEADERS, "Cache-Control": "private, max-age=3600"}
        return web.Response(body=png, content_type="image/png", headers=headers)

    async def asset(self, request: web.Request) -> web.Response:
        """Style, script and icon: the same for everybody, and no secret."""
        name = request.path.rpartition("/")[2]
        headers = {"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff"}
        return web.Response(
            body=self._assets[name], content_type=_ASSETS[name], charset="utf-8", headers=headers
        )

    def routes(self) -> list[web.RouteDef]:
        return [web.get(f"/assets/{name}", self.asset) for name in _ASSETS]

    def _at(self, moment: datetime | None, form: str = "%a %d %b, %H:%M:%S") -> Markup:
        """A time for people, with its whole for programs."""
        if moment is None:
            return Markup("–")
        shown = moment.astimezone(self._zone)
        whole = f"{shown:%Y-%m-%d %H:%M:%S %Z}"
        text = f'<time datetime="{moment.isoformat(timespec="seconds")}" title="{whole}">{shown:{form}}</time>'
        return Markup(text)  # noqa: S704 - digits, names of days and of zones
