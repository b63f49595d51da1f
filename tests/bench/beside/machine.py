"""What the figures were measured on."""
import datetime
import os
import pathlib
import platform
import shutil
import subprocess


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def file_system(directory):
    said = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE,OPTIONS", "-T", directory], capture_output=True, text=True)
    return " ".join(said.stdout.split()) or "?"


def congestion():
    path = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return path.read_text(encoding="utf-8").strip() if path.exists() else "?"


def rsync():
    """Its version, if it is installed: cproto-bench then measures it, too."""
    if shutil.which("rsync") is None:
        return []
    said = subprocess.run(["rsync", "--version"], capture_output=True, text=True).stdout
    return [" ".join(said.split()[:3:2])]


def revision(source):
    said = subprocess.run(["git", "-C", source, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return said.stdout.strip() or "?"


def describe(directory, source):
    """As pairs, in the order they are shown."""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "processor": f"{cpu()}, {os.cpu_count()} cores",
        "memory": f"{memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": file_system(directory),
        "congestion control": congestion(),
        "cproto": revision(source),
        "load before": "%.2f" % os.getloadavg()[0],
    }
