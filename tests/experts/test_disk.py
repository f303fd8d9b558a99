"""Hard disks and slow mounts, told from a /sys and a /proc of the test's own."""

import os
from pathlib import Path

import pytest
from wan_duet.experts.disk import UNKNOWN, Disk, disk_of

pytestmark = pytest.mark.skipif(not hasattr(os, "major"), reason="only POSIX numbers its devices")

SATA, USB, VIRTUAL = "pci0000:00/0000:00:17.0/ata1/host0", "pci0000:00/usb2/2-1/host4", "pci0000:00/virtio1"


class Machine:
    """A machine with one file, on a disk that the test builds."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / "file"
        self.file.touch()
        device = self.file.stat().st_dev
        self.number = f"{os.major(device)}:{os.minor(device)}"
        self.numbers = folder / "dev"
        self.numbers.mkdir()
        self.mounts = folder / "mountinfo"

    def disk(self, where: str, rotational: bool) -> Path:
        """A disk on a bus."""
        disk = self.folder / "devices" / where / "block" / "disk"
        (disk / "queue").mkdir(parents=True)
        (disk / "queue" / "rotational").write_text(f"{int(rotational)}\n")
        return disk

    def holds_file(self, block: Path) -> None:
        """Let the file lie on a block device."""
        (self.numbers / self.number).symlink_to(block)

    def found(self) -> Disk:
        """What is found out about the file's disk."""
        return disk_of(str(self.file), self.numbers, self.mounts)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("where", "rotational", "spins"),
    [(SATA, True, True), (USB, True, True), (SATA, False, False), (VIRTUAL, True, False)],
    ids=["SATA", "USB", "SSD", "virtual"],
)
def test_a_hard_disk_is_one_that_says_so_and_is_no_virtual_one(
    machine: Machine, where: str, rotational: bool, spins: bool
) -> None:
    machine.holds_file(machine.disk(where, rotational))
    assert machine.found().spins == spins


def test_a_partition_is_as_its_disk(machine: Machine) -> None:
    partition = machine.disk(SATA, rotational=True) / "part1"
    partition.mkdir()
    machine.holds_file(partition)
    assert machine.found().spins


def test_a_volume_is_as_the_partitions_it_is_made_of(machine: Machine) -> None:
    partition = machine.disk(SATA, rotational=True) / "part1"
    partition.mkdir()
    volume = machine.folder / "devices" / "virtual" / "block" / "dm-0"
    (volume / "slaves").mkdir(parents=True)
    (volume / "slaves" / "part1").symlink_to(partition)
    machine.holds_file(volume)
    assert machine.found().spins


def test_the_file_system_is_that_of_the_files_own_mount(machine: Machine) -> None:
    machine.mounts.write_text(
        "20 1 999:1 / / rw shared:1 - ext4 /dev/vda1 rw\n"
        f"36 20 {machine.number} / /models rw,nosuid shared:7 master:2 - fuseblk /dev/sdb1 rw,user_id=0\n"
    )
    assert machine.found() == Disk(spins=False, filesystem="fuseblk")


def test_nothing_is_known_of_a_file_that_is_gone_or_of_a_system_without_such_folders(machine: Machine) -> None:
    assert machine.found() == UNKNOWN
    machine.file.unlink()
    assert machine.found() == UNKNOWN
