"""Disks that fail a sync, really and by injection, and disks that fill up, under load."""
from support import LONG, main
from torture import full_disk, sync_errors
from torture.case import AttackCase


class DiskTrouble(AttackCase):
    def test_a_disk_that_cannot_write_stops_acknowledging_and_loses_nothing_of_what_was_acknowledged(self):
        done, tally = self.run_attack(sync_errors.real, count=10 if LONG else 1)
        self.assert_kept(tally)
        self.assertGreater(done["disks that failed"], 0)

    def test_while_every_sync_fails_nothing_is_acknowledged_and_it_goes_on_when_the_disk_works_again(self):
        done, tally = self.run_attack(sync_errors.injected, count=10 if LONG else 1)
        self.assert_kept(tally)
        self.assertGreater(done["failed syncs, injected"], 0)

    def test_a_full_disk_is_told_to_senders_and_all_goes_on_without_a_restart_when_there_is_room(self):
        done, tally = self.run_attack(full_disk.run, count=10 if LONG else 1)
        self.assert_kept(tally)
        self.assertGreater(done["disks filled up"], 0)


if __name__ == "__main__":
    main()
