"""Just enough of Airflow to read the example: what its classes are given, and what follows what."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar


class Dag:
    """A stand-in of ``airflow.sdk.DAG``."""

    current: ClassVar["Dag | None"] = None
    made: ClassVar[list["Dag"]] = []

    def __init__(self, dag_id: str, **settings: Any) -> None:
        self.dag_id, self.settings = dag_id, settings
        self.tasks: list[Task] = []
        Dag.made.append(self)

    def __enter__(self) -> "Dag":
        Dag.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Dag.current = None


class Task:
    """A stand-in of ``BashOperator``."""

    def __init__(self, task_id: str, bash_command: str, **settings: Any) -> None:
        assert Dag.current is not None, "a task outside of a DAG"
        self.task_id, self.bash_command = task_id, bash_command
        self.settings = Dag.current.settings["default_args"] | settings
        self.upstream: list[str] = []
        Dag.current.tasks.append(self)

    def __rshift__(self, other: "Task") -> "Task":
        other.upstream.append(self.task_id)
        return other


@contextmanager
def stand_ins() -> Iterator[list[Dag]]:
    """Airflow's modules for the time of a block; the DAGs that are made in it."""
    bash = "airflow.providers.standard.operators.bash"
    parts = bash.split(".")
    names = [".".join(parts[: n + 1]) for n in range(len(parts))] + ["airflow.sdk"]
    modules: dict[str, Any] = {name: ModuleType(name) for name in names}
    modules["airflow.sdk"].DAG = Dag
    modules[bash].BashOperator = Task
    before = {name: sys.modules.get(name) for name in names}
    Dag.made.clear()
    sys.modules.update(modules)
    try:
        yield Dag.made
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
