"""Sums of losses and correct predictions over an epoch, and the check that all losses are finite."""

import math
from collections.abc import Sequence
from time import perf_counter
from typing import TypedDict

import torch
from torch import Tensor

from zcbench.distill.errors import DivergedLoss

_EVERY = {"cpu": 1}  # steps between two checks of the losses; a check synchronises a GPU
_EVERY_ELSEWHERE = 50


Forward = tuple[Tensor, list[Tensor], Tensor]
"""Terms ``(students, terms)``, logits of each student, and labels of one batch."""


def joined(parts: Sequence[Forward]) -> Forward:
    """The batches of one step as one: terms averaged, logits and labels one after the other."""
    if len(parts) == 1:
        return parts[0]
    terms, logits, labels = zip(*parts)
    return torch.stack(terms).mean(0), [torch.cat(own) for own in zip(*logits)], torch.cat(labels)


class TallyState(TypedDict):
    """The sums of a `Tally` in a checkpoint."""

    sums: Tensor
    hits: Tensor
    images: int


class Tally:
    """Sums over the steps of one epoch, and the time since it began.

    Args:
        terms: names of the losses of each student, the total first.
        students: how many there are.
        device: where they are trained.
        per_epoch: steps of an epoch.
    """

    def __init__(self, terms: Sequence[str], students: int, device: torch.device, per_epoch: int) -> None:
        self._terms, self._per_epoch = tuple(terms), per_epoch
        self._every = _EVERY.get(device.type, _EVERY_ELSEWHERE)
        self._students, self._device = students, device
        self.reset()

    def reset(self) -> None:
        """Begin an epoch: all sums are zero."""
        self._sums = torch.zeros(self._students, len(self._terms), dtype=torch.float64)
        self._hits = torch.zeros(self._students, dtype=torch.int64, device=self._device)
        self._images = 0
        self._pending: list[Tensor] = []
        self._last = 0
        self._start, self._before = perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Since the epoch began, in this process and in those before a checkpoint."""
        return self._before + perf_counter() - self._start

    def add(self, step: int, terms: Tensor, logits: Sequence[Tensor], labels: Tensor) -> None:
        """Count step number ``step``, from 1.

        Args:
            step: its number in the training.
            terms: losses ``(students, terms)``.
            logits: of each student, ``(B, N)``.
            labels: ``(B,)``.

        Raises:
            DivergedLoss: a loss is NaN or infinite; the message names the first step at which one is.
        """
        self._pending.append(terms.detach())
        self._hits += torch.stack([(own.detach().argmax(1) == labels).sum() for own in logits])
        self._images += len(labels)
        self._last = step
        if len(self._pending) >= self._every:
            self.look()

    def look(self) -> None:
        """Add up the losses of the last steps, once all are finite.

        Raises:
            DivergedLoss: one is not.
        """
        if not self._pending:
            return
        terms = torch.stack(self._pending).double().cpu()
        if not bool(terms.isfinite().all()):
            raise self._diverged(terms)
        self._sums += terms.sum(0)
        self._pending = []

    def means(self, student: int) -> dict[str, float]:
        """Mean of every term of a student over the epoch, and its accuracy in percent, in training mode."""
        losses = dict(zip(self._terms, (self._sums[student] / self._per_epoch).tolist()))
        return losses | {"train_accuracy": 100 * int(self._hits[student]) / max(1, self._images)}

    def state(self) -> TallyState:
        """What `restore` takes."""
        self.look()
        return {"sums": self._sums, "hits": self._hits, "images": self._images}

    def restore(self, state: TallyState, seconds: float) -> None:
        """Resume from the sums of another tally and the seconds of its epoch."""
        self._sums, self._images, self._before = state["sums"], state["images"], seconds
        self._hits = state["hits"].to(self._device)

    def _diverged(self, terms: Tensor) -> DivergedLoss:
        """Error about the first step that is not finite: about a single term, or about the total if that alone is."""
        wrong = (~terms.isfinite()).nonzero().tolist()
        row, student, column = min(wrong, key=lambda place: (place[0], place[2] == 0))
        step = self._last - len(terms) + row + 1
        name = {0: "the total", 1: "the cross-entropy"}.get(column, f"the distiller {self._terms[column]!r}")
        value = terms[row, student, column].item()
        what = f"At step {step} (epoch {math.ceil(step / self._per_epoch)}), {name} is {value}. Expected a finite loss."
        if step == 1:  # nothing has been learned, so the rate cannot be the cause
            return DivergedLoss(what, f"It is so before anything is learned; check {_checked(column)}.")
        return DivergedLoss(what, "Use a lower learning rate or weight, a warm-up, or precision='float32'.")


def _checked(column: int) -> str:
    """What to look at where a term is not finite in the first step."""
    precision = "or use precision='float32' if it is another one"
    if column < 2:
        return f"the initial weights and the scale of the images, {precision}"
    return f"what the distiller computes from the outputs of student and teacher, {precision}"
