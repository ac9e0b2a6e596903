#!/usr/bin/env bash
# The dflib command of a checkout: ./spark-submit.sh help lists the jobs. All of it is in dflib/cli.
#
#   ./spark-submit.sh JOB [--env local] [--set section.key=value …] [--dry-run] [--verbose]
#                     [--deploy-mode client|cluster] [-- spark-submit options]
#   ./spark-submit.sh sql [--env local] [--set …] [-- -e "SELECT …"]
#
# Variables: DFLIB_PYTHON the interpreter (default .venv/bin/python), DFLIB_EXECUTOR_PYTHON that of the executors where
# it differs, such as ./environment/bin/python of spark.archives, DFLIB_CONF the folder of the configuration (default
# conf), DFLIB_JARS the folder of the jars (default .jars/jars), DFLIB_BUILD the folder for packed code (default build),
# DFLIB_JAVA_OPTIONS more options for the driver's JVM, DFLIB_METASTORE_PASSWORD the password of a PostgreSQL metastore,
# DFLIB_SPARK_SECRET the secret of a standalone cluster.
# Exit codes: 0 done, 1 failed, 2 bad usage or configuration, found before Spark starts; 130 and 143 stopped by Ctrl-C and
# SIGTERM.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${DFLIB_PYTHON:-$home/.venv/bin/python}
[ -x "$python" ] || { echo "spark-submit.sh: no Python at $python; run 'make setup', or set DFLIB_PYTHON" >&2; exit 2; }
# Not by PYTHONPATH: YARN hands it on to its containers, where dflib must come from the zip.
exec "$python" -c 'import sys; sys.path[0] = sys.argv.pop(1); from dflib.cli.main import main; main()' "$home" "$@"
