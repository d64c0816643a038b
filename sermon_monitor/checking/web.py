"""Whether WEB_CONFIG_FILE, and what it names, can be used."""

from __future__ import annotations

from sermon_monitor.finding import Finding
from sermon_monitor.listening.web_config import WebConfigError, WebConfiguration
from sermon_monitor.settings import Settings


def web(settings: Settings) -> list[Finding]:
    if settings.web_config_file is None:
        return []
    try:
        found = WebConfiguration(settings.web_config_file)
    except WebConfigError as error:
        mend = "mend the file, or unset WEB_CONFIG_FILE"
        return [Finding("problem", "web configuration", str(error), mend)]
    return [Finding("ok", "web configuration", "TLS" if found.wanted else "no TLS")]
