"""Spark's Thrift Server over a lakehouse: what beeline, JDBC, PyHive and BI tools connect to."""

import os
import socket

from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.ddl import quoted
from activityrec.errors import ConfigError, StateError
from activityrec.lakehouse import Lakehouse
from activityrec.serving.views import NAMING, view_queries

SCHEMA = "serving"
_OFFERED = (*tables.SERVING, *NAMING)


def register(lakehouse: Lakehouse) -> list[str]:
    """Make tables and views under a root known to the session's catalog, where they are not yet.

    Tables get the names of their contracts, views are in the schema ``serving``: names and places
    alone, no data. Tables in a catalog are known to all of its readers as they are.

    Returns
    -------
    list of str
        What was added: tables with their schema, views without. Empty for a catalog.

    Raises
    ------
    ConfigError
        The session has a metastore, which may know other tables by these names.
    """
    if lakehouse.root is None:
        return []
    spark = lakehouse.spark
    if spark.conf.get("spark.sql.catalogImplementation") != "in-memory":
        raise ConfigError(
            "lakehouse.root is of no use with a metastore: give lakehouse.catalog, where the jobs "
            "keep their tables too, or leave spark.sql.catalogImplementation at in-memory"
        )
    added = []
    for table in filter(lakehouse.exists, _OFFERED):
        if not spark.catalog.tableExists(table.full_name):
            _make_schema(lakehouse, table.schema)
            place = quoted(f"{lakehouse.root}/{table.schema}/{table.name}")
            spark.sql(f"CREATE TABLE {table.full_name} USING delta LOCATION {place}")
            added.append(table.full_name)
    # Also where no table is new: storage may have failed between tables and views.
    queries = view_queries(lakehouse, lambda table: table.full_name)
    for name in [n for n in queries if not spark.catalog.tableExists(f"{SCHEMA}.{n}")]:
        _make_schema(lakehouse, SCHEMA)
        spark.sql(f"CREATE VIEW {SCHEMA}.{name} AS {queries[name]}")
        added.append(name)
    return added


def _make_schema(lakehouse: Lakehouse, name: str) -> None:
    if not lakehouse.spark.catalog.databaseExists(name):
        place = quoted(f"{lakehouse.root}/{name}")
        lakehouse.spark.sql(f"CREATE SCHEMA {name} LOCATION {place}")


def start(spark: SparkSession, host: str, port: int) -> None:
    """Start the server inside the session's process; it ends with it.

    Raises
    ------
    StateError
        Nothing can listen there.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise StateError(f"nothing can listen at {host}:{port}: {error.strerror}") from None
    spark.conf.set("hive.server2.thrift.bind.host", host)
    spark.conf.set("hive.server2.thrift.port", str(port))
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    # The maximum of a DATE column, answered from Delta's log alone, ends in a ClassCastException in
    # the server's sessions. Those take their settings from the context, not from this session.
    context = spark.sparkContext._jsc.sc().conf()
    context.set("spark.databricks.delta.optimizeMetadataQuery.enabled", "false")
    # Hive keeps a Derby in memory for itself, which would leave derby.log behind.
    jvm.System.setProperty("derby.stream.error.file", os.devnull)
    server = jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
    server.startWithSparkSession(spark._jsparkSession, False)
