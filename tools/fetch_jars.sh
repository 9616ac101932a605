#!/usr/bin/env bash
# Puts the Delta Lake jars that jars.sha256 names into .jars/, and those that only tests need (a JDBC
# driver; test_jars.sha256) into .jars/test/. Does nothing where they are there and whole.
# Without a jar on disk, each Spark start would ask the network for it. FOR_SPARK: see common.sh.
set -euo pipefail
me=fetch_jars
. "$(dirname "$0")/common.sh"

work=$jars_folder/.fetch.$$
trap 'rm -rf "$work"' EXIT

fetch() { # GROUP NAME SUM FOLDER
    local group=$1 name=$2 sum=$3 folder=$4 artifact version ivy
    artifact=${name%-*} version=${name##*-}
    version=${version%.jar}
    need_venv
    # The Ivy that comes with Spark: one downloader less to install.
    ivy=$(echo "$venv"/lib/python*/site-packages/pyspark/jars/ivy-*.jar)
    [ -f "$ivy" ] || die "no Ivy in ${venv##*/}'s pyspark: run \`$make_setup\`"
    say "fetching $name"
    mkdir -p "$work" "$root/.build" "$folder"
    quietly "$root/.build/fetch_jars.log" "$(java_command)" -jar "$ivy" \
        -settings "$root/tools/ivysettings.xml" -cache "$work/cache" -notransitive -confs default \
        -dependency "$group" "$artifact" "$version" -retrieve "$work/[artifact]-[revision].[ext]" || true
    [ -f "$work/$name" ] || die "could not fetch $name from Maven's central repository (see .build/fetch_jars.log)"
    has_sum "$work/$name" "$sum" || die "$name was fetched, but its SHA-256 is not the one in tools"
    mv -f "$work/$name" "$folder/$name"
}

fetch_all() { # LIST FOLDER
    local sum name group
    while read -r sum name group; do
        has_sum "$2/$name" "$sum" || fetch "${group:-io.delta}" "$name" "$sum" "$2"
    done <"$1"
}

fetch_all "$jars_list" "$jars_folder"
fetch_all "$root/tools/test_jars.sha256" "$jars_folder/test"
say "${jars_folder##*/} is up to date"
