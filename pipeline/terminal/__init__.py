"""What a person sees: lines, what moves below them, run.log."""
