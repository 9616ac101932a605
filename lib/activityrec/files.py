"""Files on whatever file system a path is on, as Hadoop knows them (disk, HDFS, S3, volumes)."""

import os
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

DISK = "file:"
"""What an address on a disk begins with."""


def on_disk(path: str) -> str | None:
    """The path on this machine's disk, or on what is mounted there; None on other storage."""
    plain = path.removeprefix(DISK)
    return None if ":" in plain.split("/")[0] else plain


class Files:
    """A handful of operations on paths; small files only, the driver reads and writes them."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def exists(self, path: str) -> bool:
        target, system = self._open(path)
        return bool(system.exists(target))

    def is_folder(self, path: str) -> bool:
        target, system = self._open(path)
        return bool(system.exists(target)) and bool(system.getFileStatus(target).isDirectory())

    def holds_any(self, folder: str) -> bool:
        """Whether there is a file or folder in it."""
        target, system = self._open(folder)
        return bool(system.exists(target)) and len(system.listStatus(target)) > 0

    def names(self, folder: str) -> list[str]:
        """The names of the files and folders in it."""
        target, system = self._open(folder)
        return [str(status.getPath().getName()) for status in system.listStatus(target)]

    def put(self, local: str, path: str) -> None:
        """Copy a folder of the driver's disk, through streams: S3A's own copying of local files has
        threads of its own, and was seen to send one again and again."""
        source, disk = self._open(f"{DISK}{local}")
        target, system = self._open(path)
        conf = self.spark._jsparkSession.sessionState().newHadoopConf()
        self._jvm.org.apache.hadoop.fs.FileUtil.copy(disk, source, system, target, False, conf)

    def rename(self, path: str, new: str) -> None:
        """Move a file to a name that is free."""
        target, system = self._open(path)
        if not system.rename(target, self._jvm.org.apache.hadoop.fs.Path(new)):
            raise FileExistsError(f"{path} cannot be renamed to {new}")

    def delete(self, path: str) -> None:
        """Delete a file or folder, if it is there."""
        target, system = self._open(path)
        system.delete(target, True)

    def delete_empty(self, folder: str) -> bool:
        """Delete a folder; False where there is something in it, which stays."""
        target, system = self._open(folder)
        try:
            return bool(system.delete(target, False))
        except Py4JJavaError:
            if self.holds_any(folder):
                return False
            raise

    def read_text(self, path: str) -> str:
        target, system = self._open(path)
        stream = system.open(target)
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write_text(self, path: str, text: str) -> None:
        target, system = self._open(path)
        stream = system.create(target, True)
        try:
            stream.write(bytearray(text, "utf-8"))
        finally:
            stream.close()

    def system(self, path: str) -> str:
        """The address of the file system that a path is on, as ``file:///`` or ``s3a://bucket``."""
        return str(self._open(path)[1].getUri())

    def can(self, path: str, capability: str) -> bool:
        """Whether the store says that it has a capability of Hadoop's file systems."""
        target, system = self._open(path)
        return bool(system.hasPathCapability(target, capability))

    def create_new(self, path: str, text: str, option: str, value: str | None = None) -> None:
        """Write a file that is not there yet. A store that knows ``option`` (of Hadoop's
        createFile) judges by it when the file is complete; others when it is begun."""
        target, system = self._open(path)
        builder = system.createFile(target).recursive()
        if self.can(path, option):
            builder = builder.overwrite(True)
            builder = builder.must(option, True if value is None else value)
        else:
            builder = builder.overwrite(False)
        stream = builder.build()
        stream.write(bytearray(text, "utf-8"))
        stream.close()

    def tag(self, path: str) -> str:
        """What an object store changes with each writing of a file; '' on file systems."""
        target, system = self._open(path)
        status = system.getFileStatus(target)
        is_tagged = self._jvm.org.apache.hadoop.fs.EtagSource._java_lang_class
        return str(status.getEtag()) if is_tagged.isInstance(status) else ""

    def replace_text(self, path: str, text: str) -> None:
        """Write a file that readers see as it was or as it is, never half of it.

        On a disk by renaming, on an object store by its own way of writing; on HDFS a reader may
        find the file shorter for a moment.
        """
        target, system = self._open(path)
        if system.getUri().getScheme() != "file":
            self.write_text(path, text)
            return
        final = Path(target.toUri().getPath())
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{os.getpid()}")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)

    def first_line(self, path: str, encoding: str = "UTF-8", comment: str = "") -> str:
        """The first line that is neither empty nor a comment, decompressed where the file's name
        says so; '' if there is none."""
        target, system = self._open(path)
        conf = self.spark._jsparkSession.sessionState().newHadoopConf()
        codec = self._jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(conf).getCodec(
            target
        )
        stream = system.open(target)
        try:
            plain = stream if codec is None else codec.createInputStream(stream)
            reader = self._jvm.java.io.InputStreamReader(plain, encoding)
            lines = self._jvm.java.io.BufferedReader(reader)
            while (line := lines.readLine()) is not None:
                text = str(line).lstrip("\ufeff")
                if text.strip() and not (comment and text.startswith(comment)):
                    return text
        finally:
            stream.close()
        return ""

    @property
    def _jvm(self) -> Any:
        assert self.spark._jvm is not None
        return self.spark._jvm

    def _open(self, path: str) -> tuple[Any, Any]:
        """A path and the file system that it is on."""
        conf = self.spark._jsparkSession.sessionState().newHadoopConf()
        target = self._jvm.org.apache.hadoop.fs.Path(path)
        return target, target.getFileSystem(conf)
