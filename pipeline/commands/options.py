"""What several commands take: the config, a step, --set, --json; and how the shell completes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def complete_step(incomplete: str) -> list[str]:
    """The steps, for the shell's completion."""
    from pipeline.steps import STEPS

    return [step.name for step in STEPS if step.name.startswith(incomplete)]


def complete_key(incomplete: str) -> list[str]:
    """The config's keys with their =, for the shell's completion."""
    from pydantic import BaseModel

    from pipeline.config.settings import Config

    def keys(model: type[BaseModel], before: str) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from keys(field.annotation, f"{before}{name}.")
            else:
                yield f"{before}{name}="

    return [key for key in keys(Config, "") if key.startswith(incomplete)]


Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key: --set create_job.seed=7.", autocompletion=complete_key
    ),
]


ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/tortoise.yaml.")]


StepName = Annotated[str, typer.Argument(metavar="STEP", help="A step, such as convert.", autocompletion=complete_step)]


AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
