"""Versions and machine of a training, as its record has them."""

import platform

import torch

import zcbench


def environment(device: str) -> dict[str, object]:
    """Versions, device and threads of this process."""
    kind = torch.device(device)
    return {
        "zcbench": zcbench.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(kind) if kind.type == "cuda" else str(kind),
        "threads": torch.get_num_threads(),
    }
