"""A user who is folded in has the factor that a fit would have given."""

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec.config import AlsConfig
from activityrec.retrieval.fold_in import fold_in
from activityrec.retrieval.methods.als import fit_als
from tests.retrieval.boards import Rows, checkerboard, known


def test_users_of_the_fit_get_their_own_factors_again(spark: SparkSession) -> None:
    board: Rows = [(u, kind, item, 0.5 + int(u[1:]) / 8) for u, kind, item, _ in checkerboard()]
    what = known(spark, board)
    config = AlsConfig(rank=3, max_iter=4, alpha=5.0, reg=0.2, blocks=1)
    fit = fit_als(what, config)
    items = fit.items.withColumn("retriever", F.lit("als"))
    stranger: Rows = [("new", "product", "p99", 1.0)]
    asked = what.interactions.unionByName(known(spark, stranger).interactions)
    found = {row["user_id"]: row["vector"] for row in fold_in(asked, items, config).collect()}
    wanted = {row["user_id"]: row["vector"] for row in fit.users.collect()}
    assert set(found) == set(wanted)
    for user, vector in wanted.items():
        np.testing.assert_allclose(found[user], vector, atol=1e-4)


def test_without_factors_nobody_is_folded_in(spark: SparkSession) -> None:
    what = known(spark, checkerboard())
    none = fit_als(what, AlsConfig(rank=2, max_iter=1, blocks=1)).items.limit(0)
    empty = none.withColumn("retriever", F.lit("als"))
    assert fold_in(what.interactions, empty, AlsConfig()).isEmpty()
