"""Networks for dense tasks: the networks of a space as backbones, with heads for each pixel, or for anchors."""

from zcbench.spaces.dense.backbones import backbone_of as backbone_of
from zcbench.spaces.dense.detectors import EXTRA as EXTRA
from zcbench.spaces.dense.detectors import DetectionHead as DetectionHead
from zcbench.spaces.dense.detectors import Detector as Detector
from zcbench.spaces.dense.detectors import build_detector as build_detector
from zcbench.spaces.dense.heads import HEADS as HEADS
from zcbench.spaces.dense.network import DenseMaps as DenseMaps
from zcbench.spaces.dense.network import DenseNetwork as DenseNetwork
from zcbench.spaces.dense.network import Head as Head
from zcbench.spaces.dense.network import build_dense as build_dense
from zcbench.spaces.dense.pyramid import FeaturePyramid as FeaturePyramid
from zcbench.spaces.dense.space import Dense as Dense
