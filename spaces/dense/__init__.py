"""Networks for dense tasks: the networks of a space as backbones, with heads that give logits for each pixel."""

from zcbench.spaces.dense.backbones import backbone_of as backbone_of
from zcbench.spaces.dense.heads import HEADS as HEADS
from zcbench.spaces.dense.network import DenseMaps as DenseMaps
from zcbench.spaces.dense.network import DenseNetwork as DenseNetwork
from zcbench.spaces.dense.network import Head as Head
from zcbench.spaces.dense.network import build_dense as build_dense
