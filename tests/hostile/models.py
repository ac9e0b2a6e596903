"""A corpus of SavedModels as they lie in storage: damaged, replaced, links, and operations that reach outside.

Each is registered as it is, with its own hash, except where its files are replaced after that.
"""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dflib.errors import DflibError
from dflib.models import networks, registry, saved_model
from dflib.models.model_files import folder_sha256
from dflib.runtime.tensorflow_setup import tensorflow
from dflib.storage import Storage
from tests.hostile.census import Census
from tests.hostile.damage import damaged

SEED = 14
DAMAGED = 60
"""Number of folders with one damaged file."""

GREY = np.full((2, 16, 16, 3), 127, np.uint8)


class Corpus:
    """Makes models below a folder; ``canary`` is a file that must never exist."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.canary, self.temporary = folder / "canary", folder / "tmp"
        self.temporary.mkdir()
        tempfile.tempdir = str(self.temporary)
        tensorflow().keras.utils.set_random_seed(SEED)
        self.network = networks.build("meso4", 16)
        self.whole = folder / "whole"
        saved_model.save(self.network, self.whole, 16, "fake")
        self.score = saved_model.load(self.whole)(GREY)

    def copy(self) -> Path:
        self.number += 1
        return Path(shutil.copytree(self.whole, self.folder / str(self.number)))

    def judge(self, folder: Path, sha256: str | None = None, harmless: bool = False) -> str:
        """``right`` when the model's score is that of the whole one, or, if its weights are damaged, a probability."""
        before = set(self.folder.iterdir())
        try:
            registry._loaded.clear()
            score, _ = registry.open_model(Storage(), f"file://{folder}", sha256 or folder_sha256(folder))
            p_fake = score(GREY)
        except DflibError as error:
            outcome = "refused" if str(folder) in str(error) else f"names no place: {error}"
        else:
            equal = p_fake.shape == (2,) and np.allclose(p_fake, self.score, atol=1e-6)
            outcome = "right" if equal or harmless else f"another score: {p_fake}"
        finally:
            if set(self.folder.iterdir()) != before or any(self.temporary.glob("dflib-*")):
                outcome = "left files behind"
        return outcome


def save(folder: Path, compute: Callable[[Any, Any], Any]) -> Path:
    """A model that scores with ``compute(tensorflow, images)``."""
    tf = tensorflow()
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.uint8, "images")])
    def score(images: Any) -> dict[str, Any]:
        return {"p_fake": compute(tf, tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3]) / 255.0)}

    module.score = score
    tf.saved_model.save(module, str(folder), signatures={saved_model.SIGNATURE: score.get_concrete_function()})
    return folder


def operations(canary: str) -> dict[str, Callable[[Any, Any], Any]]:
    """What a graph can do besides computing."""

    def after(tf: Any, operation: Any, mean: Any) -> Any:
        with tf.control_dependencies([operation]):
            return tf.identity(mean)

    return {
        "write": lambda tf, mean: after(tf, tf.io.write_file(canary, "x"), mean),
        "read": lambda tf, mean: mean + tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32),
        "match": lambda tf, mean: mean + tf.cast(tf.size(tf.io.matching_files("/etc/*")), tf.float32),
        "save": lambda tf, mean: after(
            tf,
            tf.raw_ops.SaveV2(prefix=canary, tensor_names=["a"], shape_and_slices=[""], tensors=[mean]),
            mean,
        ),
        "restore": lambda tf, mean: (
            mean
            + tf.raw_ops.RestoreV2(prefix="/tmp/x", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0]
        ),
        "python": lambda tf, mean: tf.reshape(tf.py_function(lambda value: value, [mean], tf.float32), [-1]),
        "numpy": lambda tf, mean: tf.reshape(tf.numpy_function(lambda value: value, [mean], tf.float32), [-1]),
        "print": lambda tf, mean: after(tf, tf.print(mean, output_stream=f"file://{canary}"), mean),
        "loop": lambda tf, mean: tf.while_loop(lambda value: True, lambda value: [value], [mean])[0],
        "branch": lambda tf, mean: tf.cond(
            mean[0] < 2, lambda: after(tf, tf.io.write_file(canary, "x"), mean), lambda: mean
        ),
        "nested": lambda tf, mean: tf.function(lambda value: after(tf, tf.io.write_file(canary, "x"), value))(mean),
        "data set": lambda tf, mean: mean + tf.cast(tf.data.Dataset.from_tensor_slices([1]).cardinality(), tf.float32),
        "decode": lambda tf, mean: mean + tf.cast(tf.size(tf.io.decode_raw(tf.constant("abcd"), tf.uint8)), tf.float32),
        "map": lambda tf, mean: tf.map_fn(lambda value: value, mean),
    }


