"""``python -m receiver.notifiers.apprise_child``: one message from stdin to each address, as JSON; what became of each to stdout.

``{"urls": […], "title": …, "text": …}`` in, a list of booleans out: who took it. Without a text nothing is
sent, and it is told which addresses make sense.
"""

from __future__ import annotations

import json
import logging
import sys

import apprise


def main() -> None:
    logging.disable(logging.CRITICAL)  # its lines hold addresses
    asked = json.load(sys.stdin)
    found = [_tell(url, asked.get("title", ""), asked.get("text", "")) for url in asked["urls"]]
    json.dump(found, sys.stdout)


def _tell(url: str, title: str, text: str) -> bool:
    service = apprise.Apprise.instantiate(url)
    if not isinstance(service, apprise.NotifyBase):
        return False
    if not text:
        return True
    return bool(service.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT))


if __name__ == "__main__":
    main()
