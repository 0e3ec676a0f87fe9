"""A ranking with seeded, made-up numbers: what the reports draw and print, without a run."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from zcbench.benchmarks.ranking.ranking import Ranking

SIZES = ("params", "macs", "n_convs")
NAMES = [
    "l2_norm",
    "grad_norm",
    "snip",
    "plain",
    "grasp",
    "fisher",
    "synflow",
    "jacov",
    "epe_nas",
    "naswot",
    "zen",
    "diswot_relation",
    "diswot_semantic",
    "diswot_semantic_cam",
    "gradsign",
    "zico",
    "rank_sum",
]


def _architectures(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    macs = 7.783 + 35.389 * rng.binomial(6, 0.2, n) + 3.932 * rng.binomial(6, 0.2, n)
    index = pd.Index([f"|nor_conv_3x3~0|+|none~{i}|" for i in range(n)], name="arch")
    sizes = pd.DataFrame(
        {"params": macs * 7e3 + 7e4, "macs": macs * 1e6, "n_convs": macs // 20 + 1, "depth": macs // 50}, index
    )
    return sizes, (macs - macs.mean()) / macs.std()


def _accuracies(
    rng: np.random.Generator, sizes: pd.DataFrame, quality: np.ndarray, truths: tuple[str, ...]
) -> pd.DataFrame:
    best = {"cifar10": 94.4, "cifar100": 73.5, "imagenet16-120": 47.3}
    columns = {}
    for truth in truths:
        top = next((value for key, value in best.items() if f"/{key}" in f"{truth}/"), 90.0)
        error = np.exp(1.1 * (quality + 0.2 * rng.normal(size=len(quality)) - 1.5))
        columns[truth] = np.clip(top - 4 * error, 10, None)
    return pd.DataFrame(columns, index=sizes.index)


def _scores(
    rng: np.random.Generator, sizes: pd.DataFrame, quality: np.ndarray, size: np.ndarray, names: list[str]
) -> pd.DataFrame:
    columns: dict[str, object] = {name: sizes[name] for name in SIZES}
    for i, name in enumerate(names):
        noise = rng.normal(size=len(size))
        columns[name] = np.exp(
            (1 + i % 5) * ((i % 4) * 0.35 * size - 0.8 * quality * (name != "plain") + (0.3 + i / 15) * noise)
        )
    frame = pd.DataFrame(columns, index=sizes.index)
    frame.loc[rng.random(len(size)) < 0.07, "grasp"] = np.nan
    frame["broken"] = 1.0
    return frame


def _row(
    truth: str, subset: str, name: str, score: pd.Series, accuracy: pd.Series, rng: np.random.Generator
) -> dict[str, object]:
    kind = "baseline" if name in SIZES else "ensemble" if name == "rank_sum" else "proxy"
    ok = score.notna()
    constant = score[ok].nunique() < 2
    tau, rho = (
        (np.nan, np.nan)
        if constant
        else (kendalltau(score[ok], accuracy[ok])[0], spearmanr(score[ok], accuracy[ok])[0])
    )
    half = 0.85 / np.sqrt(ok.sum())
    row = {"truth": truth, "subset": subset, "proxy": name, "kind": kind, "higher_is_better": True, "n": int(ok.sum())}
    row |= {"coverage": ok.mean(), "tau": tau, "tau_low": tau - half, "tau_high": tau + half}
    row |= {
        "rho": rho,
        "rho_low": rho - half,
        "rho_high": rho + half,
        "pearson": rho * 0.8,
        "weighted_tau": tau * 0.9,
        "ndcg": 0.9 + 0.1 * tau,
    }
    row |= {
        "precision_at_k": rng.integers(0, 10) / 10,
        "k": 10,
        "best_rank_at_k": rng.random() / 20,
        "worst_rank_at_k": rng.random(),
    }
    row |= {"regret": rng.random() * 3, "tau_top10": tau * 0.4 - rng.random() * 0.2}
    for size in SIZES:
        undefined = name == size or constant
        row |= {
            f"tau_given_{size}": np.nan if undefined else tau * rng.random(),
            f"rho_given_{size}": np.nan if undefined else rho * 0.5,
        }
    row |= {
        "tau_within_macs_bins": tau * 0.6,
        "reliability": np.nan if constant else 0.9 + 0.1 * rng.random(),
        "rho_given_sizes": np.nan if constant else 0.3 * rng.random(),
        "tau_sd_seeds": np.nan if constant else 0.1 * rng.random(),
        "tau_sd_batches": np.nan if constant else 0.1 * rng.random(),
        "information_gain": rng.random() / 3,
    }
    row |= {
        "seconds": np.nan if name in SIZES else float(np.exp(rng.normal(-3, 1))),
        "note": "constant" if constant else "",
    }
    return (
        row if not constant else row | dict.fromkeys(("ndcg", "precision_at_k", "regret", "information_gain"), np.nan)
    )


def _protocol(n: int, truths: tuple[str, ...]) -> dict[str, object]:
    truth = {
        name: {"source": "made up", "split": "test", "epochs": 200, "aggregation": "mean over 3 runs", "n": n}
        for name in truths
    }
    return {
        "run": {
            "space": "nasbench201(channels=16,cells=5)",
            "archs": {"subset": "all", "n": n, "seed": 0},
            "seeds": [0, 1, 2],
            "batch": {"dataset": "cifar10", "size": 64, "seed": 0, "image_shape": [3, 32, 32], "labels": True},
            "init": "default",
            "dtype": "float32",
            "teacher": None,
            "versions": {"zcbench": "0.1.0", "torch": "2.13.0"},
        },
        "truths": truth,
        "ranking": {"confidence": 0.95, "draws": 1000, "k": 10, "clusters": "isomorphism classes"},
    }


@pytest.fixture(scope="session")
def make_ranking() -> Callable[..., Ranking]:
    """Factory of rankings; ``names`` are added to a few well-known proxies."""

    def make(
        n: int = 60,
        truths: tuple[str, ...] = ("nasbench201/cifar10", "nasbench201/cifar100/valid"),
        subsets: tuple[str, ...] = ("all", "live"),
        names: list[str] | None = None,
    ) -> Ranking:
        rng = np.random.default_rng(7)
        sizes, size = _architectures(rng, n)
        quality = rng.normal(size=n) - 0.8 * size
        accuracies = _accuracies(rng, sizes, quality, truths)
        scores = _scores(rng, sizes, quality, size, NAMES[:5] if names is None else [*NAMES[:5], *names])
        members = {name: tuple(sizes.index[: n - i * n // 4]) for i, name in enumerate(subsets)}
        rows = [
            _row(truth, subset, name, scores.loc[list(archs), name], accuracies.loc[list(archs), truth], rng)
            for truth in truths
            for subset, archs in members.items()
            for name in scores
        ]
        failures = pd.DataFrame(
            [["grasp", "singular", int(scores["grasp"].isna().sum()), scores.index[0], "the matrix has no inverse"]],
            columns=["proxy", "status", "count", "example_arch", "reason"],
        )
        correlations = {name: scores.loc[list(archs)].corr("kendall") for name, archs in members.items()}
        return Ranking(
            pd.DataFrame(rows), scores, accuracies, sizes, correlations, failures, _protocol(n, truths), members
        )

    return make


@pytest.fixture(scope="session")
def ranking(make_ranking: Callable[..., Ranking]) -> Ranking:
    """Nine proxies, two truths, two subsets; ``grasp`` has gaps and ``broken`` is constant."""
    return make_ranking()