def graphs(corpus: Corpus) -> Iterator[Path]:
    """Graphs that were changed as a message: links between functions, large shapes, other kinds of objects."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    def changed(change: Callable[[Any], object]) -> Path:
        folder = corpus.copy()
        model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        change(model.meta_graphs[0])
        (folder / "saved_model.pb").write_bytes(model.SerializeToString())
        return folder

    def functions(graph: Any, operation: str) -> Any:
        library = graph.graph_def.library.function
        return next(function for function in library if any(node.op == operation for node in function.node_def))

    def constant(graph: Any, number: int) -> Any:
        nodes = [node for function in graph.graph_def.library.function for node in function.node_def]
        return [node for node in nodes if node.op == "Const"][number].attr["value"].tensor

    def enlarge(shape: Any) -> None:
        del shape.dim[:]
        for _ in range(3):
            shape.dim.add().size = 1 << 20

    for operation in ("WriteFile", "ReadFile", "PyFunc", "EagerPyFunc", "MyOwnOperation", ""):
        yield changed(lambda graph, op=operation: functions(graph, "Conv2D").node_def.add(name="x", op=op))
    yield changed(
        lambda graph: functions(graph, "Conv2D").node_def.add(name="x", op=functions(graph, "SaveV2").signature.name)
    )
    for node in range(3):
        yield changed(lambda graph, number=node: enlarge(constant(graph, number).tensor_shape))
        yield changed(
            lambda graph, number=node: enlarge(
                [node for node in graph.object_graph_def.nodes if node.HasField("variable")][number].variable.shape
            )
        )
    yield changed(lambda graph: graph.asset_file_def.add(filename="/etc/passwd"))
    yield changed(lambda graph: graph.object_graph_def.nodes.add().resource.SetInParent())
    yield changed(lambda graph: graph.object_graph_def.nodes.add().asset.SetInParent())
    yield changed(lambda graph: graph.ClearField("object_graph_def"))
    yield changed(lambda graph: graph.object_graph_def.nodes[0].children.add(node_id=99_999, local_name="x"))
    yield changed(lambda graph: graph.object_graph_def.concrete_functions.clear())
    yield changed(lambda graph: graph.signature_def.clear())


def files(corpus: Corpus) -> Iterator[tuple[Path, str | None]]:
    """Folders whose files were replaced after they were hashed, are missing, or are links or special files."""
    sha256 = folder_sha256(corpus.whole)
    for name in ("saved_model.pb", "fingerprint.pb", "variables/variables.index"):
        replaced = corpus.copy()
        (replaced / name).write_bytes(b"replaced")
        yield replaced, sha256
        linked = corpus.copy()
        (linked / name).unlink()
        (linked / name).symlink_to(corpus.whole / name)
        yield linked, sha256
        if name != "fingerprint.pb":
            missing = corpus.copy()
            (missing / name).unlink()
            yield missing, None
            yield missing, sha256
    without = corpus.copy()
    shutil.rmtree(without / "variables")
    yield without, None
    (without / "variables").symlink_to(corpus.whole / "variables")
    yield without, sha256
    for name in ("saved_model.cpb", "saved_model.pbtxt"):
        other = corpus.copy()
        (other / "saved_model.pb").rename(other / name)
        yield other, None
    pipe = corpus.copy()
    os.mkfifo(pipe / "variables" / "pipe")
    yield pipe, sha256


def take(census: Census, folder: Path) -> None:
    corpus = Corpus(folder)
    census.add(lambda: corpus.judge(corpus.copy()))
    for name, compute in operations(str(corpus.canary)).items():
        made = save(folder / name, compute)
        census.add(lambda made=made: corpus.judge(made))
    for made in graphs(corpus):
        census.add(lambda made=made: corpus.judge(made))
    for made, sha256 in files(corpus):
        census.add(lambda made=made, sha256=sha256: corpus.judge(made, sha256))
    numbers = random.Random(SEED)
    for _ in range(DAMAGED):
        made = corpus.copy()
        paths = sorted(path for path in made.rglob("*") if path.is_file())
        path = numbers.choice(paths)
        path.write_bytes(damaged(path.read_bytes(), numbers))
        weights = path.name.startswith("variables.data")
        census.add(lambda made=made, weights=weights: corpus.judge(made, harmless=weights))
    if corpus.canary.exists() or list(folder.glob("canary*")):
        census.add(lambda: "a graph wrote a file")


if __name__ == "__main__":
    taken = Census()
    take(taken, Path(sys.argv[1]))
    print(taken.json())
