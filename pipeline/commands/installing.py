"""What `make` installs with: pip, and a line for what it is at. Python alone is used: nothing else is there yet."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.wording import counted

_DOWNLOADING = re.compile(r"\s*(?:Downloading|Using cached) (\S+?)-(\d[^-\s]*)-?\S*(?: \(([\d.]+) ([kMG]?B)\))?$")
_WORTH_A_LINE = ("MB", "GB")
_CUDA = re.compile(r"Collecting nvidia[-_]")
ADVICE = (
    "  pip is about to fetch CUDA libraries of several gigabytes, and there is no NVIDIA GPU here. For PyTorch's\n"
    '  smaller CPU build press Ctrl-C, then: make finetune PIP_ARGS="--extra-index-url ADDRESS"\n'
    '  ADDRESS is what the page "Get Started" of PyTorch shows for Linux, Pip and CPU.'
)


def main(arguments: Sequence[str]) -> int:
    """Run `pip install` with these arguments; returns its exit code. What it complains of it says itself."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True, errors="replace") as pip:
        try:
            for line in shown(pip.stdout or (), has_gpu=has_nvidia_gpu()):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        except KeyboardInterrupt:  # pip has got it, too
            pip.wait()
            return 130
    return pip.returncode


def shown(lines: Iterable[str], *, has_gpu: bool) -> Iterator[str]:
    """What of pip's words is worth a line: large packages with their size, phases, CUDA where it is for nothing."""
    is_advised = has_gpu
    for line in lines:
        found = _DOWNLOADING.match(line)
        if found and found[4] in _WORTH_A_LINE:
            yield f"  {found[1]} {found[2]}, {found[3]} {found[4]}"
        elif line.startswith("Installing collected packages:"):
            yield f"  unpacking {counted(line.count(',') + 1, 'package')}, which takes its time ..."
        elif not is_advised and _CUDA.match(line):
            is_advised = True
            yield ADVICE


def has_nvidia_gpu() -> bool:
    """Whether there is one to use CUDA with, or no Linux, where pip brings none."""
    return sys.platform != "linux" or Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
