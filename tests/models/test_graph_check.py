"""Which SavedModels are refused before TensorFlow loads them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import graph_check, networks, saved_model
from dflib.models.graph_check import CHECKPOINT_OPERATIONS, OPERATIONS
from dflib.parts.catalog import NETWORKS
from dflib.runtime.tensorflow_setup import tensorflow


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    saved_model.save(networks.build("meso4", 32), folder, 32, "real")
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    shutil.copytree(exported, tmp_path / "model")
    return tmp_path / "model"


def save_function(folder: Path, compute: Callable[[Any], Any]) -> None:
    """A SavedModel that scores with any function of float images ``[B, 32, 32, 3]``."""
    tf = tensorflow()
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.uint8, "images")])
    def score(images: Any) -> dict[str, Any]:
        return {"p_fake": compute(tf.cast(images, tf.float32))}

    module.score = score
    tf.saved_model.save(module, str(folder), signatures={saved_model.SIGNATURE: score.get_concrete_function()})


def mean(images: Any) -> Any:
    return tensorflow().reduce_mean(images, [1, 2, 3]) / 255.0


def reads_a_file(images: Any) -> Any:
    tf = tensorflow()
    return mean(images) + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def writes_a_file(images: Any) -> Any:
    tf = tensorflow()
    with tf.control_dependencies([tf.io.write_file(os.environ["DFLIB_TEST_CANARY"], "written")]):
        return tf.identity(mean(images))


def writes_a_checkpoint(images: Any) -> Any:
    tf = tensorflow()
    path = os.environ["DFLIB_TEST_CANARY"]
    with tf.control_dependencies(
        [tf.raw_ops.SaveV2(prefix=path, tensor_names=["a"], shape_and_slices=[""], tensors=[1.0])]
    ):
        return tf.identity(mean(images))


def calls_python(images: Any) -> Any:
    tf = tensorflow()
    return tf.reshape(tf.py_function(lambda pixels: pixels, [mean(images)], tf.float32), [-1])


def calls_numpy(images: Any) -> Any:
    tf = tensorflow()
    return tf.reshape(tf.numpy_function(lambda pixels: pixels, [mean(images)], tf.float32), [-1])


def prints(images: Any) -> Any:
    tensorflow().print(mean(images))
    return mean(images)


def loops(images: Any) -> Any:
    tf = tensorflow()
    return tf.while_loop(lambda value: tf.constant(True), lambda value: [value], [mean(images)])[0]


def hides_in_a_branch(images: Any) -> Any:
    tf = tensorflow()
    return tf.cond(tf.reduce_mean(images) > 300, lambda: reads_a_file(images), lambda: mean(images))


def reads_a_data_set(images: Any) -> Any:
    tf = tensorflow()
    return mean(images) + tf.cast(tf.data.TextLineDataset("/etc/hostname").cardinality(), tf.float32)


HOSTILE = {
    reads_a_file: "ReadFile",
    writes_a_file: "WriteFile",
    writes_a_checkpoint: "SaveV2",
    calls_python: "EagerPyFunc",
    calls_numpy: "PyFunc",
    prints: "PrintV2|StringFormat",
    loops: "StatelessWhile",
    hides_in_a_branch: "ReadFile",
    reads_a_data_set: "TensorSliceDataset|TextLineDataset",
}


@pytest.mark.parametrize(("compute", "operation"), HOSTILE.items())
def test_load_refuses_operations_that_reach_outside_and_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: Callable[[Any], Any], operation: str
) -> None:
    monkeypatch.setenv("DFLIB_TEST_CANARY", str(tmp_path / "canary"))
    save_function(tmp_path / "model", compute)
    with pytest.raises(ModelError, match=f"s3://models/m: .* has the operation '({operation})'"):
        saved_model.load(tmp_path / "model", source="s3://models/m")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_load_takes_what_computes_only(tmp_path: Path) -> None:
    save_function(tmp_path / "model", mean)
    score = saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(score(np.full((2, 32, 32, 3), 51, np.uint8)), 0.2, atol=1e-6)


def test_allowed_operations_exist_and_none_reaches_outside() -> None:
    """TensorFlow's own registry is the reference."""
    from tensorflow.python.framework import op_def_registry

    tensorflow()
    unknown = [name for name in OPERATIONS | CHECKPOINT_OPERATIONS if op_def_registry.get(name) is None]
    assert unknown == []
    outside = (
        "File",
        "Save",
        "Restore",
        "Py",
        "Dataset",
        "Iterator",
        "Print",
        "Summary",
        "Rpc",
        "Send",
        "Recv",
        "Table",
    )
    assert [name for name in OPERATIONS if any(word in name for word in outside)] == []
    # Whatever has a state is a variable, a random number or a call.
    stateful = {name for name in OPERATIONS if op_def_registry.get(name).is_stateful}
    assert all(
        any(
            word in name
            for word in ("Variable", "VarHandle", "Random", "If", "PartitionedCall", "DisableCopyOnRead", "Assert")
        )
        for name in stateful
    )


