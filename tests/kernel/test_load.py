"""Loading a version's kernel: a compiled one runs nobody's code and needs no scikit-learn; a foreign file is refused."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, external_data_helper, helper, numpy_helper
from sklearn.linear_model import LogisticRegression, Ridge

from canario.adapters.versions import ESTIMATOR_FILE, ONNX_FILE, StoredVersion
from canario.errors import IntegrityError, KernelError, NotFound, SignatureMismatch
from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import Compiled, compile_estimator
from canario.kernel.compiled import LARGEST_MODEL_BYTES
from canario.kernel.load import load_kernel
from canario.model.card import Card
from canario.model.version import KernelChoice, KernelKind

CLASSES = ("clean", "fraud")


@pytest.fixture(scope="module")
def card(make_card: Callable[..., Card]) -> Card:
    return make_card(CLASSES, 0.3)


@pytest.fixture(scope="module")
def estimator(fit: Callable[..., Any]) -> Any:
    return fit(LogisticRegression(max_iter=300), CLASSES)


@pytest.fixture(scope="module")
def compiled(estimator: Any, card: Card, make_rows: Callable[..., Any]) -> Compiled:
    return compile_estimator(estimator, card, make_rows(100, seed=2))


@pytest.fixture
def version(store: Callable[..., StoredVersion], card: Card, compiled: Compiled) -> StoredVersion:
    return store(card, compiled)


SERVES_ALONE = """
    import json, sys
    from pathlib import Path

    import numpy as np

    from canario.adapters.versions import StoredVersion
    from canario.kernel.load import load_kernel
    from canario.model.version import KernelChoice, KernelKind, VersionName, VersionRecord

    import pickle

    def refuse(*arguments, **more):
        raise AssertionError("something was unpickled")

    pickle.load = pickle.loads = pickle.Unpickler = refuse
    choice = KernelChoice(kind=KernelKind.ONNX, reason="")
    record = VersionRecord(
        name=VersionName(model="shop", tag="v1"), digest="", files={}, created_at_seconds=0.0, kernel=choice,
        data_digest="", code_commit="", libraries={},
    )
    kernel = load_kernel(StoredVersion(record=record, folder=Path(sys.argv[1])))
    words = {name: np.array([value], dtype=object) for name, value in {"shop": "food", "note": "Gift card"}.items()}
    numbers = {"amount": np.array([12.5]), "distance": np.array([np.nan])}
    whole = {"age": np.array([40]), "night": np.array([True])}
    answer = kernel.predict({**numbers, **whole, **words})
    loaded = [name for name in ("sklearn", "pandas", "joblib", "skl2onnx", "scipy", "cloudpickle") if name in sys.modules]
    print(json.dumps({"label": answer.labels[0], "loaded": loaded}))
"""


def test_a_compiled_version_needs_neither_scikit_learn_nor_pandas_nor_a_pickle(version: StoredVersion) -> None:
    """A process that loads and asks a compiled version has imported none of them and unpickled nothing."""
    (version.folder / ESTIMATOR_FILE).write_bytes(b"never read")
    command = [sys.executable, "-c", textwrap.dedent(SERVES_ALONE), str(version.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.stderr == ""
    assert done.stdout.strip() in ('{"label": "clean", "loaded": []}', '{"label": "fraud", "loaded": []}')


def test_both_kernels_of_a_version_answer_alike(
    store: Callable[..., StoredVersion], card: Card, compiled: Compiled, estimator: Any, make_rows: Callable[..., Any]
) -> None:
    """The stored model and the stored estimator give the same labels by the card's threshold."""
    plain = Compiled(choice=KernelChoice(kind=KernelKind.SKLEARN, reason="asked for"), onnx=None)
    columns = columns_from_frame(card, make_rows(300, seed=5))
    answers = load_kernel(store(card, compiled)).predict(columns)
    others = load_kernel(store(card, plain, estimator)).predict(columns)
    assert answers.labels.tolist() == others.labels.tolist()
    assert answers.labels.tolist() == [CLASSES[int(score >= 0.3)] for score in answers.scores]


