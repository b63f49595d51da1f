"""What judges the attacks sees what is wrong, each kind of it."""
import os

from support import main
from torture.case import AttackCase
from torture.disks import Disk
from torture.ledger import SentFile, Unit, judge_files, judge_log


class Ledger(AttackCase):
    def judge(self, arrived, acknowledged, mark=None):
        """Of a client that sent a to e, of which so many were acknowledged, at marks 10, 20 ..."""
        path = self.directory / "messages.log"
        path.write_bytes(arrived)
        unit = Unit([b"a", b"b", b"c", b"d", b"e"])
        for i in range(acknowledged):
            unit.acknowledge(i + 1, 10 * (i + 1))
        tally = judge_log(path, [unit], mark)
        return tally.missing, tally.twice, tally.out_of_order, tally.foreign, len(tally.problems)

    def test_what_was_acknowledged_and_more_is_well(self):
        self.assertEqual(self.judge(b"a\nb\nc\n", 3), (0, 0, 0, 0, 0))
        self.assertEqual(self.judge(b"a\nb\nc\nd\n", 3), (0, 0, 0, 0, 0))
        self.assertEqual(self.judge(b"", 0), (0, 0, 0, 0, 0))

    def test_each_kind_of_loss_is_seen(self):
        self.assertEqual(self.judge(b"a\nb\n", 3), (1, 0, 0, 0, 1))
        self.assertEqual(self.judge(b"a\nc\n", 1), (1, 0, 0, 0, 1))  # left out before one that arrived
        self.assertEqual(self.judge(b"a\nb\na\n", 2), (0, 1, 0, 0, 1))
        self.assertEqual(self.judge(b"b\na\n", 2), (0, 0, 1, 0, 1))
        self.assertEqual(self.judge(b"a\n\0\0\n", 1), (0, 0, 0, 1, 1))
        self.assertEqual(self.judge(b"a\nb", 1), (0, 0, 0, 0, 1))

    def test_what_counts_at_a_mark_is_what_was_acknowledged_by_then(self):
        self.assertEqual(self.judge(b"a\nb\n", 3, mark=20), (0, 0, 0, 0, 0))
        self.assertEqual(self.judge(b"a\nb\n", 3, mark=30), (1, 0, 0, 0, 1))

    def test_files_are_whole_or_absent(self):
        files = [SentFile("one", SentFile.digest_of(b"one"), acknowledged_mark=5), SentFile("two", SentFile.digest_of(b"two"))]
        (self.directory / "one").write_bytes(b"one")
        folder = self.directory

        def judge():
            for path in folder.iterdir():
                if path.name not in ("one", "two", "three"):
                    self.fail(path)
            tally = judge_files(folder, files)
            return tally.missing, tally.foreign
        self.assertEqual(judge(), (0, 0))
        (folder / "two").write_bytes(b"tw")
        self.assertEqual(judge(), (0, 1))
        (folder / "one").unlink()
        (folder / "two").unlink()
        (folder / "three").touch()
        self.assertEqual(judge(), (1, 1))


class Cut(AttackCase):
    def cut(self, kind):
        disk = self.run_attack(lambda arena: Disk(arena, kind))
        for name in ("synced", "not-synced"):
            with open(disk.place / name, "wb") as file:
                file.write(b"x" * 10_000)
                file.flush()
                if name == "synced":
                    os.fsync(file.fileno())
                    descriptor = os.open(disk.place, os.O_RDONLY)
                    os.fsync(descriptor)
                    os.close(descriptor)
        disk.cut_power()
        disk.power_up()
        self.assertEqual((disk.place / "synced").read_bytes(), b"x" * 10_000)
        self.assertFalse((disk.place / "not-synced").exists())

    def test_a_power_cut_takes_what_was_not_synced_on_ext4(self):
        self.cut("ext4")

    def test_a_power_cut_takes_what_was_not_synced_on_xfs(self):
        self.cut("xfs")


if __name__ == "__main__":
    main()
