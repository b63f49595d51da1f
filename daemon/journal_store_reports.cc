// What an operator sees of the journal, the inbox and the disks they are on.
#include <algorithm>

#include "config/wording.h"
#include "daemon/exposition.h"
#include "daemon/journal_store.h"
#include "daemon/table.h"

namespace cproto {

namespace {

std::string journal_state(const Journal& journal) {
  const std::string segments = counted(journal.segments_in_use(), {"segment", "segments"}) + " in use; ";
  if (journal.is_idle()) return segments + "everything received is durable";
  return segments + (journal.waits_for_disk() ? "a batch is on its way to the disk" : "a batch waits");
}

std::string delivery_state(const Delivery::Backlog& backlog) {
  if (backlog.batches == 0) return "everything durable is in the inbox";
  return counted(backlog.batches, {"batch", "batches"}) + " behind (" + human_bytes(backlog.bytes) + "), for " +
         human_time(backlog.lag);
}

// "61 GiB of 98 GiB free; senders wait below 1 GiB"
std::string disk_state(const SpaceWatch::Place& place) {
  if (!place.is_known) return "not watched ([limits] free_space = 0)";
  return human_bytes(place.space.free) + " of " + human_bytes(place.space.total) + " free; senders wait below " +
         human_bytes(place.floor);
}

// Nothing of a file system that is not watched.
void add_space(Exposition& out, const SpaceWatch& space) {
  const auto each = [&](const std::string& name, std::string_view help,
                        std::uint64_t (*figure)(const SpaceWatch::Place&)) {
    out.family(name, "gauge", help);
    for (const auto& [of, place] : {std::pair("store", &space.store()), std::pair("inbox", &space.inbox())})
      if (place->is_known) out.sample(name, "{of=\"" + std::string(of) + "\"}", std::to_string(figure(*place)));
  };
  each("cproto_disk_free_bytes", "Free on the file system, less what is still to be delivered to it.",
       [](const auto& place) { return place.space.free; });
  each("cproto_disk_floor_bytes", "Senders wait while less is free.", [](const auto& place) { return place.floor; });
  out.gauge("cproto_inbox_clients_full", "Clients that wait, as their inbox is as large as it may be.",
            static_cast<double>(space.full_clients().size()));
}

}  // namespace

void JournalStore::add_details(Details& details, bool is_for_programs) const {
  const Delivery::Backlog backlog = delivery_->backlog(world_.now());
  const std::string& directory = options_.directory;
  details.add("store", other_cell(directory + " (id " + to_hex(id()).substr(0, 8) + ")", directory))
      .add("inbox", text_cell(inbox()))
      .add("journal", text_cell(journal_state(*journal_)))
      .add("delivery", text_cell(delivery_state(backlog)))
      .add("disk", text_cell(disk_state(space_->store())));
  if (!space_->is_one_file_system()) details.add("inbox_disk", text_cell(disk_state(space_->inbox())));
  if (!is_for_programs) return;
  details.add("delivery_backlog_bytes", number_cell(backlog.bytes))
      .add("delivery_lag", duration_cell(backlog.lag))
      .add("disk_free_bytes", number_cell(space_->store().space.free))
      .add("disk_floor_bytes", number_cell(space_->store().floor));
}

void JournalStore::add_metrics(Exposition& out) const {
  const Delivery::Backlog backlog = delivery_->backlog(world_.now());
  double blocked = 0;
  delivery_->visit_blocked([&](const InboxLog&) { ++blocked; });
  out.histogram("cproto_fdatasync_seconds", "Time of the journal's fdatasync.", counters_.sync_seconds);
  out.histogram("cproto_batch_bytes", "Size of the journal's batches.", counters_.batch_bytes);
  out.counter("cproto_disk_failures_total", "Writes and syncs of the journal that failed.", counters_.failures);
  out.gauge("cproto_journal_segments", "Segments of the journal in use.",
            static_cast<double>(journal_->segments_in_use()));
  out.gauge("cproto_journal_backlog_bytes", "Durable in the journal and not yet in the inbox.",
            static_cast<double>(backlog.bytes));
  out.gauge("cproto_delivery_backlog_batches", "Batches durable in the journal and not yet in the inbox.",
            static_cast<double>(backlog.batches));
  out.gauge("cproto_delivery_lag_seconds", "For how long the oldest of them has been durable.",
            std::chrono::duration<double>(backlog.lag).count());
  out.gauge("cproto_inbox_logs_blocked", "Logs of the inbox that cannot be written.", blocked);
  add_space(out, *space_);
}

std::string JournalStore::why_blocked(const std::string& client) const {
  std::string why;
  delivery_->visit_blocked([&](const InboxLog& log) {
    if (why.empty() && (client.empty() || log.client_id == client))
      why = log.path + " cannot be written (" + log.trouble + ")";
  });
  return why;
}

std::string JournalStore::why_held() const {
  const std::string blocked = why_blocked("");
  if (!blocked.empty()) return "what is durable cannot be delivered, and the journal is full of it: " + blocked;
  const Delivery::Backlog backlog = delivery_->backlog(world_.now());
  if (backlog.batches > 0)
    return "delivery is " + human_bytes(backlog.bytes) + " behind, for " + human_time(backlog.lag);
  return "the disk takes less than comes in";
}

std::string JournalStore::left_to_do() const {
  return human_bytes(delivery_->backlog(world_.now()).bytes) + " to deliver";
}

}  // namespace cproto
