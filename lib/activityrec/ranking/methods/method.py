"""What every method of ranking is."""

from typing import Any, ClassVar

from activityrec.config_base import Section

FEATURES = "features"
"""Vector column: the inputs, then the one-hot codes."""

STANDARDISED = "standardised"
"""Vector column: the same, less the mean of the training examples, by their deviation."""


class Method(Section):
    """The parameters of one method, and how to build it.

    Attributes
    ----------
    weighted
        Whether its last stage takes the weights of examples, in the column ``weight``. One that
        does not is fitted without them, and :meth:`corrected` afterwards.
    """

    weighted: ClassVar[bool] = True

    def stages(self, seed: int, examples: int) -> list[Any]:
        """MLlib stages to fit on so many ``examples``: they read ``features`` or
        ``standardised``, ``label`` and ``weight``, and write ``probability`` (a vector: of no
        response, of a response). The classifier is last.
        """
        raise NotImplementedError

    def corrected(self, model: Any, log_odds: float) -> Any:
        """A fitted classifier with ``log_odds`` added to those of its probabilities."""
        raise NotImplementedError
