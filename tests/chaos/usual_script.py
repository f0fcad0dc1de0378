"""The control: the script that everybody writes. It saves an id after the POST, never looks, and lets the SDK retry.

It does nothing wrong that a careful reader would notice, writes its state durably, and pays twice all the same.
"""

import json
import os
from pathlib import Path

import openai
import yaml

from pipeline import failpoints
from pipeline.durable import make_private_dir, write_atomically
from pipeline.process.clock import SystemClock

TRAIN = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'


def main() -> None:
    """Upload, create, poll; ids are remembered in state.json."""
    config = yaml.safe_load(Path("run.yaml").read_text(encoding="utf-8"))
    run_dir = make_private_dir(Path("runs") / config["name"])
    path = run_dir / "state.json"
    state: dict[str, str] = json.loads(path.read_bytes()) if path.exists() else {}

    def remember(name: str, value: str) -> None:
        state[name] = value
        write_atomically(path, json.dumps(state).encode())
        failpoints.hit("post.recorded")

    if "train" not in state:
        write_atomically(run_dir / "05_train.jsonl", TRAIN)
        remember("train", "05_train.jsonl")
    client = openai.OpenAI(base_url=config["backend"]["base_url"], api_key=os.environ["OPENAI_API_KEY"], timeout=1)
    if "file" not in state:
        failpoints.hit("request.before")
        file = client.files.create(file=("train.jsonl", (run_dir / state["train"]).read_bytes()), purpose="fine-tune")
        failpoints.hit("post.answered")
        remember("file", file.id)
    if "job" not in state:
        failpoints.hit("request.before")
        job = client.fine_tuning.jobs.create(training_file=state["file"], model=config["create_job"]["model"])
        failpoints.hit("post.answered")
        remember("job", job.id)
    while (job := client.fine_tuning.jobs.retrieve(state["job"])).status != "succeeded":
        failpoints.hit("request.answered")
        SystemClock().sleep(5)
    remember("model", job.fine_tuned_model or "")
