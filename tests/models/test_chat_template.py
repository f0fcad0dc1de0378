"""A chat template is a program by whoever made the model: it may take so much time and memory and no more."""

import os
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models import template_process
from pipeline.models.chat_template import ChatTemplate

ROLES = ("user", "assistant")
MEND = "Mend its chat template, or choose another base model."
ENDLESS = "does not come to an end: 5 s of processor time are over"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{{ 1/0 }}", "fails (ZeroDivisionError: division by zero)"),
        ("{% for %}", "fails (Expected an expression, got 'end of statement block')"),
        ("{{ ''.__class__.a }}", "fails (access to attribute '__class__' of 'str' object is unsafe.)"),
        ("{{ 'x' * 10**10 }}", "fails (it takes more than 512 MiB of memory)"),
        ("{{ '%9999999999d' % 1 }}", "fails (it takes more than 512 MiB of memory)"),
        ("{{ 'x' * 2000000 }}", "fails (it writes 2000000 characters around 2 messages, at most 1002000 are read)"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "fails (RecursionError: maximum recursion depth exceeded)"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", ENDLESS),
    ],
)
def test_a_template_that_goes_wrong_is_one_clear_line(source: str, what: str) -> None:
    template = ChatTemplate("base model a", source, {})
    with pytest.raises(InputError) as caught:
        template.render(ROLES, answer_next=False)
    assert str(caught.value) == f"base model a: its chat template {what}. {MEND}"


def test_a_template_that_has_ended_its_process_is_asked_again_in_another() -> None:
    source = "{% if messages|length > 2 %}{{ 'x' * 10**10 }}{% endif %}{{ messages[0].content }}"
    template = ChatTemplate("base model a", source, {})
    with pytest.raises(InputError):
        template.render(("user",) * 3, answer_next=False)
    assert template.render(ROLES, answer_next=False) == template_process.placeholder(0)


def test_it_renders_as_transformers_does() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    source = (
        "{{ bos_token }}{% set ns = namespace(count=0) %}{% for m in messages %}"
        "{% if m.role == 'system' %}{% continue %}{% endif %}{% set ns.count = ns.count + 1 %}"
        "\n  {% generation %}{{ m.content }}{% endgeneration %}\n"
        "{{ m | tojson }}{% endfor %}{{ dict(a=ns.count) }}{{ tools is none }}{{ strftime_now('%%') }}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    roles = ("system", "user", "assistant")
    turns = [{"role": role, "content": template_process.placeholder(n)} for n, role in enumerate(roles)]
    for answer_next in (False, True):
        expected = render_jinja_template(
            [turns], chat_template=source, add_generation_prompt=answer_next, bos_token="<s>"
        )
        rendered = ChatTemplate("a", source, {"bos_token": "<s>"}).render(roles, answer_next=answer_next)
        assert rendered == expected[0][0]


@pytest.mark.parametrize("printed", ["print('hello')", "print('hello', end='', flush=True)", "print('{}\\n' * 100)"])
def test_what_a_start_up_file_prints_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(printed)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    template = ChatTemplate("a", "{{ messages|length }}{{ '\x1e' }}", {})
    assert [template.render(("user",) * count, answer_next=False) for count in (1, 2, 3)] == ["1\x1e", "2\x1e", "3\x1e"]
