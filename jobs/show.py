"""Show: where the tables are, what was recommended, how good it was, and how to query it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.evaluation.report.place import report_path
from activityrec.job import Job, main
from activityrec.serving.attempts import last_in
from activityrec.serving.views import create_views

USERS_SHOWN = 4

SHOWN = (
    "auc",
    "auc_within_activity",
    "auc_within_user",
    "auc_within_user_live",
    "average_precision",
    "log_loss",
    "calibration_error",
    "ndcg@{k}",
    "hit_rate@{k}",
    "activity_coverage@{k}",
)
"""What is printed of the metrics."""

SAMPLE = """
SELECT r.user_id, r.rank, a.name AS activity, a.activity_type AS type,
       date(a.start_ts) AS starts, round(r.score, 3) AS score,
       array_join(slice(r.offers, 1, 2), ', ') AS offers,
       array_join(transform(slice(r.products, 1, 2), p -> coalesce(n.names[p], p)), ', ')
         AS products
FROM current_recommendations r
JOIN activities a USING (activity_id)
CROSS JOIN product_names n
WHERE r.user_id IN (SELECT user_id FROM shown_users) AND r.rank <= 3
ORDER BY r.user_id, r.rank
"""

QUERY = """SELECT a.name, count(*) AS users, round(avg(r.probability), 3) AS mean_probability
FROM current_recommendations r JOIN activities a USING (activity_id)
WHERE r.rank = 1 GROUP BY a.name ORDER BY users DESC LIMIT 10"""


def show(job: Job) -> None:
    lakehouse = job.lakehouse
    lakehouse.register([*tables.CLEAN, *tables.SERVING])
    create_views(lakehouse)
    if query := job.options.get("query"):
        _print(job.spark.sql(query))
        return
    where = lakehouse.root or lakehouse.catalog
    print(f"\nTables: {where} (schemas clean, features, serving); columns: docs/tables.md")
    print("\nThe best for some users (score: the probability of a response, if one was learnt):")
    _print(sample(job))
    if lakehouse.exists(tables.METRICS):
        print("How good the models were on what happened after as_of (never seen by them):")
        ks = [k for k in job.config.evaluate.k if k <= job.config.recommend.k]
        _print(
            metric_table(job.spark.table("current_metrics"), max(ks or [job.config.recommend.k]))
        )
        print("All metrics, slices and curves are in serving.metrics and serving.curves.\n")
    print("To query them:\n")
    command = f"./spark-submit.sh jobs/show.py --config {job.options['config']}"
    print(f'  {command} --as-of {job.as_of} --query "\n{QUERY}"\n')
    _print(job.spark.sql(QUERY))
    report = report_path(job.config, job.run_id)
    if report is not None and lakehouse.files.exists(report):
        print(f"Report: {report}")


def sample(job: Job) -> DataFrame:
    """The first places of some users with a varied list, with names for ids."""
    spark = job.spark
    best = spark.table("current_recommendations").where("rank = 1").orderBy(F.desc("score"))
    users = [row["user_id"] for row in best.limit(20 * USERS_SHOWN).collect()][::20]
    shown = spark.createDataFrame([(user,) for user in users], "user_id STRING")
    shown.createOrReplaceTempView("shown_users")
    listed = spark.table("current_recommendations").join(shown, on="user_id", how="left_semi")
    names = (
        spark.table("products")
        .join(listed.select(F.explode("products").alias("product_id")).distinct(), "product_id")
        .agg(F.map_from_entries(F.collect_list(F.struct("product_id", "name"))).alias("names"))
    )
    names.createOrReplaceTempView("product_names")
    return spark.sql(SAMPLE)


def metric_table(metrics: DataFrame, k: int) -> DataFrame:
    """One row a metric of SHOWN, one column a model: the value and its 95 % interval."""
    interval = F.format_string("%.4f [%.3f, %.3f]", "value", "low", "high")
    shown = F.when(F.col("low").isNull(), F.format_string("%.4f", "value")).otherwise(interval)
    return (
        metrics.where("value IS NOT NULL AND slice = 'all'")
        .where(F.col("metric").isin([name.format(k=k) for name in SHOWN]))
        .groupBy("population", "metric")
        .pivot("model")
        .agg(F.first(shown))
        .orderBy("population", "metric")
    )


def _print(rows: DataFrame) -> None:
    rows.show(60, truncate=False)


if __name__ == "__main__":
    main(
        [],
        __doc__,
        finish=show,
        options={"query": "one SQL statement: print its rows alone"},
        attempt=last_in(tables.METRICS),
    )
