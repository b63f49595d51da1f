"""Programs out of Debian packages, unpacked into a folder and never installed: nothing of theirs is started by Debian."""
import os
import pathlib
import shutil
import subprocess

DEPENDENCIES = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
                "--no-replaces", "--no-enhances"]
DOWNLOAD = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download"]


class CannotBeHad(Exception):
    """Says why."""


class Unpacked:
    """What a package and the libraries that are missing here unpacked to."""

    def __init__(self, root):
        self.root = root

    def program(self, name):
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            if (self.root / folder / name).exists():
                return str(self.root / folder / name)
        raise CannotBeHad(f"there is no {name} in its package")

    def folder_of(self, name):
        """Of the file of that name, wherever it is."""
        found = next(self.root.glob(f"usr/lib/**/{name}"), None)
        if found is None:
            raise CannotBeHad(f"there is no {name} in its package")
        return str(found.parent)

    @property
    def environment(self):
        libraries = [str(path) for path in [*self.root.glob("usr/lib/*-linux-*"), *self.root.glob("lib/*-linux-*"), self.root / "usr/lib"]]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def is_installed(package):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return "ok installed" in found.stdout


def is_wanted(name, packages):
    """Of what they depend on: libraries, and parts of the same name. No init system, no configuration tool."""
    return name in packages or name.startswith("lib") or any(name.startswith(package.split("-")[0] + "-") for package in packages)


def missing(packages):
    said = subprocess.run([*DEPENDENCIES, *packages], capture_output=True, text=True)
    if said.returncode != 0:
        raise CannotBeHad(f"no package of that name is known here: {' '.join(packages)}")
    names = {line.strip() for line in said.stdout.splitlines() if line and line[0] not in " <|"}
    return sorted(name for name in names if is_wanted(name, packages) and (name in packages or not is_installed(name)))


def unpack(folder, packages):
    """Into `folder`, unless it was done before. Raises CannotBeHad."""
    root = folder / packages[0]
    if (root / "complete").exists():
        return Unpacked(root)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name in missing(packages):
        got = subprocess.run([*DOWNLOAD, name], cwd=root, capture_output=True, text=True)
        if got.returncode != 0 and name in packages:
            raise CannotBeHad(f"{name} cannot be downloaded: {(got.stderr.strip().splitlines() or ['?'])[-1]}")
    for archive in root.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, root], check=True)
        archive.unlink()
    (root / "complete").touch()
    return Unpacked(root)


def default_folder(build):
    return pathlib.Path(build) / "peers"
