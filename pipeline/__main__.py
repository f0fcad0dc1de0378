"""``python -m pipeline`` is the ``finetune`` command."""

import _signal  # type: ignore[import-not-found]  # what signal wraps, without the imports of that
import os


def main() -> None:
    """Run the command."""
    leave_at_once()  # before all else is imported, which takes time: Ctrl-C meanwhile is no traceback
    from pipeline.process.signals import end_undisturbed

    try:
        from pipeline.cli import main as run_command

        run_command()
    finally:
        end_undisturbed()


def leave_at_once() -> None:
    """Exit with 128+n on a signal, without a word: there is nothing yet to end in good order."""

    def leave(signum: int, _: object) -> None:
        os._exit(128 + signum)

    for each in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if each != _signal.SIGHUP or _signal.getsignal(each) != _signal.SIG_IGN:  # as `nohup` has it ignored
            _signal.signal(each, leave)


if __name__ == "__main__":
    main()
