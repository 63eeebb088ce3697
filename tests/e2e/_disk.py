"""Small file systems of one's own, for the scripts of this folder. Needs root; skip() where it is
not there."""

import os
import subprocess
import sys
import tempfile

PIECE = 1 << 20


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Disk:
    """tmpfs, or ext4 in a file behind a loop device, mounted in a directory that is removed at the
    end. `thin`: the file lies on a tmpfs of so many bytes, which may be fewer than the ext4 has; it
    has no journal, which would make it read-only at the first failure."""

    def __init__(self, kind, size, thin=None):
        if os.geteuid() != 0:
            skip("mounting needs root")
        self.dir = tempfile.mkdtemp(prefix="venturi_disk_")
        self.path = os.path.join(self.dir, "disk")
        self.below = os.path.join(self.dir, "below")
        self.image = os.path.join(self.below, "image")
        self.kind = kind
        self.mounted = []
        os.mkdir(self.path)
        os.mkdir(self.below)
        try:
            if thin is not None:
                self.mount("-t", "tmpfs", "-o", f"size={thin}", "tmpfs", self.below)
            if kind == "ext4":
                with open(self.image, "wb") as image:
                    image.truncate(size)
                features = [] if thin is None else ["-O", "^has_journal"]
                run("mkfs.ext4", "-q", "-F", "-m", "0", *features, self.image)
                self.mount("-o", "loop", self.image, self.path)
            else:
                self.mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path)
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            said = getattr(error, "stderr", None)
            skip(f"no {kind} of one's own: {error} {said.decode() if said else ''}")

    def mount(self, *arguments):
        run("mount", *arguments)
        self.mounted.append(arguments[-1])

    def umount(self, path):
        run("umount", path)
        self.mounted.remove(path)

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, name, left=0):
        """A foreign file that leaves so many bytes free; 0: not even one."""
        with open(os.path.join(self.path, name), "ab", buffering=0) as stream:
            try:
                while self.free() > left:
                    stream.write(b"\0" * max(1, min(PIECE, self.free() - left)))
                while left == 0:
                    stream.write(b"\0")
            except OSError:
                pass

    def remove(self, name):
        os.remove(os.path.join(self.path, name))
        os.sync()

    def close(self):
        for path in reversed(self.mounted):
            subprocess.run(["umount", "-l", path], check=False)
        for path in (self.path, self.below):
            if os.path.isdir(path):
                if os.path.exists(os.path.join(path, "image")):
                    os.remove(os.path.join(path, "image"))
                os.rmdir(path)
        os.rmdir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
