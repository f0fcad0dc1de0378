"""What LangChain's own tests need around them: an event loop, and the fixtures of plug-ins that are not used."""

import asyncio
import inspect

import pytest
from langchain_openai import ChatOpenAI


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the asynchronous tests."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    model = wanted["model"]
    assert isinstance(model, ChatOpenAI)

    async def run() -> None:
        try:
            await pyfuncitem.obj(**wanted)
        finally:
            await model.root_async_client.close()

    asyncio.run(run())
    return True


@pytest.fixture
def benchmark() -> None:
    """For a test that leaves without recorded answers."""


@pytest.fixture
def vcr() -> None:
    """For a test that leaves without recorded answers."""
