"""What a browser sends as a form, as far as it is read."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

_MOST_FORM_BYTES = 8192


async def read_form(request: web.Request) -> Mapping[str, str] | None:
    """The fields of a form; None for anything else."""
    length = request.content_length
    if request.content_type != "application/x-www-form-urlencoded" or not (
        length and length <= _MOST_FORM_BYTES
    ):
        return None
    try:
        form = await request.post()
    except (ValueError, LookupError, web.HTTPException, web.RequestPayloadError):
        return None
    # A zero is no text: PostgreSQL takes none.
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    return {name: value.replace("\0", "\ufffd") for name, value in texts.items()}
