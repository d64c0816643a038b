"""The command line and the process: reads settings, wires the rest, starts, stops."""

from __future__ import annotations

import sys

if "structlog" not in sys.modules and "rich" not in sys.modules:
    # structlog loads rich and pygments, 5 MiB for the life of the server, for coloured tracebacks that
    # sermon_monitor.logs does not ask for. None stands for "not there" (Python's import system, 5.3.1).
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog  # noqa: F401

    del sys.modules["rich"]
