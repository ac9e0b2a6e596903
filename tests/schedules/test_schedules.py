"""The files of conf/schedules start commands that exist, and fit the schemas of what reads them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from dflib.cli.options import Options, parse
from dflib.steps import nightly

HOME = Path(__file__).parents[2]
SCHEDULES = HOME / "conf" / "schedules"
COMMAND = "/opt/dflib/spark-submit.sh nightly "


def parsed(arguments: list[str]) -> Options:
    """The options of a command line of nightly, after its name; exits when they are not valid."""
    return parse("nightly", "", arguments, nightly.JOB.all_arguments)


def manifest(name: str) -> dict[str, Any]:
    found = yaml.safe_load((SCHEDULES / name).read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_service_and_timer(tmp_path: Path) -> None:
    for path in SCHEDULES.glob("dflib-nightly.*"):
        # Only the command is not where it is installed.
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/dflib", str(HOME)))
    units = [str(tmp_path / f"dflib-nightly.{kind}") for kind in ("service", "timer")]
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_systemd_starts_a_night_and_retries_failures_only() -> None:
    lines = (SCHEDULES / "dflib-nightly.service").read_text().splitlines()
    start = next(line for line in lines if line.startswith("ExecStart="))
    assert parsed(shlex.split(start.removeprefix(f"ExecStart={COMMAND}"))).env == "local"
    assert "Restart=on-failure" in lines and "RestartPreventExitStatus=2 3" in lines


def test_crontab_starts_a_night() -> None:
    line = (SCHEDULES / "crontab").read_text().splitlines()[-1]
    found = re.fullmatch(r"(\S+ \S+ \* \* \*) dflib (.*?) (>>.*)", line)
    assert found is not None
    assert found[2].startswith(COMMAND) and parsed(shlex.split(found[2].removeprefix(COMMAND))).env == "local"
    assert "%" not in line, "cron ends a command at a percent sign"
    subprocess.run(["bash", "-n", "-c", found[2] + " " + found[3]], check=True)


def test_cronjob_fits_the_schema_and_retries_failures_only() -> None:
    job = manifest("kubernetes-cronjob.yml")
    kubernetes_validate.validate(job, "1.34", strict=True)
    spec = job["spec"]["jobTemplate"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"][0] == "nightly" and parsed(container["args"][1:]).env == "k8s"
    rule = spec["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob" and rule["onExitCodes"]["values"] == [2, 3]
    assert rule["onExitCodes"]["containerName"] == container["name"]


def test_cronjob_with_an_unknown_field_is_refused() -> None:
    job = manifest("kubernetes-cronjob.yml")
    job["spec"]["concurencyPolicy"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.34", strict=True)


def test_application_of_the_spark_operator_has_known_fields() -> None:
    """Names of the operator's API v1beta2, as its documentation lists them."""
    known = {
        "spec": {"schedule", "concurrencyPolicy", "successfulRunHistoryLimit", "failedRunHistoryLimit", "template"},
        "template": {
            *("type", "mode", "sparkVersion", "pythonVersion", "image", "mainApplicationFile", "arguments"),
            *("sparkConf", "restartPolicy", "driver", "executor"),
        },
        "driver": {"cores", "memory", "serviceAccount"},
        "executor": {"cores", "memory", "instances", "gpu"},
    }
    application = manifest("scheduled-spark-application.yml")
    assert application["apiVersion"] == "sparkoperator.k8s.io/v1beta2"
    template = application["spec"]["template"]
    assert set(application["spec"]) == known["spec"] and set(template) == known["template"]
    assert set(template["driver"]) == known["driver"] and set(template["executor"]) == known["executor"]
    assert template["mainApplicationFile"].endswith("/dflib/_jobs/nightly.py")
    assert template["sparkVersion"] in (HOME / "constraints.txt").read_text()
