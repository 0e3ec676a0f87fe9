"""Checkpoint files of trainings: written atomically, and read only by the same training."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from zcbench.distill.errors import CheckpointError
from zcbench.distill.training.state import Stored
from zcbench.errors import shortened
from zcbench.storage.files import replaced

_FORMAT = 2

#: Prefix of the keys of code fingerprints.
CODE = "code of "


def save(file: Path, about: Mapping[str, object], state: Stored) -> None:
    """Replace ``file`` by the state of a training; it is on the disk when this returns.

    Args:
        file: where to.
        about: identity of the training; `load` compares it.
        state: its state.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; the file that was there is as it was.
    """
    content = io.BytesIO()
    torch.save({"format": _FORMAT, "about": dict(about), "state": state}, content)
    kept = f"The checkpoint before it is as it was in {file}." if file.exists() else "No checkpoint is there yet."
    write_file(file, content.getbuffer(), f"a checkpoint of {len(content.getbuffer()):,} bytes", kept)


def write_file(file: Path, content: bytes | memoryview, what: str, kept: str = "") -> None:
    """Replace a file, whole or not at all.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; the message names ``what`` and ends with
            ``kept`` and the advice.
    """
    try:
        with replaced(file) as draft:
            draft.write_bytes(content)
    except OSError as error:
        advice = f"{kept} Make room on the disk, or name another folder, and start again.".strip()
        raise CheckpointError(f"Cannot write {what} to {file.parent}: {error.strerror or error}. {advice}") from error


def load(file: Path, about: Mapping[str, object]) -> Stored | None:
    """State of the training that ``about`` describes, on the CPU; None if there is no file.

    Nothing in the file is executed.

    Raises:
        CheckpointError: the file is damaged or of another training; the message lists the differences.
    """
    for draft in file.parent.glob(f".{file.name}.*.tmp"):
        draft.unlink(missing_ok=True)  # left by a process that was killed while it wrote
    if not file.exists():
        return None
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        stored, state = content["about"], cast(Stored, dict(content["state"]))
    except Exception as error:  # a damaged file raises nearly anything
        told = shortened(" ".join(str(error).split()), 1000)
        raise CheckpointError(
            f"{file} is no readable checkpoint: {told}. Expected one that was written whole; delete it to "
            f"train from the start."
        ) from error
    differences = [
        f"the {key} is not what it was" if key.startswith(CODE) else _changed(key, stored[key], value)
        for key, value in about.items()
        if key in stored and stored[key] != value  # a file of an older version lacks some
    ]
    if differences:
        raise CheckpointError(
            f"{file} is of another training: {'; '.join(differences)}. Expected the same one; give the same options as "
            f"before, or name another folder."
        )
    return state


def _changed(key: str, before: object, now: object) -> str:
    return f"{key} was {_short(before)} and is {_short(now)} now"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def shapes_sha256(network: nn.Module) -> str:
    """Fingerprint of the names and shapes of a network's state."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in network.state_dict().items()]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()


def content_sha256(network: nn.Module) -> str:
    """Fingerprint of a network's state."""
    digest = hashlib.sha256(shapes_sha256(network).encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def network_sha256(network: nn.Module) -> str:
    """Fingerprint of a network: its modules, which need not have a state to make a difference, and its state."""
    return hashlib.sha256(f"{content_sha256(network)} {network}".encode()).hexdigest()
