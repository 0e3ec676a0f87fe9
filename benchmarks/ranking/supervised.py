r"""Supervised predictors: regressions from scores to accuracies, shown apart from zero-cost proxies.

A regression is fitted to trained accuracies, so its figures are not comparable with those of a zero-cost proxy. It is a
kind of its own and is evaluated only on the truth that it was fitted to. Each prediction is made by a model that was
fitted without the architecture and without its isomorphism class.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zcbench.benchmarks.ranking.evidence import Evidence
from zcbench.benchmarks.statistics.ranks import Array, mean_ranks
from zcbench.errors import RankingError, unknown
from zcbench.specification import split_list
from zcbench.streams import derive, numpy_stream

FOLDS = 5
TRAIN = 200
"""Default number of accuracies that a model is fitted to."""

LEAST = 10
"""Fewest accuracies that a model may be fitted to."""

_MIDDLE = 0.5  # rank share of an architecture without a score, where the learner needs one


def ridge(seen: Array, target: Array, asked: Array, seed: int) -> Array:
    """Ridge regression, the penalty chosen among 13 by leave-one-out; a missing score has the middle rank.

    Args:
        seen: features of the training architectures, shape (N, F), NaN where missing.
        target: what to predict, shape (N,).
        asked: features to predict for, shape (M, F).
        seed: unused, ridge regression draws nothing.

    Returns:
        Predictions, shape (M,).
    """
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(alphas=np.logspace(-3, 3, 13)).fit(np.nan_to_num(seen, nan=_MIDDLE), target)
    return np.asarray(model.predict(np.nan_to_num(asked, nan=_MIDDLE)))


def boosting(seen: Array, target: Array, asked: Array, seed: int) -> Array:
    """Gradient-boosted trees of at most 8 leaves, which accept missing scores; arguments as for `ridge`."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=5, early_stopping=False, random_state=seed
    )
    return np.asarray(model.fit(seen, target).predict(asked))


LEARNERS: dict[str, Callable[[Array, Array, Array, int], Array]] = {"ridge": ridge, "boosting": boosting}
"""Regressions by name."""


@dataclass(frozen=True)
class Supervision:
    """Regressions, and the size of their training samples.

    Attributes:
        learners: names of `LEARNERS`.
        train: accuracies that each model sees.
        seed: names the streams of folds and training samples.

    Raises:
        UnknownNameError: no regression has this name.
        RankingError: ``train`` is below `LEAST`.
    """

    learners: tuple[str, ...] = ()
    train: int = TRAIN
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.learners:
            if name not in LEARNERS:
                raise unknown("supervised regression", name, LEARNERS)
        if self.train < LEAST:
            raise RankingError(
                f"supervised_train={self.train} was given. Expected at least {LEAST} accuracies to learn from, such as "
                f"{TRAIN}."
            )


def folds(classes: pd.Series, seed: int = 0) -> NDArray[np.intp]:
    """Fold of each architecture, 0 to 4; a class is never divided.

    Raises:
        RankingError: without one of the folds fewer than `LEAST` architectures are left to learn from.
    """
    names, class_of = np.unique(classes.to_numpy(str), return_inverse=True)
    fold_of = (numpy_stream("supervised folds", seed).permutation(len(names)) % FOLDS)[class_of]
    fewest = len(fold_of) - int(np.bincount(fold_of, minlength=1).max())
    if fewest < LEAST:
        raise RankingError(
            f"A supervised regression has {fewest} of {len(fold_of)} accuracies to learn from, once the classes it is "
            f"judged on are held out. Expected at least {LEAST}; score more architectures, or leave it out."
        )
    return fold_of


