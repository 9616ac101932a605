"""Audiences as files for campaign tools: one file an activity, and a manifest that names them.

The manifest is the commit: it is replaced last, in one step, and names the folder of its files.
Readers that follow it see one whole publication. The folder that it named before stays until the
next export, for those who are reading.
"""

import json
import re
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config_export import FilesConfig
from activityrec.files import Files
from activityrec.lakehouse import Lakehouse
from activityrec.serving.exports.publications import Publication

MANIFEST = "manifest.json"
COLUMNS = ("user_id", "rank", "score", "probability")


def export(
    lakehouse: Lakehouse, config: FilesConfig, audiences: DataFrame, publication: Publication
) -> int | None:
    """Write the audiences of a publication; None where the manifest names it already.

    Parameters
    ----------
    audiences
        Its rows of ``serving.audiences``.

    Returns
    -------
    int or None
        Rows written.
    """
    files = lakehouse.files
    before = read_manifest(files, config.path)
    mark = {"run_id": publication.run_id, "published_ts": publication.published_ts.isoformat()}
    if before is not None and {name: before[name] for name in mark} == mark:
        return None
    folder = f"{publication.published_ts:%Y%m%dT%H%M%S%f}"
    place = f"{config.path}/{folder}"
    # What an export left that did not come to its manifest.
    files.delete(place)
    activities = numbered(audiences)
    written = f"{place}/.written"
    write(audiences, activities, config.format, written)
    names = move(files, activities, written, place, config.format)
    sums = checksums(lakehouse, place)
    listed = [
        {"activity_id": row["activity_id"], "file": f"{folder}/{name}", "rows": row["rows"],
         "bytes": sums[name]["length"], "sha256": sums[name]["sha256"]}
        for row, name in zip(activities, names, strict=True)
    ]  # fmt: skip
    rows = sum(row["rows"] for row in activities)
    manifest = {**mark, "folder": folder, "rows": rows, "files": listed}
    files.replace_text(f"{config.path}/{MANIFEST}", json.dumps(manifest, indent=1) + "\n")
    remove_old(files, config.path, {folder, *([before["folder"]] if before else [])})
    return rows


def read_manifest(files: Files, path: str) -> dict[str, Any] | None:
    """What readers see; None before the first export."""
    place = f"{path}/{MANIFEST}"
    return dict(json.loads(files.read_text(place))) if files.exists(place) else None


def numbered(audiences: DataFrame) -> list[dict[str, Any]]:
    """``activity_id``, its ``number`` in their order, from 1, and ``rows`` of its audience."""
    counted = audiences.groupBy("activity_id").count().orderBy("activity_id").collect()
    return [
        {"activity_id": row["activity_id"], "number": number, "rows": row["count"]}
        for number, row in enumerate(counted, start=1)
    ]


def write(audiences: DataFrame, activities: list[dict[str, Any]], kind: str, folder: str) -> None:
    """One file for each activity, ordered by rank, in a folder ``number=N``."""
    spark = audiences.sparkSession
    pairs = [(row["activity_id"], row["number"]) for row in activities]
    numbers = spark.createDataFrame(pairs, "activity_id STRING, number INT")
    rows = audiences.join(F.broadcast(numbers), on="activity_id", how="inner")
    # An activity's rows in one task, and so in one file.
    sorted_rows = rows.repartition("number").sortWithinPartitions("number", "rank")
    writer = sorted_rows.select("number", *COLUMNS).write.partitionBy("number")
    options = {"header": "true", "compression": "none", "maxRecordsPerFile": "0"}
    writer.format(kind).options(**options).mode("overwrite").save(folder)


def move(
    files: Files, activities: list[dict[str, Any]], written: str, place: str, kind: str
) -> list[str]:
    """Give the files their names, which tell the activity; return these in order."""
    names = []
    for row in activities:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", row["activity_id"])[:60]
        name = f"{row['number']:05d}-{plain}.{kind}"
        folder = f"{written}/number={row['number']}"
        (part,) = [found for found in files.names(folder) if found.startswith("part-")]
        files.rename(f"{folder}/{part}", f"{place}/{name}")
        names.append(name)
    files.delete(written)
    return names


def checksums(lakehouse: Lakehouse, folder: str) -> dict[str, Any]:
    """``length`` in bytes and ``sha256`` of every file, by its name; executors read them."""
    content = lakehouse.spark.read.format("binaryFile").load(folder)
    found = content.select(
        F.element_at(F.split("path", "/"), -1).alias("name"),
        "length",
        F.sha2("content", 256).alias("sha256"),
    )
    return {row["name"]: row for row in found.collect()}


def remove_old(files: Files, path: str, kept: set[str]) -> None:
    for name in files.names(path):
        if re.fullmatch(r"\d{8}T\d{12}", name) and name not in kept:
            files.delete(f"{path}/{name}")
