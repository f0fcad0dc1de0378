"""Environment variables that libraries read once, when they are loaded: set before torch is imported."""

import os

_BUSY_PERCENT = 40.0


def settle_engine() -> None:
    """What suits chat: threads that wait for each other sleep, since a training may want the same cores."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def settle_worker() -> None:
    """What suits a process that trains one job and nothing else.

    Threads that wait for each other spin by default. With the machine to itself, a worker on two cores is 1.7 times as
    fast for it; beside other busy processes it is three times slower or worse. So they sleep where the machine is busy.
    """
    import psutil  # type: ignore[import-untyped]  # comes with peft

    if psutil.cpu_percent(interval=0.2) > _BUSY_PERCENT:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched, and nobody is told
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # one job, one GPU: TRL refuses to split a batch over several
