"""``python -m pipeline`` is the ``finetune`` command."""

from pipeline.signals import end_undisturbed, leave_at_once


def main() -> None:
    """Run the command."""
    leave_at_once()  # before the imports that take time, for Ctrl-C during them is no traceback
    from pipeline.cli import main as run_command

    try:
        run_command()
    finally:
        end_undisturbed()


if __name__ == "__main__":
    main()
