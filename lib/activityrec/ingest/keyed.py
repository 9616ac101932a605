"""Whether the clean tables were filled with the key that is in force."""

from activityrec import tables
from activityrec.errors import PrivacyError
from activityrec.ingest.privacy import Protection
from activityrec.lakehouse import Lakehouse

KEY_MARK = "activityrec.key"
"""The table property that holds the fingerprint of the key; it tells nothing about the key."""
NO_KEY = "none"


def check_key(lakehouse: Lakehouse, protection: Protection | None, plain_too: bool = False) -> None:
    """Check the key against the one that the tables were made with, and mark new ones.

    With ``plain_too`` tables from before there was a key are no fault.

    Raises
    ------
    PrivacyError
        A table has pseudonyms or hashes by another key, or ids where there should be
        pseudonyms; or users were erased, and without the key they would come back.
    """
    mine = NO_KEY
    if protection is not None:
        kind = "pseudonyms" if protection.pseudonyms else "ids"
        mine = f"{kind}:{protection.fingerprint}"
    for table in (*tables.CLEAN, tables.ERASURES):
        if lakehouse.exists(table):
            theirs = lakehouse.properties(table).get(KEY_MARK, NO_KEY)
            if plain_too and theirs == NO_KEY:
                continue
            if table is tables.ERASURES and _key_of(theirs) == _key_of(mine):
                continue
            if fault := _fault(theirs, mine):
                raise PrivacyError(
                    f"table {table.full_name} {fault}; give the key and privacy.user_id that it "
                    "was made with, or use another lakehouse"
                )
    lakehouse.marks[KEY_MARK] = mine


def _key_of(mark: str) -> str:
    return mark.rsplit(":", 1)[-1]


def _fault(theirs: str, mine: str) -> str | None:
    """What is wrong with a table of one mark under another."""
    if theirs == mine or (theirs == NO_KEY and mine.startswith("ids:")):
        return None
    if theirs == NO_KEY:
        return "holds plain user ids, and privacy.user_id is hash: users would have two ids"
    if mine == NO_KEY:
        return "was made with a key, and the configuration asks for none"
    if theirs.split(":")[0] != mine.split(":")[0]:
        return f"holds {theirs.split(':')[0]}, and the configuration asks for the other kind"
    return "was made with another key than the one given"
