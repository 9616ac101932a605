"""Plan: what memory, shuffles, broadcasts and partitions the stages will need at a given size.

Nothing is read but the configuration, and Spark is not started.
"""

import argparse
import sys

from activityrec.config_file import load_config
from activityrec.errors import ActivityRecError
from activityrec.planning import Need, advice, partitions, plan
from activityrec.planning_sizes import Counts

UNITS = ("B", "kB", "MB", "GB", "TB")


def count(text: str) -> int:
    """A number such as 1000000 or 1e6."""
    number = float(text)
    if not (1 <= number < 1e18 and number == int(number)):
        raise argparse.ArgumentTypeError(f"{text}: not a whole number above 0")
    return int(number)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--config", required=True, help="the YAML of the deployment")
    for name, text in (
        ("users", "users"),
        ("activities", "live and planned activities"),
        ("products", "products"),
        ("events", "events, all of the history"),
    ):
        made.add_argument(f"--{name}", required=True, type=count, help=text)
    made.add_argument("--eligible", type=count, help="pairs of activity and product; 1 a product")
    made.add_argument("--items-per-user", type=count, help="by default events / users, rounded up")
    return made


def shown(size: float) -> str:
    for unit in UNITS[:-1]:
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} {UNITS[-1]}"


def line(need: Need) -> str:
    return f"{need.stage:10} {need.where:18} {shown(need.size):>8}  {need.what}: {need.arithmetic}"


def main() -> None:
    given = parser().parse_args()
    per_user = min(given.products, -(-given.events // given.users))
    counts = Counts(
        given.users,
        given.activities,
        given.products,
        given.events,
        given.eligible or given.products,
        given.items_per_user or per_user,
    )
    try:
        config = load_config(given.config)
    except ActivityRecError as error:
        sys.exit(str(error))
    needs = plan(config, counts)
    print(f"{counts}\n")
    for need in needs:
        print(line(need))
    print(f"\nspark.sql.shuffle.partitions: {partitions(needs):,}, parts of 64 MB")
    for text in advice(config, counts):
        print(text)
    print(
        "evaluate scores exposures and lists of evaluate.list_users users by the same kernel; its "
        "figures are in docs/cluster.md. promote, publish and report aggregate what is there."
    )


if __name__ == "__main__":
    main()
