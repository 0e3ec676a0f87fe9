"""Frames: ways to compare student and teacher several times with one loss, whichever loss that is.

A frame turns the outputs of two networks into pairs, by modules that are trained with the student and dropped after the
training; the framed loss is the weighted sum of the loss of each pair::

    train(student, teacher, data, distillers=[framed("ensemble(projectors=3)", "pkd")])

Any distiller may stand inside, an evolved one too: ``framed("review", "genome(formula='l2(norm_HW(features))')")``.
"""

from zcbench.distill.frames.contract import Frame, FramedDistiller
from zcbench.distill.frames.reading import FRAMES, framed, read_frame

__all__ = ["FRAMES", "Frame", "FramedDistiller", "framed", "read_frame"]
