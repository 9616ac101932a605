# shellcheck shell=bash
# Sourced by the scripts beside it, after they set `me`, the name that their messages start with.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# FOR_SPARK=4.0 chooses a second environment beside the usual one, with that Spark and its Delta Lake;
# requirements/spark-4.0.txt and tools/jars-4.0.sha256 say what differs.
suffix=${FOR_SPARK:+-$FOR_SPARK}
venv=$root/.venv$suffix
jars_folder=$root/.jars$suffix
jars_list=$root/tools/jars$suffix.sha256
make_setup="make setup${FOR_SPARK:+-$FOR_SPARK}"

say() { printf '%s: %s\n' "$me" "$*"; }
die() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }

sha256_of() {
    # macOS has shasum instead
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# has_sum FILE SUM: FILE exists and has that SHA-256
has_sum() { [ -f "$1" ] && [ "$(sha256_of "$1")" = "$2" ]; }

need_venv() { [ -x "$venv/bin/python" ] || die "no ${venv##*/} yet: run \`$make_setup\`"; }

# quietly LOG COMMAND...: the command's output goes to LOG only
quietly() { local log=$1; shift; "$@" >"$log" 2>&1 </dev/null; }

# Spark's choice: JAVA_HOME when it is set, else PATH
java_command() { if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else echo java; fi; }
