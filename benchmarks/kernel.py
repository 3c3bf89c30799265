"""How long one row and a thousand rows take: the compiled kernel against scikit-learn's own `predict_proba`.

    python benchmarks/kernel.py [--rounds 40]

Thirty numbers, two classes; logistic regression, a random forest of 100 trees, histogram gradient boosting. Both arms run in
one process on one thread, in turns, and what is timed is that thread's time on the processor, so that the machine's moods
meet both alike. Their answers are compared before anything is timed. A third arm is the compiled kernel once more: what it
differs from the first is noise.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.kernel.compiled import OnnxKernel
from canario.kernel.kernel import rows_from
from canario.model.card import Card, Column, ColumnKind, Label, Task

FEATURES = 30
MODELS = {
    "LR": LogisticRegression(max_iter=300),
    "RF-100": RandomForestClassifier(100, min_samples_leaf=5, random_state=0),
    "HistGB": HistGradientBoostingClassifier(random_state=0),
}
CARD = Card(
    name="bench",
    title="Benchmark",
    columns=tuple(Column(name=f"x{place}", kind=ColumnKind.NUMBER) for place in range(FEATURES)),
    label=Label(name="y", task=Task.CLASSIFICATION, classes=("0", "1")),
)


def rows_of(count: int, seed: int) -> pd.DataFrame:
    """Rows of independent normal numbers."""
    values = np.random.default_rng(seed).normal(size=(count, FEATURES))
    return pd.DataFrame(values, columns=list(CARD.column_names))


def timed(arms: dict[str, Callable[[], Any]], rounds: int, calls: dict[str, int]) -> dict[str, float]:
    """The median microseconds of a call of each arm; in each round every arm runs, in another order."""
    random = np.random.default_rng(0)
    seen: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name in random.permutation(list(arms)):
            began = time.thread_time()
            for _ in range(calls[name]):
                arms[name]()
            seen[name].append((time.thread_time() - began) / calls[name] * 1e6)
    return {name: statistics.median(times) for name, times in seen.items()}


def main() -> None:
    """Train, compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="how often each arm is timed (40)")
    rounds = parser.parse_args().rounds
    versions = {"scikit-learn": sklearn.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
    print(
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version}" for name, version in versions.items())
    )
    print(
        f"{platform.machine()}, {platform.system()}; medians of {rounds} rounds; microseconds of processor time a call\n"
    )
    print(
        f"{'model':8}{'rows':>6}{'compiled':>12}{'again':>12}{'A/A':>8}{'sklearn':>12}{'times faster':>14}{'difference':>12}"
    )
    train, test = rows_of(5000, 1), rows_of(1000, 2)
    truth = (train["x0"] + train["x1"] * train["x2"] > 0).astype(int)
    columns = columns_from_frame(CARD, test)
    for name, model in MODELS.items():
        with threadpool_limits(1):
            model.fit(train, truth)
            compiled = compile_estimator(model, CARD, test[:300])
            assert compiled.onnx is not None, compiled.choice.reason
            kernel = OnnxKernel(compiled.onnx, CARD, compiled.choice)
            answers = kernel.predict(columns).probabilities
            difference = np.abs(answers - model.predict_proba(test)).max()
            assert difference < 1e-9
            for rows in (1, 1000):
                part, frame = rows_from(columns, 0, rows), test[:rows]
                arms: dict[str, Callable[[], Any]] = {
                    "compiled": partial(kernel.predict, part),
                    "again": partial(kernel.predict, part),
                    "sklearn": partial(model.predict_proba, frame),
                }
                calls = {"compiled": 200 if rows == 1 else 5, "again": 200 if rows == 1 else 5, "sklearn": 3}
                timed(arms, 2, calls)
                times = timed(arms, rounds, calls)
                noise = times["again"] / times["compiled"]
                faster = times["sklearn"] / times["compiled"]
                print(
                    f"{name:8}{rows:>6}{times['compiled']:>12.1f}{times['again']:>12.1f}{noise:>8.2f}"
                    f"{times['sklearn']:>12.1f}{faster:>14.1f}{difference:>12.1g}"
                )


if __name__ == "__main__":
    main()
