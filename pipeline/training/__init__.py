"""What the worker process runs: one job, from its files to an adapter. The server talks to it by protocol.py."""
