#!/usr/bin/env bash
# spark-submit with this project's defaults in front: library and jobs as a zip, Delta Lake, the Python of
# .venv, the properties of conf/spark/delta.conf and, in local mode (the default), those of
# conf/spark/local.conf. Takes all that spark-submit takes; what the caller says wins.
#   ./spark-submit.sh jobs/pipeline.py --config conf/complete_journey.yaml --as-of 2017-10-01
#   ./spark-submit.sh --master yarn --conf spark.executor.memory=8g jobs/pipeline.py ...
set -euo pipefail
me=spark-submit.sh
. "$(dirname "${BASH_SOURCE[0]}")/tools/common.sh"

# --- What does the caller say? -----------------------------------------------------------------

master="" deploy_mode="" properties_file=""
py_files=$root/.build/activityrec.zip jars="" class_path=""
caller=()

# spark-submit takes only the last of two lists, so that ours and the caller's become one.
read_option() { # OPTION VALUE
    case $1 in
        --py-files) py_files=$py_files,$2; return ;;
        --jars) jars=$jars,$2; return ;;
        --driver-class-path) class_path=$class_path:$2; return ;;
        --master | --remote) master=$2 ;;
        --deploy-mode) deploy_mode=$2 ;;
        --properties-file) properties_file=$2 ;;
        --conf | -c)
            case $2 in
                spark.submit.pyFiles=*) py_files=$py_files,${2#*=}; return ;;
                spark.jars=*) jars=$jars,${2#*=}; return ;;
                spark.driver.extraClassPath=*) class_path=$class_path:${2#*=}; return ;;
                spark.master=* | spark.remote=*) master=${2#*=} ;;
                spark.submit.deployMode=*) deploy_mode=${2#*=} ;;
            esac ;;
    esac
    caller+=("$1" "$2")
}

while [ $# -gt 0 ]; do
    case $1 in
        --help | -h | --version | --verbose | -v | --supervise | --usage-error | --load-spark-defaults)
            caller+=("$1"); shift ;;
        --*=*) read_option "${1%%=*}" "${1#*=}"; shift ;;
        -*)
            [ $# -gt 1 ] || die "$1 needs a value"
            read_option "$1" "$2"; shift 2 ;;
        *) break ;; # the job; what follows are its own arguments
    esac
done

# --- What do we add? ---------------------------------------------------------------------------

if [ -z "${SPARK_HOME:-}" ] || [ -z "${PYSPARK_PYTHON:-}" ]; then need_venv; fi
if [ -z "${SPARK_HOME:-}" ]; then
    SPARK_HOME=$(echo "$venv"/lib/python*/site-packages/pyspark)
fi
# Without these, Python workers are whatever python3 is on their PATH.
export SPARK_HOME PYSPARK_PYTHON=${PYSPARK_PYTHON:-$venv/bin/python}
export PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$PYSPARK_PYTHON}

delta_jars=""
while read -r _ name; do
    [ -f "$jars_folder/$name" ] || die "no ${jars_folder##*/}/$name yet: run \`$make_setup\`"
    delta_jars=$delta_jars${delta_jars:+,}$jars_folder/$name
done <"$jars_list"

# The properties file of the caller or of the cluster: spark-submit ranks it below --conf, but it
# ranks above our defaults.
if [ -z "$properties_file" ]; then
    properties_file=${SPARK_CONF_DIR:-$SPARK_HOME/conf}/spark-defaults.conf
fi
property() { # KEY: its value there, or nothing
    if [ -f "$properties_file" ]; then
        sed -nE "s/^[[:space:]]*${1//./\\.}[[:space:]=:]+(.*)/\1/p" "$properties_file" | tail -n 1
    fi
}
value=$(property spark.jars) && jars=$jars${value:+,$value}
value=$(property spark.driver.extraClassPath) && class_path=$class_path${value:+:$value}
value=$(property spark.submit.pyFiles) && py_files=$py_files${value:+,$value}
if [ -z "$deploy_mode" ]; then deploy_mode=$(property spark.submit.deployMode); fi

ours=()
add_conf() { # KEY VALUE
    if [ -z "$(property "$1")" ]; then ours+=(--conf "$1=$2"); fi
}
add_conf_file() { # FILE
    local key value
    while read -r key value; do
        case $key in '' | '#'*) continue ;; esac
        add_conf "$key" "$value"
    done <"$1"
}

add_conf_file "$root/conf/spark/delta.conf"
where=$master$(property spark.master)$(property spark.remote)
if [ -z "$where" ]; then ours+=(--master 'local[*]'); fi
if [ -z "$where" ] || [[ $where == local* ]]; then
    add_conf_file "$root/conf/spark/local.conf"
    # Spark warns at each start where the host's name is a loopback address, and uses this one then.
    export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
fi
# A driver on another machine does not have our files.
if [ "$deploy_mode" != cluster ]; then
    # The threads of the Thrift Server do not see --jars.
    class_path=${delta_jars//,/:}$class_path
    # default, not extra: the caller's extraJavaOptions come after it instead of replacing it.
    add_conf spark.driver.defaultJavaOptions "\"-Dlog4j2.configurationFile=$root/conf/spark/log4j2.properties\""
fi

# --- The library as a zip, made anew when a source is newer; with the jobs, which import each other

zip=$root/.build/activityrec.zip
# Folders count too: their time changes when a file is deleted.
if [ ! -f "$zip" ] || [ -n "$(find "$root/spark-submit.sh" "$root/lib/activityrec" "$root/jobs" -name __pycache__ -prune -o -newer "$zip" -print)" ]; then
    mkdir -p "$root/.build"
    builder=$venv/bin/python
    [ -x "$builder" ] || builder=python3
    "$builder" - "$root" "$zip" <<'PY'
import os
import sys
import zipfile
from pathlib import Path

root, target = Path(sys.argv[1]), sys.argv[2]
temporary = f"{target}.{os.getpid()}"
with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
    for folder, what in ((root / "lib", "activityrec/**/*"), (root / "jobs", "*.py")):
        for path in sorted(folder.glob(what)):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(folder))
# A run that starts meanwhile sees the old zip or the new one, never half of it.
os.replace(temporary, target)
PY
fi

class_path=${class_path#:}
if [ -n "$class_path" ]; then ours+=(--driver-class-path "$class_path"); fi

exec "$SPARK_HOME/bin/spark-submit" "${ours[@]}" --py-files "$py_files" --jars "$delta_jars$jars" \
    ${caller[@]+"${caller[@]}"} "$@"
