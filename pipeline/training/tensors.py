"""Training files to token ids and labels."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.models.chat_format import IGNORED, ChatFormat
from pipeline.training.examples import ExamplesError, FileParam, read_examples, read_preferences

Ids = npt.NDArray[np.int32]


class TrainingSet(msgspec.Struct):
    """The usable examples of a file, in its order.

    Attributes:
        input_ids, labels: per example, equally long.
        tokens: in all of them, prompts included.
        truncated: how many were cut to the maximum length.
        skipped: how many were left out, because nothing in them (or in what was left of them) is a target.
        targets: how many turns are learnt.
    """

    input_ids: list[Ids] = []
    labels: list[Ids] = []
    tokens: int = 0
    truncated: int = 0
    skipped: int = 0
    targets: int = 0

    def lengths(self) -> list[int]:
        """Tokens of each sequence that goes through the model."""
        return [len(ids) for ids in self.input_ids]


class PairSet(msgspec.Struct):
    """The usable preferences of a file, in its order.

    Attributes:
        prompt_ids, preferred_ids, other_ids: per pair; an answer's tokens follow its prompt's.
        tokens: in all of them; a prompt counts twice, since it goes through the model with each answer.
        truncated: how many answers were cut to the maximum length.
        skipped: how many pairs were left out, because in what was left of them the answers do not differ.
        targets: how many answers are preferred to others.
    """

    prompt_ids: list[Ids] = []
    preferred_ids: list[Ids] = []
    other_ids: list[Ids] = []
    tokens: int = 0
    truncated: int = 0
    skipped: int = 0
    targets: int = 0

    def lengths(self) -> list[int]:
        """Tokens that go through the model for each pair: both answers, each as long as the longer one."""
        answers = zip(self.prompt_ids, self.preferred_ids, self.other_ids, strict=True)
        return [2 * (len(prompt) + max(len(one), len(two))) for prompt, one, two in answers]


def load_examples(path: Path, param: FileParam, chat_format: ChatFormat, max_length: int) -> TrainingSet:
    """Tokenise a training file. What is longer than `max_length` tokens loses its end, as with OpenAI.

    A target is learnt whole or not at all: half of one would teach to stop nowhere.

    Raises:
        ExamplesError: a line is wrong, or nothing in the file is a target.
        InputError: the model's chat template refuses a conversation.
    """
    loaded = TrainingSet()
    for example in read_examples(path, param):
        input_ids, labels = chat_format.example(example.messages, example.trained)
        loaded.truncated += len(input_ids) > max_length
        end = _end_of_whole_targets(labels, max_length)
        # The first token is never predicted, so it is no target.
        if all(label == IGNORED for label in labels[1:end]):
            loaded.skipped += 1
            continue
        loaded.input_ids.append(np.array(input_ids[:end], np.int32))
        loaded.labels.append(np.array(labels[:end], np.int32))
        loaded.tokens += end
        is_target = loaded.labels[-1] != IGNORED
        loaded.targets += int(np.count_nonzero(is_target[1:] & ~is_target[:-1]))  # the template stands between turns
    if not loaded.input_ids and loaded.truncated:
        raise ExamplesError(
            param,
            path.name,
            f"no answer ends within the {max_length:,} tokens of an example that the trainer takes",
            fix="Cut the examples into shorter ones.",
        )
    if not loaded.input_ids:
        raise ExamplesError(
            param,
            path.name,
            "no example has an assistant message to learn from",
            fix="Give at least one assistant message without `weight: 0`.",
        )
    return loaded


def _end_of_whole_targets(labels: Sequence[int], max_length: int) -> int:
    """How much of an example to keep: `max_length` tokens, less the target that goes on beyond them."""
    if len(labels) <= max_length:
        return len(labels)
    end = max_length
    if labels[end] != IGNORED:
        while end and labels[end - 1] != IGNORED:
            end -= 1
    return end


def load_preferences(path: Path, param: FileParam, chat_format: ChatFormat, max_length: int) -> PairSet:
    """Tokenise a file of preferences. An answer loses what goes beyond `max_length` tokens with its prompt.

    Raises:
        ExamplesError: a line is wrong, or no pair in the file can be learnt from.
        InputError: the model's chat template refuses a conversation.
    """
    loaded = PairSet()
    for pair in read_preferences(path, param):
        prompt = chat_format.prompt(pair.prompt)
        answers = [chat_format.answer(pair.prompt, each) for each in (pair.preferred, pair.other)]
        room = max(0, max_length - len(prompt))
        loaded.truncated += any(len(answer) > room for answer in answers)
        preferred, other = (answer[:room] for answer in answers)
        if preferred == other:
            loaded.skipped += 1
            continue
        for ids, kept in ((prompt, loaded.prompt_ids), (preferred, loaded.preferred_ids), (other, loaded.other_ids)):
            kept.append(np.array(ids, np.int32))
        loaded.targets += 1
        loaded.tokens += 2 * len(prompt) + len(preferred) + len(other)
    if not loaded.prompt_ids:
        raise ExamplesError(
            param,
            path.name,
            "no pair of answers can be learnt from",
            fix="Give pairs that differ, and that fit into the model's context with their prompt.",
        )
    return loaded
