"""Groups of rows in Arrow."""

import pyarrow as pa

from activityrec.arrow import groups_of


def test_a_group_has_the_places_of_its_rows_in_their_order_and_null_is_a_group() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"model": ["b", "a", None, "b", None], "day": [1, 1, 2, 1, 2], "row": [0, 1, 2, 3, 4]}
    )
    found = [(key, places.tolist()) for key, places in groups_of(batch, ["model", "day"])]
    assert found == [(("b", 1), [0, 3]), (("a", 1), [1]), ((None, 2), [2, 4])]


def test_no_rows_are_no_groups() -> None:
    empty = pa.RecordBatch.from_pydict({"model": pa.array([], pa.string())})
    assert list(groups_of(empty, ["model"])) == []
