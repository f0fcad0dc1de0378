"""What stands around every request: keys, limits, error envelope, metrics."""
