"""Generate: a planted world of any size, as sources with their YAML; the same seed, the same data.

./spark-submit.sh jobs/generate.py --folder .data/world --users 10000
./spark-submit.sh jobs/pipeline.py --config .data/world/world.yaml --as-of 2024-05-30
"""

import argparse
import json
import sys
from dataclasses import fields

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from activityrec.errors import ConfigError
from activityrec.generation.sources import write_world
from activityrec.generation.world import World
from activityrec.job import one_line, set_up_logging
from activityrec.session import get_spark

ROWS_A_PART = 2_000_000


def folder(text: str) -> str:
    if not text.strip("/"):
        raise argparse.ArgumentTypeError("not a folder of its own")
    return text


def tasks(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text}: not from 1 to 1,000,000")
    return number


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    made.add_argument(
        "--folder", required=True, type=folder, help="where to write; what is there is replaced"
    )
    made.add_argument("--parts", type=tasks, help="tasks; by default by the size")
    for one in fields(World):
        # Its first day is of no matter to anything.
        if one.name != "start":
            required = one.name == "users"
            kind = type(one.default) if not required else int
            default = None if required else one.default
            option = f"--{one.name.replace('_', '-')}"
            made.add_argument(option, type=kind, required=required, default=default,
                              help=None if required else f"default: {one.default}")  # fmt: skip
    return made


def main() -> None:
    given = vars(parser().parse_args())
    set_up_logging()
    folder, parts = given.pop("folder"), given.pop("parts")
    try:
        world = World(**given)
        rows = world.users * (world.events_per_user + world.exposures_per_user)
        parts = parts or max(2, round(rows / ROWS_A_PART))
        truth = write_world(get_spark("generate"), world, folder, parts)
    except (ConfigError, PySparkException, Py4JError, OSError) as error:
        sys.exit(f"generate: {one_line(error)}")
    print(json.dumps({name: value for name, value in truth.items() if name != "world"}, indent=2))
    print(f"\n  ./spark-submit.sh jobs/pipeline.py --config {folder}/world.yaml "
          f"--as-of {world.as_of}")  # fmt: skip


if __name__ == "__main__":
    main()
