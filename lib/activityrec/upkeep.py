"""What erasure and maintenance do to tables: rows and files that go for good."""

from datetime import date

from pyspark.sql import DataFrame

from activityrec.delta_tables import DeltaTables
from activityrec.session import is_connected, settings
from activityrec.tables import Table

WEEK = 168
"""For so many hours Delta keeps old files, and does not remove them sooner unasked."""


class Upkeep(DeltaTables):
    """Deletes that no roll-back undoes, and housekeeping; a part of ``Lakehouse``."""

    def add_missing(self, table: Table, rows: DataFrame) -> int:
        """Add those of ``rows``, unique by key, whose key the table lacks; return their number."""
        self._prepare(table)
        target, source = self._delta_table(table).alias("t"), self._conform(table, rows).alias("s")
        merge = target.merge(source, table.same_key)
        return self._change(table, merge.whenNotMatchedInsertAll().execute, "numTargetRowsInserted")

    def erase(self, table: Table, rows: DataFrame, condition: str | None = None) -> int:
        """Delete what meets a condition between ``t``, the table, and ``s``, one of ``rows``; by
        default that they have the same key.

        Returns the number of rows deleted. The Delta log holds the condition, never the values
        of ``rows``. :meth:`all_or_nothing` does not bring back what was deleted.
        """
        self._verify(table)
        same = condition or table.same_key
        merge = self._delta_table(table).alias("t").merge(rows.alias("s"), same)
        return self._change(table, merge.whenMatchedDelete().execute, "numTargetRowsDeleted")

    def purge(self, table: Table) -> None:
        """Leave no file with rows that the current version lacks: older versions are gone.

        Deletion vectors mark rows as deleted and leave them in their files; files of a table
        that ever had them are written anew first.
        """
        self.before_write()
        name = self.identifier(table)
        listed = self.spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
        if any("deletionvectors" in row["key"].lower() for row in listed):
            self.spark.sql(f"REORG TABLE {name} APPLY (PURGE)")
        self.vacuum(table, 0)

    def vacuum(self, table: Table, hours: int) -> None:
        """Remove the files that no version younger than ``hours`` needs."""
        self.before_write()
        # Without the first setting Delta takes the table's own retention instead of ours.
        ours = {
            "spark.databricks.delta.vacuum.retentionWindowIgnore.enabled": "false",
            "spark.databricks.delta.retentionDurationCheck.enabled": str(hours >= WEEK).lower(),
        }
        if is_connected(self.spark) and hours == WEEK:
            # That is the tables' own, and serverless compute refuses such settings.
            ours = {}
        with settings(self.spark, ours):
            self.spark.sql(f"VACUUM {self.identifier(table)} RETAIN {hours} HOURS")
        self.versions.pop(table.full_name, None)

    def delete_before(self, table: Table, column: str, day: date) -> int:
        """Delete the rows whose ``column`` (DATE or TIMESTAMP, UTC) is before a day; their number.

        :meth:`all_or_nothing` does not bring them back.
        """
        return self.delete_where(table, f"{column} < DATE'{day}'")

    def delete_where(self, table: Table, condition: str) -> int:
        """Delete the rows that meet a condition, which is about no user; their number.

        :meth:`all_or_nothing` does not bring them back.
        """
        self._verify(table)
        delete = f"DELETE FROM {self.identifier(table)} WHERE {condition}"
        return self._change(table, lambda: self.spark.sql(delete), "numDeletedRows")

    def optimize(self, table: Table) -> None:
        """Put small files together, and rows where the clustering wants them."""
        self.before_write()
        self.spark.sql(f"OPTIMIZE {self.identifier(table)}")
        self.versions.pop(table.full_name, None)

    def files_of(self, table: Table) -> int:
        """The number of files of the current version."""
        return len(self.spark.read.table(self.identifier(table)).inputFiles())
