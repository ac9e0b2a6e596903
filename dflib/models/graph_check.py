"""What a SavedModel may contain: an allow-list of operations, and limits.  It is checked before TensorFlow loads it.

A graph can read and write files, start Python functions and open connections.  Networks need none of that.  Only the
functions that save and restore a checkpoint do, which :func:`tf.saved_model.save` adds to each model; TensorFlow 2
never calls them, so these two are allowed where no other function calls them.

The memory of a score is not bounded: an allowed operation may fill or tile an array of any size, as a shape may be
computed.
"""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dflib.errors import ModelError
from dflib.models import call_graph

MAX_GRAPH_BYTES = 64 << 20
"""Largest ``saved_model.pb``; that of EfficientNetB0 has 3 MB.  Weights are in another file."""
MAX_CONSTANT = 1 << 24
"""Most values of a constant.  A constant of one repeated value takes a few bytes in the file, and all of them in
memory."""
MAX_NODES = 20_000
"""Most nodes of a function, where each call counts with all nodes that it runs; EfficientNetB0 has 1,934.  Functions
that call each other twice double them at every level; 37,000 take a second and 300 MB more before the first score."""

_FILES = re.compile(r"saved_model\.pb|fingerprint\.pb|variables/variables\.(index|data-\d+-of-\d+)")
"""The files that TensorFlow writes for dflib.  It would prefer a ``saved_model.cpb``."""

_NAMES = """
# Control, calls, and variables in memory
Assert Const Identity IdentityN NoOp Placeholder PlaceholderWithDefault PartitionedCall StatefulPartitionedCall
StatelessIf If StopGradient PreventGradient EnsureShape
VarHandleOp ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp DisableCopyOnRead
# Arithmetic and comparisons
Abs Add AddN AddV2 Cast Ceil ClipByValue Cos Div DivNoNan Equal Erf Erfc Exp Expm1 Floor FloorDiv FloorMod Greater
GreaterEqual Inv IsFinite IsInf IsNan Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod
Mul MulNoNan Neg NotEqual OnesLike Pow RealDiv Reciprocal Rint Round Rsqrt Select SelectV2 Sign Sin Sqrt Square
SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy ZerosLike
# Activations, layers and normalisation
BiasAdd BiasAddV1 Elu LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Softmax Softplus Softsign
AvgPool AvgPool3D Conv2D Conv2DBackpropInput Conv3D DepthwiseConv2dNative FusedBatchNorm FusedBatchNormV2
FusedBatchNormV3 L2Loss LRN MaxPool MaxPoolV2 MaxPool3D
BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum MatMul
ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor AdjustContrastv2 HSVToRGB RGBToHSV
# Shapes, selections and reductions
All Any ArgMax ArgMin BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatV2 Cumsum DepthToSpace ExpandDims Fill
Gather GatherNd GatherV2 Max Mean Min MirrorPad OneHot Pack Pad PadV2 Prod Range Rank Reshape ReverseV2 Shape
ShapeN Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice Sum Tile TopKV2 Transpose Unpack
# Dropout and other noise of training, which scoring does not run
RandomStandardNormal RandomUniform RandomUniformInt StatelessRandomGetAlg StatelessRandomGetKeyCounter
StatelessRandomNormalV2 StatelessRandomUniformV2
"""
OPERATIONS = frozenset(name for line in _NAMES.splitlines() if not line.startswith("#") for name in line.split())
"""Operations of dflib's networks and of the layers of Keras that compute on images: numbers in, numbers out.  There are
no loops, so a score ends."""

CHECKPOINT_OPERATIONS = frozenset(
    ("MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin")
)
"""Operations of the functions that save and restore, in addition to :data:`OPERATIONS`."""

_CHECKPOINT_FUNCTION = re.compile(r"__inference__traced_(save|restore)_\d+")
"""The names of these functions; a model has one of each."""

FUNCTION_ATTRIBUTES = frozenset(("_construction_context", "_input_shapes"))
"""Attributes of functions.  With others (``api_implements``) TensorFlow replaces a called function by one that is not
called."""

_OBJECTS = frozenset(("user_object", "function", "bare_concrete_function", "variable", "constant", "captured_tensor"))
"""Kinds of objects.  The others are assets (files) and resources (tables, data sets)."""


