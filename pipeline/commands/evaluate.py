"""`finetune evaluate`: measure the tuned model of a run, whether or not its config has a section for that."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.commands.context import at_work, in_words_of, say
from pipeline.commands.options import AsJson, ConfigPath, Overrides
from pipeline.run.progress import Progress
from pipeline.steps.evaluate import STEP
from pipeline.steps.outputs import Evaluate, PollJob
from pipeline.terminal.invocation import Invocation


def said_of(path: Path) -> Iterator[str]:
    """The verdict and what would help, a line each."""
    from pipeline.evaluation.whole import read_evaluation

    found = read_evaluation(path)
    if found is not None:
        yield from found.lines()


def evaluate(config_path: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Say whether the tuned model sounds like them, makes sense and leaks."""
    from pipeline.config.file import load_config
    from pipeline.run import runner

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        wanted = list(called.overrides)
        if not STEP.is_wanted(load_config(config_path, wanted)):
            wanted.append(f"{STEP.section}={{}}")
        chosen = runner.Range.parse(load_config(config_path, wanted), None, None, STEP.name, False)
    with at_work(config_path, wanted, as_json=as_json, runs=True) as (config, state, work):
        progress = Progress(state, config, work.connection.identity)
        progress.output_here(PollJob, STEP.name)
        if progress.why(STEP) is None:
            made = progress.output(Evaluate)
            for line in said_of(work.run_dir / made.evaluation.path):
                say(line)
            return
        names = [step.name for step in progress.steps]
        work.display.begin(config.name, work.connection.profile.title, work.run_dir, names)
        runner.run(config, state, work, chosen)
