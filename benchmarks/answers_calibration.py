"""Fits the confidence of answers to the rows of answers.py, and chooses the threshold below which none is given. Asks no model.

usage: python benchmarks/answers.py --rows ROWS && python benchmarks/answers_calibration.py ROWS [--wrong SHARE] [--write]
       python benchmarks/answers_reading.py --rows ROWS && python benchmarks/answers_calibration.py ROWS --of-searches [--write]
       python benchmarks/answers.py --only third_party --rows ROWS && python benchmarks/answers_calibration.py ROWS --of-results

A logistic model with a ridge penalty, fitted by Newton's method. Every figure is cross-validated: a row's confidence comes from
a model that has not seen its fold. With --of-searches only what places in code and passages of documents are measured by is
fitted, on those, and everything else stays as it is: a workspace is a fold then. With --of-results the same of how an answer
from any other tool's text was put together: few are, so that each coefficient stays near to what it was. Shown are the
expected calibration error, and for each threshold the share of questions that are useful, and wrong with exit 0; chosen is the
lowest threshold with at most SHARE wrong. The fields of `ConfidenceWeights` in gateway/portico_gateway/guidance/weights.py are
printed, and with --write put there.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from portico_gateway.guidance.weights import ConfidenceWeights
from report import table

FOLDS = 10
BINS = 10
RIDGE = 3.0  # of each coefficient, but for the bias: there are few answers for so many features
STEPS = 50  # of Newton's method: it has converged long before
THRESHOLDS = [round(0.02 * i, 2) for i in range(50)]
WEIGHTS = Path(inspect.getfile(ConfidenceWeights))
# What only an answer of code or documents is measured by, or which of the two it is.
OF_SEARCHES = frozenset(
    "code prose place_found place_fit source_found source_fit source_weight passage_says passage_alike passage_pairs "
    "passage_share passages source_share places both_told history first_hits beside_code file_margin informed "
    "uninformed words names_there rare_unused one_open name_open lacks_number lacks_value message_there".split()
)
# How an answer was put together that is neither of a table's rows nor of a search.
OF_RESULTS = frozenset("several whole computed".split())
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Row = Mapping[str, Any]


class Chosen(NamedTuple):
    """A threshold, and what becomes of all questions under it."""

    threshold: float
    useful: float
    wrong: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, nargs="+", help="files that answers.py --rows has written")
    parser.add_argument("--of-searches", action="store_true", help="fit what only answers of code and documents have")
    parser.add_argument("--of-results", action="store_true", help="fit what only answers have that are put together")
    parser.add_argument("--write", action="store_true", help="put the coefficients into weights.py")
    parser.add_argument("--wrong", type=float, default=0.05, help="the share of questions that may be wrong with exit 0")
    args = parser.parse_args()
    rows = [json.loads(line) for path in args.rows for line in path.read_text(encoding="utf-8").splitlines()]
    drafted = [row for row in rows if row["features"]]
    names = [field.name for field in fields(ConfidenceWeights) if field.name not in ("threshold", "sure", "bias")]
    own = OF_SEARCHES if args.of_searches else OF_RESULTS if args.of_results else frozenset(names)
    if args.of_searches:
        drafted = [row for row in drafted if row["features"]["code"] or row["features"]["prose"]]
    elif args.of_results:
        drafted = [row for row in drafted if row["features"]["other"]]
    features = np.array([[1.0, *(row["features"].get(name, 0.0) for name in names)] for row in drafted])
    right = np.array([row["if_given"] == "useful" for row in drafted], dtype=np.float64)
    known = np.array([getattr(ConfidenceWeights(), name) for name in ("bias", *names)])
    some = args.of_searches or args.of_results
    fitting = np.array([not some or name in own for name in ("bias", *names)])
    start = known if some else np.zeros_like(known)
    confidence = cross_validated(features, right, drafted, start, fitting, "workspace" if some else "id")
    if some:
        now = sigmoid(features @ known)
        print(f"as it is: expected calibration error {calibration_error(now, right):.3f}, AUC {auc(now, right):.3f}")
    print(f"{len(rows)} questions, {len(drafted)} with a draft, {int(right.sum())} drafts right")
    print(f"expected calibration error {calibration_error(confidence, right):.3f}, Brier score {brier(confidence, right):.3f} ")
    print(f"(a constant share: {brier(np.full_like(right, right.mean()), right):.3f}); AUC {auc(confidence, right):.3f}")
    table(["confidence", "answers", "mean", "right"], reliability(confidence, right))
    tried = [under(t, drafted, confidence, len(rows)) for t in THRESHOLDS]
    table(["threshold", "useful", "wrong"], [[f"{t:.2f}", f"{u:.1%}", f"{w:.1%}"] for t, u, w in tried[::2]])
    best = next((one for one in tried if one.wrong <= args.wrong), tried[-1])
    print(f"threshold {best.threshold}: useful {best.useful:.1%}, wrong with exit 0 {best.wrong:.1%}\n")
    fitted = dict(zip(("bias", *names), fit(features, right, start, fitting).tolist(), strict=True))
    print("\n".join(f"    {name}: float = {value:.2f}" for name, value in {"threshold": best.threshold, **fitted}.items()))
    if args.write:
        threshold = {} if args.of_results else {"threshold": best.threshold}  # one for all kinds of answers
        write_weights({**threshold, **{name: value for name, value in fitted.items() if name in own or not some}})


def fit(features: Floats, right: Floats, start: Floats, fitting: Bools) -> Floats:
    """Coefficients [n_features], the first is the bias: the maximum of the likelihood, penalized by how far they are from
    `start`. Those that are not `fitting` stay there."""
    free = features[:, fitting]
    penalty = np.where(np.flatnonzero(fitting) == 0, 1e-6, RIDGE)
    moved = np.zeros(free.shape[1])
    for _ in range(STEPS):
        likely = sigmoid(features @ start + free @ moved)
        gradient = free.T @ (right - likely) - penalty * moved
        curvature = (free.T * (likely * (1 - likely))) @ free + np.diag(penalty)
        moved += np.linalg.solve(curvature, gradient)
    weights = start.copy()
    weights[fitting] += moved
    return weights


def cross_validated(
    features: Floats, right: Floats, rows: Sequence[Row], start: Floats, fitting: Bools, fold_by: str = "id"
) -> Floats:
    """Each row's confidence, by a model that has not seen its fold. What `fold_by` names of a row decides on the fold."""
    folds = np.array([int(hashlib.sha256(row[fold_by].encode()).hexdigest(), 16) % (FOLDS**4) for row in rows])
    folds = folds % FOLDS if fold_by == "id" else folds
    confidence = np.zeros(len(rows))
    for fold in sorted(set(folds.tolist())):
        seen, unseen = folds != fold, folds == fold
        confidence[unseen] = sigmoid(features[unseen] @ fit(features[seen], right[seen], start, fitting))
    return confidence


