"""Draws the README's pictures from a real run: `make pictures`. A terminal of 120 columns, nothing retouched.

The run is configs/tortoise.yaml in an empty folder, with the real trainer; it takes as long as `make finetune`. The
report is photographed by Chromium, where there is one.
"""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / ".github" / "pictures"
COLUMNS, LINES = 120, 44
PAGE = (1000, 1330)
COLOURS = {"brown": "yellow", "default": None}  # pyte's names of what rich calls otherwise


def main() -> None:
    """Run, and draw what the screen shows half-way through the training and at the end."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="finetune-pictures-") as folder:
        shutil.copytree(ROOT / "configs", Path(folder) / "configs")
        half_way = False
        screen = pyte.Screen(COLUMNS, LINES)
        for shown in watch("run", Path(folder), screen):
            if not half_way and re.search(r"step 3\d/60.* left", shown()):
                draw(screen, PICTURES / "training.svg", "make finetune")
                half_way = True
        draw(screen, PICTURES / "finished.svg", "make finetune")
        screen = pyte.Screen(COLUMNS, LINES)
        for _ in watch("status", Path(folder), screen):
            pass
        draw(screen, PICTURES / "status.svg", "finetune status configs/tortoise.yaml")
        for _ in watch("report", Path(folder), pyte.Screen(COLUMNS, LINES)):
            pass
        photograph(Path(folder) / "runs" / "tortoise" / "report.html")


def photograph(page: Path) -> None:
    """The report's head and what training did, for light and dark screens."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium here: the pictures of the report stay as they are")
    page.write_text(page.read_text().replace("</style>", "#in, #data { display: none }</style>"))
    for scheme, wish in (("light", "1"), ("dark", "0")):
        picture = PICTURES / f"report-{scheme}.png"
        command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
        command += [f"--blink-settings=preferredColorScheme={wish}", f"--window-size={PAGE[0]},{PAGE[1]}"]
        subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)
        sys.stdout.write(f"{picture.relative_to(ROOT)}\n")


def watch(command: str, folder: Path, screen: pyte.Screen) -> Iterator[Callable[[], str]]:
    """Run a finetune command in a terminal; after each piece of output yields what reads the screen's text."""
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        os.environ |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "PATH": beside}
        os.execvp("finetune", ["finetune", command, "configs/tortoise.yaml"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
        stream.feed(piece.replace(b"\x1b[2m", b"\x1b[90m"))  # pyte knows nothing of faint; grey looks the same
        yield lambda: "\n".join(screen.display)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"the run failed; the screen was:\n{chr(10).join(screen.display)}")


def draw(screen: pyte.Screen, path: Path, title: str) -> None:
    """Write the screen as SVG, without the empty lines at its end."""
    lines = [_line(screen, row) for row in range(LINES)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    console = Console(width=COLUMNS, record=True, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115
    for line in lines:
        console.print(line, no_wrap=True, highlight=False)
    path.write_text(console.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id=path.stem))
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def _line(screen: pyte.Screen, row: int) -> Text:
    line = Text()
    for column in range(COLUMNS):
        cell = screen.buffer[row][column]
        colour = COLOURS.get(cell.fg, cell.fg.replace("bright", "bright_"))
        line.append(
            cell.data,
            Style(
                color=colour if colour is None or "_" in colour or colour.isalpha() else f"#{colour}", bold=cell.bold
            ),
        )
    line.rstrip()
    return line


if __name__ == "__main__":
    main()
