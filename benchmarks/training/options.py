"""Options of a truth, as text and numbers: the command line makes its options of this record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TruthSetup:
    """Conditions of a truth by name; `zcbench.benchmarks.training.conditions.prepare` looks the names up.

    Attributes:
        space: architecture space, with options as in nasbench201(channels=4,cells=1).
        task: classification, or segmentation: the architectures are backbones of networks that give a class for each
            pixel, with options as in segmentation(head='pspnet'), and the accuracy is the mean IoU in percent.
        dataset: images: cifar10, cifar100, imagenet16-120 or digits, with options as in cifar10(files=1,side=16); a
            folder, as folder(path='flowers',side=32), or a function that returns PyTorch data sets; for segmentation
            as in digits_scenes(side=24). Accuracies are on the test split.
        label: what the table calls the data set.
        distillers: distillation losses with hyperparameters, separated by commas, as kd(temperature=2),at.
        weights: weights of the cross-entropy and of the losses, as ce=.1,kd=.9.
        teacher: teacher of the setting kd: an architecture, 'largest', SPACE:ARCH as resnet:resnet20,
            FILE.py:FUNCTION, or trained:NAME of 'zcbench teachers list'.
        teacher_checkpoint: file with the teacher's weights, a state_dict.
        teacher_seed: seed of the teacher's training.
        teacher_epochs: epochs of a teacher that is trained first.
        teacher_augmentation: augmentation of a teacher that is trained first.
        teacher_outputs: where the teacher's outputs for the training images are, where these are the same in every
            epoch: memory, of each worker; or files that all workers share, as float32, or as float16, half the size and
            rounded.
        init: initialisation: that of the space or network (default), kaiming, xavier or normal.
        device: where networks run: cpu or cuda.
        data_dir: folder with images and accuracies.
    """

    space: str = "nasbench201"
    task: str = "classification"
    dataset: str | None = None
    label: str | None = None
    distillers: tuple[str, ...] | None = None
    weights: Mapping[str, float] | None = None
    teacher: str = "largest"
    teacher_checkpoint: Path | None = None
    teacher_seed: int = 1000
    teacher_epochs: int | None = None
    teacher_augmentation: str | None = None
    teacher_outputs: str = "memory"
    init: str = "default"
    device: str = "cpu"
    data_dir: Path | None = None
