"""A cluster for the tests of one file."""

from collections.abc import Iterator

import pytest

from tests.cluster.standalone import Cluster, standalone_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standalone_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started
