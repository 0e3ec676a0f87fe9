"""Times of forward passes on this machine."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.errors import ProtocolError
from zcbench.runtime.devices import check_device
from zcbench.runtime.threads import threads

if TYPE_CHECKING:
    from zcbench.datasets.inputs import Given


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How forward passes are timed: evaluation mode, float32, no gradient, one pass after the other.

    Attributes:
        device: where networks run: cpu or cuda.
        threads: threads on a CPU.
        batch_size: inputs of a pass.
        warmup: passes before those that count.
        repeats: passes that count.

    Raises:
        ProtocolError: a number is out of range, or there is no such device here.
    """

    device: str = "cpu"
    threads: int = 1
    batch_size: int = 1
    warmup: int = 10
    repeats: int = 50

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("batch_size", 1), ("warmup", 0), ("repeats", 1)):
            if getattr(self, name) < least:
                raise ProtocolError(f"{name}={getattr(self, name)} was given. Expected at least {least}.")
        check_device(self.device)

    def times(self, network: "Callable[..., object]", inputs: "Given") -> list[float]:
        """Milliseconds of each pass that counts.

        Args:
            network: called in the mode that it has; on the device.
            inputs: one batch, on the device.
        """
        import torch
        from torch import Tensor

        args, kwargs = ((inputs,), {}) if isinstance(inputs, Tensor) else (inputs.args, inputs.kwargs)
        found = list[float]()
        with threads(self.threads), torch.inference_mode():
            for _ in range(self.warmup + self.repeats):
                self._wait()
                start = time.perf_counter()
                network(*args, **kwargs)
                self._wait()
                found.append(1000 * (time.perf_counter() - start))
        return found[self.warmup :]

    def _wait(self) -> None:
        """Until the device has done all that was asked of it."""
        if self.device != "cpu":
            import torch

            torch.cuda.synchronize(self.device)

    @property
    def machine(self) -> str:
        """Processor and software that the times are of."""
        import torch

        system = f"{platform.system()} {platform.machine()}, torch {torch.__version__}"
        if self.device == "cpu":
            return f"{_processor()}, {system}"
        return f"{torch.cuda.get_device_name(self.device)}, CUDA {torch.version.cuda}, {system}"


def _processor() -> str:
    """Name of the CPU, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "CPU")
