"""What training registers becomes the challenger together, or not at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

import train

DAY = date(2024, 5, 1)


@dataclass
class Registry:
    """Stands in for MLflow; the registration of ``fails`` does."""

    fails: str = ""
    tags: dict[str, Mapping[str, str]] = field(default_factory=dict)
    challengers: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def run(self, *what: Any) -> Iterator[None]:
        yield

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        assert metrics == {"examples": 3.0}

    def register(
        self, part: str, model: Any, as_of: date, tags: Mapping[str, str], inputs: Any
    ) -> str:
        if part == self.fails:
            raise ConnectionError("the registry is gone")
        self.tags[part] = tags
        return f"{part} {len(self.tags)}"

    def point(self, alias: str, versions: Mapping[str, str]) -> None:
        assert alias == "challenger"
        self.challengers |= versions


def trained(part: str) -> train.Trained:
    model: Any = None
    return train.Trained(part, model, {}, {"examples": 3.0}, {"own": part})


def register(registry: Registry, ranker: train.Trained | None) -> None:
    lakehouse = SimpleNamespace(reads={})
    job: Any = SimpleNamespace(tracking=registry, lakehouse=lakehouse, as_of=DAY, run_id="r")
    train.register(job, trained("retrieval"), ranker)


def test_both_become_challenger_and_know_of_each_other() -> None:
    registry = Registry()
    register(registry, trained("ranker"))
    assert registry.challengers == {"retrieval": "retrieval 1", "ranker": "ranker 2"}
    assert registry.tags == {
        "retrieval": {"own": "retrieval", "has_ranker": "true"},
        "ranker": {"own": "ranker", "retrieval_version": "retrieval 1"},
    }


def test_without_a_ranker_the_retrieval_says_so() -> None:
    registry = Registry()
    register(registry, None)
    assert registry.challengers == {"retrieval": "retrieval 1"}
    assert registry.tags["retrieval"]["has_ranker"] == "false"


@pytest.mark.parametrize("part", ["retrieval", "ranker"])
def test_if_one_cannot_be_registered_the_challengers_stay(part: str) -> None:
    registry = Registry(fails=part)
    with pytest.raises(ConnectionError):
        register(registry, trained("ranker"))
    assert registry.challengers == {}
