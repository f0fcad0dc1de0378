"""The shape of the code, held by reading its imports and names."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.settings import Config
from pipeline.state.file import CREATE_JOB, DEPLOY, UPLOAD
from pipeline.steps import STEPS
from pipeline.steps.step import Step, Work

PACKAGE = Path(__file__).parent.parent / "pipeline"
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "gguf", "safetensors"}
LONGEST = 400


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


IMPORTS = {name_of(path): imports(tree) for path, tree in MODULES.items()}


def at_top(tree: ast.Module) -> set[str]:
    """What importing the module imports at once."""
    return {name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for name in imports(node)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_a_module_imports_only_what_its_place_allows(path: Path) -> None:
    name, found = name_of(path), IMPORTS[name_of(path)]
    roots = {each.split(".")[0] for each in found}
    if not name.startswith(("pipeline.training", "pipeline.models", "pipeline.inference", "pipeline.export")):
        assert not roots & HEAVY, "torch and its kin are imported where models are read, trained, asked, written, only"
    assert "langchain_community" not in {each.split(".")[0] for each in at_top(MODULES[path])}
    if name.startswith("pipeline.server"):
        above = ("pipeline.steps", "pipeline.run", "pipeline.state.file", "pipeline.cli", "pipeline.commands")
        assert not {each for each in found if each.startswith(above)}, "the server knows nothing of the pipeline"
    if name.startswith("pipeline.steps.") and name.count(".") == 2 and path.stem not in ("step", "outputs"):
        shared = {"pipeline.steps.step", "pipeline.steps.outputs"}
        steps = {each for each in found if each.startswith("pipeline.steps.")}
        assert {each for each in steps if not each.startswith(tuple(shared))} == set(), "steps do not know each other"
        assert not {each for each in found if each.startswith("pipeline.server")}


FLOORS = (
    {"process", "wording"},
    {"errors"},
    {"failpoints", "network", "samples", "terminal"},
    {"durable"},
    {"models", "sessions", "state"},
    {"archives", "training"},
    {"config", "fetch", "inference"},
    {"dataset", "export"},
    {"server"},
    {"backends", "testing"},
    {"evaluation"},
    {"steps"},
    {"run"},
    {"report"},
    {"rescue"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
"""The rooms, from the ground up. An import goes down, never up and never across: so there is no circle."""

MOST_ROOMS = 30


def rooms_imported(tree: ast.AST) -> set[str]:
    """The rooms that a module imports something of, at any time; what only a type checker reads does not count."""
    typed = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for part in node.body
        for inner in ast.walk(part)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typed and node.module:
            names = [node.module] if node.module != "pipeline" else [f"pipeline.{alias.name}" for alias in node.names]
            found.update(name.split(".")[1] for name in names if name.startswith("pipeline."))
        elif isinstance(node, ast.Import) and id(node) not in typed:
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pipeline."))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_an_import_goes_down(path: Path) -> None:
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    parts = name_of(path).split(".")
    if len(parts) == 1:
        return
    below = {room for room, floor in floors.items() if floor < floors[parts[1]]}
    assert rooms_imported(MODULES[path]) - {parts[1], "__version__"} <= below


def test_a_newcomer_sees_all_rooms_at_once() -> None:
    entries = {path.relative_to(PACKAGE).parts[0] for path in MODULES}
    assert len(entries) <= MOST_ROOMS
    assert {entry.removesuffix(".py") for entry in entries} == set().union(*FLOORS) | {"__init__"}


def importers_of(what: str) -> set[str]:
    """The modules outside of `what` that import it or something in it."""
    return {
        name
        for name, found in IMPORTS.items()
        if not name.startswith(what) and any(f"{each}.".startswith(f"{what}.") for each in found)
    }


def test_the_servers_store_and_queue_are_known_by_their_interfaces_only() -> None:
    storage, queue = "pipeline.server.storage", "pipeline.server.queue"
    for concrete in ("store", "file_store", "upload_store", "sqlite_errors"):
        assert {each for each in importers_of(f"{storage}.{concrete}") if not each.startswith(storage)} <= {
            "pipeline.server.main"
        }
    assert importers_of(queue) == {"pipeline.server.main"}
    # Outside the server: which store it is, what it remembers of a job, and a place for one that nobody keeps.
    assert importers_of(storage) == {
        "pipeline.server.main",
        "pipeline.backends.embedded",
        "pipeline.report.contents",
        "pipeline.commands.export",
        "pipeline.testing",
        "pipeline.commands.serve",
        "pipeline.commands.studio.live",
    }
    server = {each for each in importers_of("sqlite3") if each.startswith("pipeline.server.")}
    assert {each for each in server if not each.startswith(storage)} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_a_module_can_be_read_at_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def owners_of(is_it: Callable[[ast.Call, str], bool]) -> set[str]:
    """The modules with such a call of a method; it is asked of each call and the dotted name that it goes by."""
    return {
        name_of(path)
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_it(node, ast.unparse(node.func))
    }


def test_only_the_durable_module_renames_files_of_a_run() -> None:
    def renames(call: ast.Call, name: str) -> bool:
        last = name.rpartition(".")[2]
        if last == "replace" and not name.startswith(("os.", "dataclasses.")):
            return len(call.args) == 1 and not call.keywords  # a path's, not a text's
        return last in ("rename", "renames") or name in ("os.replace", "shutil.move")

    assert owners_of(renames) == {"pipeline.durable"}


def test_only_the_ledger_changes_anything_on_a_backend() -> None:
    """Files sent and deleted, jobs bought, cancelled, paused and resumed: called there, and nowhere else handed on."""
    changing = {"create", "cancel", "delete", "pause", "resume", "complete", "post", "put", "patch"}

    def changes(node: ast.Attribute) -> bool:
        # An answer is paid for, too, but nothing of it stays there.
        return node.attr in changing and not ast.unparse(node).endswith(ANSWERS)

    places = {
        name_of(path)
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and changes(node)
    }
    # In the server `.post` declares a route, and its queue and files are its own.
    assert {each for each in places if not each.startswith("pipeline.server.")} == {
        "pipeline.backends.ledger",
        "pipeline.backends.removing",  # a part of it
        "pipeline.backends.hosting",  # the requests that it has made
    }


ANSWERS = (".completions.create", ".completions.with_raw_response.create")


def test_answers_that_are_paid_for_are_asked_in_few_places_and_in_one_of_a_rescue() -> None:
    places = {
        name_of(path)
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(ANSWERS)
    }
    assert {each for each in places if each.startswith("pipeline.rescue")} == {"pipeline.rescue.asking"}
    # A conversation is the user's own; an evaluation has a budget of its own; LangChain asks for the smoke test.
    assert places == {
        "pipeline.commands.chat",
        "pipeline.commands.studio.answering",
        "pipeline.evaluation.asking",
        "pipeline.rescue.asking",
    }


def test_only_what_makes_foreign_text_visible_writes_to_a_terminal() -> None:
    def writes(_: ast.Call, name: str) -> bool:
        return name.endswith((".echo", "stdout.write", "stderr.write", "stream.write", "console.print", "secho"))

    plain = {
        name_of(path)
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "echo", "secho", "rprint")
    }
    ours = {
        "pipeline.terminal.streams",
        "pipeline.commands.context",
        "pipeline.terminal.display",
        "pipeline.terminal.live_region",
    }
    # The server tells its parent where it is, in JSON; what renders templates tells its own, through a buffer; and
    # what `make` installs with repeats pip's words, before anything of ours is installed. What measures the machine
    # tells its parent so, too.
    assert owners_of(writes) | plain == {*ours, "pipeline.commands.serve", "pipeline.commands.installing"}
    assert owners_of(lambda _, name: name.endswith("stdout.buffer.write")) == {
        "pipeline.models.template_process",
        "pipeline.models.probe",
    }


def test_only_counting_for_openais_own_models_has_a_vocabulary_downloaded() -> None:
    """LangChain's `get_num_tokens` and tiktoken's `get_encoding` fetch one from the internet."""
    assert owners_of(lambda _, name: name.endswith((".get_encoding", ".encoding_for_model"))) == {
        "pipeline.dataset.tokens"
    }
    assert owners_of(lambda _, name: "get_num_tokens" in name) == set()


def test_there_are_ten_steps_in_order() -> None:
    assert [step.name for step in STEPS if step.section is None] == [
        "download", "load", "merge", "map", "convert", "upload", "poll_file", "create_job", "poll_job", "smoke_test",
    ]  # fmt: skip


def deciding_texts(tree: ast.AST) -> set[str]:
    """The literals that something is compared with, looked up or found by."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            found += [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript):
            found.append(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asks = node.func.attr in ("get", "pop", "index", "startswith", "count")
            found += [
                *(node.args if asks else ()),
                *(key.value for key in node.keywords if key.arg in ("first", "last")),
            ]
        elif isinstance(node, ast.MatchValue):
            found.append(node.value)
    inside = (part for expression in found for part in ast.walk(expression))
    return {part.value for part in inside if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def test_nothing_outside_of_the_steps_decides_by_a_steps_name() -> None:
    names = {step.name for step in STEPS}
    deciding = {
        name_of(path): names & deciding_texts(tree)
        for path, tree in MODULES.items()
        if not name_of(path).startswith(("pipeline.steps.", "pipeline.server."))
    }
    assert {name: found for name, found in deciding.items() if found} == {}


def test_the_steps_that_change_a_backend_are_those_that_the_state_knows() -> None:
    assert [step.name for step in STEPS if step.buys] == [CREATE_JOB]
    assert [(step.name, step.sent_for) for step in STEPS if step.sent_for] == [
        (UPLOAD, (CREATE_JOB,)),
        (DEPLOY, ("smoke_test", "evaluate")),
    ]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_what_a_step_names_comes_before_it_or_uses_it(step: Step) -> None:
    before = [each.name for each in STEPS[: STEPS.index(step)]]
    assert {*step.needs, *step.maybe, *filter(None, [step.spoils])} <= {*before}
    users = [each.name for each in STEPS if set(each.needs) & {step.name}]
    assert not set(step.sent_for) & set(before)
    assert step.section is None or not users, "what may be absent is needed by nobody"


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_steps_function_takes_the_config_what_it_needs_and_its_work(step: Step) -> None:
    outputs = {each.name: each.output for each in STEPS}
    needed, maybe = [outputs[name] for name in step.needs], [outputs[name] | None for name in step.maybe]
    expected = [Config, *needed, *maybe, Work, step.output]
    assert list(inspect.get_annotations(step.run).values()) == expected
    for later in filter(None, (step.after_skip, step.at_end)):
        assert list(inspect.get_annotations(later).values()) == [*expected[:-1], None]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_reads_no_config_that_it_does_not_declare(step: Step) -> None:
    tree = ast.parse(inspect.getsource(inspect.getmodule(step.run) or inspect))
    allowed = {*step.declares, *step.also_reads}
    sections = {key.split(".")[0] for key in allowed}
    whole = {key for key in allowed if "." not in key}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "config":
            assert node.attr in sections, f"{step.name} reads config.{node.attr}"
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id == "config"
        ):
            key = f"{node.value.attr}.{node.attr}"
            assert node.value.attr in whole or key in allowed, f"{step.name} reads {key}"


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_declared_key_exists(step: Step) -> None:
    optional: dict[str, dict[str, object]] = {each.section: {} for each in STEPS if each.section is not None}
    values = Config.model_validate({"name": "x", **optional}).model_dump()
    for key in (*step.declares, *step.also_reads):
        found: object = values
        for part in key.split("."):
            assert isinstance(found, dict)
            assert part in found, key
            found = found[part]
