"""Where an attack happens: a directory, a source of randomness, and all that must be gone afterwards."""
import contextlib
import os
import pathlib
import random

import support


class CannotBeDone(Exception):
    """What the machine, or whoever runs this, may not or cannot do; the sentence says why."""


def need_root(what):
    if os.geteuid() != 0:
        raise CannotBeDone("%s needs root" % what)


class Arena:
    """`end` undoes everything in the opposite order, whatever happened; it leaves the directory."""

    def __init__(self, directory, seed):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(seed)
        self.stack = contextlib.ExitStack()
        self.daemons = []

    def end(self):
        self.stack.close()

    def cleanup(self, function, *arguments, **options):
        self.stack.callback(function, *arguments, **options)

    def daemon(self, config="", name="daemon", store=None, start=True, **options):
        daemon = support.Daemon(self.directory / name, config, **options)
        if store is not None:
            daemon.store = store
        self.daemons.append(daemon)
        self.cleanup(daemon.end)
        return daemon.start() if start else daemon
