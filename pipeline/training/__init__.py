"""What the worker process runs. torch is imported here only, and only inside functions or modules that need it."""
