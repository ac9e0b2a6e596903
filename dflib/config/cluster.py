"""Sections about the cluster: its devices, what is watched, and what a run would cost."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dflib.config.section import Positive, Section, Uri


class MonitoringConfig(Section):
    """What a running job exposes, and leaves for ``dflib history``."""

    event_log: Uri | None
    """Folder of Spark's event logs; null: none are written."""
    ui_port: Annotated[int, Field(ge=1, le=65535)] | None
    """Port of Spark's web page, with ``/metrics/prometheus`` and ``/metrics/executors/prometheus``; null: no page."""


class ClusterConfig(Section):
    """Devices of tasks."""

    gpu: Literal["auto", "required", "off"]
    """auto: a GPU where a task has one, otherwise the CPU; required: a task without one fails; off: the CPU."""
    tasks_per_gpu: Positive
    """Tasks of extract and score that share one GPU."""
    gpu_memory_mib: Positive | None
    """GPU memory that one task may use, MiB; null: no limit, for one task a GPU only."""

    @model_validator(mode="after")
    def _agrees(self) -> "ClusterConfig":
        if self.tasks_per_gpu > 1 and self.gpu_memory_mib is None:
            raise ValueError(
                f"tasks_per_gpu={self.tasks_per_gpu} tasks share a GPU's memory; set gpu_memory_mib to the MiB "
                "that each may use"
            )
        return self


class EstimateConfig(Section):
    """The cluster for which ``estimate`` computes time and cost."""

    cores: Positive
    """Cores of all executors."""
    task_cores: Positive
    """Cores of one task (``spark.task.cpus``)."""
    gpus: Annotated[int, Field(ge=0)]
    """GPUs of all executors."""
    core_hour: Annotated[float, Field(ge=0)] | None
    """Price of one core for one hour, in any unit; null: not counted."""
    gpu_hour: Annotated[float, Field(ge=0)] | None
    """Price of one GPU for one hour, in the same unit; null: not counted."""
