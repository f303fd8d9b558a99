"""The shelf "Remote": the same work at a provider, paid for and kept track of."""

from .jobs import RemoteJobs
from .node import provider_node
from .table import ROWS

REMOTE_NODES = [*map(provider_node, ROWS), RemoteJobs]
