"""The one manager of remote jobs of this ComfyUI, made when it is first needed."""

import os
from functools import cache
from pathlib import Path

import folder_paths

from ...remote.jobs.manager import JobManager
from ...remote.settings import RemoteSettings

OUTPUT = "remote"  # the folder of results, in the output folder
HOSTS = "WAN_DUET_RESULT_HOSTS"  # further hosts that results may come from, with spaces between


def settings() -> RemoteSettings:
    """Journal and keys lie where no HTTP request gets at them, results in the output folder."""
    private = Path(folder_paths.get_system_user_directory("wan_duet"))
    output = Path(folder_paths.get_output_directory(), OUTPUT)
    return RemoteSettings(private, output, extra_hosts=tuple(os.environ.get(HOSTS, "").split()))


@cache
def manager() -> JobManager:
    """Nothing is opened or started before its first job."""
    return JobManager(settings())
