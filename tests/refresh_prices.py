"""Makes the tables of what hosted models cost and when they are switched off, from LiteLLM's price file. Run by hand.

    python -m venv /tmp/prices && /tmp/prices/bin/pip install --no-deps litellm
    python -m tests.refresh_prices FOLDER/litellm/model_prices_and_context_window_backup.json VERSION

What training costs is not in that file: prices.yaml is transcribed by hand.
"""

import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent.parent / "pipeline" / "backends"
_TUNED = "ft:"


def chat_prices(rows: Mapping[str, Mapping[str, Any]], head: str) -> str:
    """chat_prices.yaml: US dollars per million tokens that a tuned model reads and writes."""
    lines = [
        "# What a tuned model costs to talk to, in US dollars per million tokens: [read, written]. Its base model",
        "# costs less. A model that is not here has no known price.",
        *head.splitlines(),
        "openai:",
    ]
    for name, row in _tuned(rows):
        costs = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        if all(isinstance(cost, int | float) for cost in costs):
            lines.append(f"  {name}: [{', '.join(f'{float(cost or 0) * 1e6:.2f}' for cost in costs)}]")
    return "\n".join(lines) + "\n"


def shutdowns(rows: Mapping[str, Mapping[str, Any]], head: str) -> str:
    """shutdowns.yaml: the day on which all that is tuned on a base model stops answering."""
    lines = [
        "# The day on which a base model is switched off, and with it all that is tuned on it.",
        *head.splitlines(),
        "openai:",
    ]
    for name, row in _tuned(rows):
        if isinstance(row.get("deprecation_date"), str):
            lines.append(f"  {name}: {datetime.date.fromisoformat(row['deprecation_date'])}")
    return "\n".join(lines) + "\n"


def _tuned(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The rows of tuned models, by their base model."""
    return sorted((name.removeprefix(_TUNED), row) for name, row in rows.items() if name.startswith(_TUNED))


def main(source: Path, version: str, today: datetime.date) -> None:
    """Write both tables."""
    rows = json.loads(source.read_text(encoding="utf-8"))
    head = f"# From LiteLLM {version}'s price file by tests/refresh_prices.py; OpenAI's pages win.\ndate: {today}"
    (TABLES / "chat_prices.yaml").write_text(chat_prices(rows, head), encoding="utf-8")
    (TABLES / "shutdowns.yaml").write_text(shutdowns(rows, head), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], datetime.datetime.now(datetime.UTC).date())
