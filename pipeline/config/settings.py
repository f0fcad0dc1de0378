"""The settings: one section per step, plus `name` and `backend`. configs/reference.yaml shows every key."""

import re
import string
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.archives.readers import AUTO, SOURCES
from pipeline.config.redaction import KINDS
from pipeline.network import check_base_url

Auto = Literal["auto"]
if TYPE_CHECKING:
    Source = str
    Redacted = str
else:
    Source = Literal[SOURCES]
    Redacted = Literal[(*KINDS, "names")]
Name = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, le=30 * 24 * 3600)]
_FILLED_IN = ("me", "friend", "platform", "group")
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Section(BaseModel):
    """A part of the config; an unknown key is an error."""

    # Built once, with the whole config: each on its own takes longer than a run with nothing to do may take.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True, defer_build=True
    )


class Backend(Section):
    """Where training happens. Keys come from the environment, never from here."""

    kind: Literal["embedded", "openai", "azure", "nebius", "compatible"] = "embedded"
    base_url: str | None = None
    timeout_s: Seconds = 60.0
    settle_s: float | None = Field(None, ge=0, le=24 * 3600)
    trainer: Literal["lora", "scripted"] = "lora"
    script: str | None = None

    @field_validator("base_url")
    @classmethod
    def _base_url_is_the_address_of_an_api(cls, value: str | None) -> str | None:
        if value is not None:
            check_base_url(value)
        return value

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        if self.kind in ("azure", "compatible") and self.base_url is None:
            raise ValueError(f"`kind: {self.kind}` needs `base_url`")
        if self.kind == "embedded" and self.base_url is not None:
            raise ValueError("`base_url` goes with a hosted backend; use `kind: compatible` for a server of your own")
        if self.script is not None and self.trainer != "scripted":
            raise ValueError("`script` goes with `trainer: scripted` only")
        return self


def listed(one_or_more: str | list[str]) -> list[str]:
    """What a key holds that takes one or several."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


class Download(Section):
    """Fetch the archive."""

    source: Name | Annotated[list[Name], Field(min_length=1, max_length=100)] = "sample:tortoise-hare"
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")
    timeout_s: Seconds = 30.0
    attempts: int = Field(5, ge=1, le=1000)

    @model_validator(mode="after")
    def _a_digest_is_of_one_file(self) -> Self:
        if self.sha256 is not None and len(listed(self.source)) > 1:
            raise ValueError("`sha256` goes with one `source` only")
        return self


class Load(Section):
    """Read the archive into sessions."""

    source: Source = AUTO
    loader: str | None = None
    attachments: Literal["drop", "tokens"] = "drop"
    contacts: bool | str = False
    names: Literal["pseudonyms", "contacts", "addresses"] = "pseudonyms"
    only_people: list[Name] = []
    exclude_people: list[Name] = []
    only_chats: list[Name] = []
    kinds: Annotated[list[Literal["direct", "group"]], Field(min_length=1)] = ["direct", "group"]
    since: date | None = None
    until: date | None = None
    people: dict[Name, Annotated[list[Name], Field(min_length=1)]] = {}

    @field_validator("people", mode="before")
    @classmethod
    def _one_alias_stands_for_a_list_of_one(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: each if isinstance(each, list) else [each] for name, each in value.items()}

    @field_validator("contacts", mode="before")
    @classmethod
    def _the_environment_knows_no_booleans(cls, value: object) -> object:
        return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value

    @field_validator("only_people", "exclude_people", "only_chats", "kinds", mode="before")
    @classmethod
    def _one_stands_for_a_list_of_one(cls, value: object) -> object:
        return value if isinstance(value, list) else [value]

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        if self.source == "langchain" and self.loader is None:
            raise ValueError("source `langchain` needs `loader`, such as telegram or slack")
        if self.source != "langchain" and self.loader is not None:
            raise ValueError("`loader` goes with `source: langchain` only")
        if self.source not in (AUTO, "imessage") and (self.contacts or self.attachments != "drop"):
            raise ValueError("`contacts` and `attachments` go with `source: imessage` only")
        if self.names == "contacts" and not self.contacts:
            raise ValueError("`names: contacts` needs `contacts`: true, or an AddressBook folder")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("`since` comes after `until`")
        return self


class Merge(Section):
    """Join consecutive messages of one sender; None lets `convert.preset` say how."""

    delimiter: str | None = None
    max_gap_s: float | None = Field(None, ge=0)


class Map(Section):
    """Choose who becomes the assistant: a sender, several, or `me`, the archive's owner."""

    assistant: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)] = "me"


