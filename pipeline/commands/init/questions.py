"""Questions on the terminal: asked until an answer will do, each with its default."""

from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import FinetuneError, InputError

T = TypeVar("T")
_NAMED = 5


class Questions:
    """Where answers come from: flags first, then whoever sits at the terminal, else the defaults.

    Args:
        ask: shows a prompt and returns a line; None where nobody can be asked.
        say: shows a line.
    """

    def __init__(self, ask: Callable[[str], str] | None, say: Callable[[str], None]) -> None:
        self._ask = ask
        self.say = say
        self.asks = ask is not None

    def answer(
        self, prompt: str, flag: str, given: str | None, default: str | None, understand: Callable[[str], T]
    ) -> T:
        """What `understand` makes of the answer; its FinetuneErrors are shown and the question is asked again.

        Raises:
            InputError: nobody can be asked, and neither flag nor default answers; or `understand` refuses those.
            EOFError: the terminal was closed.
        """
        if given is not None:
            return understand(given)
        if self._ask is None:
            if default is None:
                raise InputError(flag, "needed, for there is no default here", fix=f"Give {flag}.")
            return understand(default)
        while True:
            said = self._ask(f"{prompt}{f' [{default}]' if default else ''}: ").strip() or default or ""
            if not said:
                continue
            try:
                return understand(said)
            except FinetuneError as error:
                self.say(f"  {str(error).removeprefix(f'{flag}: ')}")


def pick(said: str, names: list[str], what: str) -> str:
    """One of `names`: by its number from 1, its name, or the beginning of one name alone, in any case.

    Raises:
        InputError: none or several are meant.
    """
    if said in names:
        return said
    if said.isascii() and said.isdigit() and 1 <= int(said) <= len(names):
        return names[int(said) - 1]
    meant = [name for name in names if name.lower().startswith(said.lower())]
    exact = [name for name in meant if name.lower() == said.lower()]
    if len(exact or meant) == 1:
        return (exact or meant)[0]
    if meant:
        raise InputError(what, "several begin so", got=said, fix=f"Which one: {', '.join(meant[:_NAMED])}?")
    listed = ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])
    raise InputError(what, "no such choice", got=said, fix=f"Give a number up to {len(names)}, or a name: {listed}.")
