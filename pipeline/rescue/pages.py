"""One HTML page for an inventory or a comparison, in the look of a run's report: no scripts, no network."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.durable import write_atomically
from pipeline.wording import in_bytes, visible


def write_page(target: Path, template: str, **shown: Any) -> Path:
    """Fill `templates/<template>`; everything in `shown` comes from elsewhere, and is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.rescue"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    environment.filters |= {"size": in_bytes, "usd": usd}
    css = resources.files("pipeline.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    page = environment.get_template(template).render(css=Markup(css), **shown)
    write_atomically(target, page.encode())
    return target


def usd(amount: float | None) -> str:
    """Such as "$0.27"; small amounts to a tenth of a cent."""
    if amount is None:
        return "not known"
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${amount:.3f}" if amount >= 0.001 else "under $0.001"


def _seen(value: object) -> object:
    """Text of others cannot turn a line round; see pipeline.wording."""
    if isinstance(value, Mapping | Markup) or not isinstance(value, str):
        return value
    return "\n".join(map(visible, value.split("\n")))
