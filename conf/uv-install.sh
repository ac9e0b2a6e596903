#!/usr/bin/env bash
# Installs packages with uv, which downloads them in parallel, unlike pip.
# usage: conf/uv-install.sh PYTHON ARGUMENT…      PYTHON of an environment with uv
set -euo pipefail
python=$1; shift
# uv reads none of pip's settings, so its indexes are passed on.
pip_setting() {
  local variable=PIP_${1^^}; variable=${variable//-/_}
  echo "${!variable:-$("$python" -m pip config get "global.$1" 2>/dev/null || true)}"
}
index=$(pip_setting index-url) more=$(pip_setting extra-index-url) links=$(pip_setting find-links)
[ -z "$index" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
[ -z "$more" ] || export UV_INDEX=${UV_INDEX:-$more}
[ -z "$links" ] || export UV_FIND_LINKS=${UV_FIND_LINKS:-$links}
exec "$(dirname "$python")/uv" pip install --quiet --native-tls --python "$python" "$@"
