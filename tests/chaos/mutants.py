"""Our own code with one thing taken out, applied in a forked child."""


def apply(name: str) -> None:
    raise NotImplementedError(name)
