"""What libraries that know no activities take at the sizes of benchmarks/scale.py.

On the worlds that it left in its folder (``features`` must have run): the weights of users on
items that ALS learns from in ``train``, an implicit ALS with parameters of the same names, and the
20 best of all items (products, and activities that somebody answered) for each user. MLlib's
recommendForAllUsers, and `implicit` and RecTools where the Python that runs this has them
(`pip install implicit rectools`). What is compared is time and memory, not quality: MLlib and
`implicit` do not mean the same by ``reg``. Each runs in processes of its own, one after the other;
memory is the most that these had together.

    .venv/bin/python benchmarks/scale_peers.py --users 10000 100000
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from memory import watched

ROOT = Path(__file__).resolve().parents[1]
K = 20
CORES = 2
Peer = Callable[[Path, dict[str, Any]], None]


def weights(folder: Path, parameters: dict[str, Any]) -> None:
    """Write the pairs, and the parameters that the peers share with the configuration."""
    from activityrec.config_file import load_config
    from activityrec.lakehouse import Lakehouse
    from activityrec.retrieval.known import known_before
    from activityrec.session import get_spark

    config = load_config(folder / "world.yaml")
    known = known_before(
        Lakehouse(get_spark("benchmark-peers"), config),
        config,
        date.fromisoformat(parameters["day"]),
    )
    pairs = known.numbered(config.retrieval.als.items).selectExpr(
        "user", "item", "float(weight) AS weight"
    )
    pairs.write.mode("overwrite").parquet(str(folder / "peers/pairs"))
    als = config.retrieval.als
    shared = {"rank": als.rank, "iterations": als.max_iter, "reg": als.reg, "alpha": als.alpha}
    print(json.dumps(shared | {"seed": als.seed, "blocks": als.blocks}))


def mllib(folder: Path, parameters: dict[str, Any]) -> None:
    from pyspark.ml.recommendation import ALS

    from activityrec.session import get_spark

    pairs = get_spark("benchmark-peers").read.parquet(str(folder / "peers/pairs"))
    started = time.perf_counter()
    model = ALS(
        rank=parameters["rank"],
        maxIter=parameters["iterations"],
        regParam=parameters["reg"],
        alpha=parameters["alpha"],
        numUserBlocks=parameters["blocks"],
        numItemBlocks=parameters["blocks"],
        seed=parameters["seed"],
        implicitPrefs=True,
        ratingCol="weight",
    ).fit(pairs)
    fitted = time.perf_counter()
    model.recommendForAllUsers(K).write.format("noop").mode("overwrite").save()
    tell(started, fitted)


def by_implicit(folder: Path, parameters: dict[str, Any]) -> None:
    import numpy as np
    from implicit.als import AlternatingLeastSquares
    from pyarrow import parquet
    from scipy.sparse import csr_matrix

    started = time.perf_counter()
    read = parquet.read_table(folder / "peers/pairs")
    user, item, weight = (read.column(name).to_numpy() for name in ("user", "item", "weight"))
    matrix = csr_matrix((weight, (user, item)))
    model = AlternatingLeastSquares(**of_implicit(parameters))
    model.fit(matrix, show_progress=False)
    fitted = time.perf_counter()
    everyone = np.arange(matrix.shape[0])
    for some in np.array_split(everyone, max(1, len(everyone) // 10_000)):
        model.recommend(some, matrix[some], N=K, filter_already_liked_items=False)
    tell(started, fitted)


def rectools(folder: Path, parameters: dict[str, Any]) -> None:
    import pandas as pd
    from implicit.als import AlternatingLeastSquares
    from pyarrow import parquet
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import ImplicitALSWrapperModel

    started = time.perf_counter()
    rows = parquet.read_table(folder / "peers/pairs").to_pandas()
    rows = rows.rename(
        columns={"user": Columns.User, "item": Columns.Item, "weight": Columns.Weight}
    )
    data = Dataset.construct(rows.assign(**{Columns.Datetime: pd.Timestamp(parameters["day"])}))
    model = ImplicitALSWrapperModel(AlternatingLeastSquares(**of_implicit(parameters)))
    model.fit(data)
    fitted = time.perf_counter()
    model.recommend(rows[Columns.User].unique(), data, k=K, filter_viewed=False)
    tell(started, fitted)


def of_implicit(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "factors": parameters["rank"],
        "iterations": parameters["iterations"],
        "regularization": parameters["reg"],
        "alpha": parameters["alpha"],
        "random_state": parameters["seed"],
        "num_threads": CORES,
    }


def tell(started: float, fitted: float) -> None:
    now = time.perf_counter()
    print(json.dumps({"fit": round(fitted - started, 1), "lists": round(now - fitted, 1)}))


PEERS: dict[str, tuple[str, str, Peer]] = {
    "mllib": ("MLlib ALS, recommendForAllUsers", "", mllib),
    "implicit": ("implicit, AlternatingLeastSquares", "implicit", by_implicit),
    "rectools": ("RecTools, ImplicitALSWrapperModel", "rectools", rectools),
}
"""Name in the table, the module that the Python here must have, what is run."""


def step(name: str, folder: Path, parameters: dict[str, Any], memory: str) -> tuple[dict, float]:
    """Run one step in a process of its own; what it told in its last line, and its peak in MB."""
    script = [str(Path(__file__).resolve()), "--step", name, "--folder", str(folder)]
    job = [*script, "--parameters", json.dumps(parameters)]
    if name in ("weights", "mllib"):
        submit = [str(ROOT / "spark-submit.sh"), "--conf", f"spark.master=local[{CORES}]"]
        job = [*submit, "--conf", f"spark.driver.memory={memory}", *job]
    else:
        job = [sys.executable, *job]
    # Both say that many threads inside of threads are slow.
    quiet = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    log = folder / f"peers-{name}.log"
    status, out, peak = watched(job, log, quiet)
    if status:
        print(f"{name} failed, status {status}: see {log}", file=sys.stderr)
        return {}, peak
    return json.loads(out.splitlines()[-1]), peak


def compare(folder: Path, users: int, memory: str) -> None:
    world = folder / str(users)
    day = json.loads((world / "truth/truth.json").read_text())["as_of"]
    shared, _ = step("weights", world, {"day": day}, memory)
    if not shared:
        sys.exit(1)
    for name, (shown, module, _) in PEERS.items():
        if module and not find_spec(module):
            continue
        told, peak = step(name, world, shared | {"day": day}, memory)
        cells = " | ".join(str(told.get(part, "failed")) for part in ("fit", "lists"))
        print(f"| {shown} | {users:,} | {cells} | {peak:,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".build/benchmarks/scale")
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--driver-memory", default="6g")
    parser.add_argument("--step", choices=["weights", *PEERS], help=argparse.SUPPRESS)
    parser.add_argument("--parameters", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        run = weights if options.step == "weights" else PEERS[options.step][2]
        run(options.folder, options.parameters)
        return
    print("| peer | users | fit, s | lists, s | peak MB |\n|---|---:|---:|---:|---:|")
    for users in sorted(options.users):
        compare(options.folder.resolve(), users, options.driver_memory)


if __name__ == "__main__":
    main()
