from setuptools import find_packages, setup

# pyspark, delta-spark and mlflow are extras: a cluster or Databricks brings its own, and
# installing a second copy over it breaks it.
SPARK = ["pyspark>=4.0.1,<4.3", "delta-spark>=4.0,<4.5"]
MLFLOW = ["mlflow-skinny>=3.12,<4", "sqlalchemy>=2,<3", "alembic>=1.13,<2"]
# xgboost.spark needs scikit-learn.
XGBOOST = ["xgboost>=2.1,<4", "scikit-learn"]
# jobs/tune.py searches parameters with it.
TUNE = ["optuna>=5,<6"]
# jobs/report.py draws and writes the evaluation report with them.
REPORT = ["matplotlib>=3.9,<4", "jinja2>=3.1,<4"]
DEV = [
    "PyHive>=0.7,<1",  # tests ask the Thrift Server with it, by thrift and pure-sasl
    "databricks-bundles",  # tests hold databricks.yml against it; under Databricks' own licence
    "mypy",
    "pandas-stubs>=2.2,<3",  # without it mypy cannot read the pandas types in pyspark's own hints
    "deltalake",  # tests read the tables as others do, with this and DuckDB
    "duckdb>=1.5,<2",
    "duckdb-extension-delta",
    "pure-sasl",
    "pytest",
    "pytest-xdist",  # two processes with a session each: planning a query takes one core
    # tests compare the metrics of lists with it; elsewhere it has no wheel
    "pytrec-eval-terrier; platform_machine == 'x86_64' or sys_platform == 'darwin'",
    "ruff",
    "scikit-learn",  # tests compare the metrics with it
    "setuptools",
    "sqlglot",  # tests parse the SQL for warehouses with it
    "thrift",
    "thrift-sasl",
    "types-PyYAML",
    "wheel",
]

setup(
    name="activityrec",
    version="0.1.0",
    description="Recommends promotional activities to users, on Spark and Delta Lake",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    python_requires=">=3.10,<3.14",
    install_requires=[
        "numpy>=1.26,<3",
        "pandas>=2.2,<3",  # Spark 4.2 does not support pandas 3
        "pyarrow>=18,<26",
        "pydantic>=2.7,<3",
        "pyyaml>=6,<7",
        "scipy>=1.13,<2",  # products of sparse matrices
    ],
    package_data={"activityrec.evaluation.report": ["page.html", "page.css"]},
    extras_require={
        "spark": SPARK,
        "mlflow": MLFLOW,
        "xgboost": XGBOOST,
        "tune": TUNE,
        "report": REPORT,
        "dev": DEV,
    },
    # Out of the source tree, so that a module deleted since the last build stays out of the wheel.
    options={"build": {"build_base": ".build/wheel"}},
    zip_safe=False,
)
