"""Reads macOS's ~/Library/Messages/chat.db and iOS's sms.db: iMessage, SMS and RCS. Start reading in reader.py."""

from pipeline.archives.imessage.people import UNKNOWN_SENDER
from pipeline.archives.imessage.reader import Half, require_balance, stream_imessage
from pipeline.archives.imessage.times import utc_time

__all__ = ["UNKNOWN_SENDER", "Half", "require_balance", "stream_imessage", "utc_time"]
