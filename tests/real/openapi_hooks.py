"""For schemathesis, which loads this by SCHEMATHESIS_HOOKS: what GitHub sends is signed, as GitHub does it.

And it is of the one event whose form is described: of others nothing is read.
"""

from __future__ import annotations

import hmac
import re
from typing import Any

import schemathesis
from requests import PreparedRequest

SECRET = "a-secret-of-the-webhooks"
SIGNATURE, EVENT = "X-Hub-Signature-256", "X-GitHub-Event"


@schemathesis.hook
def before_call(context: object, case: Any, kwargs: dict[str, Any]) -> None:
    """Where it gives a signature of the right form; a missing or broken one stays so."""
    if re.fullmatch("sha256=[0-9a-f]{64}", str((case.headers or {}).get(SIGNATURE))):
        kwargs["auth"] = signed
    if re.fullmatch("[a-z_]{1,64}", str((case.headers or {}).get(EVENT))):
        case.headers[EVENT] = "workflow_run"


def signed(request: PreparedRequest) -> PreparedRequest:
    body = request.body or b""
    raw = body.encode() if isinstance(body, str) else body
    request.headers[SIGNATURE] = f"sha256={hmac.digest(SECRET.encode(), raw, 'sha256').hex()}"
    return request
