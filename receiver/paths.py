"""Where a deployment's pages are: at the root; of several, each below a path of its own."""

from __future__ import annotations

import re

PREFIX = "/at/"
NAME = r"[a-z0-9][a-z0-9-]{0,31}"
"""A deployment's name; it stands in addresses, and is a directory's."""
_BASE = re.compile(rf"{PREFIX}{NAME}(?=/)")


def base(name: str) -> str:
    """What the paths of its pages begin with; nothing where there is one deployment, without a name."""
    return f"{PREFIX}{name}" if name else ""


def within(path: str) -> str:
    """A path without what it begins with because of several deployments."""
    return _BASE.sub("", path, count=1)
