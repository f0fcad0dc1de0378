"""The config: precedence, and mistakes named by file and line, all at once."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.config.file import load_config
from pipeline.errors import InputError

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.yaml"))
REFERENCE = Path(__file__).parents[2] / "configs/reference.yaml"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(path, overrides)
    return str(caught.value)


def test_there_are_configs_to_load() -> None:
    assert {path.name for path in CONFIGS} == {
        "tortoise.yaml",
        "openai.yaml",
        "imessage.yaml",
        "signal.yaml",
        "google-chat.yaml",
        "wechat.yaml",
        "sms.yaml",
        "jsonl.yaml",
        "examples.yaml",
        "telegram.yaml",
        "discord.yaml",
        "messenger.yaml",
        "instagram.yaml",
        "slack.yaml",
        "whatsapp.yaml",
        "ci.yaml",
        "reference.yaml",
    }


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads_and_opens_with_its_exact_command(path: Path) -> None:
    load_config(path)
    head = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert all(line.startswith("#") for line in head.splitlines() if line)
    assert f"finetune run configs/{path.name}" in head


def test_the_reference_shows_every_key_with_its_default() -> None:
    reference = load_config(REFERENCE)
    shown = reference.model_dump(exclude={"name", "map"})
    prompts = shown["smoke_test"].pop("prompts")
    optional: dict[str, dict[str, object]] = {"deploy": {}, "evaluate": {}}  # sections that are absent by default
    defaults = type(reference).model_validate({"name": "x", **optional}).model_dump(exclude={"name", "map"})
    assert [prompt["prompt"] for prompt in prompts] == [p["prompt"] for p in defaults["smoke_test"].pop("prompts")]
    assert shown == defaults
    text = REFERENCE.read_text(encoding="utf-8")
    for section, keys in reference.model_dump().items():
        for key in keys if isinstance(keys, dict) else []:
            assert f"\n  {key}:" in text, f"{section}.{key}"


def test_set_wins_over_the_environment_which_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "name: a\ncreate_job: {seed: 1, suffix: file, model: file}\n")
    monkeypatch.setenv("FINETUNE_CREATE_JOB__SEED", "2")
    monkeypatch.setenv("FINETUNE_CREATE_JOB__SUFFIX", "env")
    config = load_config(path, ["create_job.seed=3"])
    assert (config.create_job.seed, config.create_job.suffix, config.create_job.model) == (3, "env", "file")


def test_set_takes_yaml_values_and_dotted_keys(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, "name: a\n"), ["map.assistant=[Hare, Tortoise]", "smoke_test.system_prompt=null"]
    )
    assert config.map.assistant == ["Hare", "Tortoise"]
    assert config.smoke_test.system_prompt is None


def test_an_empty_section_means_its_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "name: a\nconvert:\n")).convert.preset == "notebook"


def test_every_mistake_is_named_at_once_by_line_with_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path,
        "name: a\n"
        "create_job:\n"
        "  modle: x\n"
        "  hyperparameters: {n_epochs: many}\n"
        "smoke_test:\n"
        "  prompts:\n"
        "    - prompt: hi\n"
        "      expect: {regex: '('}\n"
        "loda: {}\n",
    )
    monkeypatch.setenv("FINETUNE_CONVERT__MIN_EXAMPLES", "few")
    shown = "configs/reference.yaml shows every key with its values."
    assert refusal(path, "create_job.seed=-1").splitlines() == [
        f"environment FINETUNE_CONVERT__MIN_EXAMPLES: expected a whole number, got 'few'. {shown}",
        f"--set create_job.seed: expected at least 0, got -1. {shown}",
        f"{path}:3 create_job.modle: unknown key. Did you mean `model`?",
        f"{path}:4 create_job.hyperparameters.n_epochs: expected a whole number or 'auto', got 'many'. {shown}",
        f"{path}:8 smoke_test.prompts.0.expect.regex: not a regular expression (missing ), unterminated subpattern at "
        f"position 0), got '('. {shown}",
        f"{path}:9 loda: unknown key. Did you mean `load`?",
    ]


def test_a_key_in_the_config_is_refused_without_being_repeated(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "name: a\nbackend:\n  api_key: sk-very-secret\n"))
    assert message == (
        f"{tmp_path}/run.yaml:3 backend.api_key: keys never stand in a config. "
        "Remove it and set the environment variable (OPENAI_API_KEY for `kind: openai`)."
    )


def test_a_value_that_looks_like_a_key_is_never_repeated(tmp_path: Path) -> None:
    assert "sk-" not in refusal(write(tmp_path, "name: a\nbackend: {kind: sk-very-secret}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", ":2: `name` stands twice, first on line 1. Remove one of them."),
        ("name: [\n", ":2: not YAML (expected the node content, but found '<stream end>'). Mend that line."),
        ("- name\n", ": not a mapping of sections. configs/reference.yaml shows every key."),
        ("name: !!python/name:os.system x\n", ":1: not YAML (could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/name:os.system'). Mend that line."),
        ("backend: {}\n", " name: missing. Add it; configs/reference.yaml shows every key."),
    ],
)  # fmt: skip
def test_what_is_not_a_config_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path) == f"{path}{message}"


def test_a_missing_config_names_the_nearest_one(tmp_path: Path) -> None:
    write(tmp_path, "name: a\n")
    assert refusal(tmp_path / "rum.yaml") == f"{tmp_path}/rum.yaml: no such config. Did you mean {tmp_path}/run.yaml?"


def test_a_missing_config_that_is_like_none_names_those_beside_it_and_those_in_configs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(Path("a.yaml")) == "a.yaml: no such config. configs/tortoise.yaml is the one to start from."
    (tmp_path / "configs").mkdir()
    for name in ("configs/tortoise.yaml", "configs/imessage.yaml", "me.yaml"):
        (tmp_path / name).touch()
    theirs = "configs/imessage.yaml, configs/tortoise.yaml."
    assert refusal(Path("nothere.yaml")) == f"nothere.yaml: no such config. There are: me.yaml, {theirs}"
    assert refusal(Path("configs/xyz")) == f"configs/xyz: no such config. There are: {theirs}"
    assert refusal(Path("imesage.yaml")) == "imesage.yaml: no such config. Did you mean configs/imessage.yaml?"


def test_keys_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\nload: {source: langchain}\n")
    assert refusal(path) == (
        f"{path}:2 load: source `langchain` needs `loader`, such as telegram or slack. "
        "configs/reference.yaml shows every key with its values."
    )


def test_a_telephone_number_keeps_its_plus_and_a_date_is_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\nmap: {assistant: +15551234567}\nmerge: {delimiter: 2024-13-45}\n")
    config = load_config(path, ["create_job.suffix=2024-01-01"])
    assert config.map.assistant == "+15551234567"
    assert (config.merge.delimiter, config.create_job.suffix) == ("2024-13-45", "2024-01-01")


@pytest.mark.parametrize("text", ["? [a]\n: b\n", "name: x\nmerge: &a\n  x: *a\n", "name: \x07\n", "1: x\nname: y\n"])
def test_strange_yaml_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    assert refusal(write(tmp_path, text)).startswith(str(tmp_path))


def test_filters_take_one_or_several_and_dates_are_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_LOAD__CONTACTS", "true")
    path = write(tmp_path, "name: a\nload: {exclude_people: +15551234567, kinds: direct, since: 2020-01-31}\n")
    load = load_config(path).load
    assert (load.exclude_people, load.kinds, load.contacts) == (["+15551234567"], ["direct"], True)
    assert (load.since, load.until) == (date(2020, 1, 31), None)


@pytest.mark.parametrize(
    ("load", "what"),
    [
        ("{since: 2024-01-01, until: 2020-01-01}", "`since` comes after `until`"),
        ("{names: contacts}", "`names: contacts` needs `contacts`: true, or an AddressBook folder"),
        (
            "{source: langchain, loader: slack, contacts: true}",
            "`contacts` and `attachments` go with `source: imessage` only",
        ),
    ],
)
def test_filters_that_make_no_sense_are_refused(tmp_path: Path, load: str, what: str) -> None:
    path = write(tmp_path, f"name: a\nload: {load}\n")
    assert refusal(path) == f"{path}:2 load: {what}. configs/reference.yaml shows every key with its values."


API = "expected the address of an API, such as https://api.example.com/v1"
SEE = "configs/reference.yaml shows every key with its values."


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/v1", f"{API}, got 'ftp://host/v1'"),
        ("host", f"{API}, got 'host'"),
        ("http://", f"{API}, got 'http://'"),
        ("http://host:99999/v1", f"{API}, got 'http://host:99999/v1'"),
        ("http://[::1", f"{API}, got 'http://[::1'"),
        ("http://[v1.x]/v1", f"{API}, got 'http://[v1.x]/v1'"),
        ("http://a..b/v1", f"{API}, got 'http://a..b/v1'"),
        ("http://xn--a/v1", f"{API}, got 'http://xn--a/v1'"),
        (f"http://{'a' * 64}/v1", f"{API}, got 'http://{'a' * 64}/v1'"),
        ("http://a host/", f"{API}, without blanks, got 'http://a host/'"),
        ("https://host/v1?a=b", f"{API}, with nothing after `?` or `#`, got 'https://host/v1?a=b'"),
        (
            "https://me:sec/r@t@host/v1",
            "holds a user's name or password; keys come from the environment alone, got 'https://…@host/v1'",
        ),
    ],
)
def test_a_base_url_is_an_address_and_holds_no_password(tmp_path: Path, url: str, message: str) -> None:
    path = write(tmp_path, f"name: a\nbackend:\n  kind: compatible\n  base_url: {url!r}\n")
    assert refusal(path) == f"{path}:4 backend.base_url: {message}. {SEE}"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backend.timeout_s=1.0e+300", "expected at most 2592000, got 1e+300"),
        ("poll_job.interval_s=.inf", "expected a finite number, got inf"),
        ("poll_job.max_interval_s=.nan", "expected a finite number, got nan"),
        ("poll_job.timeout_s=1.0e+9", "expected at most 31536000, got 1000000000.0"),
        ("poll_file.outage_s=1.0e+9", "expected at most 31536000, got 1000000000.0"),
        ("download.attempts=1000000", "expected at most 1000, got 1000000"),
        (
            "smoke_test.max_tokens=99999999999999999999",
            "expected at most 2147483647, got 99999999999999999999",
        ),
    ],
)
def test_numbers_have_bounds_and_say_them(tmp_path: Path, override: str, message: str) -> None:
    key = override.partition("=")[0]
    assert refusal(write(tmp_path, "name: a\n"), override) == f"--set {key}: {message}. {SEE}"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("load.kinds=groups", "load.kinds: expected 'direct' or 'group', got 'groups'. Did you mean `group`?"),
        (
            "load.kinds=[direct, groups]",
            "load.kinds: expected 'direct' or 'group', got 'groups'. Did you mean `group`?",
        ),
        ("smoke_test.prompts=[{promt: a}]", "smoke_test.prompts.0.promt: unknown key. Did you mean `prompt`?"),
    ],
)
def test_what_is_wrong_inside_a_list_that_was_set_is_no_mistake_of_the_file(
    tmp_path: Path, override: str, message: str
) -> None:
    path = write(tmp_path, "name: a\nload: {kinds: [direct]}\nsmoke_test: {prompts: [{prompt: hi}]}\n")
    assert refusal(path, override).splitlines()[-1] == f"--set {message}"


def test_a_mistake_inside_a_section_from_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_LOAD", '{"kinds": ["groups"], "sicne": "2020-01-31"}')
    assert refusal(write(tmp_path, "name: a\n")).splitlines() == [
        "environment FINETUNE_LOAD load.kinds: expected 'direct' or 'group', got 'groups'. Did you mean `group`?",
        "environment FINETUNE_LOAD load.sicne: unknown key. Did you mean `since`?",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "finetune_create_job__seed",
            "x",
            f"expected a whole number, got 'x'. {SEE}",
        ),
        ("FINETUNE_CREATE_JOB", "{seed", "not JSON. Give sections and lists as JSON."),
        ("FINETUNE_CREATE_JOB__SEDE", "7", "unknown key. Did you mean `seed`?"),
        ("FINETUNE_CRAETE_JOB__SEED", "7", "unknown section, got CRAETE_JOB. Did you mean `CREATE_JOB`?"),
    ],
)
def test_a_mistake_in_the_environment_is_blamed_on_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    path = write(tmp_path, "name: a\ncreate_job:\n  seed: 7\n")
    assert refusal(path) == f"environment {name}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nmerge: 5\n", ":2 merge: expected a section, with its keys below it, got 5. {SEE}"),
        (
            "name: a b\n",
            ":1 name: expected at most 64 letters (a-z), digits and `.`, `_`, `-`, a letter or digit first, "
            "got 'a b'. {SEE}",
        ),
        (
            "name: a\n\tmerge: {}\n",
            ":2: not YAML (found character '\\t' that cannot start any token). Mend that line.",
        ),
        ("", " name: missing. Add it; configs/reference.yaml shows every key."),
        ("name: a\npoll_job: {timeout_s: soon}\n", ":2 poll_job.timeout_s: expected a number, got 'soon'. {SEE}"),
        ("name: a\npoll_job: {interval_s: -1}\n", ":2 poll_job.interval_s: expected more than 0, got -1. {SEE}"),
        ("name: a\nupload: {cleanup: maybe}\n", ":2 upload.cleanup: expected true or false, got 'maybe'. {SEE}"),
        ("name: a\nload: {since: soon}\n", ":2 load.since: expected a date such as 2020-01-31, got 'soon'. {SEE}"),
        (
            "name: a\nload:\n  kinds: groups\n",
            ":3 load.kinds: expected 'direct' or 'group', got 'groups'. Did you mean `group`?",
        ),
        ("name: a\nmap: {assistant: [Ann, [Bob]]}\n", ":2 map.assistant.1: expected a text, got ['Bob']. {SEE}"),
    ],
)
def test_a_file_of_the_wrong_shape_is_told_in_our_words(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path) == f"{path}{message.format(SEE=SEE)}"


def test_what_is_no_text_file_is_no_config(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read (Is a directory). Give a YAML file."
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    assert refusal(tmp_path / "a.yaml") == f"{tmp_path}/a.yaml: cannot be read (not UTF-8 text). Give a YAML file."


NUL = "holds a NUL character, which no path, name or text can be sent or stored with. Take it out."


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('download: {source: "a\\0b"}', "download.source"),
        ('download: {source: [x, "a\\0b"]}', "download.source.1"),
        ('backend: {script: "\\0", trainer: scripted}', "backend.script"),
        ('create_job: {metadata: {"a\\0": b}}', "create_job.metadata.a\\u0000"),
        ('smoke_test: {prompts: [{prompt: "\\0"}]}', "smoke_test.prompts.0.prompt"),
    ],
)
def test_a_nul_is_refused_in_any_text(tmp_path: Path, line: str, key: str) -> None:
    path = write(tmp_path, f"name: a\n{line}\n")
    assert refusal(path) == f"{path}:2 {key}: {NUL}"


def test_a_nul_in_the_environment_or_an_override_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "name: a\n")
    assert refusal(path, 'load.contacts="\\0"') == f"--set load.contacts: {NUL}"
    monkeypatch.setenv("FINETUNE_LOAD", r'{"people": {"a": ["\u0000"]}}')
    assert refusal(path) == f"environment FINETUNE_LOAD load.people.a: {NUL}"
