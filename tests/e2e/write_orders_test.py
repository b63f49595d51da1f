"""Every write order: whatever part of its unflushed writes a disk had carried out when the power went."""
from support import LONG, main
from torture import write_orders
from torture.case import AttackCase


class WriteOrders(AttackCase):
    def test_whatever_a_disk_had_written_behind_its_last_flush_what_was_acknowledged_is_there_once(self):
        done, tally = self.run_attack(write_orders.run, "ext4", seconds=1.5, count=None if LONG else 12)
        self.assert_kept(tally, at_least=100)
        self.assertGreaterEqual(done["cut points on ext4"], 12)


if __name__ == "__main__":
    main()
