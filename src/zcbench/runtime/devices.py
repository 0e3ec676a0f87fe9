"""Where networks run: the CPU, or one or several GPUs over which workers are dealt out."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from zcbench.errors import ProtocolError

_FORM = re.compile(r"cpu|cuda|cuda:\d{1,3}(,cuda:\d{1,3})*", re.ASCII)
#: Environment variable with the number of a worker among those of its pool.
WORKER = "ZCBENCH_WORKER"


def check_device(device: str) -> None:
    """Refuse a device that is none, or that this machine does not have.

    Raises:
        ProtocolError: ``device`` is neither ``cpu`` nor ``cuda`` nor ``cuda:N``, one or several with commas, or PyTorch
            finds no such GPU.

    >>> check_device("cpu")
    """
    import torch

    if not _FORM.fullmatch(device):
        raise ProtocolError(
            f"device={device!r} was given. Expected 'cpu', 'cuda', 'cuda:N' for one of several GPUs, or several with "
            f"commas as 'cuda:0,cuda:1'."
        )
    if device == "cpu":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for one in device.split(","):
        if int(one.partition(":")[2] or 0) >= count:
            raise ProtocolError(
                f"device={one!r} was given, and PyTorch {torch.__version__} finds {count} GPUs here. Expected one that "
                f"is there; take 'cpu', or install a PyTorch for this GPU and its driver."
            )


def kind_of(device: str) -> str:
    """Kind of a device, which scores depend on, without its number.

    >>> kind_of("cuda:0,cuda:1"), kind_of("cpu")
    ('cuda', 'cpu')
    """
    return device.partition(",")[0].partition(":")[0]


def own_device(device: str) -> str:
    """The device of this process: of several, they are dealt out over the workers in turn.

    >>> own_device("cpu")
    'cpu'
    """
    several = device.split(",")
    return several[int(os.environ.get(WORKER, "0")) % len(several)]


@contextmanager
def exact_kernels(device: str) -> Iterator[None]:
    """Float32 without TF32, and kernels that give the same bits again, as far as a GPU has them; the CPU needs neither.

    They cost time: TF32 is several times faster where convolutions fill the GPU.
    """
    if kind_of(device) != "cuda":
        yield
        return
    import torch

    matmul, deterministic = torch.backends.cuda.matmul, torch.are_deterministic_algorithms_enabled()
    warn, tf32 = torch.is_deterministic_algorithms_warn_only_enabled(), matmul.allow_tf32
    try:
        matmul.allow_tf32 = False
        torch.use_deterministic_algorithms(True, warn_only=True)
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = tf32
        torch.use_deterministic_algorithms(deterministic, warn_only=warn)
