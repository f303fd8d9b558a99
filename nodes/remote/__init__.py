"""The shelf "Remote": the same work at a provider, paid for and kept track of."""

from .catalog import ROWS
from .jobs import RemoteJobs
from .node import provider_node

REMOTE_NODES = [*map(provider_node, ROWS), RemoteJobs]
