"""Figures and names as the report writes them."""

import unicodedata
from collections.abc import Iterable
from typing import Any

from activityrec.evaluation.report.data import Row

NONE = "\N{EN DASH}"
"""What stands for a value that is NULL, or too few people's to be shown."""

_NAMES = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "auc_within_user": "AUC within users",
    "auc_within_activity": "AUC within activities",
    "auc_within_activity_day": "AUC within activities and days",
    "auc_within_user_live": "AUC within users, live at once",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "f1": "F1",
    "mrr": "MRR",
    "map": "MAP",
    "ndcg": "NDCG",
}


def figure(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash for None."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 3) -> str:
    """The same with a sign."""
    text = figure(value, digits)
    return f"+{text}" if value is not None and float(f"{value:.{digits}f}") > 0 else text


def share(value: float | None) -> str:
    """A share as a percentage."""
    return NONE if value is None else f"{100 * value:.1f} %"


def count(value: int | None) -> str:
    """A number of rows or persons."""
    return NONE if value is None else f"{value:,}"


def interval(row: Row, digits: int = 3) -> str:
    """``[low, high]`` of a row; empty where it has none."""
    if row["low"] is None or row["high"] is None:
        return ""
    return f"[{figure(row['low'], digits)}, {figure(row['high'], digits)}]"


def several(counts: Iterable[int | None]) -> str:
    """One count, or the range of those that differ."""
    known = sorted({value for value in counts if value is not None})
    if not known:
        return NONE
    return count(known[0]) if len(known) == 1 else f"{known[0]:,}{NONE}{known[-1]:,}"


def title(name: str) -> str:
    """The name of a metric or slice as a reader would write it."""
    base, _, k = name.partition("@")
    plain = base.removesuffix("_weighted")
    text = _NAMES.get(plain, plain.removeprefix("attribute_").replace("_", " "))
    text = text[:1].upper() + text[1:]
    return text + (" (weighted)" if plain != base else "") + (f" at {k}" if k else "")


def within(name: str) -> str:
    """The same inside a sentence."""
    text = title(name)
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def plain(value: Any, most: int = 60) -> str:
    """A value of the data as one short line: no control characters, cut at ``most``."""
    if value is None:
        return NONE
    kept = [" " if unicodedata.category(sign) in {"Cc", "Cs"} else sign for sign in str(value)]
    text = " ".join("".join(kept).split())
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    every = list(names)
    return " and ".join(filter(None, [", ".join(every[:-1]), *every[-1:]]))
