"""Which first attempts a rollout is judged by, at each kind of split."""

from __future__ import annotations

import pytest

from canario.model.evidence import Counts
from canario.model.split import Split
from canario.router.evidence import Seen

SEEN = Seen(
    split={"v1": Counts(requests=90), "v2": Counts(requests=10)},
    named={"v1": Counts(requests=3), "v2": Counts(requests=5, errors=1)},
    shadow={"v2": Counts(requests=7)},
)


def test_a_preview_is_judged_by_the_requests_that_name_it() -> None:
    """A candidate that the split deals nothing is seen through the requests that ask for it; stable's named ones stay apart."""
    counts = SEEN.for_rollout(Split(stable="v1", candidate="v2"))
    assert counts == {"v1": Counts(requests=90), "v2": Counts(requests=22, errors=1)}


@pytest.mark.parametrize(
    "split",
    [
        Split(stable="v1"),
        Split(stable="v1", candidate="v2", weight_percent=10.0),
        Split(stable="v1", candidate="v2", shadow_percent=100.0),
        None,
    ],
)
def test_named_requests_are_no_random_sample(split: Split | None) -> None:
    """While the split deals requests or copies, those that name a version are no evidence."""
    assert SEEN.for_rollout(split) == {"v1": Counts(requests=90), "v2": Counts(requests=17)}
