"""A network that the environment makes impossible is blamed on its variable, and passwords are not repeated."""

import os
from pathlib import Path

import httpx
import httpx2
import openai
import pytest

from pipeline.errors import InputError
from pipeline.network import blaming_the_environment, unproxied

PROXY = "not the address of a proxy. Write it as http://HOST:PORT, or unset it."


@pytest.fixture(autouse=True)
def no_network_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().endswith("_PROXY") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("client", [httpx.Client, openai.DefaultHttpxClient])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "SSL_CERT_FILE",
            "/no/where",
            "cannot be read (No such file or directory), got /no/where. Correct it, or unset it.",
        ),
        ("SSL_CERT_FILE", __file__, "holds no certificates. Correct it, or unset it."),
        ("HTTPS_PROXY", "http://me:sec:ret@proxy:x", PROXY),
        ("https_proxy", "http://proxy:port", PROXY),
        ("ALL_PROXY", "gopher://proxy", PROXY),
    ],
)
def test_what_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, client: type[httpx.Client], name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught, blaming_the_environment():
        client()
    assert str(caught.value) == f"environment {name}: {message}"


def test_of_two_certificates_the_missing_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/where")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with pytest.raises(InputError) as caught, blaming_the_environment():
        httpx.Client()
    assert caught.value.where == "environment SSL_CERT_FILE"


def test_a_bug_is_not_blamed_on_an_innocent_environment() -> None:
    with pytest.raises(ZeroDivisionError), blaming_the_environment():
        _ = 1 / 0


@pytest.mark.parametrize(
    ("base_url", "mounts"),
    [
        ("http://127.0.0.1:8000/v1", {"all://127.0.0.1": None}),
        ("http://[::1]:8000/v1", {"all://[::1]": None}),
        ("https://LOCALHOST/v1", {"all://localhost": None}),
        ("http://10.0.0.1/v1", {}),
        ("https://api.openai.com/v1", {}),
        ("", {}),
    ],
)
def test_only_this_machine_is_reached_past_a_proxy(base_url: str, mounts: dict[str, None]) -> None:
    assert unproxied(base_url) == mounts
    httpx2.Client(mounts=mounts).close()
