"""The config: its keys, how it is read, its schema."""
