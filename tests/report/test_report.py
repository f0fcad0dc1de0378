"""The whole report of a run: its structure, what it keeps to itself, hostile text, and what is missing."""

import itertools
import json
import re
import sqlite3
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt

from pipeline.durable import describe_artifact
from pipeline.errors import InputError
from pipeline.report.page import as_html
from tests.command import Workshop
from tests.report.page_reader import Page
from tests.report.tampering import Run

HOSTILE = "</td></style><script>alert(1)</script><img src=x onerror=alert(1)> | `a` ```b\n```\n# *c* [d](http://e) & \\"


def test_the_report_is_one_page_that_needs_nothing_beside_it(run: Run) -> None:
    page = Page(run.html(with_text=True))
    assert not {"script", "link", "img", "iframe", "object", "image", "foreignobject"} & {
        tag for tag, _ in page.elements
    }
    ids = page.having("id")
    assert len(set(ids)) == len(ids)
    for reference in [*page.having("src"), *page.having("href"), *page.having("xlink:href")]:
        assert reference.startswith("#")
        assert reference[1:] in ids
    assert not re.search(r"url\((?!#)|@import|https?:", run.html())
    (policy,) = [a for tag, a in page.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def test_every_question_has_its_section(run: Run) -> None:
    page = Page(run.html())
    assert page.headings == [
        ("h1", "ci"),
        ("h2", "What went in"),
        ("h3", "People"),
        ("h2", "What the data looks like"),
        ("h2", "What training did"),
        ("h2", "What came out"),
        ("h2", "What it took"),
        ("h2", "How to do it again"),
        ("h3", "Versions"),
        ("h3", "Artifacts"),
    ]
    assert page.table("count", "of what") == [
        ["141", "rows in the archive"],
        ["−14", "tapback, sticker or vote"],
        ["−1", "no text"],
        ["126", "messages, in 10 sessions"],
        ["120", "after joining what one sender said in a row"],
        ["10", "sessions"],
        ["10", "examples to train on"],
    ]
    assert [row[:3] for row in page.table("sender")] == [
        ["the assistant", "assistant", "60"],
        ["person 1", "user", "64"],
        ["the archive's owner", "user", "2"],
    ]
    assert "10 sessions, 0 of them between two people and 10 in groups;\nfrom 2021-03-06 09:18 to 2024-05-19 06:51" in (
        page.words
    )
    counted = page.table("tokens", "for training", "for validation")
    assert [sum(int(row[column]) for row in counted) for column in (1, 2)] == [10, 0]
    steps = page.table("step", "training loss", "training accuracy")
    metrics = (run.run_dir / "09_metrics.csv").read_text().splitlines()
    assert [steps[0][0], steps[-1][0]] == [metrics[1].split(",")[0], metrics[-1].split(",")[0]]
    assert [row[1] for row in page.table("step", "state", "began")] == ["done"] * 10 + [""]
    assert "nothing; training on this machine is free" in page.words
    recorded = [artifact for record in run.state.body.steps.values() for artifact in record.artifacts]
    shown = page.table("step", "file", "size", "sha256")
    assert {(row[1], row[3]) for row in shown} == {(each.path, each.sha256) for each in recorded}


def test_it_can_be_read_without_seeing_it(run: Run) -> None:
    page = Page(run.html(with_text=True))
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    names = {(each["aria-labelledby"] or "").removesuffix("-said").split("-title")[0] for each in drawings}
    assert names == {"times", "lengths", "loss", "accuracy", "rate"}
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert set((drawing["aria-labelledby"] or "").split()) <= set(page.having("id"))
    assert ("html", {"lang": "en"}) in page.elements
    assert {attributes.get("scope") for tag, attributes in page.elements if tag == "th"} == {"row", "col"}


def test_what_is_wider_than_a_phone_scrolls_in_a_frame_of_its_own(run: Run) -> None:
    page = run.html()
    framed = re.findall(r'<div class="(scroll|half)"><svg [^>]*aria-labelledby="(\w+)-title', page)
    assert {name for how, name in framed if how == "scroll"} == {"times", "lengths", "loss"}
    heads = re.findall(
        r'(<div class="scroll">)?<table[^>]*>(?:\s*<caption>.*?</caption>)?\s*<thead><tr>(.*?)</tr>', page
    )
    assert {bool(frame) for frame, head in heads if head.count("<th") > 3} == {True}


def test_charts_take_the_colours_of_the_page(run: Run) -> None:
    drawings = re.findall(r"<svg.*?</svg>", run.html(), re.S)
    assert len(drawings) >= 4
    for drawing in drawings:
        assert set(re.findall(r"(?:fill|stroke): (?!url\(#times-)([^;\"]+)", drawing)) <= {
            "none", "currentColor", "var(--one)", "var(--two)", "var(--faint)"
        }  # fmt: skip
        assert "font-family" not in drawing


def test_the_same_run_gives_the_same_bytes(run: Run) -> None:
    pages = {run.html(with_text=True) for _ in range(2)}
    assert len(pages) == 1
    assert len({run.markdown(with_text=True) for _ in range(2)}) == 1


def strings_of_the_archive(run_dir: Path) -> set[str]:
    """Every text in every table, and every word of a name in it."""
    found: set[str] = set()
    with sqlite3.connect(f"file:{run_dir}/01_archive.db?mode=ro", uri=True) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in db.execute(f"SELECT * FROM {table}"):
                found |= {value for value in row if isinstance(value, str) and not value.isdigit()}
    db.close()
    for line in (run_dir / "02_sessions.jsonl").read_text().splitlines():
        session = json.loads(line)
        for message in session["messages"]:
            found |= {message["sender"], message["content"]}
    return found


def test_without_with_text_no_name_and_no_word_of_a_chat_is_told(run: Run) -> None:
    (exchange,) = json.loads((run.run_dir / "10_smoke_test.json").read_bytes())
    private = strings_of_the_archive(run.run_dir)
    private |= {exchange["prompt"], exchange["system_prompt"], exchange["tuned"]["text"], exchange["base"]["text"]}
    private -= {"me", ""}
    assert {"Tortoise", "Hare", "Slow and steady, that's my motto.", "Mottoes"} <= private
    shown = {"html": Page(run.html()).words + "\n".join(Page(run.html()).having("title")), "md": run.markdown()}
    for text in shown.values():
        told = {each for each in private if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text, re.I)}
        assert told <= {"chat", "message"}, "names of tables, which the report uses itself"
    assert "assistant: (withheld)" in shown["html"]
    assert "prompts: '(withheld: 1)'" in shown["html"]


