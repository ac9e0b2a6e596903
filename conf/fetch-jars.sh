#!/usr/bin/env bash
# Fetches the jars beside Spark's own into FOLDER/jars, with Spark's Ivy, once at set-up: jobs then start offline.
# usage: conf/fetch-jars.sh FOLDER SPARK_SUBMIT PYTHON
set -euo pipefail
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
aws=2.25.53
packages=(
  io.delta:delta-spark_2.13:4.0.1
  # S3 for the JVM: the parts of the AWS SDK that S3A uses, in place of its bundle of 558 MB.
  org.apache.hadoop:hadoop-aws:3.4.1
  software.amazon.awssdk:{s3,s3-transfer-manager,sts,apache-client,netty-nio-client}:$aws
  # Spark's way to S3A's committers. It is not published for each patch of Spark; any of 4.0 fits.
  org.apache.spark:spark-hadoop-cloud_2.13:4.0.1
  # A team's metastore.
  org.postgresql:postgresql:42.7.8
)
# The bundle, and what Spark has already.
excluded=(software.amazon.awssdk:bundle io.netty:\* org.slf4j:\* org.wildfly.openssl:\* commons-logging:\*
  org.apache.httpcomponents:\* commons-codec:\* org.antlr:\* org.checkerframework:\*
  # Of spark-hadoop-cloud only the jar itself.
  org.apache.spark:spark-core_2.13 org.scala-lang:\* org.scala-lang.modules:\* joda-time:\* com.google.\*:\*
  com.fasterxml.\*:\* org.apache.hadoop:hadoop-{client-api,client-runtime,annotations,azure,azure-datalake,cloud-storage,aliyun,cos,huaweicloud}
  com.squareup.\*:\* org.eclipse.jetty:\* org.apache.hadoop.thirdparty:\*)
comma() { local IFS=,; echo "$*"; }
printf 'print("fetched")\n' >"$work/noop.py"
PYSPARK_PYTHON=$3 "$2" --conf spark.jars.ivy="$folder" --packages "$(comma "${packages[@]}")" \
  --exclude-packages "$(comma "${excluded[@]}")" "$work/noop.py" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
for jar in delta-spark hadoop-aws hadoop-cloud postgresql; do ls "$folder"/jars/*"$jar"*.jar >/dev/null; done
