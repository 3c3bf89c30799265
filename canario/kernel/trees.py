"""Fitted tree ensembles as one TreeEnsemble node (ai.onnx.ml 5) whose every comparison and sum is scikit-learn's, in double.

Two details keep the answers equal to the last bit. Trees of `sklearn.tree` compare values rounded to float32 with float64
thresholds: the converter rounds the input there and back, and thresholds stay as they are. And sums run in
scikit-learn's order, from the baseline on: a baseline is a first tree of one leaf.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper


class Mode(IntEnum):
    """How a node compares, as ONNX numbers it."""

    AT_MOST = 0
    MEMBER = 6


@dataclass(kw_only=True)
class Tree:
    """One tree as arrays over its nodes; the root comes first."""

    is_leaf: NDArray[np.bool_]
    value: NDArray[np.float64]
    """What a leaf adds."""
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    members: dict[int, list[float]] = field(default_factory=dict)
    """By node: the categories that go left, in place of a threshold."""


class Ensemble:
    """Trees gathered into the attributes of a TreeEnsemble node, which adds up what their leaves say."""

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self._roots: list[int] = []
        self._nodes: dict[str, list[NDArray[Any]]] = {}
        self._node_count = 0
        self._leaf_count = 0
        self._members: list[float] = []

    def add_baseline(self, value: float, target: int) -> None:
        """Add a tree that always says `value`."""
        # A tree must have a node to begin with: both ways lead to the one leaf.
        self._add(
            1,
            nodes_featureids=[0],
            nodes_modes=[Mode.AT_MOST],
            nodes_splits=[0.0],
            nodes_truenodeids=[self._leaf_count],
            nodes_trueleafs=[1],
            nodes_falsenodeids=[self._leaf_count],
            nodes_falseleafs=[1],
            nodes_missing_value_tracks_true=[0],
        )
        self._add_leaves(np.array([value]), target)

    def add(self, tree: Tree, target: int) -> None:
        """Add a tree whose leaves speak of one target (a class, or the only value)."""
        if tree.is_leaf[0]:
            self.add_baseline(float(tree.value[0]), target)
            return
        inner = np.flatnonzero(~tree.is_leaf)
        leaves = np.flatnonzero(tree.is_leaf)
        place = np.empty(len(tree.is_leaf), dtype=np.int64)
        place[inner] = self._node_count + np.arange(len(inner))
        place[leaves] = self._leaf_count + np.arange(len(leaves))
        modes = np.full(len(tree.is_leaf), Mode.AT_MOST)
        modes[list(tree.members)] = Mode.MEMBER
        for node in inner.tolist():
            if node in tree.members:
                self._members += [*tree.members[node], np.nan]
        left, right = tree.left[inner], tree.right[inner]
        self._add(
            len(inner),
            nodes_featureids=tree.feature[inner],
            nodes_modes=modes[inner],
            nodes_splits=tree.threshold[inner],
            nodes_truenodeids=place[left],
            nodes_trueleafs=tree.is_leaf[left],
            nodes_falsenodeids=place[right],
            nodes_falseleafs=tree.is_leaf[right],
            nodes_missing_value_tracks_true=tree.missing_left[inner],
        )
        self._add_leaves(tree.value[leaves], target)

    def attributes(self) -> dict[str, Any]:
        """The node's attributes."""
        columns = {name: np.concatenate(parts) for name, parts in self._nodes.items()}
        doubles = {"nodes_splits": columns.pop("nodes_splits"), "leaf_weights": columns.pop("leaf_weights")}
        if self._members:
            doubles["membership_values"] = np.array(self._members)
        return {
            "n_targets": self.targets,
            "tree_roots": self._roots,
            "nodes_modes": _tensor(columns.pop("nodes_modes"), np.uint8),
            **{name: values.astype(np.int64).tolist() for name, values in columns.items()},
            **{name: _tensor(values, np.float64) for name, values in doubles.items()},
        }

    def _add(self, count: int, **columns: Any) -> None:
        self._roots.append(self._node_count)
        self._node_count += count
        for name, values in columns.items():
            self._nodes.setdefault(name, []).append(np.asarray(values))

    def _add_leaves(self, weights: NDArray[np.float64], target: int) -> None:
        self._leaf_count += len(weights)
        self._nodes.setdefault("leaf_weights", []).append(weights)
        self._nodes.setdefault("leaf_targetids", []).append(np.full(len(weights), target))


def _tensor(values: NDArray[Any], dtype: Any) -> TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype))


def tree_of_sklearn(fitted: Any, value: NDArray[np.float64]) -> Tree:
    """A `sklearn.tree` tree (`estimator.tree_`) whose leaves add `value`, one a node."""
    nodes = fitted.__getstate__()["nodes"]  # the only place that says where missing values go
    return Tree(
        is_leaf=nodes["left_child"] == -1,
        value=value,
        feature=nodes["feature"],
        threshold=nodes["threshold"],
        left=nodes["left_child"],
        right=nodes["right_child"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
    )


def tree_of_histogram(predictor: Any, known_categories: NDArray[np.uint32], category_row: NDArray[np.uint32]) -> Tree:
    """A tree of histogram gradient boosting.

    `known_categories` has a bitset a categorical feature, in the row that `category_row` names by feature.
    """
    nodes = predictor.nodes
    tree = Tree(
        is_leaf=nodes["is_leaf"].astype(bool),
        value=nodes["value"],
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"],
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
    )
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~tree.is_leaf):
        goes_left = _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        known = _members(known_categories[category_row[nodes["feature_idx"][node]]])
        if tree.missing_left[node]:
            # Unknown categories follow the missing ones: ask for the known ones that go right, and swap the sides.
            tree.members[int(node)] = sorted(known - goes_left)
            tree.left[node], tree.right[node] = tree.right[node], tree.left[node]
            tree.missing_left[node] = False
        else:
            tree.members[int(node)] = sorted(goes_left)
    return tree


def _members(bitset: NDArray[np.uint32]) -> set[float]:
    """The categories in a bitset of eight words of 32 bits."""
    bits = np.unpackbits(bitset.astype("<u4").view(np.uint8), bitorder="little")
    return {float(category) for category in np.flatnonzero(bits)}
