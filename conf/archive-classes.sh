#!/usr/bin/env bash
# Writes FOLDER/classes.jsa, the classes that a small Delta session loads (Java's class data sharing), which
# spark-submit.sh hands to every driver. Without the file, or with another Java, all works the same, only slower.
set -euo pipefail
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
table="delta.\`$work/t\`"
DFLIB_JARS="$folder/jars" DFLIB_JAVA_OPTIONS="-XX:ArchiveClassesAtExit=$folder/classes.jsa -Xlog:disable" \
  "$(dirname "$0")/../spark-submit.sh" sql --set "tables.root=$work/tables" -- -e "
CREATE TABLE $table (id BIGINT NOT NULL, name STRING) USING delta;
INSERT INTO $table VALUES (1, 'a'), (2, 'b');
MERGE INTO $table t USING (SELECT id + 1 AS id, name FROM $table) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *;
SELECT name, count(DISTINCT id) FROM $table GROUP BY name;
DESCRIBE HISTORY $table;
CREATE DATABASE d; SHOW TABLES IN d;" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
