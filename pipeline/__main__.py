"""``python -m pipeline`` is the ``finetune`` command."""

from pipeline.cli import main

main()
