"""The process that draws one picture and ends: a drawing as JSON on stdin, a PNG on stdout.

It is the last in line for the processor, and bounded in memory and time by the kernel, whatever it is
given and whoever started it. Made for Discord's dark theme on a telephone, where 1000 pixels are
seven centimetres: few words, large, and no colour that means something alone.
"""

from __future__ import annotations

import io
import os
import resource
import sys
from typing import Any

from receiver.pictures.drawing import Drawing, MarkKind, from_json, shown

MOST_MEMORY = 768 * 1024 * 1024
"""Bytes of address space; numpy and the fonts reserve more than they use."""
MOST_SECONDS = 60
"""Of the processor; a Pi needs six."""
WIDTH, HEIGHT, LINE = 1000, 600, 46
"""Pixels: of the picture, of the curve with its title, and of a line of words below."""
_GROUND, _INK, _FAINT = "#2b2d31", "#f2f3f5", "#a5a9b3"
_CURVE, _THRESHOLD = "#5eb1ff", "#ff8f6b"
_COLOURS: dict[MarkKind, str] = {
    "deployment": "#c9a6ff",
    "alert": "#ff7b7b",
    "action": "#ffd166",
    "recovery": "#6fdc8c",
}
_DPI = 100
_TEXT, _SMALL = 24, 21
"""Points at 100 to the inch."""


def bound() -> None:
    """From here on. An address space that is bounded already stays as it is."""
    os.nice(19)
    for what, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def draw(drawing: Drawing) -> bytes:
    """A PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and only under the bounds of this process
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    mpl.rcParams["text.parse_math"] = False  # a $ in a label is a $
    height = HEIGHT + LINE * len(drawing.marks)
    figure = Figure((WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    low = (20 + LINE * len(drawing.marks) + 50) / height
    axes = figure.add_axes((0.16, low, 0.81, 1 - low - 135 / height), facecolor=_GROUND)
    figure.text(
        0.02, 1 - 42 / height, drawing.title, color=_INK, size=_TEXT, weight="bold", va="center"
    )
    rule = f"– –  {drawing.rule}"
    figure.text(0.02, 1 - 92 / height, rule, color=_THRESHOLD, size=_SMALL, va="center")
    figure.text(
        0.98, 1 - 92 / height, drawing.zone, color=_FAINT, size=_SMALL, va="center", ha="right"
    )

    times = [at for at, _ in drawing.points]
    values = [float("nan") if value is None else value for _, value in drawing.points]
    stepped = drawing.comparison in ("==", "!=")
    axes.plot(times, values, color=_CURVE, lw=3.5, drawstyle="steps-post" if stepped else "default")
    axes.axhline(drawing.threshold, color=_THRESHOLD, lw=3, ls=(0, (5, 3)))
    axes.set_xlim(drawing.begin, drawing.end)
    axes.set_ylim(*_span(drawing))
    axes.set_xticks([at for at, _ in drawing.ticks], [text for _, text in drawing.ticks])
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=stepped))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: shown(value, drawing.unit)))
    axes.tick_params(colors=_FAINT, labelsize=_SMALL, length=0, pad=8)
    axes.grid(axis="y", color="#ffffff", alpha=0.09, lw=1.5)
    for side in axes.spines.values():
        side.set_visible(False)

    for number, mark in enumerate(drawing.marks, 1):
        colour = _COLOURS[mark.kind]
        at = min(max(mark.at, drawing.begin), drawing.end)
        axes.axvline(at, color=colour, lw=2.5, alpha=0.9)
        circle = {"boxstyle": "circle,pad=0.22", "facecolor": colour, "edgecolor": _GROUND}
        badge: dict[str, Any] = {
            "color": _GROUND,
            "size": 17,
            "weight": "bold",
            "ha": "center",
            "va": "center",
            "bbox": circle,
        }
        above = 1.0 - 0.12 * ((number - 1) % 3)  # so that what happens at once does not hide itself
        axes.text(
            at,
            above,
            str(number),
            transform=axes.get_xaxis_transform(),
            zorder=5,
            **badge,
        )
        line = 1 - (HEIGHT + LINE * (number - 1) + 4) / height
        figure.text(0.045, line, str(number), **badge)
        figure.text(
            0.085, line, f"{mark.clock}  {mark.words}", color=_INK, size=_SMALL, va="center"
        )
    made = io.BytesIO()
    figure.savefig(made, format="png", facecolor=_GROUND, metadata={"Software": None})
    return made.getvalue()


def _span(drawing: Drawing) -> tuple[float, float]:
    """Of the values' axis: every value and the threshold, with air around them."""
    seen = [value for _, value in drawing.points if value is not None]
    low, high = min(*seen, drawing.threshold, 0), max(*seen, drawing.threshold)
    air = 0.1 * (high - low) or max(abs(high), 1.0)
    return (low - 0.5 * air, high + 1.6 * air)


def main() -> None:
    bound()
    picture = draw(from_json(sys.stdin.read()))
    sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    main()