def check(folder: Path, source: str) -> None:
    """Checks a SavedModel without loading it.

    Args:
        folder: private folder of the SavedModel.
        source: URI or path of the model, for messages.

    Raises:
        ModelError: it holds other files, objects or operations than models of dflib do, or a constant or graph above
            the limits, or is no SavedModel.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    def refuse(reason: str) -> ModelError:
        return ModelError(f"{source}: {reason}; train or import the model again")

    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    if "saved_model.pb" not in names:
        raise refuse("can't load a SavedModel: there is no saved_model.pb")
    strange = [name for name in names if not _FILES.fullmatch(name)]
    if strange:
        raise refuse(f"holds {strange[0]!r}, which no model of dflib has")
    size = (folder / "saved_model.pb").stat().st_size
    if size > MAX_GRAPH_BYTES:
        raise refuse(f"its graph has {size:,} bytes; the limit is {MAX_GRAPH_BYTES:,}")
    try:
        model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except Exception as error:
        # DecodeError of protocol buffers, which has no types.
        raise refuse(f"can't load a SavedModel ({error})") from None
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].object_graph_def.nodes:
        # TensorFlow would run the graph's own initialisation.
        raise refuse("this SavedModel has no object graph, or several graphs")
    for reason in _reasons(model.meta_graphs[0]):
        raise refuse(reason)


def _reasons(graph: Any) -> Iterator[str]:
    """Why a graph is refused."""
    if graph.asset_file_def:
        yield f"it needs a file {graph.asset_file_def[0].filename!r}, which no model of dflib has"
    objects = graph.object_graph_def
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        if kind is not None and kind not in _OBJECTS:
            yield f"it has an object of kind {kind}, which no model of dflib has"
        if node.registered_saver or any(
            saveable.save_function or saveable.restore_function for saveable in node.saveable_objects.values()
        ):
            yield "it brings functions of its own to restore its variables, which no model of dflib does"
        if kind == "variable" and _values(node.variable.shape) > MAX_CONSTANT * 8:
            yield f"the variable {node.variable.name!r} has more than {MAX_CONSTANT * 8:,} values"
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    called = call_graph.reached(functions, objects.concrete_functions)
    if len(functions) != len(graph.graph_def.library.function):
        yield "two functions have one name"
    if functions.keys() & (OPERATIONS | CHECKPOINT_OPERATIONS):
        yield "a function has the name of an operation"
    checkpoint = _checkpoint_functions(name for name in functions if name not in called)
    for name, function in functions.items():
        allowed = OPERATIONS | CHECKPOINT_OPERATIONS if name in checkpoint else OPERATIONS
        yield from _of_nodes(function.node_def, allowed, functions, f"function {name!r}")
        for attribute in sorted(function.attr.keys() - FUNCTION_ATTRIBUTES):
            yield f"function {name!r} has the attribute {attribute!r}, which no model of dflib has"
    yield from _of_nodes(graph.graph_def.node, OPERATIONS | CHECKPOINT_OPERATIONS, functions, "the graph")
    for name, nodes in call_graph.expanded_nodes(functions).items():
        if nodes is None:
            yield f"function {name!r} calls itself, so a score might not end"
        elif nodes > MAX_NODES:
            yield f"function {name!r} has more than {MAX_NODES:,} nodes with what it calls"


def _checkpoint_functions(uncalled: Iterable[str]) -> set[str]:
    """The function that saves and the one that restores; none of a kind of which there are several."""
    found: dict[str, list[str]] = {}
    for name in uncalled:
        match = _CHECKPOINT_FUNCTION.fullmatch(name)
        if match:
            found.setdefault(match[1], []).append(name)
    return {names[0] for names in found.values() if len(names) == 1}


def _of_nodes(nodes: Iterable[Any], allowed: frozenset[str], functions: dict[str, Any], place: str) -> Iterator[str]:
    for node in nodes:
        if node.op not in allowed and node.op not in functions:
            yield f"{place} has the operation {node.op!r} ({node.name!r}), which models of dflib may not have"
        for value in node.attr.values():
            tensors = [value.tensor] if value.HasField("tensor") else value.list.tensor
            if any(_values(tensor.tensor_shape) > MAX_CONSTANT for tensor in tensors):
                yield f"the constant {node.name!r} in {place} has more than {MAX_CONSTANT:,} values"


def _values(shape: Any) -> int:
    return math.prod(max(1, dimension.size) for dimension in shape.dim)
