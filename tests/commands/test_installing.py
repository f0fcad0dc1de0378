"""`make` says what it installs, in a line for each large package, and warns where CUDA would be for nothing."""

from pipeline.commands.installing import ADVICE, shown

SAID = """\
Collecting torch==2.13.0
  Obtaining dependency information for torch==2.13.0
  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)
Collecting nvidia-cublas-cu13==13.1.0.3 (from torch==2.13.0)
  Downloading nvidia_cublas_cu13-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl.metadata (1.7 kB)
Collecting nvidia-cudnn-cu13 (from torch==2.13.0)
Requirement already satisfied: rich>=15.0 in ./.venv/lib (15.0.0)
Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB)
Using cached nvidia_cublas_cu13-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl (594.3 MB)
Downloading idna-3.10-py3-none-any.whl (70 kB)
Installing collected packages: torch, nvidia-cublas-cu13, idna
Successfully installed idna-3.10 torch-2.13.0
""".splitlines(keepends=True)
PACKAGES = [
    "  torch 2.13.0, 899.8 MB",
    "  nvidia_cublas_cu13 13.1.0.3, 594.3 MB",
    "  unpacking 3 packages, which takes its time ...",
]


def test_large_packages_and_phases_get_a_line_each() -> None:
    assert list(shown(SAID, has_gpu=True)) == PACKAGES


def test_cuda_for_a_machine_without_such_a_gpu_is_told_once_and_before_it_is_fetched() -> None:
    assert list(shown(SAID, has_gpu=False)) == [ADVICE, *PACKAGES]


def test_nothing_to_fetch_is_nothing_to_tell() -> None:
    assert list(shown(["Requirement already satisfied: rich>=15.0 in ./.venv/lib (15.0.0)\n"], has_gpu=False)) == []
