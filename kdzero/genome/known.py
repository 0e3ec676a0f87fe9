"""Distillers made by hand that are genomes."""

from zcbench.kdzero.genome.genome import Genome

#: Genomes of hand-made distillers. ``kd``, ``cwd``, ``sp``, ``pkd`` and both ``fitnet`` are the losses of these names,
#: ``dist_classes`` and ``dist_images`` the two terms of ``dist``. ``ickd`` is C times its genome and ``at``, for the
#: last stage, H*W times; ``wsld`` has the gradient of its genome and differs by the teacher's weighted entropy.
KNOWN: dict[str, Genome] = {
    "kd": Genome("logits", ("no", "no", "no"), "kl", temperature=4),
    "wsld": Genome("logits", ("no", "no", "no"), "kl", temperature=4, calibration="focal"),
    "dist_classes": Genome("logits", ("softmax_C", "no", "no"), "pearson"),
    "dist_images": Genome("logits", ("softmax_C", "no", "no"), "correlation"),
    "cwd": Genome("features", ("channel", "no", "no"), "kl", temperature=4),
    "sp": Genome("features", ("mm", "norm_C", "no"), "l2"),
    "ickd": Genome("features", ("bmm", "norm_HW", "no"), "l2"),
    "pkd": Genome("features", ("batchnorm", "no", "no"), "l2", weight=0.5),
    "at": Genome("features", ("pow2", "mean_C", "norm_HW"), "l2"),
    "fitnet": Genome("features", ("no", "no", "no"), "l2"),
    "fitnet_embedding": Genome("embedding", ("no", "no", "no"), "l2"),
}
