"""LangChain's integration tests for chat models, run for ChatOpenAI on the embedded server with the scripted engine.

The scripted engine says the same whatever it is asked, so what is tested here is the contract, in seconds; what a model
makes of it is tested in tests/training. Declared as not there: tools, structured output, and anything but text.
"""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from openai import DefaultAsyncHttpxClient

from pipeline.testing import MockServer, mock_openai
from tests.server.harness import BASE, connect, finish, start_job


class TestChatOpenAI(ChatModelIntegrationTests):
    server: ClassVar[MockServer]
    tuned: ClassVar[str | None]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _served(cls) -> Iterator[None]:
        with mock_openai({"steps": 1}) as server:
            cls.server = server
            with connect(server) as client:
                cls.tuned = finish(client, start_job(client).id).fine_tuned_model
            yield

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {
            "model": BASE,
            "base_url": self.server.base_url,
            "api_key": self.server.api_key,
            "stream_usage": True,
            # One of its own, to be closed: LangChain keeps its default client for good.
            "http_async_client": DefaultAsyncHttpxClient(),
        }

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_tool_choice(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str | None:
        return self.tuned
