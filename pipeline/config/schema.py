"""The JSON schema of configs, by which editors complete and check them: `make schema` writes configs/schema.json.

Types and ranges come from the models, what each key means from the comments of configs/reference.yaml, where every key
stands with one.
"""

import json
import re
from pathlib import Path
from typing import Any

from pipeline.config.settings import Config

CONFIGS = Path(__file__).parents[2] / "configs"
SCHEMA = CONFIGS / "schema.json"
_KEY = re.compile(r"(?P<indent> *)(?:- )?(?P<key>\w+):(?P<value>[^#]*)(?:# (?P<comment>.*))?")
_MORE = re.compile(r" {20,}# +(?P<comment>.*)")

Schema = dict[str, Any]  # any JSON


def config_schema(reference: str) -> Schema:
    """The schema, as JSON Schema 2020-12.

    Args:
        reference: the text of configs/reference.yaml.
    """
    schema: Schema = Config.model_json_schema()
    models = schema["$defs"]
    _describe(schema, _comments(reference), models)
    prompt = models["Prompt"]
    models["Prompt"] = {"anyOf": [{"type": "string", "minLength": 1}, prompt], "description": prompt["description"]}
    for key, section in schema["properties"].items():
        if "$ref" in section:  # a section with nothing under it means its defaults, as config/file.py reads it
            section["anyOf"] = [{"$ref": section.pop("$ref")}, {"type": "null"}]
        for reference_to in (each["$ref"] for each in section.get("anyOf", ()) if "$ref" in each):
            section.setdefault("description", models[reference_to.rpartition("/")[2]]["description"])
            section["title"] = key
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A config of finetune"}


def _comments(reference: str) -> dict[tuple[str, ...], str]:
    """What stands beside each key, by its path; a comment may go on in lines of its own below."""
    comments: dict[tuple[str, ...], str] = {}
    path: list[tuple[int, str]] = []
    for line in reference.splitlines():
        if path and (more := _MORE.fullmatch(line)):
            here = tuple(key for _, key in path)
            comments[here] = f"{comments.get(here, '')} {more['comment']}".strip()
        elif match := _KEY.fullmatch(line):
            indent = len(line) - len(line.lstrip(" -"))
            path = [(depth, key) for depth, key in path if depth < indent] + [(indent, match["key"])]
            if match["comment"]:
                comments[tuple(key for _, key in path)] = match["comment"]
        elif not line.strip():
            path = []
    return comments


def _describe(model: Schema, comments: dict[tuple[str, ...], str], models: Schema, at: tuple[str, ...] = ()) -> None:
    for key, value in model.get("properties", {}).items():
        if comment := comments.get((*at, key)):
            value["description"] = comment
        value.pop("title", None)
        for each in (value, value.get("items", {}), *value.get("anyOf", [])):
            if isinstance(each, dict) and "$ref" in each:
                _describe(models[each["$ref"].rpartition("/")[2]], comments, models, (*at, key))


def text() -> bytes:
    """What configs/schema.json must hold."""
    schema = config_schema((CONFIGS / "reference.yaml").read_text(encoding="utf-8"))
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    SCHEMA.write_bytes(text())