def sigmoid(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))))


def calibration_error(confidence: Floats, right: Floats) -> float:
    """The mean distance of confidence and share right over equal bins, weighed by their answers (Guo et al. 2017)."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs(confidence[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins)))


def brier(confidence: Floats, right: Floats) -> float:
    return float(((confidence - right) ** 2).mean())


def auc(confidence: Floats, right: Floats) -> float:
    """The chance that a right answer is surer than a wrong one."""
    yes, no = confidence[right == 1], confidence[right == 0]
    above = (yes[:, None] > no[None, :]).sum() + 0.5 * (yes[:, None] == no[None, :]).sum()
    return float(above / max(1, yes.size * no.size))


def reliability(confidence: Floats, right: Floats) -> list[list[str]]:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        [f"{b / BINS:.1f}", str((bins == b).sum()), f"{confidence[bins == b].mean():.2f}", f"{right[bins == b].mean():.2f}"]
        for b in sorted(set(bins.tolist()))
    ]


def under(threshold: float, rows: Sequence[Row], confidence: Floats, questions: int) -> Chosen:
    """What becomes of the drafts where those below the threshold, and those that leave values over, are not given."""
    given = [
        row
        for row, sure in zip(rows, confidence.tolist(), strict=True)
        if sure >= threshold and not row["features"]["unused_values"] and row["features"]["coverage"]
    ]
    return Chosen(threshold, *(sum(row["if_given"] == kind for row in given) / questions for kind in ("useful", "wrong")))


def write_weights(values: Mapping[str, float]) -> None:
    """Put the values into the fields of ConfidenceWeights, where they stand in the source."""
    source = WEIGHTS.read_text(encoding="utf-8")
    head, start, rest = source.partition(f"class {ConfidenceWeights.__name__}:")
    body, end, tail = rest.partition("\n\n\n")
    for name, value in values.items():
        body = re.sub(rf"^(    {name}: float = )-?[\d.]+", rf"\g<1>{value:.2f}", body, flags=re.MULTILINE)
    WEIGHTS.write_text(head + start + body + end + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