def test_allowed_operations_are_enough_for_every_layer_that_computes_on_images(tmp_path: Path) -> None:
    keras = tensorflow().keras
    layers = keras.layers
    x = images = layers.Input((32, 32, 3))
    for layer in (
        layers.Rescaling(1 / 255),
        layers.Resizing(24, 24),
        layers.CenterCrop(20, 20),
        layers.ZeroPadding2D(),
        layers.Conv2D(4, 3, activation="gelu"),
        layers.SeparableConv2D(4, 3, activation="swish"),
        layers.DepthwiseConv2D(3, activation="elu"),
        layers.Conv2DTranspose(4, 3, activation="selu"),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.BatchNormalization(),
        layers.UnitNormalization(),
        layers.PReLU(),
        layers.ReLU(6),
        layers.LeakyReLU(),
        layers.SpatialDropout2D(0.1),
        layers.GaussianNoise(0.1),
        layers.GaussianDropout(0.1),
        layers.Dropout(0.1),
        layers.UpSampling2D(),
        layers.Cropping2D(),
        layers.MaxPooling2D(),
        layers.AveragePooling2D(),
        layers.Permute((2, 1, 3)),
    ):
        x = layer(x)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Concatenate()([layers.Multiply()([x, gate]), layers.Add()([x, x]), layers.Maximum()([x, x])])
    x = layers.MultiHeadAttention(2, 4)(*[layers.Reshape((-1, 12))(x)] * 2)
    x = layers.Concatenate()([layers.GlobalMaxPooling1D()(x), layers.Flatten()(x)])
    x = layers.Dense(4, activation="softmax")(layers.Dense(4, activation="tanh")(x))
    network = keras.Model(images, layers.Dense(1, activation="sigmoid")(layers.Dense(3, activation="softplus")(x)))
    saved_model.save(network, tmp_path / "model", 32, "fake")
    score = saved_model.load(tmp_path / "model")
    grey = np.full((1, 32, 32, 3), 90, np.uint8)
    np.testing.assert_allclose(score(grey), network(grey.astype(np.float32), training=False)[:, 0], atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS.names)
def test_every_network_of_the_catalog_has_allowed_operations(name: str) -> None:
    tf = tensorflow()
    network = networks.build(name, 32)
    for training in (False, True):
        traced = tf.function(lambda images, training=training: network(images, training=training))
        graph = traced.get_concrete_function(tf.TensorSpec([None, 32, 32, 3], tf.float32)).graph.as_graph_def()
        used = {node.op for node in graph.node}
        used |= {node.op for function in graph.library.function for node in function.node_def}
        assert used - {function.signature.name for function in graph.library.function} <= OPERATIONS


def changed(folder: Path, change: Callable[[Any], None]) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    change(model)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())


def large_constant(model: Any) -> None:
    node = next(node for node in model.meta_graphs[0].graph_def.node if node.op == "Const")
    del node.attr["value"].tensor.tensor_shape.dim[:]
    for side in (1 << 20, 1 << 20):
        node.attr["value"].tensor.tensor_shape.dim.add().size = side


def large_variable(model: Any) -> None:
    node = next(node for node in model.meta_graphs[0].object_graph_def.nodes if node.HasField("variable"))
    node.variable.shape.dim.add().size = 1 << 40


def asset(model: Any) -> None:
    model.meta_graphs[0].asset_file_def.add().filename = "passwords"


def resource(model: Any) -> None:
    model.meta_graphs[0].object_graph_def.nodes.add().resource.device = ""


