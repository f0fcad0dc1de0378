"""A WhatsApp export read by us and by whatstk and chat-miner: whether all find the same messages, and how fast.

The peers come into a virtual environment that is thrown away: what they depend on is no business of ours.
"""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

from pipeline.archives.reading import Reading, read_archive
from tests.bench.exports import EXPORTS

PEERS = ("whatstk", "chat-miner")
FORMS = ("whatsapp", "whatsapp, iPhone")
MEDIA = ("<Media omitted>", "image omitted", "\u200eimage omitted")

_READ = {
    "whatstk": "from whatstk import WhatsAppChat\n"
    "def read(path):\n"
    "    found = WhatsAppChat.from_source(filepath=path).df\n"
    "    return zip(found['date'], found['username'], found['message'])\n",
    "chat-miner": "from chatminer.chatparsers import WhatsAppParser\n"
    "def read(path):\n"
    "    parser = WhatsAppParser(path)\n"
    "    parser.parse_file()\n"
    "    found = parser.parsed_messages.get_df(as_pandas=True)\n"
    "    return zip(found['timestamp'], found['author'], found['message'])\n",
}
_TELL = (
    "import json, sys, time\n"
    "begin = time.process_time()\n"
    "rows = [[str(when)[:19], str(who), str(text)] for when, who, text in read(sys.argv[1])]\n"
    "took = time.process_time() - begin\n"
    "print(json.dumps({'seconds': took, 'rows': rows}))\n"
)


class Agreed(msgspec.Struct):
    """What a peer made of an export.

    Attributes:
        ours, theirs: messages a second of processor time.
        share: of the messages that we find, those that the peer finds with the same time, sender and text.
    """

    form: str
    peer: str
    ours: float
    theirs: float
    share: float


class _Told(msgspec.Struct):
    seconds: float
    rows: list[tuple[str, str, str]]


def agreements(folder: Path, messages: int) -> list[Agreed]:
    """Compare with each peer that can be installed and reads the export; none of them is nothing."""
    bin_ = folder / "oracles" / "bin"
    try:
        subprocess.run([sys.executable, "-m", "venv", bin_.parent], check=True, capture_output=True)
        install = [str(bin_ / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
        subprocess.run(install, check=True, capture_output=True)
    except subprocess.CalledProcessError:
        return []
    found = []
    for number, form in enumerate(FORMS):
        (place := folder / f"oracle-{number}").mkdir()
        path = EXPORTS[form](place, messages)
        begin = time.process_time()
        said = _ours(path)
        ours = messages / (time.process_time() - begin)
        for peer in PEERS:
            command = [str(bin_ / "python"), "-W", "ignore", "-c", _READ[peer] + _TELL, str(path)]
            done = subprocess.run(command, check=False, capture_output=True)
            if done.returncode == 0:
                told = msgspec.json.decode(done.stdout.splitlines()[-1], type=_Told)
                theirs = Counter(map(tuple, told.rows))
                share = (said & theirs).total() / said.total()
                found.append(Agreed(form, peer, ours, messages / told.seconds, share))
    return found


def _ours(path: Path) -> Counter[tuple[str, ...]]:
    streams = read_archive(Reading(str(path), "whatsapp"))
    return Counter(
        ((message.time or "")[:19].replace("T", " "), message.sender, message.content)
        for stream in streams
        for block in stream.blocks
        for message in block
    )
