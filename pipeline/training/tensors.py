"""Training files to token ids and labels."""

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.training.chat_format import IGNORED, ChatFormat
from pipeline.training.examples import ExamplesError, FileParam, read_examples

Ids = npt.NDArray[np.int32]


class TrainingSet(msgspec.Struct):
    """The usable examples of a file, in its order.

    Attributes:
        input_ids, labels: per example, equally long.
        tokens: in all of them, prompts included.
        truncated: how many were cut to the maximum length.
        skipped: how many were left out, because nothing in them (or in what was left of them) is a target.
    """

    input_ids: list[Ids] = []
    labels: list[Ids] = []
    tokens: int = 0
    truncated: int = 0
    skipped: int = 0


def load_examples(path: Path, param: FileParam, chat_format: ChatFormat, max_length: int) -> TrainingSet:
    """Tokenise a training file. What is longer than `max_length` tokens loses its end, as with OpenAI.

    Raises:
        ExamplesError: a line is wrong, or nothing in the file is a target.
        InputError: the model's chat template refuses a conversation.
    """
    loaded = TrainingSet()
    for example in read_examples(path, param):
        input_ids, labels = chat_format.example(example.messages, example.trained)
        loaded.truncated += len(input_ids) > max_length
        # The first token is never predicted, so it is no target.
        if all(label == IGNORED for label in labels[1:max_length]):
            loaded.skipped += 1
            continue
        loaded.input_ids.append(np.array(input_ids[:max_length], np.int32))
        loaded.labels.append(np.array(labels[:max_length], np.int32))
        loaded.tokens += min(len(input_ids), max_length)
    if not loaded.input_ids:
        raise ExamplesError(
            param,
            path.name,
            "no example has an assistant message to learn from",
            fix="Give at least one assistant message without `weight: 0`.",
        )
    return loaded
