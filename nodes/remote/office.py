"""The one manager of remote jobs of this ComfyUI, made when it is first needed."""

from functools import cache
from pathlib import Path

import folder_paths

from ...remote.manager import JobManager
from ...remote.settings import Settings

OUTPUT = "remote"  # the folder of results, in the output folder


def settings() -> Settings:
    """Journal and keys lie where no HTTP request gets at them, results in the output folder."""
    private = Path(folder_paths.get_system_user_directory("wan_duet"))
    return Settings(private, Path(folder_paths.get_output_directory(), OUTPUT))


@cache
def manager() -> JobManager:
    """Nothing is opened or started before its first job."""
    return JobManager(settings())
