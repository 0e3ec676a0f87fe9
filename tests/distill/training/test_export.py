"""Exports of trained students: the same logits from the weights, the program and the ONNX model."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.benchmarks.training.student import StudentFiles
from zcbench.distill import export
from zcbench.distill.errors import CheckpointError
from zcbench.distill.training import export as module
from zcbench.distill.training.export import onnx_logits
from zcbench.errors import UnknownNameError

from .conftest import make_network, same, weights

NETWORKS = [
    ("deit(patch=4)", "16/2/2/2"),
    ("t2t(stride=1)", "16/1/2/2"),
    ("pvt(patch=1)", "16/2-2-2-2/1-1-1-1/1-1-2-4"),
    ("resnet", "resnet8"),
]
needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")), reason="zcbench[onnx]"
)


def _images(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize(("space", "arch"), NETWORKS)
@pytest.mark.parametrize("kind", ["pt", "pt2", pytest.param("onnx", marks=needs_onnx)])
def test_exports_give_the_same_logits(kind: str, space: str, arch: str, tmp_path: Path) -> None:
    """Invariance: batches of other sizes than the exporter saw, float32 round-off; the network is as it was."""
    network = spaces.get(space).build(arch, 5, image_shape=(3, 16, 16), seed=2)
    before = weights(network)
    file = export(network, tmp_path / f"student.{kind}", (3, 16, 16))
    assert network.training and same(before, weights(network))
    assert [found.name for found in tmp_path.iterdir()] == [f"student.{kind}"]
    for count in (1, 4):
        images = _images(count)
        if kind == "onnx":
            found = onnx_logits(file, images)
        elif kind == "pt2":
            found = torch.export.load(file).module()(images)
        else:
            fresh = spaces.get(space).build(arch, 5, image_shape=(3, 16, 16)).eval()
            fresh.load_state_dict(torch.load(file, weights_only=True))
            found = fresh(images)
        torch.testing.assert_close(found, network.eval()(images), rtol=1e-3, atol=1e-4)


def test_formats_are_checked_before_a_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bad input: a format that is none, and ONNX without its packages."""
    with pytest.raises(UnknownNameError, match="Did you mean 'onnx'"):
        StudentFiles(exports=("pt", "onx"))
    with pytest.raises(UnknownNameError, match="format of an export"):
        export(make_network(), tmp_path / "student.tflite", (3, 8, 8))
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        CheckpointError, match=r"onnx and onnxscript, which is not installed. Install 'zcbench\[onnx\]'"
    ):
        StudentFiles(exports=("onnx",))
    with pytest.raises(CheckpointError, match="run by onnxruntime"):
        onnx_logits(tmp_path / "student.onnx", _images(1))


@needs_onnx
def test_a_model_with_other_logits_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bad input: onnxruntime gives other logits than the network; the file that was there stays."""
    file = tmp_path / "student.onnx"
    file.write_text("before")
    monkeypatch.setattr(module, "onnx_logits", lambda file, images: torch.zeros(len(images), 3))
    with pytest.raises(CheckpointError, match="onnxruntime gives logits that differ"):
        export(make_network(), file, (3, 8, 8))
    assert file.read_text() == "before"


@needs_onnx
def test_a_network_that_cannot_be_traced(tmp_path: Path) -> None:
    """Bad input: control flow that depends on the images."""

    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() * self.weight > 0 else -images

    with pytest.raises(CheckpointError, match="Cannot export the network"):
        export(Moody(), tmp_path / "student.onnx", (3, 8, 8))
