"""Export of a trained student: its weights, or a `torch.export` program."""

import io
from pathlib import Path

import torch
from torch import nn

from zcbench.distill.errors import CheckpointError
from zcbench.distill.training.checkpoint import write_file
from zcbench.errors import shortened
from zcbench.storage.files import replaced

EXPORTS = ("pt", "pt2")


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
    images = torch.zeros(2, *image_shape)
    own = next(network.parameters()).device
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.cpu().eval()
        batch = torch.export.Dim("batch")
        with torch.no_grad():
            program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
        content = io.BytesIO()
        torch.export.save(program, content)
        with replaced(Path(file)) as draft:
            draft.write_bytes(content.getbuffer())
    except Exception as error:  # the exporter raises nearly anything
        told = shortened(" ".join(str(error).split()), 1000)
        raise CheckpointError(
            f"Cannot export the network to {file}: {type(error).__name__}: {told}. "
            f"Expected a network that torch.export can trace and a file that can be written; take the weights instead."
        ) from error
    finally:
        network.to(own)
        for module, training in modes:
            module.training = training
    return Path(file)
