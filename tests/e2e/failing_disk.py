"""Goal:   where the kernel itself says that a sync failed the daemon acks nothing more, ends with 1
        and says why; the next start, on a disk that is well again, has all that was acked, and what
        is sent again counts once.
Method: an ext4 whose loop device lies on a tmpfs that is too small: writes are taken, fdatasync
        fails, and a second fdatasync says that all is well, which is why no file is written or
        synced again after a failure. The lanes, which are zeros at first, are made holes of the
        image, so that they are what cannot be written. One small frame at a time, so that each
        write is one page: a loop device (Linux 6.18) says that a write of which it could store a
        part went well, and against that lie there is only the alarm of the next start.
"""

import errno
import os
import subprocess
import sys

import _daemon
from _daemon import BUILD, hello, rows
from _disk import Disk, run

EVENTS = 20
ROUNDS = 3
FRAMES_MAX = 2000
QUIET = 60  # frames before the disk fails
problems = []


def fill_below(disk, left=0):
    """A file on the tmpfs below, so that the image cannot grow by more than `left`."""
    with open(os.path.join(disk.below, "filler"), "wb", buffering=0) as stream:
        for piece in (1 << 20, 4096):
            try:
                while True:
                    stat = os.statvfs(disk.below)
                    if 0 < left >= stat.f_bavail * stat.f_frsize:
                        return
                    stream.write(b"\0" * piece)
            except OSError:
                pass


def heal(disk, dig=False):
    filler = os.path.join(disk.below, "filler")
    if os.path.exists(filler):
        os.remove(filler)
    disk.umount(disk.path)
    subprocess.run(["e2fsck", "-fy", disk.image], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    if dig:
        run("fallocate", "--dig-holes", disk.image)
    disk.mount("-o", "loop", disk.image, disk.path)


def check_kernel(disk):
    """The trap as this kernel has it; printed, since another one may do better."""
    path = os.path.join(disk.path, "trap")
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    said = []
    for _ in range(64):
        try:
            os.write(descriptor, b"x" * (1 << 20))
            os.fdatasync(descriptor)
        except OSError as error:
            said.append(errno.errorcode[error.errno])
            try:
                os.fdatasync(descriptor)
                said.append("0")
            except OSError as again:
                said.append(errno.errorcode[again.errno])
            break
    os.close(descriptor)
    print(f"fdatasync on a failing disk, and once more: {', '.join(said)}")
    if not said or said[0] not in ("EIO", "ENOSPC"):
        problems.append("the disk does not fail as it is meant to")


def send_until_it_ends(daemon, breaks):
    """Gives how many frames were sent, and how many of them acked."""
    peer = _daemon.Peer(daemon.port, hello(daemon.token()))
    peer.says()
    acked = 0
    for number in range(FRAMES_MAX):
        if number == QUIET:
            breaks()
        peer.send(rows(range(number * EVENTS, (number + 1) * EVENTS), number + 1))
        if not peer.says().startswith("ack"):
            break
        acked += 1
    peer.close()
    return number + 1, acked


def check_again(daemon, frames, acked):
    """Everything once more."""
    there = daemon.summary()
    if there["accepted"] < acked * EVENTS or there["accepted"] % EVENTS != 0:
        problems.append(f"{there}, but {acked * EVENTS} were acked")
    peer = _daemon.Peer(daemon.port, hello(daemon.token()))
    peer.says()
    for number in range(frames):
        peer.send(rows(range(number * EVENTS, (number + 1) * EVENTS), number + 1))
        answer = peer.says()
        if answer not in (f"ack {EVENTS}/{EVENTS}", f"ack 0/{EVENTS}"):
            problems.append(f"frame {number} sent again: {answer}")
    peer.close()
    if daemon.summary()["accepted"] != frames * EVENTS:
        problems.append(f"{daemon.summary()}, not {frames * EVENTS} accepted")


def trial():
    with Disk("ext4", 400 << 20, thin=200 << 20) as disk, \
            _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "8M", "--lanes", "2",
                           "--dedup-ids", "4000000") as daemon:
        fill_below(disk, 8 << 20)
        check_kernel(disk)
        heal(disk)
        daemon.data = os.path.join(disk.path, "data")
        daemon.start()
        daemon.stop()
        heal(disk, dig=True)
        daemon.start()
        frames, acked = send_until_it_ends(daemon, lambda: fill_below(disk))
        if daemon.process.poll() is None and frames == FRAMES_MAX:
            problems.append("no write to the lanes fails")
            daemon.kill()
        elif daemon.process.wait(timeout=60) != 1:
            problems.append(f"it ended with {daemon.process.returncode}")
        with open(daemon.log, encoding="utf-8", errors="replace") as log:
            if "a write found the disk full" not in log.read():
                problems.append("it does not say why it ended")
        heal(disk)
        daemon.start()
        check_again(daemon, frames, acked)
        daemon.stop()
        verify = subprocess.run([os.path.join(BUILD, "venturi"), "verify", "--data", daemon.data],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if verify.returncode != 0:
            problems.append(f"venturi verify: {verify.returncode} {verify.stdout.decode()}")
        print(f"{frames} frames, {acked} acked before the failure")


for _ in range(ROUNDS):
    trial()
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
