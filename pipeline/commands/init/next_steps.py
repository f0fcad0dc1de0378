"""What to type once a config is there, and what that will do."""

import os
from collections.abc import Iterator

from pipeline.backends.profiles import PROFILES
from pipeline.commands.init.interview import Made
from pipeline.errors import InputError
from pipeline.models import hub_cache
from pipeline.models.environment import require_libraries
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.style import Lines


def what_next(made: Made, called: Invocation, lines: Lines) -> Iterator[str]:
    """Lines for the end of `finetune init`: broken where the terminal ends, but never within what is to be typed."""
    yield ""
    yield lines.flow(f"Wrote {made.path}, readable by you alone. Look at it if you like: every key says what it does.")
    yield ""
    yield "What to expect:"
    for label, said in made.expectations.long():
        yield lines.line((f"  {label:<12}", ""), text=called.typable(said))
    if made.expectations.refusal is not None:
        yield lines.line((f"  {'memory':<12}", ""), text=called.typable(str(made.expectations.refusal)))
    yield ""
    profile = PROFILES[made.backend.kind]
    is_fetched = profile.free and hub_cache.parse(made.model) is not None
    if profile.key_env is None:
        trains = "trains on this machine (Ctrl-C pauses, the same command goes on)"
        try:
            require_libraries()
        except InputError as error:
            yield lines.flow(f"First  {error.fix}")
    else:
        trains = f"has it trained by {profile.title}"
        if not os.environ.get(profile.key_env):
            yield f"First  export {profile.key_env}=…"
    yield f"Next   {called.command('run')}"
    fetches = f"fetches {made.model} from the Hugging Face Hub, once, " if is_fetched else ""
    yield lines.flow(f"       {fetches}reads the archive, makes training examples, {trains} and shows what it learnt")
    yield f"Then   {called.command('chat')}"
    yield ""
    yield lines.flow(f"See what it would learn from, before anything is trained, with: {called.command('inspect')}")
