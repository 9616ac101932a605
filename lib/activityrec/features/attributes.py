"""Attributes as features: their values by type, and the labels that these get.

Every label is a short text, so that a ranker can encode it one-hot: ``unknown`` where there is no
value; of a category the value itself or ``other``; of a number its band.
"""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import AttributeConfig, AttributesConfig
from activityrec.tables import AttributeTable, attribute_column, band_labels

UNKNOWN = "unknown"
OTHER = "other"


def declared_columns(
    attributes: AttributesConfig, table: AttributeTable
) -> dict[str, AttributeConfig]:
    """Feature column to declaration, for the declared attributes of one clean table."""
    declared: dict[str, AttributeConfig] = getattr(attributes, table)
    return {attribute_column(table, name): attribute for name, attribute in declared.items()}


def attribute_values(attributes: AttributesConfig, table: AttributeTable) -> list[Column]:
    """Columns over a clean table: the values of its declared attributes, by feature column.

    A category is STRING, a number DOUBLE; NULL where the value is empty, or not the number that
    it should be (nor is NaN or an infinity).
    """
    declared: dict[str, AttributeConfig] = getattr(attributes, table)
    columns = []
    for name, attribute in declared.items():
        text = F.trim(F.col("attributes")[name])
        value = _number(text) if attribute.type == "numeric" else _category(text)
        columns.append(value.alias(attribute_column(table, name)))
    return columns


def product_values(
    activity_products: DataFrame, products: DataFrame, attributes: AttributesConfig
) -> DataFrame:
    """What the eligible products of each activity are like.

    Returns
    -------
    DataFrame
        activity_id and a column for each declared attribute of products, as
        :func:`attribute_values` gives them: the most frequent category (of several the first by
        value), the mean of the numbers; NULL where no eligible product has a value.
    """
    eligible = activity_products.select("activity_id", "product_id").distinct()
    known = products.select("product_id", *attribute_values(attributes, "products"))
    measures = [
        # Rounded, because the last bits of a mean depend on the order of the rows.
        (F.round(F.avg(column), 9) if attribute.type == "numeric" else F.mode(column, True)).alias(
            column
        )
        for column, attribute in declared_columns(attributes, "products").items()
    ]
    return eligible.join(known, on="product_id", how="inner").groupBy("activity_id").agg(*measures)


def with_labels(values: DataFrame, declared: Mapping[str, AttributeConfig]) -> DataFrame:
    """Replace values by labels.

    Which categories are frequent, and where quantiles lie, is found in ``values`` itself: a query
    for each of the two, where something of the kind is declared.

    Parameters
    ----------
    values
        A row for each user or activity, with the columns of ``declared`` as
        :func:`attribute_values` gives them.
    declared
        Column to declaration.

    Returns
    -------
    DataFrame
        ``values`` with these columns as STRING, never NULL. Categories: the ``cap`` most frequent
        ones (of equally frequent ones the first by value), ``other``, ``unknown``. Numbers: bands
        such as ``<10``, ``10-20``, ``20+`` between given bounds; otherwise ``q1``, ``q2``, ...,
        which of the equal parts of the known numbers they fall into. Quantiles are named by
        their place: the bounds move from one run to the next, and a model must know the label
        again. Where many have one number, some parts are empty.
    """
    kept = frequent_values(
        values, {name: a.cap for name, a in declared.items() if a.type == "categorical"}
    )
    cuts = quantiles(
        values,
        {name: a.quantiles for name, a in declared.items() if a.type == "numeric" and not a.bands},
    )
    labels = {}
    for name, attribute in declared.items():
        value = F.col(name)
        if name in kept:
            label = F.when(value.isin([UNKNOWN, *kept[name]]), value).when(
                value.isNotNull(), F.lit(OTHER)
            )
        elif name in cuts:
            places = [f"q{place}" for place in range(1, len(cuts[name]) + 2)]
            label = _label(value, [value <= cut for cut in cuts[name]], places)
        else:
            label = band(value, attribute.bands, band_labels(attribute.bands))
        labels[name] = F.coalesce(label, F.lit(UNKNOWN))
    return values.withColumns(labels)


def frequent_values(values: DataFrame, caps: Mapping[str, int]) -> dict[str, list[str]]:
    """The most frequent values of STRING columns, at most ``caps`` of each; ties by value."""
    if not caps:
        return {}
    pairs = [F.struct(F.lit(c).alias("column"), F.col(c).alias("value")) for c in caps]
    limit = F.create_map(*[F.lit(entry) for item in caps.items() for entry in item])
    best = Window.partitionBy("column").orderBy(F.desc("count"), "value")
    rows = (
        values.select(F.inline(F.array(*pairs)))
        # These two are labels already: they take no place of another value.
        .where(F.col("value").isNotNull() & ~F.col("value").isin(UNKNOWN, OTHER))
        .groupBy("column", "value")
        .count()
        .withColumn("place", F.row_number().over(best))
        .where((F.col("place") <= max(caps.values())) & (F.col("place") <= limit[F.col("column")]))
        .orderBy("column", "place")
        .collect()
    )
    return {name: [row["value"] for row in rows if row["column"] == name] for name in caps}


def quantiles(values: DataFrame, parts: Mapping[str, int]) -> dict[str, list[float]]:
    """The inner quantiles of DOUBLE columns, approximate (Greenwald, Khanna 2001): ``parts`` - 1
    bounds, each the greatest number of its part. Empty where a column has no number."""
    if not parts:
        return {}
    row = values.agg(
        *[
            F.percentile_approx(name, [place / count for place in range(1, count)]).alias(name)
            for name, count in parts.items()
        ]
    ).first()
    assert row is not None
    return {name: list(row[name] or []) for name in parts}


def band(number: Column, bounds: Sequence[float], labels: Sequence[str]) -> Column:
    """The label of the band that a number falls into; NULL for NULL.

    Parameters
    ----------
    bounds
        Where a band begins, ascending; the number belongs to the band that it opens.
    labels
        One more than ``bounds``: the first is for what lies below them all.
    """
    return _label(number, [number < bound for bound in bounds], labels)


def age_band(age: Column, bands: list[int]) -> Column:
    """The band of an age: ``bands`` are the lower bounds, as in ``18-24``, ``65+``, ``0-17``."""
    bounds = sorted({0, *bands})
    upper = [
        f"{lower}-{following - 1}" for lower, following in zip(bounds, bounds[1:], strict=False)
    ]
    return band(age, bounds[1:], [*upper, f"{bounds[-1]}+"])


def _label(number: Column, below: Sequence[Column], labels: Sequence[str]) -> Column:
    """The first label whose condition holds, or the last one, which has none."""
    label = F.when(number.isNull(), F.lit(None).cast("string"))
    for condition, name in zip(below, labels, strict=False):
        label = label.when(condition, F.lit(name))
    return label.otherwise(F.lit(labels[-1]))


def _category(text: Column) -> Column:
    return F.when(text != "", text)


def _number(text: Column) -> Column:
    # Java takes 1d and 1f for numbers too.
    number = F.when(text.rlike("[0-9.]$"), text).try_cast("double")
    return F.when(F.abs(number) < float("inf"), number)
