#!/usr/bin/env bash
# Runs one dflib job: checks the configuration first, then starts Spark.
#
#   ./spark-submit.sh JOB [--env local] [--set section.key=value …] [--dry-run] [--deploy-mode client|cluster]
#                     [-- spark-submit options]
#   ./spark-submit.sh sql [--env local] [--set …] [-- -e "SELECT …"]       asks the tables by name
#   ./spark-submit.sh thrift [--env local] [--set sql.port=10000 …]        answers JDBC clients until it is stopped
#   ./spark-submit.sh history --set watch.events=FOLDER                    shows the event logs of jobs
#
# Variables: DFLIB_PYTHON the interpreter (default .venv/bin/python), DFLIB_EXECUTOR_PYTHON that of the executors where
# it is another, such as ./environment/bin/python out of spark.archives, DFLIB_JARS the folder of the Delta jars
# (default .jars/jars), DFLIB_BUILD where the packed code goes (default build), DFLIB_JAVA_OPTIONS more options for
# the driver's JVM, DFLIB_METASTORE_PASSWORD the password of a PostgreSQL metastore.
# Exit codes: 0 done, 1 failed, 2 bad usage or configuration.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${DFLIB_PYTHON:-$home/.venv/bin/python}
jars=${DFLIB_JARS:-$home/.jars/jars}

fail() { echo "spark-submit.sh: $1" >&2; exit 2; }

jobs=$(cd "$home/jobs" && ls -- *.py | sed 's/\.py$//' | grep -v '^_' | tr '\n' ' ')
tools="sql thrift history"
[ $# -gt 0 ] || fail "which job? one of: $jobs$tools"
job=$1; shift
script="$home/jobs/$job.py"
is_tool() { [[ " $tools " == *" $job "* ]]; }
is_tool || [ -f "$script" ] || fail "no job named '$job'; one of: $jobs$tools"
[ -x "$python" ] || fail "no Python at $python; run 'make setup', or set DFLIB_PYTHON"
ls "$jars"/*delta-spark*.jar >/dev/null 2>&1 || fail "no Delta jars in $jars; run 'make setup', or set DFLIB_JARS"
command -v java >/dev/null || [ -x "${JAVA_HOME:-}/bin/java" ] || fail "no Java; install a Java 17 runtime"

job_options=() spark_options=()
while [ $# -gt 0 ]; do
  if [ "$1" = -- ]; then shift; spark_options=("$@"); break; fi
  job_options+=("$1"); shift
done

# Classes as the JVM has parsed them once at set-up: seconds less at each start.
archive="$jars/../classes.jsa"
if [ -f "$archive" ] && [ -z "${DFLIB_JAVA_OPTIONS:-}" ]; then
  export DFLIB_JAVA_OPTIONS="-XX:SharedArchiveFile=$archive -Xlog:disable -Xlog:all=error:stderr"
fi

export DFLIB_JARS=$jars
# Of this shell only: YARN hands PYTHONPATH on to its containers, and dflib would come from a folder of this machine, if
# there is one of that name, and not out of the zip.
here() { PYTHONPATH="$home${PYTHONPATH:+:$PYTHONPATH}" "$python" "$@"; }
# Where the driver runs decides about more than Spark's option does, so it may stand on either side of --.
for ((i = 0; i < ${#spark_options[@]}; i++)); do
  case ${spark_options[i]} in
    --deploy-mode) job_options+=(--deploy-mode "${spark_options[i + 1]:-}");;
    --deploy-mode=* | *spark.submit.deployMode=*) job_options+=(--deploy-mode "${spark_options[i]##*=}");;
  esac
done
if is_tool; then check=(-m dflib.cli.job); job_options+=(--deploy-mode client); else check=("$script"); fi
settings=$(here "${check[@]}" --conf-dir "$home/conf" ${job_options[@]+"${job_options[@]}"})
mapfile -t settings <<<"$settings"
# Last comes what the driver is told: it needs no file of this machine.
application=${settings[-1]}; unset 'settings[-1]'
case $application in --application=*) ;; *) printf '%s\n' "${settings[@]}" "$application"; exit 0 ;; esac  # --help

# What the driver needs; executors get the same through spark.executorEnv of the properties file or the shell.
export SPARK_HOME PYSPARK_PYTHON=${DFLIB_EXECUTOR_PYTHON:-$python}
on_cluster() { [[ " ${settings[*]} " == *" --deploy-mode cluster "* ]]; }
on_cluster || export PYSPARK_DRIVER_PYTHON=$python
# On Kubernetes what the job brings is put onto S3 by this machine's JVM (spark.kubernetes.file.upload.path); not run.
on_kubernetes() { [[ " ${settings[*]} ${spark_options[*]:-} " == *k8s://* || " ${settings[*]} " == *"/spark/k8s.conf "* ]]; }
if on_kubernetes && on_cluster; then export SPARK_DIST_CLASSPATH="$jars/*"; fi
SPARK_HOME=$("$python" -c 'import importlib.util as u; print(u.find_spec("pyspark").submodule_search_locations[0])')
export TF_USE_LEGACY_KERAS=1 TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
export DFLIB_HOME=$home
# Spark puts pipes between the driver and the terminal; progress goes past them.
if [ -t 2 ]; then export DFLIB_TERMINAL=/dev/tty; fi

case $job in
  sql) exec "$SPARK_HOME/bin/spark-sql" "${settings[@]}" -S ${spark_options[@]+"${spark_options[@]}"};;
  thrift)
    exec "$SPARK_HOME/bin/spark-submit" "${settings[@]}" --name "dflib thrift" ${spark_options[@]+"${spark_options[@]}"} \
      --class org.apache.spark.sql.hive.thriftserver.HiveThriftServer2 spark-internal;;
  history)
    [[ "${settings[*]}" == *spark.history.fs.logDirectory=* ]] || fail "history: name the folder: --set watch.events=FOLDER"
    # The pages ask for no password.
    export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
    exec "$SPARK_HOME/bin/spark-submit" "${settings[@]}" ${spark_options[@]+"${spark_options[@]}"} \
      --class org.apache.spark.deploy.history.HistoryServer spark-internal;;
esac
package=$(here -m dflib.cli.package "${DFLIB_BUILD:-$home/build}")
command=("$SPARK_HOME/bin/spark-submit" "${settings[@]}" --py-files "$package" ${spark_options[@]+"${spark_options[@]}"}
  "$script" "$application")
on_cluster || exec "${command[@]}"
# Of a driver on the cluster spark-submit ends with 1 (YARN) or 0 (Kubernetes; not run), whatever it ended with, and tells
# that in words only.
log=$(mktemp); trap 'rm -f "$log"' EXIT
code=0
{ "${command[@]}" 2>&1 >&3 | tee "$log" >&2; } 3>&1 || code=$?
told=$(grep -oE 'User application exited with status [0-9]+' "$log" | tail -n 1) || true
[ "$code" = 0 ] || [ -z "$told" ] || code=${told##* }
if on_kubernetes && [ "$code" = 0 ]; then
  # Without a word of how its container ended it is not known to have done anything.
  told=$(grep -oE 'exit code: [0-9]+' "$log" | tail -n 1) || told=1
  code=${told##* }
fi
id=$(grep -oE 'application_[0-9]+_[0-9]+' "$log" | tail -n 1) || true
[ -z "$id" ] || echo "spark-submit.sh: ended with $code; what the driver said: yarn logs -applicationId $id" >&2
exit "$code"