def restore_function(model: Any) -> None:
    model.meta_graphs[0].object_graph_def.nodes[0].saveable_objects["x"].restore_function = 1


def second_graph(model: Any) -> None:
    model.meta_graphs.add().CopyFrom(model.meta_graphs[0])


def no_objects(model: Any) -> None:
    model.meta_graphs[0].ClearField("object_graph_def")


def unknown_operation(model: Any) -> None:
    model.meta_graphs[0].graph_def.library.function[0].node_def.add(name="x", op="MyOwnOperation")


def named_like_an_operation(model: Any) -> None:
    model.meta_graphs[0].graph_def.library.function[0].signature.name = "Relu"


def called_by_its_name(model: Any) -> None:
    """The function that saves is called from the one that scores, by using its name as an operation."""
    library = model.meta_graphs[0].graph_def.library.function
    saves = next(function for function in library if any(node.op == "SaveV2" for node in function.node_def))
    scores = next(function for function in library if "signature_wrapper" in function.signature.name)
    scores.node_def.add(name="save", op=saves.signature.name)


def implements(model: Any) -> None:
    """TensorFlow runs another function with the same value in place of this one."""
    model.meta_graphs[0].graph_def.library.function[0].attr["api_implements"].s = b"score"


def prefers_a_device(model: Any) -> None:
    model.meta_graphs[0].graph_def.library.function[0].attr["api_preferred_device"].s = b"CPU"


def saves_where_nobody_calls(model: Any) -> None:
    library = model.meta_graphs[0].graph_def.library.function
    saves = next(function for function in library if any(node.op == "SaveV2" for node in function.node_def))
    library.add().CopyFrom(saves)
    library[-1].signature.name = "__inference_other_1"


def saves_twice(model: Any) -> None:
    saves_where_nobody_calls(model)
    model.meta_graphs[0].graph_def.library.function[-1].signature.name = "__inference__traced_save_1"


def two_of_one_name(model: Any) -> None:
    library = model.meta_graphs[0].graph_def.library.function
    library.add().CopyFrom(library[0])


def calls_itself(model: Any) -> None:
    function = model.meta_graphs[0].graph_def.library.function[0]
    function.node_def.add(name="again", op="PartitionedCall").attr["f"].func.name = function.signature.name


def doubles(model: Any) -> None:
    """15 functions of which each calls the next one twice."""
    library = model.meta_graphs[0].graph_def.library.function
    for level in range(15):
        function = library.add()
        function.signature.name = f"level_{level}"
        for side in "ab" if level < 14 else "":
            function.node_def.add(name=side, op="PartitionedCall").attr["f"].func.name = f"level_{level + 1}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (large_constant, "the constant .* has more than 16,777,216 values"),
        (large_variable, "the variable .* has more than"),
        (asset, "it needs a file 'passwords'"),
        (resource, "an object of kind resource"),
        (restore_function, "functions of its own to restore"),
        (second_graph, "several graphs"),
        (no_objects, "no object graph"),
        (unknown_operation, "has the operation 'MyOwnOperation'"),
        (named_like_an_operation, "a function has the name of an operation"),
        (
            called_by_its_name,
            "'__inference__traced_save_\\d+' has the operation",
        ),
        (implements, "has the attribute 'api_implements'"),
        (prefers_a_device, "has the attribute 'api_preferred_device'"),
        (saves_where_nobody_calls, "'__inference_other_1' has the operation"),
        (saves_twice, "'__inference__traced_save_\\d+' has the operation"),
        (two_of_one_name, "two functions have one name"),
        (calls_itself, "calls itself"),
        (doubles, "'level_0' has more than 20,000 nodes"),
    ],
)
def test_check_refuses_what_models_of_dflib_do_not_have(
    folder: Path, change: Callable[[Any], None], message: str
) -> None:
    graph_check.check(folder, "m")
    changed(folder, change)
    with pytest.raises(ModelError, match=f"^m: .*({message})"):
        graph_check.check(folder, "m")


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt", "assets/words.txt", "keras_metadata.pb"])
def test_check_refuses_other_files(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=f"m: holds '{name}', which no model of dflib has"):
        graph_check.check(folder, "m")


def test_check_refuses_a_large_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_check, "MAX_GRAPH_BYTES", 1000)
    with pytest.raises(ModelError, match="the limit is 1,000"):
        graph_check.check(folder, "m")
