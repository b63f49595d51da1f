"""File systems that do what they do at the worst moment: over loop devices, on images in the arena's directory.

All mounts are made in a mount namespace of this process: they are gone with it, however it ends.
"""
import ctypes
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess

import support
from torture.arena import CannotBeDone, need_root

CLONE_NEWNS = 0x20000
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = 2       # not even the file system's own journal is written: as without power

MAKE = {
    # Nothing is left for the kernel to do behind our back, and nothing for root alone.
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
}
SIZES = {"ext4": 1 << 30, "xfs": 1 << 30}  # bytes, of which most are never written

_is_isolated = False


def command(*words):
    """Runs it. Errors: CalledProcessError, with what it said."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(map(str, words)), done.stderr.strip() or "status %d" % done.returncode))
    return done.stdout


def need_tools(*names):
    for name in names:
        if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            raise CannotBeDone("there is no %s here (scripts/install-deps torture)" % name)


def isolate():
    """From here on what this process and its children mount is their own."""
    global _is_isolated
    need_root("mounting")
    if _is_isolated:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise CannotBeDone("no mount namespace can be made here: %s" % os.strerror(ctypes.get_errno()))
    command("mount", "--make-rprivate", "/")
    _is_isolated = True


def is_mounted(place):
    """Also where the file system answers nothing but EIO any more."""
    shown = str(place).replace(" ", "\\040")
    return any(line.split()[1] == shown for line in pathlib.Path("/proc/self/mounts").read_text().splitlines())


def unmount(place):
    if is_mounted(place):
        command("umount", place)


def mount_tmpfs(arena, place, size):
    isolate()
    pathlib.Path(place).mkdir(parents=True, exist_ok=True)
    command("mount", "-t", "tmpfs", "-o", "size=%d" % size, "tmpfs", place)
    arena.cleanup(unmount, place)


class Disk:
    """A file system in an image file, mounted at `place`. Its loop device goes when it is unmounted."""

    def __init__(self, arena, kind, size=None, image=None, name="disk"):
        isolate()
        need_tools(MAKE[kind][0])
        self.kind = kind
        self.place = pathlib.Path(arena.directory) / name
        self.place.mkdir(exist_ok=True)
        self.image = pathlib.Path(image or arena.directory / (name + ".img"))
        with open(self.image, "wb") as file:
            file.truncate(size or SIZES[kind])
        command(*MAKE[kind], self.image)
        arena.cleanup(unmount, self.place)
        self.mount()

    def mount(self):
        try:
            mount_image(self.image, self.place, self.kind)
        except RuntimeError as error:
            raise CannotBeDone("no %s can be mounted over a loop device here (%s)" % (self.kind, error)) from None

    def unmount(self):
        command("umount", self.place)

    def is_writable(self):
        """Not any more, where ext4 has given itself up."""
        try:
            os.close(os.open(self.place, os.O_TMPFILE | os.O_WRONLY))
            return True
        except OSError:
            return False

    def cut_power(self):
        """What was not synced is gone. Whoever has a file open there gets EIO for everything, and has to end before `unmount`."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def power_up(self):
        self.unmount()
        mount_image(self.image, self.place, self.kind)


def mount_image(image, place, kind):
    # Two xfs with the same id cannot be mounted at once, and copies of one have it.
    options = "loop,noatime,nouuid" if kind == "xfs" else "loop,noatime"
    command("mount", "-t", kind, "-o", options, image, place)


class LoggedDevice:
    """A block device that keeps every write and every flush, in their order, in the file `log`: cproto-block-log, a file of a FUSE
    file system, under a loop device. `fresh` is an image of it as it was when `make` had made a file system, before the log began."""

    def __init__(self, arena, size, make):
        isolate()
        program = support.BIN / "cproto-block-log"
        if not program.exists():
            raise CannotBeDone("cproto-block-log was not built: libfuse3-dev is missing (scripts/install-deps torture)")
        if not os.path.exists("/dev/fuse"):
            raise CannotBeDone("there is no /dev/fuse here")
        self.image = arena.directory / "logged.img"
        self.log = arena.directory / "logged.log"
        folder = arena.directory / "fuse"
        folder.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(size)
        command(*make, self.image)
        self.fresh = arena.directory / "fresh.img"
        command("cp", "--sparse=always", self.image, self.fresh)
        # In a session of its own: a Ctrl-C is not for it, while the disk on it is still mounted.
        self.process = subprocess.Popen([str(program), str(self.image), str(self.log), str(folder)], start_new_session=True,
                                        stdin=subprocess.DEVNULL, preexec_fn=support.die_with_us)
        arena.cleanup(self.end, folder)
        support.wait_for((folder / "disk").exists, "the FUSE file system")
        self.device = command("losetup", "--find", "--show", folder / "disk").strip()
        arena.cleanup(command, "losetup", "--detach", self.device)

    def end(self, folder):
        self.process.terminate()
        self.process.wait()
        if is_mounted(folder):
            command("umount", "-l", folder)

    def position(self):
        """In bytes of the log: what is behind it has not happened yet."""
        return support.size_of(self.log)
