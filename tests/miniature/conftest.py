"""The stored miniature on a server of its own."""

import pytest
from wan_duet.dev.miniature.studio import Studio
from wan_duet.dev.server import Server


@pytest.fixture(scope="session")
def films(miniature_server: Server) -> Studio:
    """Makes films with the trained weights."""
    return Studio(miniature_server)