def test_with_text_shows_examples_and_answers_side_by_side(run: Run) -> None:
    page = Page(run.html(with_text=True))
    (exchange,) = json.loads((run.run_dir / "10_smoke_test.json").read_bytes())
    assert page.table("tuned", "base")[0] == [exchange["tuned"]["text"], exchange["base"]["text"]]
    assert exchange["prompt"] in page.words
    assert [row[0] for row in page.table("sender")] == ["Tortoise", "Hare", "me"]
    first = json.loads((run.run_dir / "05_train.jsonl").read_text().splitlines()[0])
    assert first["messages"][0]["content"] in page.words
    assert "assistant: Tortoise" in page.words
    assert sum(attributes.get("class") == "turns" for _, attributes in page.elements) == 3 + 1
    assert f"**tuned**\n\n```\n{exchange['tuned']['text']}\n```" in run.markdown(with_text=True)


def hostile(run: Run) -> None:
    """A sender, a title, a message, a prompt and an answer that would rather be markup."""
    told = json.dumps(HOSTILE)[1:-1]
    run.rewrite("02_sessions.jsonl", lambda text: text.replace('"Hare"', f'"{told}"'))
    run.rewrite("05_train.jsonl", lambda text: text.replace("Slow and steady", told))
    run.rewrite("10_smoke_test.json", lambda text: text.replace("Slow and steady", told).replace("golden", told))
    run.make("load", dropped={HOSTILE: 3})
    run.change("poll_file", status="failed", error=HOSTILE)


