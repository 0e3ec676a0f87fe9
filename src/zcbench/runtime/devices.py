"""Where networks run."""

import re

from zcbench.errors import ProtocolError

_FORM = re.compile(r"cpu|cuda(:\d{1,3})?", re.ASCII)


def check_device(device: str) -> None:
    """Refuse a device that is none, or that this machine does not have.

    Raises:
        ProtocolError: ``device`` is neither ``cpu`` nor ``cuda`` nor ``cuda:N``, or PyTorch finds no such GPU.

    >>> check_device("cpu")
    """
    import torch

    if not _FORM.fullmatch(device):
        raise ProtocolError(
            f"device={device!r} was given. Expected 'cpu', 'cuda', or 'cuda:N' for one of several GPUs."
        )
    if device == "cpu":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(device.partition(":")[2] or 0) >= count:
        raise ProtocolError(
            f"device={device!r} was given, and PyTorch {torch.__version__} finds {count} GPUs here. Expected one that "
            f"is there; take 'cpu', or install a PyTorch for this GPU and its driver."
        )
