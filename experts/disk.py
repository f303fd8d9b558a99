"""The disk that a file lies on, as far as Linux tells."""

import os
from pathlib import Path
from typing import NamedTuple

BLOCK_DEVICES = Path("/sys/dev/block")
MOUNTS = Path("/proc/self/mountinfo")
BUSES = ("/ata", "/usb")  # virtual disks call themselves rotational too


class Disk(NamedTuple):
    """Traits that slow reading down; an unknown disk is a good one."""

    spins: bool = False
    filesystem: str = ""


UNKNOWN = Disk()


def disk_of(path: str, block_devices: Path = BLOCK_DEVICES, mounts: Path = MOUNTS) -> Disk:
    """The disk of `path`; `UNKNOWN` where the system does not tell."""
    if not hasattr(os, "major"):
        return UNKNOWN
    try:
        device = os.stat(path).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        return Disk(_spins(block_devices / number), _filesystem(number, mounts))
    except OSError:
        return UNKNOWN


def _spins(block: Path) -> bool:
    """Say whether a disk, the disk of a partition, or any part of a RAID or an encrypted volume is a hard disk."""
    block = block.resolve()
    if parts := list(block.glob("slaves/*")):
        return any(map(_spins, parts))
    disk = block if (block / "queue").is_dir() else block.parent
    rotational = disk / "queue" / "rotational"
    if not rotational.is_file() or not any(bus in str(disk) for bus in BUSES):
        return False
    return rotational.read_text(encoding="ascii").strip() == "1"


def _filesystem(number: str, mounts: Path) -> str:
    """The type that the kernel gives the file system of a device number; empty if it is not mounted."""
    if not mounts.is_file():
        return ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        place, _, kind = line.partition(" - ")
        if place.split()[2:3] == [number]:
            return kind.split()[0]
    return ""
