"""`finetune init` as people meet it: on a terminal, with flags, on archives of every kind."""

import json
import os
import pty
import re
import select
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.commands.init.config_text import Answers, config_text, scalar
from pipeline.commands.init.small_talk import SMALL_TALK, small_talk
from pipeline.config.file import load_config
from pipeline.config.settings import Backend
from pipeline.dataset.languages import NAMES
from pipeline.models.machine import MEASURING
from tests.archives.exports import EXPORTS, SPOKEN, chat_db_without_its_log, telegram, whatsapp_text, whatsapp_zip
from tests.archives.meta_exports import said, thread
from tests.command import BOUND_S, Workshop
from tests.fetch.site import Site, reply

DIALOGUE = """\
 a chat exported by WhatsApp: 24 messages by 2 people, 2023-08-01 to 2023-08-12.
Recognised by the lines of _chat.txt in it, which begin with date, time and name.

Whom shall the model text like? Usually yourself; everybody else becomes the one it talks to.
   1  Hare                                  12 messages
   2  Tortoise                              12 messages
Number or name [Tortoise]: Bob
  no such choice, got Bob. Give a number up to 2, or a name: Hare, Tortoise.
Number or name [Tortoise]:
The model will text like Tortoise.

Where shall it be trained?
   1  embedded    this machine: free, no chat leaves it; about a minute of training with the smallest model
   2  openai      OpenAI: the chats are sent there; OPENAI_API_KEY is not set yet
   3  azure       Azure OpenAI: the chats are sent there; AZURE_OPENAI_API_KEY is not set yet
   4  nebius      Nebius Token Factory: the chats are sent there; NEBIUS_API_KEY is not set yet
   5  compatible  any server with OpenAI's API: the chats are sent there; OPENAI_API_KEY is not set yet
Number or name [embedded]: 7
  no such choice, got 7. Give a number up to 5, or a name: embedded, openai, azure, nebius, compatible.
Number or name [embedded]: 1

Which model shall learn it? This machine has …
     create_job.model…
…
Or any other: its name on the Hugging Face Hub, or the path of its folder.
* suits best: …
Number or name …: nobody
  no such choice, got nobody. Give a number up to 11, or a name: smollm2-135m-instruct, \
HuggingFaceTB/SmolLM2-360M-Instruct, HuggingFaceTB/SmolLM2-1.7B-Instruct, Qwen/Qwen3-0.6B, Qwen/Qwen3-1.7B, ….
Number or name …: 1

Write the config to [my-whatsapp.yaml]:

Wrote my-whatsapp.yaml, readable by you alone. Look at it if you like: every key says what it does.

What to expect:
  replies     about 12 replies to learn, in English
  language    SmolLM2 135M speaks English
  takes       about a minute …
  expect      it will recite them: fewer than 100 are learnt by heart
  would help  more of their messages (500 replies are worth while, about 1,500 plenty)

Next   python -m pipeline run my-whatsapp.yaml
       reads the archive, makes training examples, trains on this machine (Ctrl-C pauses, the same command goes on) \
and shows what it learnt
Then   python -m pipeline chat my-whatsapp.yaml

See what it would learn from, before anything is trained, with: python -m pipeline inspect my-whatsapp.yaml
"""


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path / "shop")
    shop.config.unlink()
    shop.env["HOME"] = str(tmp_path / "home")
    return shop


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


