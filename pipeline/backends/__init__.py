"""The servers that train: embedded or hosted, one client for all."""
