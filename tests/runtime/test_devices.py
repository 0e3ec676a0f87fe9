"""Devices. No GPU is needed: the oracle is what PyTorch is made to say of them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from zcbench.errors import ProtocolError
from zcbench.runtime import devices
from zcbench.runtime.devices import check_device, exact_kernels, kind_of, own_device
from zcbench.runtime.pool import WorkerPool

SCRIPT = Path(__file__).parents[2] / "examples" / "gpu_check.py"


def test_devices_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: two GPUs, then none; each wrong device is named."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:1", "cuda:0,cuda:1"):
        check_device(device)
    for device, named in {"cuda:2": "cuda:2", "cuda:0,cuda:5": "cuda:5"}.items():
        with pytest.raises(ProtocolError, match=f"device='{named}' was given, and PyTorch .* finds 2 GPUs"):
            check_device(device)
    for device in ("cuda,cuda:1", "cpu,cuda", "cuda:0,", "gpu"):
        with pytest.raises(ProtocolError, match="Expected 'cpu', 'cuda', 'cuda:N'"):
            check_device(device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ProtocolError, match="finds 0 GPUs"):
        check_device("cuda:0,cuda:1")


def test_workers_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: three workers over two devices; a worker that died is replaced on its own device."""
    import pickle

    task = "[__import__('time').sleep(.3), __import__('os').environ['ZCBENCH_WORKER']][1]"
    numbers = []
    with WorkerPool[str](eval, pickle.dumps("lambda code: eval(code)"), 3) as pool:
        for tasks in ([task] * 3, ["__import__('os')._exit(1)"], [task] * 3):
            for one in tasks:
                pool.give(one)
            while pool.busy:
                numbers += [ending.result for ending in pool.poll(5)]
    assert sorted(numbers[:3]) == sorted(numbers[4:]) == ["0", "1", "2"]
    found = []
    for number in range(3):
        monkeypatch.setenv(devices.WORKER, str(number))
        found.append(own_device("cuda:0,cuda:3"))
    assert found == ["cuda:0", "cuda:3", "cuda:0"] and own_device("cpu") == "cpu"
    assert kind_of("cuda:0,cuda:3") == "cuda"


def test_kernels_are_exact_on_a_gpu_alone() -> None:
    """By construction: the flags inside and after the block."""

    def flags() -> tuple[bool, ...]:
        cudnn = torch.backends.cudnn
        return (
            torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic,
            torch.are_deterministic_algorithms_enabled(),
        )  # fmt: skip

    before = flags()
    with exact_kernels("cpu"):
        assert flags() == before
    with exact_kernels("cuda:1"):
        assert flags() == (False, False, True, True)
    assert flags() == before


def test_the_check_of_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its logic, with the CPU in place of a GPU: no difference; and its refusal where there is none."""
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.check("cpu", tmp_path / "cpu.json", networks=3, small=True)
    found = json.loads((tmp_path / "cpu.json").read_text())
    assert len(found["proxies"]) == len(module.FIRST_ORDER) and found["device"] == "CPU"
    assert all(one["difference"] == 0 and one["same statuses"] for one in found["proxies"])
    if not torch.cuda.is_available():
        words = [sys.executable, str(SCRIPT), "cuda", str(tmp_path / "gpu.json")]
        told = subprocess.run(words, capture_output=True, text=True, env=os.environ)
        assert told.returncode == 1 and "finds 0 GPUs here" in told.stderr and "Traceback" not in told.stderr
