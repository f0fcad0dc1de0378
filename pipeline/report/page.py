"""Writes a report down: one HTML file that needs nothing beside it, or Markdown without charts."""

import re
from importlib import resources
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from pipeline.report import charts
from pipeline.report.contents import Contents
from pipeline.wording import counted, in_bytes, took, visible

if TYPE_CHECKING:
    from pipeline.report.curves import Curves
    from pipeline.report.examples import Lengths
    from pipeline.report.people import Archive
    from pipeline.report.quality import Quality


class Verbatim(str):
    """Markdown that is escaped already."""


def as_html(contents: Contents) -> str:
    """The report as one page; no scripts, no network, everything that comes from the run escaped.

    Raises:
        InputError: matplotlib is not installed.
    """
    charts.require_matplotlib()
    environment = _environment(autoescape=True)
    environment.finalize = _in_html
    page = environment.get_template("report.html.j2")
    css = resources.files("pipeline.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    return page.render(report=contents, css=Markup(css), charts=_charts(contents))


def as_markdown(contents: Contents) -> str:
    """The report as CommonMark with GitHub's tables; what comes from the run is escaped or in a code block."""
    environment = _environment(autoescape=False)
    environment.finalize = _in_markdown
    environment.filters["verbatim"] = Verbatim
    environment.filters["code"] = _code
    environment.filters["block"] = _block
    return environment.get_template("report.md.j2").render(report=contents)


def _environment(*, autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "count": _count,
        "duration": _duration,
        "size": in_bytes,
        "percent": _percent,
        "measure": _measure,
        "moment": _moment,
        "bar": _bar,
    }
    return environment


def _charts(contents: Contents) -> dict[str, Markup]:
    drawn: dict[str, str] = {}
    if contents.archive is not None and contents.archive.periods:
        drawn["times"] = _times_chart(contents.archive)
    if contents.lengths is not None:
        drawn["lengths"] = _lengths_chart(contents.lengths)
    if contents.training is not None and contents.training.curves is not None:
        drawn |= _training_charts(contents.training.curves)
    if contents.quality is not None:
        drawn |= _quality_charts(contents.quality)
    return {name: Markup(svg) for name, svg in drawn.items()}


def _times_chart(archive: "Archive") -> str:
    labels = [label for label, _, _ in archive.periods]
    stacks = [("by the assistant", [own for _, own, _ in archive.periods])]
    stacks.append(("by others", [others for _, _, others in archive.periods]))
    return charts.bars("times", f"Messages by {archive.unit}", labels, stacks, archive.unit)


def _lengths_chart(lengths: "Lengths") -> str:
    labels = [f"{each.low:,}" + ("+" if each.high is None else "") for each in lengths.bins]
    stacks = [("for training", [each.train for each in lengths.bins])]
    if any(each.valid for each in lengths.bins):
        stacks.append(("for validation", [each.valid for each in lengths.bins]))
    return charts.bars("lengths", "Examples by length", labels, stacks, "tokens, from")


def _training_charts(curves: "Curves") -> dict[str, str]:
    marks = [checkpoint.step for checkpoint in curves.checkpoints]
    loss = [("training", curves.train_loss), ("validation", curves.valid_loss)]
    accuracy = [("training", curves.train_accuracy), ("validation", curves.valid_accuracy)]
    wanted = [
        ("loss", "Loss by step", loss, True),
        ("accuracy", "Token accuracy by step", accuracy, False),
        ("rate", "Learning rate by step", [("learning rate", curves.learning_rate)], False),
    ]
    drawn = {}
    for name, title, series, wide in wanted:
        there = [(what, points) for what, points in series if points]
        if there:
            drawn[name] = charts.curves(name, title, there, marks, wide=wide, from_zero=name != "accuracy")
    return drawn


def _quality_charts(quality: "Quality") -> dict[str, str]:
    drawn = {}
    for name, title, rows, label in (
        ("likeness", "Likeness", quality.likeness, "0: as the other people, 100: as their own other half"),
        ("surprise", "Surprise at true replies", quality.surprise, "nats per token, lower is better"),
    ):
        if rows:
            shown = [(what, each.value, each.low, each.high) for what, each in rows]
            drawn[name] = charts.intervals(name, title, shown, label, marked="tuned model")
    return drawn


def _count(number: int, noun: str | None = None) -> str:
    return f"{number:,}" if noun is None else counted(number, noun)


def _duration(seconds: float | None) -> str:
    return "–" if seconds is None else took(seconds)


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.0095 or not part else "under 1 %"


def _measure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _moment(stamp: str | None) -> str:
    """ "2026-11-22T21:55:43Z" for a person."""
    return "–" if stamp is None else stamp.replace("T", " ").replace("Z", " UTC")


def _bar(part: float, whole: float, width: int = 24) -> Verbatim:
    """A bar of blocks, for Markdown."""
    return Verbatim("█" * round(width * part / whole) if whole else "")


_MARKS = re.compile(r"([\\`*_\[\]|~]|^[-+=#])")
"""What begins markup within a line; and what makes a list, a heading or a rule of a line."""


def _in_html(value: object) -> object:
    """What an expression gives; text of the run cannot turn the rest of its line round, nor steer a terminal."""
    return _seen(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _seen(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _in_markdown(value: object) -> str:
    """What an expression gives, so that it reads as it is: on one line, no markup, no HTML, no link."""
    text = str(value)
    if isinstance(value, Verbatim | int | float):
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", visible(" ".join(text.split())))


def _code(text: str) -> Verbatim:
    """A code span, in a table too."""
    line = visible(" ".join(text.split()))
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Verbatim(f"{fence}{pad}{line}{pad}{fence}".replace("|", r"\|"))


def _block(text: str, language: str = "") -> Verbatim:
    """A code block, longer fences around fences."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return Verbatim(f"{fence}{language}\n{_seen(text.rstrip(chr(10)))}\n{fence}")


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
