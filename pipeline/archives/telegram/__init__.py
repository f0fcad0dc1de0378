"""Reads what Telegram Desktop exports as JSON: result.json of one chat, or of a whole account.

The format is that of tdesktop's export_output_json.cpp.
"""
