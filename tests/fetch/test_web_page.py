import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fetch.web_page import WebPage


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<html><head><TITLE lang=en> Sign\n in &amp; out </TITLE>", "Sign in & out"),
        ("<!-- <title>no</title> --><script>'<title>no</title>'</script><title>yes</title><title>no</title>", "yes"),
        ("İ<title>after a letter that lower case makes longer</title>", "after a letter that lower case makes longer"),
        ("<title>" + "x" * 100, "x" * 79 + "…"),
        ("<title>&#" + "9" * 5000 + ";</title>", "�"),
        ("<![x", ""),
        ("<html><title", ""),
        ("<!-- <title>a</title>", ""),
        ("no page", ""),
    ],
)
def test_the_title_is_found_whatever_stands_around_it(html: str, title: str) -> None:
    assert WebPage(html).title == title


def test_the_form_to_confirm_is_the_one_with_that_input() -> None:
    page = WebPage(
        """<form action=/search><input type=hidden name=q value=1></form><FORM method='get' action="/a?b=1&amp;c=2">
        <input type="hidden" name="id" value="F>"><input type="hidden" name='confirm' value='t'>
        <input type="text" name="seen"></form>"""
    )
    assert (page.action, page.inputs["confirm"]) == ("/a?b=1&c=2", "t")


@given(
    st.lists(st.sampled_from(["<", ">", "<!", "<![", "<!--", "-->", "<title", "</title>", "<input ", '="', "&#x", "a"]))
)
def test_no_page_is_a_failure(pieces: list[str]) -> None:
    WebPage("<html>" + "".join(pieces))


@pytest.mark.parametrize(
    "piece", ["<a", "<!--", "<![x", "<title", "<title>", "<script>", "<input a=", "&#", "<input a=>"]
)
def test_a_page_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        html = "<html><title>" + piece * (length // len(piece))
        begun = time.process_time()
        for _ in range(5):
            WebPage(html)
        return time.process_time() - begun

    few = max(0.0005, min(seconds(8_000) for _ in range(3)))
    assert seconds(64_000) < 40 * few
