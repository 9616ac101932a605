"""Recommend: features and champion → recommendations for users, audiences for activities."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.ingest import check_as_of
from activityrec.job import Job, main
from activityrec.ranking.reasons import reason_columns, with_reasons
from activityrec.retrieval.pairs import score_map
from activityrec.serving.anonymity import group_size, large_groups
from activityrec.serving.attempts import check_unpublished, new_run
from activityrec.serving.candidates import Serving, Sides, sides
from activityrec.serving.expected_value import with_expected_value
from activityrec.serving.list_rules import (
    MadeLists,
    exclusions,
    log_rules,
    made_lists,
    places_column,
    rule_counts,
)
from activityrec.serving.lists import audiences
from activityrec.serving.load import load_serving
from activityrec.serving.offer_scores import Catalogue
from activityrec.serving.offers import average_spend, catalogue, with_best_offers
from activityrec.serving.reason_codes import figure_columns, with_reason_codes


def run(job: Job) -> dict[str, int]:
    lakehouse, config = job.lakehouse, job.config
    check_unpublished(lakehouse, job.run_id)
    serving, champion = load_serving(job)
    check_as_of(
        serving.history.events,
        serving.history.activities,
        job.as_of,
        config.recommend.planning_days,
    )
    both = sides(serving)
    made = made_lists(serving, both, job.run_id, carried_columns(serving))
    limits = config.recommend
    targeted = audiences(made.ranked, limits.audience_size, places_column(made.places))
    found = {
        tables.RECOMMENDATIONS: recommendations(made, serving, both),
        tables.AUDIENCES: large_groups(targeted, "activity_id", group_size(config)).select(
            "activity_id", "user_id", "rank", "score", "probability"
        ),
        tables.EXCLUSIONS: exclusions(made, both, config),
    }
    marks = {
        "run_id": F.lit(job.run_id),
        "as_of": F.lit(job.as_of),
        "model": F.lit(str(champion)),
    }
    run = f"run_id = '{job.run_id}'"
    written = {
        table.name: lakehouse.replace(table, rows.withColumns(marks), run)
        for table, rows in found.items()
    }
    left_out = lakehouse.read(tables.EXCLUSIONS).where(run)
    log_rules(left_out)
    counts = lakehouse.replace(tables.RULE_COUNTS, rule_counts(left_out, config), run)
    return written | {"rule_counts": counts}


def carried_columns(serving: Serving) -> dict[str, Column]:
    """What a candidate needs to become a recommendation, by name."""
    config = serving.config
    kind = config.features.purchase_type
    bought = {
        f"affinity_{what}": F.col(f"{kind}_eligible_{what}") if kind else F.lit(None).cast("double")
        for what in ("products", "amount")
    }
    scores = {name: F.col(name) for name in config.retrieval.score_columns.values()}
    inputs = reason_columns(serving.ranker, config) if serving.ranker else {}
    return bought | scores | figure_columns(config) | inputs


def recommendations(made: MadeLists, serving: Serving, both: Sides) -> DataFrame:
    """``serving.recommendations`` without run_id, as_of and model."""
    config, limits = serving.config, serving.config.recommend
    lists = with_best_offers(
        made.ranked.where("listed = 'user'").drop("listed", "excluded_by", "model_score"),
        both.histories,
        serving.user_vectors,
        offers_of(serving, both),
        config.features.purchase_type,
        limits.offers,
        limits.products,
    )
    lists = with_reason_codes(with_reasons(lists, serving.ranker, config), config)
    lists = lists.withColumn("scores", score_map(config.retrieval))
    lists = lists.drop(*config.retrieval.score_columns.values())
    return with_expected_value(lists, serving.history.activities, limits.margin)


def offers_of(serving: Serving, both: Sides) -> Catalogue:
    """The products and offers of the live activities."""
    snapshots, kind = serving.snapshots, serving.config.features.purchase_type
    spent = average_spend(snapshots.daily, kind, serving.users.count())
    days = (serving.as_of - snapshots.log_start).days
    products = serving.history.activity_products
    return catalogue(both.items, products, serving.item_vectors, spent, days)


if __name__ == "__main__":
    main([("recommend", run)], __doc__, attempt=new_run)
