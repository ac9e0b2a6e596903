"""dflib's nightly run as an Airflow DAG: what is new, the run, the gate on its verdicts, a notice.

For Airflow 3.1 or newer with apache-airflow-providers-apache-spark. Airflow and dflib have an environment each: dflib
prints what it would hand to spark-submit (``--print-submit``), and the Spark provider starts that.

Set on the scheduler and the workers:

- ``DFLIB_COMMAND``: the ``dflib`` command or the spark-submit.sh of a checkout; default: ``dflib`` of the PATH.
- ``DFLIB_SUMMARIES``: a folder that the drivers and the Airflow workers share, for the summaries as JSON.
- The connection ``spark_default``: its host is the master, such as ``spark://host:7077`` or ``local[*]``.
- The pool ``dflib_gpu``: one slot for each run that may use the GPUs at the same time.
"""

import glob
import json
import os
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Asset, AssetAlias, AsyncCallback, DeadlineAlert, DeadlineReference, Param, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

COMMAND = os.environ.get("DFLIB_COMMAND", "dflib")
SUMMARIES = os.environ.get("DFLIB_SUMMARIES", "/tmp/dflib-summaries")
POOL = "dflib_gpu"
DONE, FAILED, USAGE, ATTENTION = 0, 1, 2, 3
"""Exit codes of dflib."""
TABLES = AssetAlias("dflib_tables")
"""The tables that a night has changed: one asset each, with its new version."""
NOT_OPTIONS = ("spark_home", "master")
"""What ``--print-submit`` prints that is no argument of the operator; the connection names the master."""


class DflibOperator(SparkSubmitOperator):
    """Runs a job of dflib.

    Only exit code 1 is worth a retry: 2 is a mistake in the parameters, and 3 says that the job is done but somebody
    should look.

    Args:
        job: its name.
        options: of its command line, may be templates; empty ones are left out.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "options")

    def __init__(self, *, job: str, options: list[str], **kwargs: Any) -> None:
        super().__init__(application=job, name=f"dflib {job}", durable=False, **kwargs)
        self.job = job
        self.options = options

    def execute(self, context: Any) -> int:
        command = [COMMAND, self.job, *(option for option in self.options if option), "--print-submit"]
        printed = subprocess.run(command, capture_output=True, text=True, check=False)
        if printed.returncode != DONE:
            raise AirflowFailException(f"{' '.join(command)}: exit code {printed.returncode}: {printed.stderr.strip()}")
        submit = json.loads(printed.stdout)
        path = f"{submit['spark_home']}/bin{os.pathsep}{os.environ.get('PATH', '')}"
        submit["env_vars"] |= {"PATH": path}
        for name, value in submit.items():
            if name not in NOT_OPTIONS:
                setattr(self, "_deploy_mode" if name == "deploy_mode" else name, value)
        try:
            super().execute(context)
        except AirflowException as error:
            found = re.search(r"Error code is: (\d+)", str(error))
            code = int(found[1]) if found else FAILED
            if code == ATTENTION:
                return ATTENTION
            if code == USAGE:
                raise AirflowFailException(f"{self.job}: the parameters or the configuration are wrong") from error
            raise
        return DONE


def summary_file(run_id: str, attempt: int) -> Path:
    """Where an attempt at a night leaves its summary."""
    return Path(SUMMARIES) / f"{re.sub(r'[^A-Za-z0-9._-]', '_', run_id)}.{attempt:02d}.json"


def read_summary(run_id: str) -> dict[str, Any] | None:
    """The summary of a night; None when it has none, as after a dry run or a crash.

    After a retry it is that of the last attempt, with the tables that earlier ones changed.
    """
    first = summary_file(run_id, 0)
    paths = sorted(first.parent.glob(f"{glob.escape(first.name.removesuffix('00.json'))}[0-9][0-9].json"))
    summaries = [json.loads(path.read_text()) for path in paths]
    tables = {name: version for summary in summaries for name, version in summary["tables"].items()}
    return summaries[-1] | {"tables": tables} if summaries else None


async def deadline_missed(**kwargs: Any) -> None:
    """Replace this by a notifier of yours; it runs in the triggerer."""
    print("dflib_nightly is late: it has not ended within its deadline", kwargs)


with DAG(
    "dflib_nightly",
    description="Ingests, extracts, scores, checks and reports what is new",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=8),
        callback=AsyncCallback(deadline_missed),
    ),
    user_defined_macros={"summary_file": summary_file},
    params={
        "env": Param("local", type="string", pattern="^[A-Za-z0-9_-]+$", description="conf/env/<env>.yml"),
        "chunks": Param([], type="array", items={"type": "string"}, description="URIs of chunks; none: as configured"),
        "models": Param("aliased", type="string", minLength=1, description="aliased, an alias or a model_id"),
        "dry_run": Param(False, type="boolean", description="reports what would be done and does nothing"),
    },
    doc_md=__doc__,
    tags=["dflib"],
) as dag:
    ENV = ["--env", "{{ params.env }}"]
    # As JSON, which the command reads as YAML: a list, or text with commas.
    CHUNKS = ["{{ '--set' if params.chunks }}", "{{ 'sources.chunks=' ~ params.chunks | tojson if params.chunks }}"]

    new_chunks = DflibOperator(
        task_id="new_chunks", job="ingest", options=[*ENV, *CHUNKS, "--dry-run"], doc="What ingest would find."
    )
    night = DflibOperator(
        task_id="night",
        job="nightly",
        options=[
            *ENV,
            *CHUNKS,
            *("--model", "{{ params.models }}"),
            "{{ '--dry-run' if params.dry_run }}",
            *("--summary", "{{ summary_file(run_id, ti.try_number) }}"),
        ],
        pool=POOL,
        # Also when new_chunks failed: one chunk that can't be read keeps the night from nothing else.
        trigger_rule="all_done",
    )

    @task.short_circuit(ignore_downstream_trigger_rules=False, retries=0)
    def gate(run_id: str) -> bool:
        """Passes when the verdicts of this night are current; they are not when dflib holds them."""
        summary = read_summary(run_id)
        return summary is not None and summary["outcome"] != "FAILED" and not summary["held_videos"]

    @task(outlets=[TABLES], retries=0)
    def publish(run_id: str, outlet_events: Any) -> list[str]:
        """One event for each table that this night has changed, for DAGs that wait for one."""
        summary = read_summary(run_id)
        changed = summary["tables"] if summary else {}
        for name, version in changed.items():
            asset = Asset(f"dflib_{name}", uri=f"dflib://tables/{name}")
            outlet_events[TABLES].add(asset, extra={"version": version})
        return sorted(changed)

    @task(trigger_rule="all_done", retries=0)
    def notify(run_id: str, ti: Any, params: dict[str, Any]) -> str:
        """Says how the night was; fails when it did. Replace the print by a notifier of yours."""
        summary = read_summary(run_id)
        if summary is None:
            if params["dry_run"] and ti.xcom_pull(task_ids="night") == DONE:
                return "dry run"
            raise AirflowFailException("the night left no summary: see the log of the task night")
        lines = [f"{name}: {step['error'] or step['line'] or 'nothing new'}" for name, step in summary["steps"].items()]
        text = "\n".join([f"dflib: {summary['outcome']}", *summary["attention"], *lines])
        if summary["outcome"] == "FAILED":
            raise AirflowFailException(text)
        print(text)
        return text

    passed, told = gate(), notify()
    new_chunks >> night >> passed >> publish() >> told
    night >> told
