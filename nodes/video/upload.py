"""A saved file sent on to the address that a profile of keys.json names."""

import time
from pathlib import Path

import comfy.model_management
import folder_paths

from ...remote.errors import RemoteError
from ...remote.http.signed_upload import put_file
from ...remote.jobs.thread import LoopThread
from ...remote.keys import read_put_address
from ...remote.settings import RemoteSettings

TICK = 0.1  # seconds between looks at the button that interrupts


def upload_settings() -> RemoteSettings:
    """Settings for an upload; the keys lie where no HTTP request to this ComfyUI gets at them."""
    output = Path(folder_paths.get_output_directory())
    return RemoteSettings(Path(folder_paths.get_system_user_directory("wan_duet")), output)


def upload(path: Path, profile: str, settings: RemoteSettings) -> str:
    """Send the file and return the line for the report. RemoteError says that the file is saved, and why no more."""
    thread = LoopThread()
    try:
        sending = thread.run(put_file(path, read_put_address(profile, settings.private), settings))
        while not sending.done():
            comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(TICK)
        sending.result()
    except RemoteError as error:
        said = f"upload_profile is '{profile}': {error.reason}. {path.name} is saved in the output folder all the same"
        raise RemoteError(error.kind, said, advice=error.advice) from None
    finally:
        thread.close()
    return f"Sent to the address of profile '{profile}'."
