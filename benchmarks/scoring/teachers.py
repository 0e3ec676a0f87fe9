"""Teachers of every kind: named in one text, built as a network, with weights from a checkpoint or from a seed."""

import inspect
import io
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256 as fingerprint
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.benchmarks.scoring.protocol import TeacherChoice
from zcbench.errors import TeacherError, ZcbenchError, unknown
from zcbench.plugins import load_file
from zcbench.spaces import Space, SpaceError
from zcbench.spaces.base import ImageShape
from zcbench.streams import seeded

#: Where a checkpoint may keep the weights, if they are not all that it holds.
INSIDE = ("state_dict", "model", "model_state_dict", "net")
#: What wrappers put before the name of every weight.
WRAPPERS = ("module.", "_orig_mod.")
_FUNCTION = re.compile(r"(.+\.py):(\w+)")
_ELSEWHERE = re.compile(r"(\w+(?:\([^()]*\))?):(.+)")
_COUNTER = "num_batches_tracked"  # a batch norm counts its batches; old checkpoints lack it
_SHOWN = 3


def read_teacher(
    given: str, space: Space, seed: int = 0, *, init: str | None = None, checkpoint: str | Path | None = None
) -> TeacherChoice:
    """The teacher that a text names.

    Args:
        given: an architecture of ``space``; ``"largest"``, the one with the most MACs; ``"SPACE:ARCH"``, one of another
            space, as in ``"resnet:resnet56"``; or ``"FILE.py:FUNCTION"``, a function of the user's.
        space: the space of the students.
        seed: names the stream of its initialisation.
        init: its initialisation scheme; that of the students if None.
        checkpoint: file with its weights.

    Raises:
        ArchitectureError: no architecture of its space.
        UnknownNameError: no space has this name.
        TeacherError: a file is missing, or the space of ``"largest"`` is too large to be listed.

    Example:
        >>> read_teacher("resnet:resnet56", spaces.get("nasbench201")).space
        resnet
    """
    file = None if checkpoint is None else Path(checkpoint)
    if match := _FUNCTION.fullmatch(given):
        return TeacherChoice(match[2], seed, init, file=Path(match[1]), checkpoint=file)
    elsewhere = None if given in space else _ELSEWHERE.fullmatch(given)
    home, arch = (spaces.get(elsewhere[1]), elsewhere[2]) if elsewhere else (None, given)
    chosen = largest(home or space) if arch == "largest" else arch
    (home or space).index(chosen)
    return TeacherChoice(chosen, seed, init, home, checkpoint=file)


def largest(space: Space) -> str:
    """The architecture with the most MACs, the first of them: a teacher chosen without looking at any accuracy.

    Raises:
        TeacherError: the space is too large to be listed.
    """
    try:
        costs = space.costs(space)
    except SpaceError as error:
        raise TeacherError(
            f"Given the teacher 'largest', for which all of {space.name} would have to be listed: it is too large. "
            f"Expected a teacher by name: one of its architectures, or one of another space as in resnet:resnet56."
        ) from error
    return str(costs["arch"].iloc[int(costs["macs"].argmax())])


def build_teacher(
    choice: TeacherChoice, space: Space, init: str, num_classes: int, image_shape: ImageShape
) -> nn.Module:
    """The teacher's network, in training mode, for the students' classes and images.

    Args:
        choice: which.
        space: the space of the students, where its architecture is from unless it says otherwise.
        init: initialisation scheme of the students, which is its own unless it says otherwise.
        num_classes: classes N of the students.
        image_shape: ``(C, H, W)`` of their images.

    Raises:
        TeacherError: the function or the checkpoint does not give a network for these classes and images.
        SpaceError: its space has no network for them.
    """
    if choice.file is None:
        home = choice.space or space
        network = home.build(choice.arch, num_classes, choice.seed, image_shape, choice.init or init)
    else:
        network = _from_function(choice, num_classes, image_shape)
    if choice.checkpoint is not None:
        load_weights(network, choice.checkpoint, choice.checkpoint_sha256)
    return network


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
        data = file.read_bytes()
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


def _from_function(choice: TeacherChoice, num_classes: int, image_shape: ImageShape) -> nn.Module:
    """What the user's function makes on the teacher's own random stream, once it gives logits for these images."""
    assert choice.file is not None
    name = f"{choice.file}:{choice.arch}"
    function, keywords = _function(choice), {"num_classes": num_classes, "image_shape": image_shape}
    with seeded("teacher", choice.seed):
        try:
            network = function(**{key: keywords[key] for key in _taken(function, keywords)})
        except (ZcbenchError, KeyboardInterrupt):
            raise
        except BaseException as error:  # it may call sys.exit
            raise TeacherError(
                f"The teacher's function {name} fails: {type(error).__name__}: {error}. Expected a network; it is "
                f"called with those of the keywords num_classes and image_shape that it takes."
            ) from error
        if not isinstance(network, nn.Module):
            raise TeacherError(
                f"The teacher's function {name} returns {type(network).__name__}. Expected a torch.nn.Module."
            )
        _check_logits(network, name, num_classes, image_shape)
    return network.train()


def _function(choice: TeacherChoice) -> Callable[..., Any]:
    assert choice.file is not None
    module = load_file(choice.file, sha256=choice.file_sha256)
    function = getattr(module, choice.arch, None)
    if not callable(function):
        defined = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise unknown(f"function of {choice.file}", choice.arch, defined)
    return function


def _taken(function: Callable[..., Any], keywords: Iterable[str]) -> list[str]:
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return list(keywords)
    return [key for key in keywords if key in parameters]


def _check_logits(network: nn.Module, name: str, num_classes: int, image_shape: ImageShape) -> None:
    """Two images through the network in evaluation mode, which leaves it as it was."""
    images = torch.zeros(2, *image_shape)
    try:
        with torch.no_grad():
            logits = network.eval()(images)
    except Exception as error:
        raise TeacherError(
            f"The teacher {name} cannot take the students' images {image_shape}: {type(error).__name__}: {error}. "
            f"Expected logits for them; let the function build for its keyword image_shape, or bring the images to "
            f"another size."
        ) from error
    given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if given != (2, num_classes):
        raise TeacherError(
            f"The teacher {name} returns {given} for 2 images, and the students have {num_classes} classes. Expected "
            f"one tensor of logits (2, {num_classes}); let the function build for its keyword num_classes."
        )
