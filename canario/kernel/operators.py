"""What a model's operators alone say of it, and no sample of rows can: rows apart to the last bit, nothing in float32."""

from __future__ import annotations

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, shape_inference

from canario.kernel.nodes import LANES

_DOUBLE = TensorProto.DOUBLE

COPIES = {"Concat", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Unsqueeze"}
ARITHMETIC = {"Abs", "Add", "Cast", "CastLike", "Ceil", "Clip", "Div", "Floor", "Mul", "Neg", "Round", "Sqrt", "Sub"}
COMPARISONS = {"And", "Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Where"}
CHOICES = {"ArgMax", "Max", "Min", "ReduceMax", "ReduceMin"}
TABLES_AND_TREES = {"ArrayFeatureExtractor", "LabelEncoder", "OneHotEncoder", "TreeEnsemble"}
EXACT = COPIES | ARITHMETIC | COMPARISONS | CHOICES | TABLES_AND_TREES
"""What IEEE 754 rounds in one way only or not at all, and trees, which add up in one order on one thread."""

WHOLE_REGISTERS = {"Exp", "Sigmoid"}
"""Rounded in one way inside a SIMD register and in another outside."""


def computes_rows_alone(model: ModelProto) -> bool:
    """Whether no bit of a row's answer can depend on its batch.

    A product with a constant matrix is such: ONNX Runtime adds its terms up in the order of the columns, whatever the
    number of rows. (For doubles; its kernel for floats has another way for one row.)
    """
    graph = shape_inference.infer_shapes(model).graph
    return all(_is_row_wise(node, graph) for node in graph.node)


def rounding_operator(model: ModelProto) -> str:
    """The name of an operator that makes floats of doubles; empty if there is none.

    Rounding that is undone at once is no such: scikit-learn's trees round their input to float32 too.
    """
    graph = shape_inference.infer_shapes(model).graph
    kinds = {each.name: each.type.tensor_type.elem_type for each in (*graph.value_info, *graph.input, *graph.output)}
    widened = {node.input[0] for node in graph.node if node.op_type == "Cast" and kinds[node.output[0]] == _DOUBLE}
    for node in graph.node:
        takes_doubles = any(kinds.get(name) == _DOUBLE for name in node.input)
        gives_floats = any(kinds.get(name) == TensorProto.FLOAT for name in node.output)
        if takes_doubles and gives_floats and not (node.op_type == "Cast" and widened.issuperset(node.output)):
            return str(node.op_type)
    return ""


def _is_row_wise(node: NodeProto, graph: GraphProto) -> bool:
    if node.op_type in EXACT:
        return True
    if node.op_type in WHOLE_REGISTERS:
        width = _width(node.output[0], graph)
        return width > 0 and width % LANES == 0
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return node.op_type == "MatMul" and constants.get(node.input[1]) == _DOUBLE


def _width(tensor: str, graph: GraphProto) -> int:
    """The last dimension of a tensor; 0 when it is not known."""
    for each in (*graph.value_info, *graph.output):
        if each.name == tensor:
            dimensions = each.type.tensor_type.shape.dim
            return dimensions[-1].dim_value if dimensions else 0
    return 0
