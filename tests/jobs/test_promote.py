"""Promote: what the gate lets through, what it keeps, and the way back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

import promote
from activityrec import tables
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.job import Job
from activityrec.tables import Table
from activityrec.tracking import ModelVersion
from tests.stand_ins import Shelf

DAY = date(2024, 5, 1)
METRIC = {"metric": "average_precision", "population": "closed", "slice": "all"}


@dataclass
class Registry:
    """Stands in for MLflow: versions by part, number after number, and the aliases on them."""

    made: dict[str, list[ModelVersion]] = field(
        default_factory=lambda: {"retrieval": [], "ranker": []}
    )
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)

    def train(self, day: date = DAY, has_ranker: bool = True) -> None:
        parts = ("retrieval", "ranker") if has_ranker else ("retrieval",)
        for part in parts:
            number = str(len(self.made[part]) + 1)
            tags = {"has_ranker": "true", "settings": "s"}
            if part == "ranker":
                tags = {"retrieval_version": self.made["retrieval"][-1].version}
            self.made[part].append(ModelVersion(f"shop-{part}", number, day, None, tags))
            self.aliases[part, "challenger"] = number

    def model_name(self, part: str) -> str:
        return f"shop-{part}"

    def version(self, part: str, alias: str) -> ModelVersion | None:
        number = self.aliases.get((part, alias))
        return self.made[part][int(number) - 1] if number else None

    def named(self, name: str) -> list[ModelVersion]:
        every = [version for versions in self.made.values() for version in versions]
        found = [version for version in every if str(version) == name]
        number = found[0].tags.get("retrieval_version") if found else None
        return found + ([self.made["retrieval"][int(number) - 1]] if number else [])

    def point(self, alias: str, versions: Mapping[str, str]) -> None:
        self.aliases |= {(part, alias): number for part, number in versions.items()}

    def unpoint(self, alias: str) -> None:
        self.aliases = {key: n for key, n in self.aliases.items() if key[1] != alias}

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        part = version.name.removeprefix("shop-")
        number = int(version.version) - 1
        self.made[part][number] = replace(version, tags={**version.tags, **tags})

    @property
    def champion(self) -> str | None:
        return self.aliases.get(("ranker", "champion"))


class Kept(Shelf):
    """A shelf that rows can be appended to."""

    def __init__(self, spark: SparkSession, rows: dict[Table, list[dict[str, Any]]]) -> None:
        super().__init__(spark, rows)
        self.kept = False

    def append(self, table: Table, rows: DataFrame) -> int:
        listed = [row.asDict() for row in rows.collect()]
        self.rows[table.full_name] = self.rows.get(table.full_name, []) + listed
        return len(listed)

    def keep(self) -> None:
        self.kept = True


@dataclass
class Shop:
    """A deployment whose evaluation found what ``metrics`` and ``comparisons`` say."""

    spark: SparkSession
    config: Config
    registry: Registry = field(default_factory=Registry)
    lakehouse: Any = None
    decided: int = 0

    def evaluate(self, value: float, beside: dict[str, tuple[float, float, float]]) -> None:
        """The challenger has this value, and these differences with intervals."""
        challenger = self.registry.version("ranker", "challenger")
        assert challenger is not None
        champion = self.registry.version("ranker", "champion")
        tags = {"evaluated_run": "run", "evaluated_beside": str(champion or "none")}
        self.registry.tag_version(challenger, tags)
        one = {"run_id": "run", "model": "ranker", **METRIC}
        pairs = [
            one | {"baseline": name, "difference": d, "low": low, "high": high}
            for name, (d, low, high) in beside.items()
        ]
        rows = {
            tables.ITEM_VECTORS: [{"fitted_date": DAY, "settings": "s", "retriever": "als"}],
            tables.METRICS: [one | {"value": value, "rows": 500, "positives": 90}],
            tables.COMPARISONS: pairs,
        }
        old = self.lakehouse.rows if self.lakehouse else {}
        self.lakehouse = Kept(self.spark, rows)
        promotions = tables.PROMOTIONS.full_name
        if promotions in old:
            self.lakehouse.rows[promotions] = old[promotions]

    def promote(self, *flags: str) -> None:
        self.decided += 1
        tracking: Any = self.registry
        now = datetime(2024, 5, 1, 12, self.decided)
        job = Job(
            self.spark, self.config, self.lakehouse, tracking, DAY, "run", now,
            flags=frozenset(flags),
        )  # fmt: skip
        promote.run(job)

    @property
    def decisions(self) -> list[Row]:
        """The rows of the last decision."""
        rows = self.lakehouse.read(tables.PROMOTIONS).collect()
        last = max(row["decided_ts"] for row in rows)
        return [row for row in rows if row["decided_ts"] == last]


GOOD = {"popularity": (0.2, 0.1, 0.3)}


@pytest.fixture
def shop(spark: SparkSession, planted_config: Config) -> Shop:
    """With a first champion, version 1, and a challenger, version 2, not yet evaluated."""
    made = Shop(spark, planted_config)
    made.registry.train()
    made.evaluate(0.5, GOOD)
    made.promote()
    assert made.registry.champion == "1"
    made.registry.train()
    return made


def test_a_better_challenger_becomes_champion_with_its_retrieval(shop: Shop) -> None:
    shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
    shop.promote()
    assert {key[0]: n for key, n in shop.registry.aliases.items() if key[1] == "champion"} == {
        "retrieval": "2",
        "ranker": "2",
    }
    assert {row["decision"] for row in shop.decisions} == {"promoted"}
    assert {row["champion"] for row in shop.decisions} == {"shop-ranker/1"}
    tags = shop.registry.made["ranker"][1].tags
    assert tags["gate"] == "promoted"
    assert tags["gate.champion"].startswith("passed: average_precision of closed is +0.1000")


def test_a_worse_challenger_leaves_the_champion_and_says_why(shop: Shop) -> None:
    shop.evaluate(0.4, GOOD | {"champion": (-0.1, -0.15, -0.05)})
    shop.promote()
    assert shop.registry.champion == "1"
    failed = [row for row in shop.decisions if not row["passed"]]
    assert [(row["check_name"], row["decision"]) for row in failed] == [("champion", "kept")]
    assert (failed[0]["value"], failed[0]["bound"]) == (-0.15, -0.02)
    assert shop.registry.made["ranker"][1].tags["gate"] == "kept"


def test_without_a_champion_a_failure_is_an_error_whose_reasons_stay(
    spark: SparkSession, planted_config: Config
) -> None:
    shop = Shop(spark, planted_config)
    shop.registry.train()
    shop.evaluate(0.5, {"popularity": (0.0, -0.1, 0.1)})
    with pytest.raises(StateError, match="no champion to go on with: baseline popularity: .*force"):
        shop.promote()
    assert shop.registry.champion is None
    assert shop.lakehouse.kept
    assert {row["decision"] for row in shop.decisions} == {"kept"}


def test_what_was_not_evaluated_is_not_promoted_but_by_force(shop: Shop) -> None:
    with pytest.raises(StateError, match="shop-ranker/2 was not evaluated by run run"):
        shop.promote()
    shop.promote("force")
    assert shop.registry.champion == "2"
    found = {row["check_name"]: row["passed"] for row in shop.decisions}
    assert found == {"evaluated": False, "force": True}


def test_an_evaluation_beside_another_champion_is_not_used(shop: Shop) -> None:
    shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
    shop.registry.point("champion", {"ranker": "2", "retrieval": "2"})
    shop.registry.train()
    shop.registry.tag_version(
        shop.registry.made["ranker"][2],
        {"evaluated_run": "run", "evaluated_beside": "shop-ranker/1"},
    )
    with pytest.raises(StateError, match="beside shop-ranker/1, and the champion has changed"):
        shop.promote()


def test_an_older_model_never_replaces_a_newer_champion(shop: Shop) -> None:
    shop.registry.train(date(2024, 4, 1))
    shop.evaluate(0.6, GOOD)
    shop.promote()
    assert shop.registry.champion == "1"
    assert [row["check_name"] for row in shop.decisions if not row["passed"]] == ["champion"]


def test_the_champion_is_not_decided_upon_again(shop: Shop) -> None:
    shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
    shop.promote()
    rows = shop.lakehouse.rows[tables.PROMOTIONS.full_name]
    shop.promote()
    assert shop.lakehouse.rows[tables.PROMOTIONS.full_name] is rows


def test_the_way_back_goes_from_champion_to_champion(shop: Shop) -> None:
    for _ in range(2):
        shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
        shop.promote()
        shop.registry.train()
    assert shop.registry.champion == "3"
    shop.promote("rollback")
    assert shop.registry.champion == "2"
    assert [row["decision"] for row in shop.decisions] == ["rolled_back"]
    assert ("ranker", "challenger") in shop.registry.aliases, "version 4 may still be promoted"
    shop.promote("rollback")
    assert shop.registry.champion == "1"
    assert shop.registry.aliases["retrieval", "champion"] == "1"
    with pytest.raises(StateError, match="shop-ranker/1 was the first champion"):
        shop.promote("rollback")


def test_what_was_rolled_back_does_not_come_back_by_itself(shop: Shop) -> None:
    shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
    shop.promote()
    shop.promote("rollback")
    with pytest.raises(StateError, match="planted has no challenger: run train first"):
        shop.promote()
    assert shop.registry.champion == "1"


def test_a_champion_that_cannot_serve_any_more_is_not_brought_back(shop: Shop) -> None:
    shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
    shop.promote()
    shop.lakehouse.rows[tables.ITEM_VECTORS.full_name] = []
    with pytest.raises(StateError, match="shop-retrieval/1 cannot serve any more: .* no fit of"):
        shop.promote("rollback")
    assert shop.registry.champion == "2"


def test_a_promotion_that_was_broken_off_between_its_two_parts_is_completed(shop: Shop) -> None:
    shop.evaluate(0.6, GOOD | {"champion": (0.1, 0.05, 0.15)})
    shop.promote()
    # As a kill leaves it: the ranker is moved first.
    shop.registry.aliases["retrieval", "champion"] = "1"
    shop.promote()
    assert shop.registry.aliases["retrieval", "champion"] == "2"
    assert shop.registry.champion == "2"
