"""Runs the DAG once in this process, by a real Airflow, and prints what became of it as JSON; started by a test.

Arguments: the folder of the DAG, the parameters of the run as JSON, its logical date.
"""

import json
import sys
from datetime import UTC, datetime

sys.path.insert(0, sys.argv[1])

from dflib_nightly import dag


def main() -> None:
    deadlines = dag.deadline or []
    # dag.test() writes no alerts to the data base, and then looks for them there (Airflow 3.3.2).
    dag.deadline = None
    date = datetime.fromisoformat(sys.argv[3]).replace(tzinfo=UTC)
    run = dag.test(logical_date=date, run_conf=json.loads(sys.argv[2]))
    instances = run.get_task_instances()
    print(json.dumps({
        "state": str(run.state),
        "tasks": {instance.task_id: str(instance.state) for instance in instances},
        "tries": {instance.task_id: instance.try_number for instance in instances},
        "deadlines": [alert.interval.total_seconds() for alert in deadlines],
        "pools": {instance.task_id: instance.pool for instance in instances},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
