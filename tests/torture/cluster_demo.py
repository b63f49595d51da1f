"""scripts/cluster-demo."""
import argparse
import pathlib
import shutil
import sys
import tempfile

from torture import cluster
from torture.arena import Arena, CannotBeDone


def main():
    parser = argparse.ArgumentParser(prog="cluster-demo", allow_abbrev=False)
    parser.add_argument("--lines", type=int, default=200_000, help="in all (200000)")
    parser.add_argument("--keep", metavar="DIR", help="leave logs and stores there")
    arguments = parser.parse_args()
    directory = pathlib.Path(arguments.keep or tempfile.mkdtemp(prefix="cproto-cluster-"))
    arena = Arena(directory, 1)
    try:
        is_good = cluster.show(arena, arguments.lines, say=lambda line: print(line, flush=True))
    except CannotBeDone as reason:
        print(reason)
        return 69
    except KeyboardInterrupt:
        return 130
    finally:
        arena.end()
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