def test_a_version_without_its_model_is_not_found(version: StoredVersion) -> None:
    """A missing file is named."""
    (version.folder / ONNX_FILE).unlink()
    with pytest.raises(NotFound, match=ONNX_FILE):
        load_kernel(version)


def test_a_model_of_another_card_is_refused(
    store: Callable[..., StoredVersion], compiled: Compiled, make_card: Callable[..., Card]
) -> None:
    """A model whose columns or classes are not the card's is not served."""
    import dataclasses

    other = make_card(CLASSES)
    renamed = (dataclasses.replace(other.columns[0], name="sum"), *other.columns[1:])
    with pytest.raises(SignatureMismatch, match="amount"):
        load_kernel(store(dataclasses.replace(other, columns=renamed), compiled))
    with pytest.raises(SignatureMismatch, match="3 numbers"):
        load_kernel(store(make_card(("a", "b", "c")), compiled))


def other_files(model: ModelProto) -> None:
    external_data_helper.set_external_data(model.graph.initializer[0], location="secrets.bin")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def other_files_in_a_node(model: ModelProto) -> None:
    tensor = numpy_helper.from_array(np.ones(2), "far")
    external_data_helper.set_external_data(tensor, location="/etc/passwd")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


def other_files_in_an_inner_graph(model: ModelProto) -> None:
    tensor = numpy_helper.from_array(np.ones(2), "far")
    external_data_helper.set_external_data(tensor, location="/etc/passwd")
    inner = helper.make_graph([], "inner", [], [], [tensor])
    model.graph.node.insert(0, helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def a_foreign_operator(model: ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Anything", [], ["unused"], domain="com.stranger"))


def a_function(model: ModelProto) -> None:
    model.functions.append(helper.make_function("mine", "f", [], [], [], model.opset_import))


def no_description(model: ModelProto) -> None:
    del model.metadata_props[:]


def a_broken_description(model: ModelProto) -> None:
    model.metadata_props[0].value = '{"numbers": 7}'


def a_broken_pattern(model: ModelProto) -> None:
    model.metadata_props[0].value = model.metadata_props[0].value.replace("(?u)", "(((")


def another_input(model: ModelProto) -> None:
    model.graph.input[0].name = "digits"


@pytest.mark.parametrize(
    "spoil",
    [
        other_files,
        other_files_in_a_node,
        other_files_in_an_inner_graph,
        a_foreign_operator,
        a_function,
        no_description,
        a_broken_description,
        a_broken_pattern,
        another_input,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_a_model_that_canario_would_not_have_written_is_refused(
    spoil: Callable[[ModelProto], None], version: StoredVersion
) -> None:
    """Data in other files, foreign operators, functions or an unknown form: none of it is loaded."""
    path = version.folder / ONNX_FILE
    model = ModelProto.FromString(path.read_bytes())
    spoil(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(IntegrityError):
        load_kernel(version)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(content: bytes, version: StoredVersion) -> None:
    """Bytes that are not an ONNX model end in an IntegrityError."""
    (version.folder / ONNX_FILE).write_bytes(content)
    with pytest.raises(IntegrityError):
        load_kernel(version)


def test_a_file_that_is_too_large_is_not_read(version: StoredVersion) -> None:
    """The size is judged before the content."""
    with (version.folder / ONNX_FILE).open("r+b") as stream:
        stream.truncate(LARGEST_MODEL_BYTES + 1)
    with pytest.raises(IntegrityError, match="larger"):
        load_kernel(version)


def test_an_estimator_that_cannot_be_loaded_is_a_kernel_error(
    store: Callable[..., StoredVersion], card: Card, tmp_path: Path
) -> None:
    """Whatever is wrong with the pickled estimator, the error says where it lies."""
    plain = Compiled(choice=KernelChoice(kind=KernelKind.SKLEARN, reason=""), onnx=None)
    version = store(card, plain, estimator=Ridge())
    (tmp_path / ESTIMATOR_FILE).write_bytes(b"not a pickle")
    with pytest.raises(KernelError) as failed:
        load_kernel(version)
    assert failed.value.at == str(tmp_path / ESTIMATOR_FILE)