def test_hostile_text_never_becomes_markup(run: Run) -> None:
    plain = Page(run.html(with_text=True))
    hostile(run)
    page = Page(run.html(with_text=True))
    assert page.words.count(HOSTILE) >= 6
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in plain.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_hostile_text_never_becomes_markdown(run: Run) -> None:
    hostile(run)
    tokens = MarkdownIt("commonmark").enable("table").parse(run.markdown(with_text=True))
    flat = [child for token in tokens for child in (token, *(token.children or ()))]
    assert not {token.type for token in flat} & {"html_block", "html_inline", "link_open", "image", "em_open"}
    said = " ".join(HOSTILE.split())
    spans = [token for token in tokens if token.type == "inline"]
    assert said in {"".join(child.content for child in token.children or ()) for token in spans}
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    assert [text for text in headings if not text.startswith(("Example", "Prompt"))] == [
        "ci", "What went in", "What the data looks like", "What training did", "What came out", "What it took",
        "How to do it again",
    ]  # fmt: skip


def test_text_that_would_steer_a_terminal_or_turn_a_line_round_is_spelt_out(run: Run) -> None:
    told = json.dumps("\x1b]0;title\x07 \u202e \x9b31m\nsecond line")[1:-1]
    run.rewrite("02_sessions.jsonl", lambda text: text.replace('"Hare"', f'"{told}"'))
    run.rewrite("05_train.jsonl", lambda text: text.replace("Slow and steady", told))
    run.rewrite("10_smoke_test.json", lambda text: text.replace("Slow and steady", told))
    for report in (run.html(with_text=True), run.markdown(with_text=True)):
        assert "\\u001b]0;title\\u0007 \\u202e \\u009b31m\nsecond line" in report
        assert not set("\x1b\x07\u202e\x9b") & set(report)


def test_a_run_that_has_hardly_begun_says_what_is_missing(run: Run) -> None:
    run.forget(*(set(run.state.body.steps) - {"download"}))
    page = Page(run.html())
    assert "unfinished" in page.words
    assert re.findall(r"Not there yet: (.*)", page.words) == [
        "load has not run yet.",
        "convert has not run yet.",
        "create_job has not run yet.",
        "poll_job has not run yet.",
    ]
    assert "Money:\nnothing yet: no examples, no training." in page.words
    assert [row[1] for row in page.table("step", "file")] == ["01_archive.db"]
    assert run.markdown().count("\n\nNot there yet: create\\_job has not run yet.\n") == 1


def test_a_training_that_goes_on_shows_its_curves_so_far(run: Run) -> None:
    run.forget("smoke_test")
    run.change("poll_job", status="running", output=None, artifacts=[])
    page = Page(run.html())
    assert re.findall(r"Not there yet: (.*)", page.words) == [
        "poll_job is at work, or was interrupted.",
        "poll_job is at work, or was interrupted.",
    ]
    steps = page.table("step", "training loss")
    assert len(steps) > 1
    assert ("svg", "loss-title loss-said") in [(tag, a.get("aria-labelledby")) for tag, a in page.elements]


def test_what_was_held_out_has_its_own_bars_and_curves(run: Run) -> None:
    train = (run.run_dir / "05_train.jsonl").read_bytes().splitlines(keepends=True)
    (run.run_dir / "05_valid.jsonl").write_bytes(b"".join(train[:2]))
    artifact = describe_artifact(run.run_dir, "05_valid.jsonl")
    run.make("convert", valid=msgspec.to_builtins(artifact), valid_examples=2)
    run.rewrite("09_metrics.csv", lambda text: text.replace(",,", ",1.5,0.5"))
    page = Page(run.html())
    assert ["2", "examples held out for validation"] in page.table("count", "of what")
    counted = page.table("tokens", "for training", "for validation")
    assert [sum(int(row[column]) for row in counted) for column in (1, 2)] == [10, 2]
    assert {tuple(row[2:5:2]) for row in page.table("step", "training loss", "validation loss")} == {("1.5", "0.5")}
    assert "validation: 1.5 at step 1, 1.5 at step" in page.words


