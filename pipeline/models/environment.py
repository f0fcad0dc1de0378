"""What has to be seen to before torch is imported: whether it is there, and variables that are read only then."""

import contextlib
import gc
import importlib.util
import os
from collections.abc import Iterator

from pipeline.errors import InputError
from pipeline.process.privacy import withhold

_LIBRARIES = ("torch", "transformers", "peft", "trl", "datasets", "gguf", "safetensors", "psutil")
_WAIT_POLICY = "OMP_WAIT_POLICY"  # OpenMP reads it when torch is imported, and only then
_DISTRIBUTED = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
    "TORCHELASTIC_", "ACCELERATE_", "FSDP_", "DEEPSPEED_", "MEGATRON_", "PMI_", "PMIX_", "OMPI_", "MV2_", "SLURM_",
    "CCL_", "XRT_TPU_CONFIG", "TPU_", "SM_", "SAGEMAKER_", "NEURON_", "MLU_",
)  # fmt: skip
"""Of launchers such as torchrun, Slurm and MPI: torch and accelerate look for other processes where these say."""
_wait_policy_is_ours = False


def require_libraries() -> None:
    """See that the libraries of the extra `local` are installed.

    Raises:
        InputError: names the first one that is not.
    """
    for library in _LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise InputError(
                "training on this machine",
                f"the package {library} is not installed",
                fix="Run `pip install 'finetune-pipeline[local]'`, or choose another backend.",
            )


@contextlib.contextmanager
def sleeping_threads() -> Iterator[None]:
    """Have a torch that is first imported within this block let its threads sleep, rather than spin, when they wait.

    That suits chat, which shares the cores with a training. A training with such threads is slower with two than with
    one, so `for_children` leaves the variable out.
    """
    global _wait_policy_is_ours
    if _WAIT_POLICY in os.environ:
        yield
        return
    _wait_policy_is_ours = True
    os.environ[_WAIT_POLICY] = "PASSIVE"
    try:
        yield
    finally:
        del os.environ[_WAIT_POLICY]
        _wait_policy_is_ours = False


def for_children() -> dict[str, str]:
    """The environment for a process that is started now, be it while another thread is within `sleeping_threads`.

    Keys are left out: no such process talks to anybody.
    """
    found = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    if _wait_policy_is_ours:
        found.pop(_WAIT_POLICY, None)
    return found


@contextlib.contextmanager
def imported_for_good() -> Iterator[None]:
    """Have what is imported within this block left alone by the garbage collector, now and later.

    Torch and its kin are three thousand modules of which nothing dies; looking through them again and again takes a
    quarter of the time that importing them does.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle_worker() -> None:
    """What suits a process that trains one job and nothing else."""
    withhold()  # nothing is fetched, and nobody is told
    for name in [name for name in os.environ if name.startswith(_DISTRIBUTED)]:
        del os.environ[name]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # one job, one GPU: TRL refuses to split a batch over several
