"""The texting preset as a config asks for it."""

from typing import TYPE_CHECKING

from pipeline.config.settings import Config
from pipeline.dataset.funnel import Listener
from pipeline.sessions.session import OWNER

if TYPE_CHECKING:
    from pipeline.dataset.texting import Texting

BURST_GAP_S = 600.0
"""Published values lie between two minutes and no limit; ten keep together what is typed in one go."""


def inference_prompt(config: Config, trained: str | None) -> str | None:
    """The system prompt to talk to the tuned model with: `smoke_test.system_prompt`, or for texting as trained.

    Args:
        trained: the system prompt that most of what was learnt has.
    """
    settings = config.smoke_test
    is_given = "system_prompt" in settings.model_fields_set
    return settings.system_prompt if is_given or config.convert.preset == "notebook" else trained


def most_tokens(config: Config) -> int | None:
    """Tokens of an example that the trainer takes; None where nobody knows."""
    if config.backend.kind != "embedded":
        return None
    from pipeline.models.base_models import positions
    from pipeline.training.protocol import MAX_TOKENS

    return min(MAX_TOKENS, positions(config.create_job.model) or MAX_TOKENS)


def texting_of(config: Config, *, weights: bool, listener: Listener | None = None) -> "Texting":
    """What makes examples as `convert` in the config says.

    Args:
        weights: whether the backend understands `weight`, unless the config says so itself.
        listener: told of every message that is left out.

    Raises:
        InputError: exact tokens are wanted, and the model's tokenizer cannot be had.
    """
    from pipeline.dataset.redact import redactor
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
        clean=cleaner(tokens.special, drop=settings.special_tokens == "drop", rewrite=redactor(settings.redact)),
    )
    limits = Limits(
        same_target=settings.same_target,
        short_characters=settings.short_characters,
        short_share=settings.short_share,
        conversation_share=settings.conversation_share,
        held_out=settings.validation_fraction,
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
