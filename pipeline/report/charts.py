"""Charts as SVG that takes the page's text colour and fonts, and its series colours from CSS variables.

matplotlib draws; every colour it is given is a mark that is replaced afterwards. What it draws is numbers and labels of
ours alone: no word of a chat gets here.
"""

import html
import io
import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pipeline.errors import InputError
from pipeline.report.curves import Points, smoothed, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.typing import RcKeyType

MOST_POINTS = 400
FEW_POINTS = 30
WIDE, HALF = (8.4, 2.9), (4.1, 2.6)
# Colours that nothing else has, and what becomes of them.
_INK, _ONE, _TWO, _FAINT = "#010203", "#010204", "#010205", "#010206"
_IN_PAGE = {_INK: "currentColor", _ONE: "var(--one)", _TWO: "var(--two)", _FAINT: "var(--faint)"}
_SETTINGS: "dict[RcKeyType, object]" = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.color": _FAINT,
    "ytick.labelcolor": _INK,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def require_matplotlib() -> None:
    """See that charts can be drawn.

    Raises:
        InputError: the extra `report` is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells when it first looks for fonts
    try:
        import matplotlib  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        raise InputError(
            "report",
            "drawing its charts needs the package matplotlib",
            fix="Run `pip install 'finetune-pipeline[report]'`, or write it as Markdown, without charts, with --md.",
        ) from None


def bars(name: str, title: str, labels: Sequence[str], stacks: Sequence[tuple[str, Sequence[int]]], xlabel: str) -> str:
    """Stacked bars, one or two to a label; the first stack is solid, the second hatched.

    Args:
        name: unique in the page; begins the ids.
    """

    def draw(axes: "Axes") -> None:
        below = [0] * len(labels)
        for (what, counts), colour, hatch in zip(stacks, (_ONE, _TWO), (None, "////"), strict=False):
            fill = colour if hatch is None else "none"
            there = [n for n, count in enumerate(counts) if count]  # an empty bar would still have an edge
            heights, feet = [counts[n] for n in there], [below[n] for n in there]
            axes.bar(there, heights, 0.82, feet, label=what, color=fill, edgecolor=colour, hatch=hatch)
            below = [before + count for before, count in zip(below, counts, strict=True)]
        axes.set_xlim(-0.6, len(labels) - 0.4)
        every = -(-len(labels) // 12)
        shown = range(0, len(labels), every)
        axes.set_xticks(list(shown), [labels[n] for n in shown])
        if len(labels) > 8:
            for text in axes.get_xticklabels():
                text.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")
        axes.tick_params("x", length=0)
        _whole_numbers(axes.yaxis)
        axes.set_xlabel(xlabel)
        if len(stacks) > 1:
            _legend(axes)

    listed = "; ".join(
        f"{label}: {', '.join(f'{counts[n]:,} {what}' for what, counts in stacks)}" for n, label in enumerate(labels)
    )
    return _svg(name, title, listed, WIDE, draw)


def curves(
    name: str, title: str, series: Sequence[tuple[str, Points]], marks: Sequence[int], wide: bool, from_zero: bool
) -> str:
    """Lines over steps: the first solid (smoothed if there is much of it), the second dashed with dots.

    Args:
        marks: steps to mark with an upright line: checkpoints.
        from_zero: begin the upright axis there.
    """

    def draw(axes: "Axes") -> None:
        for (what, points), colour, is_first in zip(series, (_ONE, _TWO), (True, False), strict=False):
            steps, values = zip(*thinned(points, MOST_POINTS), strict=True)
            if is_first and len(points) >= FEW_POINTS and name != "rate":
                axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.4)
                steps, values = zip(*thinned(smoothed(points), MOST_POINTS), strict=True)
            few = "o" if len(points) < FEW_POINTS else ""
            style = "-" if is_first else "--"
            axes.plot(steps, values, style, label=what, color=colour, linewidth=1.8, marker=few, markersize=4)
        for step in marks:
            axes.axvline(step, color=_INK, linewidth=0.8, linestyle=":", alpha=0.5)
        axes.set_xlabel("step")
        _whole_numbers(axes.xaxis)
        axes.margins(x=0.02)
        if from_zero:
            axes.set_ylim(bottom=0)
        if len(series) > 1:
            _legend(axes)

    said = "; ".join(
        f"{what}: {points[0][1]:.4g} at step {points[0][0]:,}, {points[-1][1]:.4g} at step {points[-1][0]:,}"
        for what, points in series
    )
    return _svg(name, title, said, WIDE if wide else HALF, draw)


def intervals(name: str, title: str, rows: Sequence[tuple[str, float, float, float]], xlabel: str, marked: str) -> str:
    """A dot a row with the line of its interval, from the top; the row `marked` in colour.

    Args:
        rows: label, value, low, high.
    """

    def draw(axes: "Axes") -> None:
        for place, (what, value, low, high) in enumerate(reversed(rows)):
            colour = _ONE if what == marked else _TWO
            axes.plot([low, high], [place, place], "-", color=colour, linewidth=2.4 if what == marked else 1.4)
            axes.plot([value], [place], "o", color=colour, markersize=8 if what == marked else 5)
        axes.set_yticks(range(len(rows)), [what for what, *_ in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="x", color=_FAINT, linewidth=0.6)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.04)
        axes.set_xlabel(xlabel)

    said = "; ".join(f"{what}: {value:.4g} ({low:.4g} to {high:.4g})" for what, value, low, high in rows)
    return _svg(name, title, said, (WIDE[0], 0.9 + 0.32 * len(rows)), draw)


def _whole_numbers(axis: "Axis") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _legend(axes: "Axes") -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handlelength=2.4)


def _svg(name: str, title: str, said: str, size: tuple[float, float], draw: "Callable[[Axes], None]") -> str:
    """Draw, then make the SVG fit to stand in a page: the same bytes for the same numbers."""
    import matplotlib
    from matplotlib.figure import Figure

    # Not what a user's matplotlibrc says.
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "svg", **_SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        written = io.BytesIO()
        # "Creator" and "Date" would differ from one machine to the next.
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(written.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: _fitted(key, value, name) for key, value in element.attrib.items()}
    view = root.attrib["viewBox"]
    inner = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    return (
        f'<svg viewBox="{view}" role="img" aria-labelledby="{name}-title {name}-said">'
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-said">{html.escape(said)}</desc>'
        f"{inner}</svg>"
    )


def _fitted(key: str, value: str, name: str) -> str:
    """Ids that are unique in the page, colours that follow it, and its fonts."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}-", 1)
    value = value.replace("url(#", f"url(#{name}-")
    for mark, colour in _IN_PAGE.items():
        value = value.replace(mark, colour)
    return re.sub(r" ?font-family:[^;]*;?", "", value)
