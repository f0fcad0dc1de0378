"""The presets as a config asks for them."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pipeline.config.redaction import KINDS, USUAL
from pipeline.config.settings import Config, listed
from pipeline.dataset.funnel import Listener
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER

if TYPE_CHECKING:
    from pipeline.dataset.redact import Redactor
    from pipeline.dataset.texting import Texting

BURST_GAP_S = 600.0
"""Published values lie between two minutes and no limit; ten keep together what is typed in one go."""

LIKE_A_PERSON = 0.8
"""A temperature at which a model of a person's chats neither loops nor recites, and still makes sense."""


def inference_temperature(config: Config) -> float:
    """The temperature to talk to the tuned model with: the smoke test's if the config says it, else by the preset.

    At 0, a model of a person's chats says its few likeliest phrases over and over; of ten dialogues it is what shows
    best what was learnt.
    """
    settings = config.smoke_test
    is_given = "temperature" in settings.model_fields_set
    return settings.temperature if is_given or config.convert.preset == "notebook" else LIKE_A_PERSON


def require_fitting(config: Config, *, ready: bool) -> None:
    """Check that what was loaded is what `convert.preset` takes.

    Args:
        ready: it is training examples, not chats.

    Raises:
        InputError: it is the other.
    """
    preset = config.convert.preset
    if ready and preset != "ready":
        what = "the archive holds training examples already, which are learnt as they are"
        raise InputError("convert.preset", what, got=preset, fix="Set `convert.preset: ready`.")
    if preset == "ready" and not ready:
        what = "this preset takes training examples, and the archive holds chats"
        raise InputError("convert.preset", what, got=preset, fix="Set `convert.preset: texting`.")


def inference_prompt(config: Config, trained: str | None) -> str | None:
    """The system prompt to talk to the tuned model with: `smoke_test.system_prompt`, or, but for notebook, as trained.

    Args:
        trained: the system prompt that most of what was learnt has.
    """
    settings = config.smoke_test
    is_given = "system_prompt" in settings.model_fields_set
    return settings.system_prompt if is_given or config.convert.preset == "notebook" else trained


FEWEST_HELD_OUT = 30
"""Replies; fewer tell nothing of how a model speaks, and are better learnt."""


def share_held_out(config: Config) -> float:
    """The part of what is learnt that goes to the validation file; `auto` is a tenth."""
    fraction = config.convert.validation_fraction
    return 0.1 if fraction == "auto" else fraction


def most_tokens(config: Config) -> int | None:
    """Tokens of an example that the trainer takes; None where nobody knows."""
    if config.backend.kind != "embedded":
        return None
    from pipeline.models.base_models import positions
    from pipeline.training.protocol import MAX_TOKENS

    return min(MAX_TOKENS, positions(config.create_job.model) or MAX_TOKENS)


def redactor_of(config: Config, region: str | None, people: Callable[[], Iterable[str]]) -> "Redactor | None":
    """What replaces in texts what the config says; None where that is nothing.

    Args:
        region: the country that most telephone numbers of the archive are of, unless the config says.
        people: the names of everybody in the archive; asked for only where they are to be replaced.
    """
    from pipeline.dataset.redact import Redactor, Rules, names_of

    settings = config.convert
    is_personal = not all(source.startswith("sample:") for source in listed(config.download.source))
    wanted: Sequence[str] = settings.redact
    if settings.redact == "auto":
        wanted = USUAL if is_personal else ()
    elif settings.redact == "strict":
        wanted = KINDS
    names = names_of(people()) if "names" in wanted else {}
    kinds = [kind for kind in KINDS if kind in wanted]
    if not (kinds or names or settings.redact_words):
        return None
    return Redactor(
        Rules(kinds, settings.redact_words, names, settings.region or region, strict=settings.redact == "strict")
    )


def texting_of(
    config: Config, *, weights: bool, redactor: "Redactor | None" = None, listener: Listener | None = None
) -> "Texting":
    """What makes examples as `convert` in the config says.

    Args:
        weights: whether the backend understands `weight`, unless the config says so itself.
        redactor: replaces what must not be learnt.
        listener: told of every message that is left out.

    Raises:
        InputError: exact tokens are wanted, and the model's tokenizer cannot be had.
    """
    from pipeline.dataset.survey import Limits
    from pipeline.dataset.texting import DIRECT_PROMPT, GROUP_PROMPT, Style, Texting, cleaner
    from pipeline.dataset.tokens import tokens_of
    from pipeline.dataset.turns import Rules

    settings, assistant = config.convert, config.map.assistant
    tokens = tokens_of(config.create_job.model, settings.tokens)
    me = settings.me or (assistant if isinstance(assistant, str) and assistant != OWNER else None)
    direct, group = (each if me else each.replace("{me}, ", "") for each in (DIRECT_PROMPT, GROUP_PROMPT))
    rules = Rules(
        session_gap_s=settings.session_gap_s,
        burst_gap_s=BURST_GAP_S if config.merge.max_gap_s is None else config.merge.max_gap_s,
        opening=settings.opening,
        clean=cleaner(tokens.special, drop=settings.special_tokens == "drop", rewrite=redactor),
        called=None if redactor is None else redactor.name,
    )
    limits = Limits(
        same_target=settings.same_target,
        short_characters=settings.short_characters,
        short_share=settings.short_share,
        conversation_share=settings.conversation_share,
        held_out=share_held_out(config),
        fewest_held_out=FEWEST_HELD_OUT if settings.validation_fraction == "auto" else 0,
    )
    style = Style(
        prompt=direct if settings.system_prompt is None else settings.system_prompt,
        group_prompt=group if settings.group_prompt is None else settings.group_prompt,
        me=me or OWNER,
        platform="a messenger",
        window_tokens=min(settings.window_tokens, most_tokens(config) or settings.window_tokens),
        context_turns=settings.context_turns,
        weights=weights if settings.weights == "auto" else settings.weights,
    )
    return Texting(rules, limits, style, tokens, listener)
