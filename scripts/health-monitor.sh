#!/bin/sh
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
PATH="$PATH:$here/.venv/bin:/opt/sermon-monitor/.venv/bin" exec sermon-monitor health-monitor "$@"
