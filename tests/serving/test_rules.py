"""Random users, activities and rules: nothing published breaks one, and every exclusion is true."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config, RetrievalConfig, RulesConfig
from activityrec.errors import ConfigError
from activityrec.serving.candidates import scored_candidates, sides
from activityrec.serving.list_rules import exclusions, made_lists, places_column
from activityrec.serving.lists import audiences
from activityrec.serving.rules import check_rules
from tests.serving.shop import ACTIVITIES, DAY, USERS, Shop, history_of, random_shop
from tests.stand_ins import serving_of

K = 4
RULES = {
    "frequency_cap": {"times": 2, "days": 10},
    "contact_limit": {"times": 4, "days": 3},
    "max_per_type": 2,
    "consent": {"sms": "attributes['sms'] = 'yes'"},
    "blocks": [{"activity_id": "a00", "users": "age < 30"}, {"activity_id": "a01"}],
    "pins": [{"activity_id": "a03", "users": "attributes['vip'] = 'yes'"}],
    "boosts": [{"activity_id": "a05", "factor": 3.0}, {"activity_id": "a06", "factor": 0.1}],
    "inventory": "cast(attributes['places'] as int)",
}
CHANCE = {"diversity": 0.2, "explore": {"share": 0.5, "temperature": 0.3}}


def columns() -> dict[str, Column]:
    number = F.substring("activity_id", 2, 2)
    return {
        "word": F.concat("user_id", "activity_id"),
        "tens": 10 * number.cast("double"),
        "whole": number.cast("bigint"),
        "high": F.when(number > "05", 0.5 + number.cast("double")),
    }


def broken(shop: Shop, user: str, activity: str) -> set[str]:
    """The rules of single pairs, written out."""
    profile, (_, channel, vip, _) = shop.users[user], shop.activities[activity]
    times = Counter((u, a) for u, a, n in shop.shown if since(shop, u, a, n, 10))
    found = {
        "blocked": activity == "a01"
        or (activity == "a00" and profile is not None and profile[0] < 30),
        "target_group": vip and (profile is None or profile[1] != "yes"),
        "consent": channel == "sms" and (profile is None or profile[2] != "yes"),
        "answered": (user, activity) in shop.answered,
        "frequency_cap": times[user, activity] >= 2,
    }
    return {rule for rule, is_broken in found.items() if is_broken}


def since(shop: Shop, user: str, activity: str, days_ago: int, window: int) -> bool:
    number = shop.shown.index((user, activity, days_ago))
    at = datetime(DAY.year, DAY.month, DAY.day, 12) - timedelta(days_ago, seconds=10 * number)
    midnight = datetime(DAY.year, DAY.month, DAY.day)
    return midnight - timedelta(window) <= at < midnight


def room(shop: Shop, user: str) -> int:
    sent = sum(since(shop, u, a, n, 3) for u, a, n in shop.shown if u == user)
    return max(0, min(K, 4 - sent))


@pytest.fixture(scope="module", params=[(1, {}), (2, CHANCE)], ids=["by score", "with chance"])
def made(request: pytest.FixtureRequest, spark: SparkSession, planted_config: Config):
    seed, changes = request.param
    shop = random_shop(seed)
    recommend = planted_config.recommend.model_validate(
        planted_config.recommend.model_dump() | {"k": K, "audience_size": 20} | changes
    )
    config = planted_config.model_copy(
        update={
            "recommend": recommend,
            "retrieval": RetrievalConfig(),
            "rules": RulesConfig.model_validate(RULES),
        }
    )
    serving = serving_of(history_of(spark, shop), config, shop.vectors, shop.sides)
    both = sides(serving)
    result = made_lists(serving, both, "r1", columns())
    rows = result.ranked.collect()
    told = exclusions(result, both, config).collect()
    sent = audiences(result.ranked, 20, places_column(result.places)).collect()
    every = scored_candidates(serving, both, ACTIVITIES).select("user_id", "activity_id", "score")
    scores = {(row[0], row[1]): row[2] for row in every.collect()}
    assert len(scores) == USERS * ACTIVITIES
    lists = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["rank"]):
        if row["listed"] == "user":
            lists[row["user_id"]].append(row)
    return shop, lists, told, sent, scores


def test_rows_have_the_columns_that_were_asked_for(made) -> None:
    lists = made[1]
    assert len(lists) > 1
    for user, rows in lists.items():
        for row in rows:
            number = int(row["activity_id"][1:])
            assert row["word"] == user + row["activity_id"]
            assert (row["tens"], row["whole"]) == (10.0 * number, number)
            assert row["high"] == (number + 0.5 if number > 5 else None)


def test_no_published_row_breaks_a_rule(made) -> None:
    shop, lists, _, sent, _ = made
    pairs = [(user, row["activity_id"]) for user, rows in lists.items() for row in rows]
    assert len(pairs) > USERS
    for user, activity in pairs + [(row["user_id"], row["activity_id"]) for row in sent]:
        assert not broken(shop, user, activity)
        assert room(shop, user) > 0
    for user, rows in lists.items():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) <= room(shop, user)
        kinds = Counter(shop.activities[row["activity_id"]][0] for row in rows)
        assert max(kinds.values()) <= 2
    for counts in (Counter(a for _, a in pairs), Counter(row["activity_id"] for row in sent)):
        for activity, users in counts.items():
            places = shop.activities[activity][3]
            assert places is None or users <= places


def test_every_exclusion_has_a_true_reason(made) -> None:
    shop, lists, told, _, scores = made
    assert len({(row["user_id"], row["activity_id"]) for row in told}) == len(told)
    listed = {(user, row["activity_id"]) for user, rows in lists.items() for row in rows}
    for row in told:
        user, activity, rule = row["user_id"], row["activity_id"], row["rule"]
        assert (user, activity) not in listed
        assert row["detail"]
        mine = [entry["activity_id"] for entry in lists[user]]
        kinds = Counter(shop.activities[name][0] for name in mine)
        truth = {
            "inventory": shop.activities[activity][3] is not None,
            "max_per_type": kinds[shop.activities[activity][0]] == 2,
            "contact_limit": len(mine) == room(shop, user) < K,
            "displaced": any(scores[user, name] < scores[user, activity] for name in mine),
        }
        if rule in truth:
            assert truth[rule] and not broken(shop, user, activity), row
        else:
            assert rule in broken(shop, user, activity), row
    rules = {row["rule"] for row in told}
    assert rules >= {"blocked", "target_group", "consent", "answered", "frequency_cap",
                     "inventory", "max_per_type", "contact_limit", "displaced"}  # fmt: skip


def test_whatever_would_have_entered_is_told(made) -> None:
    shop, lists, told, _, scores = made
    known = {(row["user_id"], row["activity_id"]): row["rank"] for row in told}
    no_rule_of_its_own = defaultdict(list)
    for row in told:
        if row["rule"] in ("displaced", "contact_limit"):
            no_rule_of_its_own[row["user_id"]].append(row["score"])
    for user in shop.users:
        mine = [row["activity_id"] for row in lists[user]]
        for activity in set(shop.activities) - set(mine):
            better = sum(scores[user, name] > scores[user, activity] for name in mine)
            if broken(shop, user, activity):
                entered = better < room(shop, user)
                assert ((user, activity) in known) == entered
                assert known.get((user, activity), better + 1) == better + 1
            elif (user, activity) not in known:
                before = [s for s in no_rule_of_its_own[user] if s > scores[user, activity]]
                assert better + len(before) >= room(shop, user)


def test_places_go_to_the_best_of_those_who_would_have_had_the_activity(made) -> None:
    shop, lists, told, _, scores = made
    refused = defaultdict(list)
    for row in told:
        if row["rule"] == "inventory":
            refused[row["activity_id"]].append(row["user_id"])
    assert refused
    for activity, places in ((a, kind[3]) for a, kind in shop.activities.items()):
        with_it = [u for u, rows in lists.items() for r in rows if r["activity_id"] == activity]
        assert places is None or len(with_it) <= places


def test_pins_come_first(made) -> None:
    shop, lists, _, _, _ = made
    first = 0
    for user, rows in lists.items():
        profile = shop.users[user]
        is_vip = profile is not None and profile[1] == "yes"
        places = [row["rank"] for row in rows if row["activity_id"] == "a03"]
        if is_vip and places:
            assert places == [1]
            first += rows[0]["propensity"] == 1
    assert first


def test_lists_without_chance_are_in_order_with_propensity_one(made) -> None:
    _, lists, _, _, _ = made
    propensities = [row["propensity"] for rows in lists.values() for row in rows]
    assert all(0 < p <= 1 + 1e-9 for p in propensities)
    if set(propensities) == {1.0}:
        for rows in lists.values():
            scores = [row["score"] for row in rows if row["activity_id"] != "a03"]
            assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"consent": {"sms": "no_such_column"}}, "rules.consent.sms: .*no_such_column"),
        ({"consent": {"sms": "age <"}}, "rules.consent.sms: 'age <' does not resolve"),
        ({"blocks": [{"activity_id": "a", "users": "age"}]}, "rules.blocks.0.users: .*is no cond"),
        ({"pins": [{"activity_id": "a", "users": "max(age) > 3"}]}, "rules.pins.0.users"),
        ({"boosts": [{"activity_id": "a", "users": "'x'", "factor": 2}]}, "rules.boosts.0.users"),
        ({"inventory": "activity_id"}, "rules.inventory: .*is no number: it gives string"),
    ],
)
def test_an_expression_that_is_none_is_named(
    spark: SparkSession, planted_config: Config, rules: dict, says: str
) -> None:
    history = history_of(spark, random_shop(1))
    config = planted_config.model_copy(update={"rules": RulesConfig.model_validate(rules)})
    with pytest.raises(ConfigError, match=says):
        check_rules(history, config)


def test_what_may_be_null_is_no_error(spark: SparkSession, planted_config: Config) -> None:
    given = RULES | {"inventory": "NULL"}
    config = planted_config.model_copy(update={"rules": RulesConfig.model_validate(given)})
    check_rules(history_of(spark, random_shop(1)), config)
