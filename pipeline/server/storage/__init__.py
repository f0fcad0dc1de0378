"""The store in SQLite, with a folder of files beside it; see interfaces.py."""