def test_an_artifact_that_is_gone_is_a_gap_and_the_rest_stays(run: Run) -> None:
    (run.run_dir / "05_train.jsonl").unlink()
    page = Page(run.html())
    assert "Not there yet: convert is done, but 05_train.jsonl is missing." in page.words
    assert "out of date" in page.words
    assert page.table("step", "training loss")


def test_a_failed_step_says_why_only_where_texts_are_shown(run: Run) -> None:
    run.change("map", status="failed", error="map.assistant: no such sender, got Snail. Choose: Tortoise (60).")
    assert "Tortoise" not in Page(run.html()).words
    assert ["finetune status CONFIG says why."] in Page(run.html()).table("step", "state", "began")
    assert "got Snail. Choose: Tortoise (60)." in Page(run.html(with_text=True)).words


def test_answers_that_were_not_as_expected_are_shown_though_the_step_failed(run: Run) -> None:
    run.rewrite("10_smoke_test.json", lambda text: text.replace('"unmet": []', '"unmet": ["no match for \'x\'"]'))
    run.change("smoke_test", status="failed", output=None, artifacts=[], error="not as expected")
    assert Page(run.html()).table("prompt", "model")[0][-1] == "1 not met"
    assert "Expected otherwise: no match for 'x'." in Page(run.html(with_text=True)).words
    run.rewrite("10_smoke_test.json", lambda text: text.replace("ft:", "ft:other-"))
    assert run.contents().answers == []  # of another model


def test_the_config_is_the_one_that_was_used(run: Run) -> None:
    contents = run.contents(with_text=True, set_=("map.assistant=Hare", "create_job.seed=9", "convert.min_examples=2"))
    assert contents.changed == ["convert.min_examples", "create_job.seed", "map.assistant"]
    assert "assistant: Tortoise" in contents.config
    assert "seed: 7" in contents.config
    assert "min_examples" not in contents.config
    assert [name for name, _ in contents.pending][:1] == ["map"]
    assert (contents.archive is not None and contents.archive.people[0].label) == "Tortoise"


def test_a_command_writes_one_private_file(run: Run, tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    done = shop.finetune("report", "run.yaml")
    assert (done.code, done.out, done.err) == (0, "runs/ci/report.html\n", "")
    written = run.run_dir / "report.html"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert Page(written.read_text()).headings[0] == ("h1", "ci")
    told = shop.finetune("report", "run.yaml", "--md", "--with-text", "--out", "mine.md")
    assert (told.code, told.out) == (0, "mine.md holds names and chat text; readable by you alone\n")
    assert stat.S_IMODE((tmp_path / "mine.md").stat().st_mode) == 0o600
    assert (tmp_path / "mine.md").read_text().startswith("# ci\n\n**finished**: smollm2-135m-instruct")
    assert shop.run().skipped[-1] == "smoke_test"  # a report changes nothing
    lost = shop.finetune("report", "run.yaml", "--md", "--out", "nowhere/mine.md")
    assert (lost.code, lost.err) == (
        2,
        "error: --out nowhere/mine.md: its folder is not there. Name a file in a folder that is there.\n",
    )
    none = shop.finetune("report", "run.yaml", "--set", "name=other")
    assert (none.code, none.err) == (
        2,
        "error: runs/other: no such run. Begin it with `python -m pipeline run run.yaml --set name=other`.\n",
    )
    assert not (tmp_path / "runs" / "other").exists()


def test_without_matplotlib_one_message_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError) as caught:
        as_html(run.contents())
    assert str(caught.value) == (
        "report: drawing its charts needs the package matplotlib. Run `pip install 'finetune-pipeline[report]'`, "
        "or write it as Markdown, without charts, with --md."
    )
    assert run.markdown().startswith("# ci\n")
