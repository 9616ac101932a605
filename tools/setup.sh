#!/usr/bin/env bash
# Checks Python and Java, then makes .venv with the pinned packages. Does nothing where that is done.
# $PYTHON and $JAVA_HOME choose which ones are used; FOR_SPARK: see common.sh.
set -euo pipefail
me=setup
. "$(dirname "$0")/common.sh"

stamp=$venv/.setup-stamp
problems=() packages=()

# Prints "VERSION MISSING-MODULE..." of a Python; fails if it does not start.
probe_python() {
    "$1" - <<'PY' 2>/dev/null
import sys
missing = []
# Debian splits these off into python3-venv.
for module in ("venv", "ensurepip"):
    try:
        __import__(module)
    except ImportError:
        missing.append(module)
print(".".join(str(part) for part in sys.version_info[:3]), *missing)
PY
}

find_python() {
    local candidate found version missing seen=""
    local candidates=(python3 python3.13 python3.12 python3.11 python3.10)
    if [ -n "${PYTHON:-}" ]; then
        candidates=("$PYTHON") # asked for by name, so not replaced by another one
    elif has_whole_venv; then
        # Another python3 on PATH (cron's, an IDE's) is no reason to install all again.
        candidates=("$venv/bin/python" "${candidates[@]}")
    fi
    for candidate in "${candidates[@]}"; do
        found=$(probe_python "$candidate") || continue
        read -r version missing <<<"$found"
        case $version in
            3.10.* | 3.11.* | 3.12.* | 3.13.*) ;;
            *) seen="$seen${seen:+, }$candidate is $version"; continue ;;
        esac
        if [ -z "$missing" ]; then
            python=$candidate python_version=$version
            return
        fi
        seen="$seen${seen:+, }$candidate ($version) lacks $missing"
    done
    problems+=("Python 3.10 to 3.13 with venv (found: ${seen:-no ${candidates[0]} that runs})")
    packages+=(python3 python3-venv)
}

find_java() {
    local command banner seen
    command=$(java_command)
    # The line is found by its form: JVMs print notes of their own before it.
    banner=$("$command" -version 2>&1 | grep -E '^[^ ]+ version "' | head -n 1) || true
    java_version=$(sed -E 's/^[^"]*"(1\.)?([0-9]+).*/\2/' <<<"$banner")
    if [ -z "$java_version" ]; then
        seen="no java on PATH"
        if [ -n "${JAVA_HOME:-}" ]; then seen="JAVA_HOME=$JAVA_HOME, where no java runs"; fi
    elif [ "$java_version" -lt 17 ]; then
        seen="Java $java_version, $command"
    elif ! "$command" --list-modules 2>/dev/null | grep '^jdk\.incubator\.vector' >/dev/null; then
        seen="a cut-down Java $java_version without jdk.incubator.vector, $command"
    else
        return 0
    fi
    problems+=("a full Java 17 or newer (found: $seen)")
    packages+=(openjdk-17-jre-headless)
}

# The pins: for another Spark those that differ come in the place of the usual ones.
constraints() {
    if [ -z "$suffix" ]; then
        cat "$root/requirements/constraints.txt"
        return
    fi
    local other=$root/requirements/spark$suffix.txt
    grep -vE "^($(sed -nE 's/^([A-Za-z0-9_.-]+)==.*/\1/p' "$other" | paste -sd '|' -))==" \
        "$root/requirements/constraints.txt"
    cat "$other"
}

# What .venv depends on. First the folder, because a virtual environment cannot be moved, and the
# Python that it is for.
fingerprint() {
    echo "$venv ${python_version%.*}"
    constraints
    cat "$root/setup.py"
}

# An installation was completed in .venv, and its Python still runs.
has_whole_venv() {
    local version
    version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) &&
        [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$venv $version" ]
}

pip_install() {
    (cd "$root" && "$venv/bin/python" -m pip --disable-pip-version-check install \
        -c ".build/constraints$suffix.txt" "$@")
}

install_packages() {
    local log=$root/.build/setup$suffix.log
    mkdir -p "$root/.build"
    constraints >"$root/.build/constraints$suffix.txt"
    say "installing the pinned packages into ${venv##*/} (Python $python_version, Java $java_version; some minutes)"
    : >"$log"
    # On top of a whole one only the changes are installed; the remains of a broken one are dropped.
    if ! has_whole_venv || [ "$(head -n 1 "$stamp")" != "$(fingerprint | head -n 1)" ]; then
        # Through a link it would empty the environment of another clone.
        [ ! -L "$venv" ] || die "$venv is a link, and not of a whole environment for Python ${python_version%.*} here: remove it"
        "$python" -m venv --clear "$venv" >"$log" 2>&1 || fail_with "$log" "could not make ${venv##*/}"
    fi
    # Without build isolation, builds use the pinned setuptools too.
    {
        pip_install setuptools wheel &&
            pip_install --no-build-isolation -e '.[spark,mlflow,tune,report,dev]'
    } >>"$log" 2>&1 || fail_with "$log" "pip could not install the packages"
}

fail_with() {
    tail -n 20 "$1" >&2
    die "$2 (all of its output: $1)"
}

[ -z "$suffix" ] || [ -f "$root/requirements/spark$suffix.txt" ] ||
    die "FOR_SPARK=$FOR_SPARK: there is no requirements/spark$suffix.txt"
find_python
find_java
if [ ${#problems[@]} -gt 0 ]; then
    line="needs ${problems[0]}"
    if [ ${#problems[@]} -gt 1 ]; then line="$line and ${problems[1]}"; fi
    die "$line; on Debian or Ubuntu: sudo apt-get install ${packages[*]}"
fi

if has_whole_venv && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then
    say "${venv##*/} is up to date"
else
    install_packages
    fingerprint >"$stamp"
    say "${venv##*/} is ready"
fi
