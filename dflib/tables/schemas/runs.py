"""What runs found and how they used the machines."""

import pyarrow as pa

from dflib.tables.schemas.table import TIME, Table, column

CHECKS = Table(
    "checks",
    "Results of the data checks, by run",
    ("run_id", "name"),
    pa.schema(
        [
            column("run_id", pa.string(), "run that measured it", null=False),
            column("name", pa.string(), "the check with its bound, as configured", null=False),
            column("level", pa.string(), "what a value above the bound means: warn or fail", null=False),
            column("outcome", pa.string(), "PASSED, WARNED, FAILED or UNMEASURED", null=False),
            column("value", pa.float64(), "what was measured; null: there was nothing to measure"),
            column("bound", pa.float64(), "largest value that passes", null=False),
            column("detail", pa.string(), "what the value is about"),
            column("checked_at", TIME, "when it was measured (UTC)", null=False),
        ]
    ),
    volatile=("checked_at",),
)

TASKS = Table(
    "tasks",
    "Each task of extract, train and score: machine, device, duration and work done",
    ("run_id", "job", "wave", "task", "attempt"),
    pa.schema(
        [
            column("run_id", pa.string(), "as in runs", null=False),
            column("job", pa.string(), "extract, train or score", null=False),
            column("wave", pa.int32(), "wave of extract, or start of the workers of train, from 0", null=False),
            column("task", pa.int32(), "number of the partition, from 0", null=False),
            column("attempt", pa.int32(), "attempt of Spark at the task, from 0", null=False),
            column("host", pa.string(), "name of the machine", null=False),
            column("executor", pa.int64(), "process id of the daemon from which the executor forks its Python workers"),
            column("worker", pa.int64(), "process id of the Python worker"),
            column("gpu", pa.string(), "address of the GPU that Spark assigned; null: none"),
            column("device", pa.string(), "TensorFlow's name of the device that was used", null=False),
            column("note", pa.string(), "why no GPU was used"),
            column("started_at", TIME, "when it started (UTC)", null=False),
            column("seconds", pa.float64(), "wall-clock seconds", null=False),
            column("cpu_seconds", pa.float64(), "CPU seconds of the Python worker and of its processes", null=False),
            column(
                "peak_bytes", pa.int64(), "peak resident memory of the worker and its process since it started, bytes"
            ),
            column("videos", pa.int64(), "videos extracted, or whose faces were scored; 0 for train", null=False),
            column("faces", pa.int64(), "faces found, trained on or scored", null=False),
            column("bytes_read", pa.int64(), "bytes of videos read from storage; extract only"),
            column("requests", pa.int64(), "storage requests; extract only"),
            column(
                "retries",
                pa.int64(),
                "retries of storage requests made by Python; those of the JVM (S3A) are not counted",
            ),
            column("decode_seconds", pa.float64(), "CPU seconds of demuxing and decoding; extract only"),
            column("detect_seconds", pa.float64(), "CPU seconds of detection and cropping; extract only"),
            column(
                "loaded", pa.bool_(), "whether the task loaded the model, instead of reusing the worker's; score only"
            ),
        ]
    ),
)