def out_of_fold(
    features: pd.DataFrame, accuracy: pd.Series, classes: pd.Series, learner: str, train: int = TRAIN, seed: int = 0
) -> pd.Series:
    r"""Predictions by models that were fitted without the architecture's class.

    The classes are dealt into five folds. For each fold a model learns from ``train`` architectures drawn from the
    others, and predicts the fold:

    .. math::  \hat a_i = f_{(-k)}(x_i), \qquad i \in \text{fold } k

    Features and target are ranks as shares, in (0, 1]: scores span thirty orders of magnitude, accuracies have a long
    tail of failures, and only the order is judged. The target's ranks are those within the training sample.

    Args:
        features: oriented scores, one row per architecture, NaN where missing.
        accuracy: trained accuracy of the same architectures.
        classes: their isomorphism classes.
        learner: a name of `LEARNERS`.
        train: size of each training sample; all the other folds where they hold fewer.
        seed: names the streams of folds and samples.

    Returns:
        Predicted rank shares by architecture; higher is better.

    Raises:
        RankingError: a model would learn from fewer than ten architectures.

    Note:
        The ranks of the features are taken over all architectures given: scores cost no training, so a user has them.
    """
    fold_of = folds(classes, seed)
    shares = (features.rank() / len(features)).to_numpy()
    predicted = np.empty(len(features))
    for fold in np.unique(fold_of):
        asked, others = fold_of == fold, np.flatnonzero(fold_of != fold)
        stream = numpy_stream("supervised sample", seed, int(fold))
        seen = np.sort(stream.choice(others, min(train, len(others)), replace=False))
        target = mean_ranks(accuracy.to_numpy()[seen]) / len(seen)
        predicted[asked] = LEARNERS[learner](shares[seen], target, shares[asked], derive("learner", seed) % 2**31)
    return pd.Series(predicted, features.index)


def with_supervised(evidence: Evidence, supervision: Supervision) -> Evidence:
    """Evidence with one more column per regression and truth, called ``LEARNER(TRUTH)``, for that truth alone.

    The features are all proxies and sizes; ensembles, which are made of these, are left out.
    """
    features = evidence.values.loc[:, list(evidence.about["kind"] != "ensemble")]
    made = {
        f"{learner}({truth})": (str(truth), _predict(evidence, features, str(truth), learner, supervision))
        for learner in supervision.learners
        for truth in evidence.accuracies
    }
    note = f"each of {FOLDS} models trained on at most {supervision.train} accuracies of this truth"
    about = {
        "kind": "supervised",
        "higher_is_better": True,
        "seconds": evidence.about.loc[list(features), "seconds"].sum(min_count=1),
        "note": note,
    }
    return replace(
        evidence,
        values=evidence.values.assign(**{name: column for name, (_, column) in made.items()}),
        trials=evidence.trials | {name: column.to_frame(0) for name, (_, column) in made.items()},
        about=pd.concat([evidence.about, pd.DataFrame(about, index=list(made))]),
        learned={name: truth for name, (truth, _) in made.items()},
    )


def _predict(
    evidence: Evidence, features: pd.DataFrame, truth: str, learner: str, supervision: Supervision
) -> pd.Series:
    accuracy = evidence.accuracies[truth].dropna()
    known = features.loc[accuracy.index]
    found = out_of_fold(known, accuracy, evidence.classes[accuracy.index], learner, supervision.train, supervision.seed)
    return found.reindex(features.index)


def card(supervision: Supervision, evidence: Evidence) -> Mapping[str, object]:
    """Entry of the protocol: regressions, samples, folds and features."""
    features = evidence.about.index[~evidence.about["kind"].isin(("ensemble", "supervised"))]
    return {
        "regressions": list(supervision.learners),
        "training accuracies": supervision.train,
        "folds": f"{FOLDS}, of whole classes; a prediction is by a model that saw none of the architecture's class",
        "features": list(features),
        "target": "rank of the accuracy of the truth that the column is judged on",
        "seed": supervision.seed,
    }


def names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Regressions named in one text with commas between them, or as a sequence; none for None and ``"none"``."""
    if given is None or given == "none":
        return ()
    return tuple(dict.fromkeys(split_list(given)))
