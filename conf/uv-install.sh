#!/usr/bin/env bash
# Installs as pip does, by uv: it fetches side by side what pip fetches one after another.
# usage: conf/uv-install.sh PYTHON ARGUMENT…      of an environment that has uv
set -euo pipefail
python=$1; shift
# Where pip is told to look uv looks too; it reads none of pip's own settings.
told() {
  local variable=PIP_${1^^}; variable=${variable//-/_}
  echo "${!variable:-$("$python" -m pip config get "global.$1" 2>/dev/null || true)}"
}
index=$(told index-url) more=$(told extra-index-url) links=$(told find-links)
[ -z "$index" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
[ -z "$more" ] || export UV_INDEX=${UV_INDEX:-$more}
[ -z "$links" ] || export UV_FIND_LINKS=${UV_FIND_LINKS:-$links}
exec "$(dirname "$python")/uv" pip install --quiet --native-tls --python "$python" "$@"
