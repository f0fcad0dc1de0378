"""A tuned model as files that other programs load, proved to say what the served model says."""