def on_a_terminal(shop: Workshop, answers: list[str], *arguments: str) -> tuple[int, str]:
    """Answer the questions as a person does; returns the exit status and what the screen showed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "init", *arguments]
    env = {**shop.env, "TERM": "dumb"}
    process = subprocess.Popen(
        command, cwd=shop.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    waiting, shown = iter(answers), b""
    while select.select([ours], [], [], BOUND_S)[0]:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says EIO once the other side is closed
            break
        shown += piece
        if not piece:
            break
        if shown.endswith(b": "):
            os.write(ours, next(waiting).encode())
    os.close(ours)
    return process.wait(BOUND_S), shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("export", EXPORTS)
def test_the_config_of_every_kind_of_archive_runs_as_it_is(shop: Workshop, tmp_path: Path, export: str) -> None:
    path = EXPORTS[export](tmp_path)
    made = shop.finetune("init", "--source", str(path), "--me", "Tortoise", "--out", "mine")
    assert (made.code, made.err) == (0, "")
    assert stat.S_IMODE((shop.folder / "mine.yaml").stat().st_mode) == 0o600
    few = ("--set", "convert.min_examples=1")  # these archives are small
    ran = shop.finetune("run", "mine.yaml", "--until", "convert", "--set", "convert.tokens=estimate", *few)
    assert (ran.code, ran.err) == (0, "")
    assert (shop.folder / "runs/mine/05_train.jsonl").stat().st_size > 0


def test_a_newcomer_answers_a_few_questions(shop: Workshop, tmp_path: Path) -> None:
    path = whatsapp_zip(tmp_path / "home")
    answers = [
        "~/nothing\n",
        str(path).replace(" ", "\\ ") + "\n",
        "Bob\n",
        "\n",
        "7\n",
        "1\n",
        "nobody\n",
        "1\n",
        "\n",
    ]
    code, shown = on_a_terminal(shop, answers)
    assert code == 0
    # What hangs on the machine is tested in tests/commands/test_models.py.
    shown = shown.replace(f"{MEASURING}\n", "")
    shown = re.sub("(This machine has |suits best: |create_job.model|takes +about a minute ).+", r"\1…", shown)
    shown = re.sub(r"(?s)(create_job.model…\n).+?(Or any other)", r"\1…\n\2", shown)
    shown = re.sub(r"Number or name \[[^\]]+\]: (nobody|1\n\nWrite)", r"Number or name …: \1", shown)
    assert [line.rstrip() for line in shown.partition("\nFound")[2].splitlines()] == DIALOGUE.splitlines()
    config = load_config(shop.folder / "my-whatsapp.yaml")
    assert config.evaluate is not None, "a model of a person is measured"
    assert (config.name, config.download.source) == ("my-whatsapp", f"~/{path.name}")
    assert (config.map.assistant, config.load.source, config.backend.kind) == ("Tortoise", "whatsapp", "embedded")
    assert not [said for _, said in SPOKEN if said in shown]


def test_the_owner_is_known_where_the_archive_says_so(shop: Workshop) -> None:
    made = shop.finetune("init", "--yes", "--source", "sample:tortoise-hare")
    assert (made.code, made.err) == (0, "")
    assert "The model will text like you, the owner of the archive.\n" in made.out
    assert load_config(shop.folder / "my-imessage.yaml").map.assistant == "me"


def test_the_owner_may_be_named_as_the_archive_names_them(shop: Workshop, tmp_path: Path) -> None:
    thread(tmp_path / "export/inbox/ada_1/message_1.json", [said("Ada Quill", "Hi"), said("Ben Moss", "Hello", 1)])
    profile = {"profile_v2": {"name": {"full_name": "Ben Moss"}}}
    (tmp_path / "export/profile_information.json").write_text(json.dumps(profile), encoding="utf-8")
    made = shop.finetune("init", "--source", str(tmp_path / "export"), "--me", "Ben Moss", "--out", "mine.yaml")
    assert (made.code, made.err) == (0, "")
    assert "The model will text like you, the owner of the archive.\n" in made.out
    assert load_config(shop.folder / "mine.yaml").map.assistant == "me"


def test_a_database_that_was_copied_without_its_log_is_told_of(shop: Workshop, tmp_path: Path) -> None:
    made = shop.finetune("init", "--yes", "--source", str(chat_db_without_its_log(tmp_path)))
    assert (made.code, made.err) == (0, "")
    assert made.out.splitlines()[3] == (
        "Note: its newest messages may be missing: there is no chat.db-wal beside it. Copy it again, together "
        "with chat.db-wal and chat.db-shm if they lie beside the original."
    )
    assert "Note: " not in shop.finetune("init", "--yes", "--source", "sample:tortoise-hare").out


def test_where_nothing_says_who_the_owner_is_nobody_is_guessed(shop: Workshop, tmp_path: Path) -> None:
    made = shop.finetune("init", "--yes", "--source", str(telegram(tmp_path)))
    assert (made.code, made.err) == (
        2,
        "error: --me: the archive does not say whose it is. Give --me NAME, one of: Hare (12), Tortoise (12).\n",
    )


def test_without_a_terminal_one_message_says_which_flags_are_needed(shop: Workshop) -> None:
    assert shop.finetune("init").err == (
        "error: finetune init: there is no terminal to ask on. Give --source PATH and --me NAME, or --yes to take the "
        "defaults.\n"
    )
    assert shop.finetune("init", "--yes").err == (
        "error: --source: needed, for there is no default here. Give --source.\n"
    )
    assert list(shop.folder.iterdir()) == []


def test_what_cannot_be_read_is_told_in_words_of_what_was_given(shop: Workshop, tmp_path: Path) -> None:
    def refusal(source: str) -> str:
        done = shop.finetune("init", "--yes", "--source", source)
        assert done.code == 2
        return done.err

    assert refusal("sample:x") == "error: --source: no such sample, got 'x'. Choose one of: tortoise-hare.\n"
    with closing(sqlite3.connect(shop.folder / "other.db")) as db:
        db.execute("CREATE TABLE bookmarks (id)")
    assert refusal("other.db").startswith(
        "error: other.db: a database, but of no app that can be read. Known are iMessage, "
    )
    site = Site()
    site.answers = [reply(200)]
    thread = threading.Thread(target=site.server.serve_forever)
    thread.start()
    try:
        assert refusal(f"{site.url}/chat.zip") == (
            "error: --source: an empty file, not a chat archive. Get the file again from where it comes from, and "
            "check what you gave.\n"
        )
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join()


def test_what_is_there_is_never_overwritten(shop: Workshop, tmp_path: Path) -> None:
    flags = ("--source", str(telegram(tmp_path)), "--me", "Hare")
    (shop.folder / "my-telegram.yaml").write_text("mine")
    refused = shop.finetune("init", *flags, "--out", "my-telegram.yaml")
    assert (refused.code, refused.err) == (
        2,
        "error: my-telegram.yaml: is there already, and is not overwritten. Give another name.\n",
    )
    assert (shop.folder / "my-telegram.yaml").read_text() == "mine"
    assert shop.finetune("init", *flags).code == 0
    assert load_config(shop.folder / "my-telegram-2.yaml").name == "my-telegram-2"


def test_no_two_configs_share_a_run(shop: Workshop, tmp_path: Path) -> None:
    def name_of(made: str, *arguments: str) -> str:
        done = shop.finetune("init", "--source", str(telegram(tmp_path)), "--me", "Hare", *arguments)
        assert (done.code, f"Wrote {made}, readable by you alone." in done.out) == (0, True)
        return load_config(shop.folder / made).name

    assert name_of("imessage.yaml", "--out", "imessage") == "imessage-2", "configs/imessage.yaml has that name"
    assert name_of("my-telegram.yaml") == "my-telegram"
    (shop.folder / "configs").mkdir()
    (shop.folder / "configs" / "theirs.yml").write_text("name: my-telegram-2\n")
    (shop.folder / "broken.yaml").write_text("name: [")
    (shop.folder / "my-telegram-3.yaml").touch()
    (shop.folder / "runs" / "my-telegram-4").mkdir(parents=True)
    assert name_of("my-telegram-5.yaml") == "my-telegram-5"
    assert name_of("configs/my-telegram.yaml", "--out", "configs/my-telegram.yaml") == "my-telegram-3"
    assert name_of("configs/theirs.yaml", "--out", "configs/theirs.yaml") == "theirs"
    assert name_of("theirs.yaml", "--out", "theirs") == "theirs-2", "one in the folder configs has that name"


def test_a_hosted_backend_is_told_of_with_its_key_and_model(shop: Workshop, tmp_path: Path) -> None:
    flags = ("--source", str(whatsapp_text(tmp_path)), "--yes", "--backend", "compatible", "--model", "m")
    assert shop.finetune("init", *flags).err == (
        "error: --base-url: needed, for there is no default here. Give --base-url.\n"
    )
    made = shop.finetune("init", *flags, "--base-url", "https://example.org/v1")
    assert made.code == 0
    assert "First  export OPENAI_API_KEY=…\n" in made.out
    backend = load_config(shop.folder / "my-whatsapp.yaml").backend
    assert (backend.kind, backend.base_url) == ("compatible", "https://example.org/v1")


@pytest.mark.parametrize(
    ("backend", "url", "what"),
    [
        ("compatible", "http://a..b/v1", "expected the address of an API, such as https://api.example.com/v1"),
        (
            "compatible",
            "https://me:secret@host",
            "holds a user's name or password; keys come from the environment alone",
        ),
        (
            "embedded",
            "http://127.0.0.1/v1",
            "`base_url` goes with a hosted backend; use `kind: compatible` for a server of your own",
        ),
    ],
)
def test_an_address_that_cannot_be_asked_is_refused(
    shop: Workshop, tmp_path: Path, backend: str, url: str, what: str
) -> None:
    flags = ("--source", str(whatsapp_text(tmp_path)), "--yes", "--backend", backend, "--model", "m")
    refused = shop.finetune("init", *flags, "--base-url", url)
    assert refused.err == f"error: --base-url: {what}. Give the address as the provider's documentation has it.\n"
    assert refused.code == 2


def test_a_model_of_the_hub_is_named_and_what_will_come_of_it_is_told(shop: Workshop) -> None:
    flags = ("--source", "sample:tortoise-hare", "--me", "Tortoise", "--model")
    made = shop.finetune("init", *flags, "HuggingFaceTB/SmolLM2-360M-Instruct", "--out", "mine.yaml")
    assert (made.code, made.err) == (0, "")
    assert (
        "       fetches HuggingFaceTB/SmolLM2-360M-Instruct from the Hugging Face Hub, once, reads the archive, makes "
        "training examples, trains on this machine (Ctrl-C pauses, the same command goes on) and shows what it learnt\n"
    ) in made.out
    assert (
        "  model: HuggingFaceTB/SmolLM2-360M-Instruct  "
        "# of the Hugging Face Hub: fetched once; its commit is kept for this run\n"
    ) in (shop.folder / "mine.yaml").read_text()
    assert load_config(shop.folder / "mine.yaml").create_job.model == "HuggingFaceTB/SmolLM2-360M-Instruct"
    refused = shop.finetune("init", *flags, "gpt-4o", "--out", "other.yaml")
    assert (refused.code, refused.err) == (
        2,
        "error: --model: no such choice, got gpt-4o. Give a number up to 11, or a name: smollm2-135m-instruct, "
        "HuggingFaceTB/SmolLM2-360M-Instruct, HuggingFaceTB/SmolLM2-1.7B-Instruct, Qwen/Qwen3-0.6B, Qwen/Qwen3-1.7B, "
        "….\n",
    )


def test_answers_that_end_leave_nothing_behind(shop: Workshop, tmp_path: Path) -> None:
    code, shown = on_a_terminal(shop, ["\x04"])
    assert code == 2
    assert shown.endswith("error: finetune init: the answers ended. Nothing was written; begin again.\n")
    assert list(shop.folder.iterdir()) == []


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
@example("Hare\x1b]0;title\x07\nmap: {assistant: x}", "\nname: other\x85\n.yaml")
def test_a_name_or_a_path_of_any_characters_leaves_a_config_that_means_it(name: str, path: str) -> None:
    answers = Answers("run", "./chat.txt", "a chat", "whatsapp", name, Backend(), "smollm2-135m-instruct")
    written = yaml.safe_load(config_text(answers, Path(path.replace("\0", ""))))
    assert (written["name"], written["map"]["assistant"]) == ("run", name)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_every_name_comes_out_of_the_config_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(f"name: a\nmap:\n  assistant: {scalar(name)}  # who\n", encoding="utf-8")
    assert load_config(path).map.assistant == name


def test_the_first_questions_are_in_the_chats_language(shop: Workshop, tmp_path: Path) -> None:
    said = ["Na, was machst du heute so?", "Ich hab keine Lust auf Arbeit, und du?", "Kommst du später noch vorbei?"]
    lines = [
        f"[{day:02}/08/2023, 09:0{n}:00] {who}: {said[n % 3]}" for day in range(1, 13) for n, who in enumerate("AB")
    ]
    (tmp_path / "chat.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = shop.finetune("init", "--source", str(tmp_path / "chat.txt"), "--me", "A", "--out", "mine")
    assert (made.code, made.err) == (0, "")
    asked = load_config(shop.folder / "mine.yaml").smoke_test.prompts
    assert [each.prompt for each in asked] == [
        "Was machst du am Wochenende?",
        "Hast du gesehen, was ich dir geschickt habe?",
    ]
    assert (
        "  language    SmolLM2 135M does not speak German (only English): what it writes will make no sense\n"
        in made.out
    )


@pytest.mark.parametrize("name", SMALL_TALK)
def test_questions_of_every_language_come_out_of_a_config_as_they_went_in(name: str) -> None:
    answers = Answers("run", "./chat.txt", "a chat", "whatsapp", "A", Backend(), "m", small_talk(name))
    written = yaml.safe_load(config_text(answers, Path("run.yaml")))
    assert written["smoke_test"]["prompts"] == list(SMALL_TALK[name])
    assert name in NAMES
    assert small_talk("xx") == small_talk(None) == SMALL_TALK["en"]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("qwen/qwen3-0.6b", "Qwen/Qwen3-0.6B"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m-instruct"),
        ("google/gemma-3-1b-it@main", "google/gemma-3-1b-it@main"),
        ("somebody/elses-model", "somebody/elses-model"),
        ("smollm2", "smollm2-135m-instruct"),
    ],
)
def test_a_model_is_named_by_its_name(shop: Workshop, said: str, written: str) -> None:
    made = shop.finetune("init", "--yes", "--source", "sample:tortoise-hare", "--model", said)
    assert (made.code, made.err) == (0, "")
    assert load_config(shop.folder / "my-imessage.yaml").create_job.model == written
    gated = "Gemma 3 1B is gated: ask for access on its page of the Hub, then set HF_TOKEN.\n"
    assert (gated in made.out) == ("gemma" in said)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (
            "gpt-5",
            "no such choice, got gpt-5. Give a number up to 11, or a name: smollm2-135m-instruct, "
            "HuggingFaceTB/SmolLM2-360M-Instruct, HuggingFaceTB/SmolLM2-1.7B-Instruct, Qwen/Qwen3-0.6B, "
            "Qwen/Qwen3-1.7B, ….",
        ),
        (
            "./nowhere",
            "no Hugging Face directory, got ./nowhere. Give the directory that `save_pretrained` wrote model and "
            "tokenizer to.",
        ),
    ],
)
def test_a_model_that_nobody_has_is_refused(shop: Workshop, said: str, refused: str) -> None:
    made = shop.finetune("init", "--yes", "--source", "sample:tortoise-hare", "--model", said)
    assert (made.code, made.err) == (2, f"error: --model: {refused}\n")
    assert not (shop.folder / "my-imessage.yaml").exists()


def test_every_key_of_the_config_has_a_comment(shop: Workshop, tmp_path: Path) -> None:
    shop.finetune("init", "--source", str(telegram(tmp_path)), "--me", "Hare")
    lines = (shop.folder / "my-telegram.yaml").read_text().splitlines()
    assert [line for line in lines if re.fullmatch(r" *\w+: [^#]*", line)] == []


@pytest.mark.parametrize("flag", ["--source", "--out"])
def test_a_home_that_this_machine_does_not_know_is_said(shop: Workshop, flag: str) -> None:
    given = {"--source": "sample:tortoise-hare", "--me": "Hare"} | {flag: "~nobody-of-that-name/x"}
    made = shop.finetune("init", *(word for pair in given.items() for word in pair))
    assert (made.code, made.err) == (
        2,
        f"error: {flag}: this machine knows no such home directory, got ~nobody-of-that-name/x. "
        "Write the whole path.\n",
    )


def test_examples_that_are_ready_need_no_owner_and_go_through_the_steps_as_they_are(
    shop: Workshop, tmp_path: Path
) -> None:
    lines = [
        json.dumps({"messages": [{"role": "user", "content": f"Hi {n}"}, {"role": "assistant", "content": "Ho"}]})
        for n in range(10)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines))
    made = shop.finetune("init", "--source", str(path), "--yes", "--out", "mine")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith(
        f"Reading {path} …\nFound 10 training examples in OpenAI's form, of 20 messages.\nRecognised by the keys of "
        "the first line of train.jsonl.\nThe model will answer as the assistant of the examples does.\n"
    )
    ran = shop.finetune("run", "mine.yaml", "--until", "convert", "--set", "convert.tokens=estimate")
    assert (ran.code, ran.err) == (0, "")
    assert "10 training examples of 20 messages" in ran.out
    assert (shop.folder / "runs/mine/05_train.jsonl").read_text().splitlines() == lines
    shown = shop.finetune("inspect", "mine.yaml", "--examples", "1", "--set", "convert.tokens=estimate")
    assert "user      Hi 5\nassistant Ho\n" in shown.out
