#include "daemon/store.h"

#include <algorithm>

#include "config/wording.h"
#include "daemon/memory_shares.h"
#include "daemon/session_name.h"

namespace cproto {

namespace {

// Senders that are not read for so long ought to be known of.
constexpr Duration kHeldLong = 2s;

}  // namespace

Store::Store(const World& world, Log& log, std::uint64_t memory)
    : world_(world), log_(log), partial_frames_(MemoryShares(memory).frames()), memory_(memory) {}

void Store::set_memory(std::uint64_t bytes) {
  memory_ = bytes;
  partial_frames_.set_max(MemoryShares(bytes).frames());
}

void Store::tell(const std::vector<SessionEntry*>& entries, const std::function<void(SessionHolder&)>& what) {
  std::vector<std::uint64_t> indices;
  indices.reserve(entries.size());
  for (const SessionEntry* entry : entries) indices.push_back(entry->index);
  for (const std::uint64_t index : indices) {
    SessionEntry* entry = registry_->find(index);
    if (entry != nullptr && entry->holder != nullptr) what(*entry->holder);
  }
}

void Store::tell_refusal(SessionEntry& entry, const Refusal& refusal) {
  if (entry.holder != nullptr) return entry.holder->on_message_refused(refusal);
  ++counters_.refused[refusal.code];
  entry.last_error = refusal.code;
  const std::string session = short_name(entry.id);
  const std::string error = error_name(refusal.code);
  log_.warn(LogEvent::message_refused,
            entry.client_id + ": a message was refused (" + error + "); it hears of it when it comes back",
            {.client = entry.client_id, .session = session, .channel = entry.channel, .error = error});
}

void Store::visit_sessions(const std::string& client_or_session, const std::function<void(SessionEntry&)>& each) {
  std::vector<std::uint64_t> indices;
  for (const auto& [index, entry] : registry_->all())
    if (!entry->is_forgotten && (entry->client_id == client_or_session || short_name(entry->id) == client_or_session))
      indices.push_back(index);
  // Each is looked up again: what is done to one may be the end of another.
  for (const std::uint64_t index : indices)
    if (SessionEntry* entry = registry_->find(index)) each(*entry);
}

void Store::note_overload(const std::string& peer) {
  if (const auto more = overload_lines_.note(world_.now()))
    log_.warn(LogEvent::overloaded,
              peer + " is sent away: unfinished frames take " + human_bytes(partial_frames_.bytes()) +
                  ", and its has been unfinished for longest" + *more,
              {.peer = peer, .error = error_name(ErrorCode::overloaded)});
}

// --- senders that are not read ---

void Store::watch_room() {
  if (trouble() != nullptr || room() > 0) return held_since_.reset();
  if (held_since_) return;
  held_since_ = world_.now();
  was_held_said_ = false;
  ++counters_.holds;
}

Instant Store::next_held_deadline() const { return held_since_ && !was_held_said_ ? *held_since_ + kHeldLong : kNever; }

void Store::handle_held_timeout() {
  const Instant now = world_.now();
  if (now < next_held_deadline()) return;
  was_held_said_ = true;
  if (const auto more = held_lines_.note(now))
    log_.warn(LogEvent::senders_held, "senders are not read for " + human_time(now - *held_since_) + ": " +
                                          human_bytes(held_bytes()) + " received are in memory, and " + left_to_do() +
                                          *more);
}

}  // namespace cproto
