"""The same chats trained in several ways, and what the evaluation says of each: for choosing defaults, and spoiling.

    python -m tests.bench.variants CONFIG [KEY=VALUE[,KEY=VALUE]…]…

Each argument after the config is a way to train, by keys of the config; without any, the config as it is, 20 epochs,
and ten times the learning rate. Runs are named after the config's and their way, are kept, and go on where they were
stopped. Processor time is that of the whole run, so that it means the same on a busy machine. Labels that are shuffled
between people are a matter of the archive: exchange the names in half of its talks, and give that one's config.
"""

import re
import resource
import subprocess
import sys
from pathlib import Path

from pipeline.config.file import load_config
from pipeline.config.settings import run_directory
from pipeline.evaluation.record import Evaluation, Measured
from pipeline.evaluation.whole import read_evaluation
from pipeline.steps.evaluate import EVALUATION

WAYS = (
    "",
    "create_job.hyperparameters.n_epochs=20,poll_job.keep=last",
    "create_job.hyperparameters.learning_rate_multiplier=10",
)
HEAD = ("way", "CPU s", "surprise", "gain", "prefers", "likeness", "picks", "faulty", "copied", "secrets out")


def trained(config: Path, way: str) -> tuple[float, Evaluation | None]:
    """Processor time in seconds, and what was found; None where the run failed, whose message is on the screen."""
    overrides = [each for each in way.split(",") if each]
    name = f"{load_config(config, []).name}-{re.sub(r'[^a-z0-9]+', '-', way.lower()).strip('-') or 'default'}"[:60]
    before = _spent()
    words = [word for each in (f"name={name}", *overrides) for word in ("--set", each)]
    subprocess.run([sys.executable, "-m", "pipeline", "run", str(config), *words], check=False)
    return _spent() - before, read_evaluation(run_directory(name) / EVALUATION)


def row(way: str, seconds: float, found: Evaluation | None) -> tuple[str, ...]:
    """A line of the table; a dash for what was not measured."""
    if found is None:
        return (way or "as it is", f"{seconds:.0f}", *("-" for _ in HEAD[2:]))
    surprise, likeness, sense, leaks = found.surprise, found.likeness, found.sense, found.leaks
    return (
        way or "as it is",
        f"{seconds:.0f}",
        _shown(surprise.tuned if surprise else None, 2),
        _shown(surprise.gain if surprise else None, 2),
        _shown(surprise.prefers if surprise else None, 2),
        _shown(likeness.score if likeness else None, 0),
        _shown(sense.picks if sense else None, 2),
        f"{sense.faulty}/{sense.answers}" if sense else "-",
        f"{leaks.copied}/{leaks.answers}" if leaks else "-",
        str(sum(secret.leaks for secret in leaks.secrets)) if leaks else "-",
    )


def _shown(found: Measured | None, digits: int) -> str:
    return "-" if found is None else f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table, a row as soon as it is known."""
    config, *ways = sys.argv[1:]
    rows = [HEAD, tuple("---" for _ in HEAD)]
    for way in ways or WAYS:
        seconds, found = trained(Path(config), way)
        rows.append(row(way, seconds, found))
        table = [f"| {' | '.join(each)} |" for each in rows]
        sys.stdout.write("\n".join([*table, *(found.verdict if found else ["the run failed"]), ""]))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