class Convert(Section):
    """Write the training examples. What stands after `tokens` goes with `preset: texting`."""

    TEXTING: ClassVar[tuple[str, ...]] = (
        "group_prompt",
        "me",
        "session_gap_s",
        "window_tokens",
        "context_turns",
        "opening",
        "weights",
        "special_tokens",
        "same_target",
        "short_characters",
        "short_share",
        "conversation_share",
        "redact",
        "redact_words",
        "region",
    )

    preset: Literal["notebook", "texting", "ready"] = "notebook"
    system_prompt: str | None = None
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] | Auto = 0.0
    min_examples: Count = 10
    tokens: Literal["exact", "estimate"] = "estimate"
    group_prompt: str | None = None
    me: str | None = Field(None, min_length=1)
    session_gap_s: float = Field(3600.0, gt=0)
    window_tokens: int = Field(2048, ge=64)
    context_turns: int = Field(4, ge=0, le=20)
    opening: str | None = Field("[start]", min_length=1)
    weights: bool | Auto = "auto"
    special_tokens: Literal["neutralise", "drop"] = "neutralise"
    same_target: int | None = Field(3, ge=1)
    short_characters: int = Field(7, ge=0)
    short_share: float = Field(0.15, ge=0, lt=1)
    conversation_share: float = Field(1.0, gt=0, le=1)
    redact: Literal["auto", "strict"] | list[Redacted] = "auto"
    redact_words: list[Name] = []
    region: str | None = Field(None, pattern=r"^[A-Z]{2}$")

    @model_validator(mode="after")
    def _keys_go_with_the_preset(self) -> Self:
        if self.preset != "texting":
            if self.preset == "ready" and self.system_prompt is not None:
                raise ValueError("`system_prompt` does not go with `preset: ready`, whose examples stay as they are")
            for name in self.TEXTING:
                if getattr(self, name) not in (type(self).model_fields[name].default, []):
                    raise ValueError(f"`{name}` goes with `preset: texting` only")
            return self
        for name, template in (("system_prompt", self.system_prompt), ("group_prompt", self.group_prompt)):
            _check_template(name, template or "")
        return self


def _check_template(name: str, template: str) -> None:
    """Nothing is filled in to find out: a width in braces may ask for more memory than there is."""
    try:
        fields = [field for field in string.Formatter().parse(template) if field[1] is not None]
    except ValueError:
        fields = [("", "", "", None)]
    if any(re.split(r"[.\[]", field or "")[0] not in _FILLED_IN for _, field, _, _ in fields):
        raise ValueError(f"`{name}`: braces hold {{me}}, {{friend}}, {{platform}} or {{group}}; double any others")
    if any(field not in _FILLED_IN or layout or conversion for _, field, layout, conversion in fields):
        raise ValueError(f"`{name}`: braces hold a name alone, such as {{me}}, and no format")


class Upload(Section):
    """Send the training file; `cleanup` deletes it from the backend once the job has succeeded."""

    timeout_s: Seconds = 600.0
    cleanup: bool = False


class Poll(Section):
    """How often to ask, in seconds; None lets the backend's profile say."""

    interval_s: Seconds | None = None
    max_interval_s: Seconds | None = None
    outage_s: float = Field(24 * 3600.0, ge=0, le=365 * 24 * 3600)


class PollFile(Poll):
    """Wait for the file."""

    timeout_s: Seconds = 1800.0


class Hyperparameters(Section):
    """OpenAI's names and ranges for supervised fine-tuning."""

    n_epochs: Annotated[int, Field(ge=1, le=50)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=1, le=256)] | Auto = "auto"
    learning_rate_multiplier: Annotated[float, Field(gt=0, le=1000)] | Auto = "auto"


