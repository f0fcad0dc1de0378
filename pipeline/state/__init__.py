"""state.json, what has been done, and the lock on a run directory."""
