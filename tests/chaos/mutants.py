"""T13: our own code with one thing taken out. Each must be caught, or the tests prove nothing.

A mutant is a change of one function's source, applied in a forked child by replacing the code of that function.
"""

import ast
import importlib
import inspect
import textwrap
from types import FunctionType
from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands once in the source of `where` ("module:qualified.name"); `new` takes its place."""

    where: str
    old: str
    new: str


MUTANTS: dict[str, Mutant] = {
    "no intent": Mutant(
        "pipeline.backends.ledger:Ledger._post",
        "self._state.save()\n        failpoints.hit('post.intended')",
        "failpoints.hit('post.intended')",
    ),
    "no look": Mutant(
        "pipeline.backends.ledger:Ledger._look",
        "found = self._list_or_none(lambda: self._connection.ask(effect.where, effect.look))",
        "found = Found([])",
    ),
    "no settling": Mutant("pipeline.backends.polling:spread", "if total > 0:", "if total < 0:"),
    "no sweep": Mutant("pipeline.backends.ledger:Ledger.sweep_job", "if not self._is_ours(twin):", "if True:"),
    "twins of others cancelled": Mutant(
        "pipeline.backends.ledger:Ledger._is_ours",
        "return lineage_of(job) in (None, self._state.body.lineage)",
        "return True",
    ),
    "the SDK's retries": Mutant("pipeline.backends.client:Connection.client", "max_retries=0", "max_retries=2"),
    "the filter is trusted": Mutant(
        "pipeline.backends.listing:JobMark.is_on",
        "if self.known_by != 'suffix' and (job.metadata or {}).get(OP_KEY) == self.op:",
        "if self.known_by != 'suffix':",
    ),
    "the first page only": Mutant("pipeline.backends.listing:rows", "if not page.has_next_page():", "if True:"),
    "the answer lost counts as a no": Mutant(
        "pipeline.backends.refusals:definitely_refused", "return never_sent(error)", "return True"
    ),
    "written in place": Mutant(
        "pipeline.durable:atomic_writer",
        "fd, name = tempfile.mkstemp(prefix=f'.{target.name}.', suffix=TEMPORARY, dir=target.parent)",
        "fd, name = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), str(target)",
    ),
    "no fsync": Mutant("pipeline.durable:sync_fd", "os.fsync(fd)", "pass"),
    "no fsync of the directory": Mutant("pipeline.durable:sync_directory", "os.fsync(fd)", "pass"),
    "the state before the artifact": Mutant(
        "pipeline.durable:sync_fd",
        "os.fsync(fd)",
        "os.fsync(fd) if '.state.json' in os.readlink(f'/proc/self/fd/{fd}') else None",
    ),
    "no checksum": Mutant("pipeline.state.file:decode_body", "if digest(body) != file.sha256:", "if False:"),
    "the lock is unlinked": Mutant(
        "pipeline.state.file:locked", "os.close(fd)", "os.close(fd), (run_dir / LOCK).unlink()"
    ),
    "no lock": Mutant("pipeline.state.lock:take", "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),
    "empty is fresh": Mutant(
        "pipeline.state.file:State.load",
        "body = decode_body(raw, path)",
        "body = decode_body(raw, path) if raw.strip() else Body(lineage=lineage_of_lock(run_dir) or 'x')",
    ),
    "missing is fresh": Mutant("pipeline.state.file:_refuse_lost_state", "if left:", "if False:"),
    "an artifact is not checked": Mutant(
        "pipeline.state.file:State.intact",
        "if describe_artifact(self.run_dir, artifact.path) != artifact:",
        "if False:",
    ),
    "other writers are overwritten": Mutant(
        "pipeline.state.file:State._refuse_other_writers", "if found != self._on_disk:", "if False:"
    ),
    "a stale job is bought again": Mutant(
        "pipeline.run.purchase:generation_of",
        "known = latest or max(bought, key=lambda attempt: attempt.first_at or '', default=None)",
        "return 0",
    ),
    "a lost state asks nobody": Mutant(
        "pipeline.backends.ledger:Ledger.lost_job", "if newest else None", "if False else None"
    ),
    "no canary": Mutant(
        "pipeline.backends.ledger:Ledger._check_account",
        "account = self._connection.identity",
        "return\n    account = ''",
    ),
    "a deployment is not looked for": Mutant(
        "pipeline.backends.hosting:NebiusHosting.look", "return Found([name for", "return Found([] and [name for"
    ),
    "a deployment's name is made up": Mutant("pipeline.steps.deploy:_hosting", "op[:12]", '__import__("os").getpid()'),
    "a removal is not written down": Mutant(
        "pipeline.backends.removing:Removing._deleted", "self._state.save()", "pass"
    ),
    "a deployment made twice stays": Mutant(
        "pipeline.backends.ledger:Ledger.deploy", "self._surplus(effect, name)", "()"
    ),
    "a signal cuts a request short": Mutant(
        "pipeline.process.signals:Signals.uninterrupted", "self._shields += 1", "pass"
    ),
    "the chat is logged": Mutant(
        "pipeline.terminal.display:TextDisplay.speech",
        "self._write(",
        "self._log and self._log.write(text)\n    self._write(",
    ),
    "an answer without an intent": Mutant(
        "pipeline.rescue.ledger:Ledger.intend", "self._keep(Asked(key, at, most_usd))", "pass"
    ),
    "a lost answer is asked again": Mutant(
        "pipeline.rescue.record:Recorder.left",
        "if not is_settled and (self._terms.again or each.key not in ledger.lost):",
        "if not is_settled:",
    ),
    "a lost answer counts as a no": Mutant(
        "pipeline.rescue.record:Recorder._until_settled", "if not definitely_refused(error):", "if False:"
    ),
    "what was lost costs nothing": Mutant(
        "pipeline.rescue.ledger:Ledger._take_in", "self.spent_usd += most_usd", "pass"
    ),
    "the key is written down": Mutant(
        "pipeline.state.file:State._write", "written_by=__version__", "written_by=os.environ['OPENAI_API_KEY']"
    ),
}


def apply(name: str) -> None:
    """Make this process run the mutant.

    Raises:
        LookupError: the source has changed, and the mutant with it is none any more.
    """
    function, source = mutated(name)
    made: dict[str, object] = {}
    exec(compile(source, f"<mutant: {name}>", "exec"), {**function.__globals__}, made)
    function.__code__ = _inside(made[function.__name__]).__code__


def mutated(name: str) -> tuple[FunctionType, str]:
    """The function that the mutant changes, and the source that it is given.

    Raises:
        LookupError: see `apply`.
    """
    mutant = MUTANTS[name]
    module_name, _, path = mutant.where.partition(":")
    found: object = importlib.import_module(module_name)
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    function = _inside(found)
    # Through ast and back: quotes and indentation are then the same whatever the formatter does.
    source = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    if source.count(mutant.old) != 1:
        raise LookupError(f"mutant {name!r}: {mutant.old!r} stands {source.count(mutant.old)} times in {mutant.where}")
    return function, source.replace(mutant.old, mutant.new)


def _inside(found: object) -> FunctionType:
    """The function that a property, a class method or a decorator wraps."""
    if isinstance(found, classmethod):
        found = found.__func__
    if isinstance(found, property):
        found = found.fget
    assert callable(found)
    function = inspect.unwrap(found)
    assert isinstance(function, FunctionType)
    return function
