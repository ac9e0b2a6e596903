#!/usr/bin/env bash
# Prints one line if Python 3.11 or 3.12, or Java 17 or 21, is missing. With "python": prints the Python to use.
set -u
python=""
for name in "${PYTHON:-python3.11}" python3.11 python3.12 python3; do
  version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
  case $version in 3.11|3.12) python=$(command -v "$name"); break;; esac
done
if [ -z "$python" ]; then
  echo "Python 3.11 or 3.12 is needed and was not found (python3 is $(python3 --version 2>&1)): install python3.11 and python3.11-venv, or name one with PYTHON=/path/to/python3.11" >&2
  exit 2
fi
if [ "${1:-}" = python ]; then echo "$python"; exit 0; fi
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
version=$("$java" -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+)[."-].*/\2/p' | head -1)
case $version in
  17|21) ;;
  "") echo "Java 17 or 21 is needed and '$java' was not found: install a Java 17 runtime (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME" >&2; exit 2;;
  *) echo "Java 17 or 21 is needed and '$java' is Java $version: install a Java 17 runtime (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME" >&2; exit 2;;
esac
