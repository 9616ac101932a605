#!/usr/bin/env bash
# Puts the Delta Lake jars that jars.sha256 names into .jars/. Does nothing where they are there and whole.
# Without a jar on disk, each Spark start would ask the network for it.
set -euo pipefail
me=fetch_jars
. "$(dirname "$0")/common.sh"

work=$root/.jars/.fetch.$$
trap 'rm -rf "$work"' EXIT

fetch() { # NAME SUM
    local name=$1 sum=$2 artifact version ivy
    artifact=${name%-*} version=${name##*-}
    version=${version%.jar}
    need_venv
    # The Ivy that comes with Spark: one downloader less to install.
    ivy=$(echo "$venv"/lib/python*/site-packages/pyspark/jars/ivy-*.jar)
    [ -f "$ivy" ] || die "no Ivy in .venv's pyspark: run \`make setup\`"
    say "fetching $name"
    mkdir -p "$work" "$root/.build"
    quietly "$root/.build/fetch_jars.log" "$(java_command)" -jar "$ivy" \
        -settings "$root/tools/ivysettings.xml" -cache "$work/cache" -notransitive -confs default \
        -dependency io.delta "$artifact" "$version" -retrieve "$work/[artifact]-[revision].[ext]" || true
    [ -f "$work/$name" ] || die "could not fetch $name from Maven's central repository (see .build/fetch_jars.log)"
    has_sum "$work/$name" "$sum" || die "$name was fetched, but its SHA-256 is not the one in tools/jars.sha256"
    mv -f "$work/$name" "$root/.jars/$name"
}

while read -r sum name; do
    has_sum "$root/.jars/$name" "$sum" || fetch "$name" "$sum"
done <"$root/tools/jars.sha256"
say ".jars is up to date"
