"""What a person may write to mean a stored version."""

from __future__ import annotations

import pytest

from canario.adapters.versions import find_version
from canario.errors import NotFound


@pytest.mark.parametrize("text", [":v1", "", ":"])
def test_a_version_without_a_model_is_a_slip(text: str) -> None:
    """Who leaves the model out is told how a version is written, not to train one without a name."""
    with pytest.raises(NotFound, match="no version of ''") as slip:
        find_version(text)
    assert "MODEL:TAG" in slip.value.hint
    assert "canario train" not in slip.value.hint
