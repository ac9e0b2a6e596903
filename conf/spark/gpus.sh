#!/usr/bin/env bash
# Lists the GPUs of this machine for Spark, as spark.worker.resource.gpu.discoveryScript (standalone) or
# spark.executor.resource.gpu.discoveryScript (YARN, Kubernetes). DFLIB_GPUS="0 1" replaces the answer of nvidia-smi.
set -euo pipefail
addresses=${DFLIB_GPUS-$(nvidia-smi --query-gpu=index --format=csv,noheader)}
list=$(for address in $addresses; do printf '"%s",' "$address"; done)
printf '{"name": "gpu", "addresses": [%s]}\n' "${list%,}"