class CreateJob(Section):
    """Start the training."""

    model: str = Field("smollm2-135m-instruct", min_length=1)
    method: Literal["supervised"] = "supervised"
    hyperparameters: Hyperparameters = Hyperparameters.model_construct()
    suffix: str | None = Field(None, min_length=1, max_length=40)
    training_type: Literal["standard", "global", "developer"] | None = None
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] = Field(
        default_factory=dict, max_length=12
    )
    max_cost_usd: float | None = Field(None, ge=0, le=1_000_000)
    max_tokens: Annotated[int, Field(ge=1, le=10**15)] | None = None
    twins: Literal["cancel", "report"] = "cancel"


class PollJob(Poll):
    """Wait for the job; without `timeout_s`, for as long as it takes."""

    timeout_s: Annotated[float, Field(gt=0, le=365 * 24 * 3600)] | None = None
    stuck_after_s: Seconds = 2 * 3600.0
    keep: Literal["best", "last"] = "best"


class Deploy(Section):
    """Have the tuned model answer, where a backend does not do so by itself; no fee unless it is allowed."""

    sku: Literal["developer", "standard", "global"] = "developer"
    capacity: Count = 1
    resource: str | None = None
    management_url: str = "https://management.azure.com"
    max_usd_per_hour: float = Field(0.0, ge=0, le=10_000)
    timeout_s: Seconds = 3600.0
    cleanup: bool = False

    @field_validator("management_url")
    @classmethod
    def _management_url_is_the_address_of_an_api(cls, value: str) -> str:
        check_base_url(value)
        return value


class Expectation(Section):
    """What an answer must be."""

    non_empty: bool = True
    regex: str | None = None
    max_tokens: Count | None = None

    @field_validator("regex")
    @classmethod
    def _regex_compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression ({error})") from None
        return value


class Prompt(Section):
    """One smoke-test prompt."""

    prompt: str = Field(min_length=1)
    expect: Expectation | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_text_is_a_prompt(cls, value: object) -> object:
        return {"prompt": value} if isinstance(value, str) else value


class SmokeTest(Section):
    """Talk to the tuned model."""

    system_prompt: str | None = "You are speaking to hare."
    prompts: list[Prompt] = Field(
        default_factory=lambda: [Prompt.model_construct(prompt="What's the golden thread?")], min_length=1
    )
    temperature: float = Field(0.0, ge=0, le=2)
    max_tokens: Count = 128
    compare_base: bool = True
    tracing: bool = False


class Evaluate(Section):
    """Measure the tuned model: does it sound like them, does it make sense, does it leak."""

    temperature: float = Field(0.8, ge=0, le=2)
    budget_s: Seconds | None = None
    canaries: int = Field(0, ge=0, le=20)
    fail_on: Literal["leak"] | None = None
    max_cost_usd: float | None = Field(None, ge=0, le=1_000_000)


class Config(BaseModel):
    """A whole run. Environment variables are FINETUNE_<SECTION>__<KEY>, such as FINETUNE_CREATE_JOB__MODEL."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, defer_build=True)

    name: str
    backend: Backend = Backend.model_construct()
    download: Download = Download.model_construct()
    load: Load = Load.model_construct()
    merge: Merge = Merge.model_construct()
    map: Map = Map.model_construct()
    convert: Convert = Convert.model_construct()
    upload: Upload = Upload.model_construct()
    poll_file: PollFile = PollFile.model_construct()
    create_job: CreateJob = CreateJob.model_construct()
    poll_job: PollJob = PollJob.model_construct()
    smoke_test: SmokeTest = SmokeTest.model_construct()
    deploy: Deploy | None = None
    evaluate: Evaluate | None = None

    @field_validator("name")
    @classmethod
    def _name_can_be_a_directory(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise ValueError("expected at most 64 letters (a-z), digits and `.`, `_`, `-`, a letter or digit first")
        return value


def section_type(annotation: object) -> type[BaseModel] | None:
    """The model behind `Model`, `Model | None` (an optional section) or `list[Model]`; None for plain values."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def run_directory(name: str) -> Path:
    """Where a run lives, relative to the working directory."""
    return Path("runs") / name
