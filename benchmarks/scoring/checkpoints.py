"""Weights of a teacher from a checkpoint file, read so that nothing in the file is run."""

import io
import pickle
import warnings
from collections.abc import Mapping
from hashlib import sha256 as fingerprint
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from zcbench.errors import TeacherError
from zcbench.storage.mirror import local

#: Where a checkpoint may keep the weights, if they are not all that it holds.
INSIDE = ("state_dict", "model", "model_state_dict", "net")
#: What wrappers put before the name of every weight.
WRAPPERS = ("module.", "_orig_mod.")
_COUNTER = "num_batches_tracked"  # a batch norm counts its batches; old checkpoints lack it
_SHOWN = 3


def load_weights(network: nn.Module, file: str | Path, sha256: str | None = None) -> None:
    """Give ``network`` the weights of a checkpoint; nothing that the file holds is run.

    Args:
        network: its weights and buffers are overwritten.
        file: what ``torch.save`` wrote: a state_dict, or a dictionary with one under a name of `INSIDE`. The prefix
            ``module.`` of wrapped networks is taken off.
        sha256: fingerprint that the file must have.

    Raises:
        TeacherError: the file is missing, damaged or another one, is no state_dict, or does not fit the network.
    """
    weights = _unwrapped(_state(_content(Path(file), sha256), file))
    own = network.state_dict()
    missing = [name for name in own if name not in weights and not name.endswith(_COUNTER)]
    unexpected = [name for name in weights if name not in own]
    shapes = [
        f"{name} is {tuple(weights[name].shape)} there and {tuple(own[name].shape)} in the network"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    wrong = [("it lacks", missing), ("the network has no", unexpected), ("of another shape:", shapes)]
    if any(found for _, found in wrong):
        told = "; ".join(f"{what} {_first(found)}" for what, found in wrong if found)
        raise TeacherError(
            f"The checkpoint {str(file)!r} does not fit the teacher: {told}. Expected the weights of this very "
            f"network; check the teacher's architecture and its number of classes."
        )
    network.load_state_dict(weights, strict=False)


def _first(found: list[str]) -> str:
    rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(islice(found, _SHOWN)) + rest


def _content(file: Path, sha256: str | None) -> object:
    """What a checkpoint holds, read with a list of types that cannot run anything."""
    data = _read(file, sha256)
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TeacherError(
            f"The checkpoint {str(file)!r} holds more than tensors, or is none, and was not loaded: such a file can "
            f"run anything. Expected a state_dict; write one with torch.save(network.state_dict(), FILE)."
        ) from error
    except Exception as error:
        raise TeacherError(
            f"The checkpoint {str(file)!r} cannot be read ({type(error).__name__}): it is cut short, damaged or no "
            f"checkpoint. Expected a file that torch.save wrote; copy it again."
        ) from error


def _read(file: Path, sha256: str | None) -> bytes:
    try:
        data = local(file).read_bytes()
    except OSError as error:
        raise TeacherError(
            f"Cannot read the teacher's checkpoint {str(file)!r}: {error.strerror}. Expected a file; check the path."
        ) from error
    if sha256 is not None and fingerprint(data).hexdigest() != sha256:
        raise TeacherError(
            f"The checkpoint {str(file)!r} is not the file that this run began with: its sha256 is not {sha256}. "
            f"Expected it unchanged; put the old file back, or start another run."
        )
    return data


def _state(content: object, file: str | Path) -> dict[str, Tensor]:
    """The state_dict that a checkpoint is or holds."""
    inside = [content[name] for name in INSIDE if name in content] if isinstance(content, Mapping) else []
    for found in (content, *inside):
        if isinstance(found, Mapping) and found and all(isinstance(tensor, Tensor) for tensor in found.values()):
            return {str(name): tensor for name, tensor in found.items()}
    given = f"the entries {_first([repr(key) for key in content])}" if isinstance(content, Mapping) else type(content)
    raise TeacherError(
        f"The checkpoint {str(file)!r} holds {given}, and no state_dict. Expected names and tensors, or those under "
        f"{' or '.join(map(repr, INSIDE))}; write one with torch.save(network.state_dict(), FILE)."
    )


def _unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights
