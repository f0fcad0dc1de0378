"""The way in: a config from a few questions (init.py), and whether all that a run needs is there (doctor.py)."""
