"""Export of a trained student: its weights, a `torch.export` program, or an ONNX model."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from zcbench.distill.errors import CheckpointError
from zcbench.distill.training.checkpoint import write_file
from zcbench.errors import shortened, unknown
from zcbench.storage.files import replaced
from zcbench.streams import torch_stream

EXPORTS = ("pt", "pt2", "onnx")
#: Packages that an ONNX export needs.
_ONNX = ("onnx", "onnxscript")
#: Largest difference of the logits that onnxruntime and PyTorch give, relative to the largest of them.
_TOLERANCE = 1e-3


def export(network: nn.Module, file: str | Path, image_shape: tuple[int, int, int]) -> Path:
    """Write a trained network as the suffix of the file says: ``.pt``, ``.pt2`` or ``.onnx``.

    Args:
        network: what is written; it is left as it was.
        file: where to.
        image_shape: ``(C, H, W)`` of an image; the weights alone do not depend on it.

    Raises:
        UnknownNameError: another suffix.
        CheckpointError: as `save_weights`, `save_program` and `save_onnx`.

    Example:
        >>> import tempfile
        >>> from zcbench import spaces
        >>> network = spaces.get("deit(patch=4)").build("16/2/2/1", image_shape=(3, 8, 8))
        >>> file = export(network, Path(tempfile.mkdtemp()) / "student.pt", (3, 8, 8))
        >>> len(torch.load(file)) == len(network.state_dict())
        True
    """
    kind = Path(file).suffix.removeprefix(".")
    require_exports([kind])
    if kind == "pt":
        return save_weights(network, file)
    return (save_onnx if kind == "onnx" else save_program)(network, image_shape, file)


def require_exports(kinds: list[str]) -> None:
    """Refuse formats that are none, or that need a package which is not installed, before anything is trained.

    Raises:
        UnknownNameError: a format is not known.
        CheckpointError: ``onnx`` without its packages.
    """
    for kind in kinds:
        if kind not in EXPORTS:
            raise unknown("format of an export", kind, EXPORTS)
    missing = [name for name in _ONNX if find_spec(name) is None]
    if "onnx" in kinds and missing:
        raise CheckpointError(
            f"An ONNX export needs the package {' and '.join(missing)}, which is not installed. Install "
            f"'zcbench[onnx]', or export pt or pt2."
        )


def save_weights(network: nn.Module, file: str | Path) -> Path:
    """Write the ``state_dict`` of ``network``, on the CPU and in the usual memory layout, as a file of tensors alone.

    Adapters, projectors and stage heads of the distillers belong to the training and are not in it.
    ``torch.load(file, weights_only=True)`` reads it.

    Raises:
        CheckpointError: the file cannot be written; one that was there is as it was.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = io.BytesIO()
    torch.save(weights, content)
    write_file(Path(file), content.getbuffer(), f"the weights {Path(file).name}")
    return Path(file)


def save_program(network: nn.Module, image_shape: tuple[int, int, int], file: str | Path) -> Path:
    """Write ``network`` in evaluation mode as a `torch.export` program for batches of any size.

    ``torch.export.load(file).module()`` runs it without this package.

    Args:
        network: what is written; while that is done it is on the CPU and in evaluation mode.
        image_shape: ``(C, H, W)`` of an image.
        file: where to; ends in ``.pt2``.

    Raises:
        CheckpointError: the network cannot be exported, or the file cannot be written.
    """
    with _ready(network, file, "torch.export can trace"):
        program = torch.export.export(network, (torch.zeros(2, *image_shape),), dynamic_shapes=(_batch(),))
        content = io.BytesIO()
        torch.export.save(program, content)
        with replaced(Path(file)) as draft:
            draft.write_bytes(content.getbuffer())
    return Path(file)


def save_onnx(network: nn.Module, image_shape: tuple[int, int, int], file: str | Path) -> Path:
    """Write ``network`` in evaluation mode as an ONNX model, one file, for batches of any size.

    Its input is called ``images``, ``(B, C, H, W)``, and its output ``logits``, ``(B, N)``. Where onnxruntime is
    installed, the model is run on three images of noise before the file is kept: its logits must equal those of the
    network up to a thousandth of the largest. Needs PyTorch 2.5 and the packages of ``zcbench[onnx]``.

    Args:
        network: what is written; while that is done it is on the CPU and in evaluation mode.
        image_shape: ``(C, H, W)`` of an image.
        file: where to; ends in ``.onnx``.

    Raises:
        CheckpointError: a package is missing, the network cannot be exported, onnxruntime gives other logits, or the
            file cannot be written.
    """
    require_exports(["onnx"])
    with _ready(network, file, "torch.onnx.export can trace"):
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *image_shape),),
            dynamo=True,
            dynamic_shapes=(_batch(),),
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
        assert program is not None
        with replaced(Path(file)) as draft:
            program.save(str(draft), external_data=False)
            _require_same(network, image_shape, draft)
    return Path(file)


def onnx_logits(file: str | Path, images: Tensor) -> Tensor:
    """Logits ``(B, N)`` of an ONNX model for images, by onnxruntime on the CPU.

    Raises:
        CheckpointError: onnxruntime is not installed.
    """
    if find_spec("onnxruntime") is None:
        raise CheckpointError("An ONNX model is run by onnxruntime, which is not installed. Install 'zcbench[onnx]'.")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _require_same(network: nn.Module, image_shape: tuple[int, int, int], file: Path) -> None:
    if find_spec("onnxruntime") is None:
        return
    images = torch.randn(3, *image_shape, generator=torch_stream("export"))
    expected, found = network(images), onnx_logits(file, images)
    difference = (found - expected).abs().max().item()
    if not difference <= _TOLERANCE * max(1.0, expected.abs().max().item()):
        raise ValueError(f"onnxruntime gives logits that differ by {difference:.3g}")


def _batch() -> dict[int, object]:
    return {0: torch.export.Dim("batch")}


@contextmanager
def _ready(network: nn.Module, file: str | Path, expected: str) -> Iterator[None]:
    """The network on the CPU, in evaluation mode and without gradients; an error inside becomes a `CheckpointError`."""
    own = next(network.parameters()).device
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.cpu().eval()
        with torch.no_grad():
            yield
    except Exception as error:  # the exporter raises nearly anything
        told = shortened(" ".join(str(error).split()), 1000)
        raise CheckpointError(
            f"Cannot export the network to {file}: {type(error).__name__}: {told}. "
            f"Expected a network that {expected} and a file that can be written; take the weights instead."
        ) from error
    finally:
        network.to(own)
        for module, training in modes:
            module.training = training
