"""A saved file sent on to the address that a profile of keys.json names."""

import time
from pathlib import Path

import comfy.model_management

from ...remote.errors import RemoteError
from ...remote.jobs.manager import JobManager

TICK = 0.1  # seconds between looks at the button that interrupts


def upload(path: Path, profile: str, manager: JobManager) -> str:
    """Send the file and return the line for the report. RemoteError says that the file is saved, and why no more."""
    try:
        sending = manager.put(path, profile)
        try:
            while not sending.done():
                comfy.model_management.throw_exception_if_processing_interrupted()
                time.sleep(TICK)
        finally:
            sending.cancel()
        sending.result()
    except RemoteError as error:
        said = f"upload_profile is '{profile}': {error.reason}. {path.name} is saved in the output folder all the same"
        raise RemoteError(error.kind, said, advice=error.advice) from None
    return f"Sent to the address of profile '{profile}'."
