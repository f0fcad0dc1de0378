"""Exports of Slack workspaces: a folder for each channel, in it a file for each day, and who is who at the top."""
