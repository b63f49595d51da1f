#include "daemon/session_registry.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"

namespace cproto {

std::variant<Admission, Error> SessionRegistry::admit(const Syn& syn, SessionHolder& holder) {
  return syn.resume ? resume(syn, holder) : begin(syn, holder);
}

std::variant<Admission, Error> SessionRegistry::begin(const Syn& syn, SessionHolder& holder) {
  auto added = add(syn, holder);
  if (const Error* error = std::get_if<Error>(&added)) return *error;
  return added;
}

// PROTOCOL §3.6. Three ways in which a store can fail to be what it was are told apart.
std::variant<Admission, Error> SessionRegistry::resume(const Syn& syn, SessionHolder& holder) {
  const Syn::Resume& resume = *syn.resume;
  const bool nothing_acknowledged = resume.acknowledged == Seq{0};
  if (resume.store != options_.store)
    return nothing_acknowledged ? Error::of(ErrorCode::unknown_session)
                                : refuse_or_restart(syn, holder, ErrorCode::other_store);
  const auto it = by_id_.find(resume.session);
  if (it == by_id_.end() || it->second->client_id != syn.client_id)
    return nothing_acknowledged ? Error::of(ErrorCode::unknown_session)
                                : refuse_or_restart(syn, holder, ErrorCode::unknown_session);
  SessionEntry& entry = *it->second;
  if (syn.attempt <= entry.attempt) return Error::of(ErrorCode::stale_attempt, entry.attempt);
  if (resume.acknowledged > entry.durable.through)
    return refuse_or_restart(syn, holder, ErrorCode::store_behind, entry.durable.through);
  entry.attempt = syn.attempt;
  if (SessionHolder* former = std::exchange(entry.holder, &holder)) former->on_superseded();
  std::erase_if(entry.refusals, [&](const RecordedRefusal& one) { return one.refusal.first <= syn.refusals_heard; });
  entry.pass_over_refusals();
  return admission(syn, entry, SynAck::Outcome::resumed);
}

std::variant<Admission, Error> SessionRegistry::refuse_or_restart(const Syn& syn, SessionHolder& holder, ErrorCode code,
                                                                  Seq durable_through) {
  constexpr std::uint64_t kBeyondAll = std::uint64_t{1} << 62;  // nobody has sent so much; it would overflow
  const Syn::Resume& resume = *syn.resume;
  const bool is_true = resume.acknowledged.value < kBeyondAll && resume.acknowledged_bytes < kBeyondAll &&
                       resume.acknowledged_messages < kBeyondAll;
  if (!options_.restart_unknown || !is_true) return Error::of(code, durable_through.value);
  auto added = add(syn, holder);
  Admission* admission = std::get_if<Admission>(&added);
  if (admission == nullptr) return added;
  SessionEntry& entry = *admission->entry;
  entry.appended.through = syn.resume->acknowledged;
  entry.appended.bytes = syn.resume->acknowledged_bytes;
  entry.appended.messages = syn.resume->acknowledged_messages;
  entry.received = entry.flying = entry.durable = entry.appended;
  *admission = this->admission(syn, entry, SynAck::Outcome::restarted);
  admission->was_restarted = true;
  return added;
}

std::variant<Admission, Error> SessionRegistry::add(const Syn& syn, SessionHolder& holder) {
  Syn named = syn;
  if (named.client_id.empty()) named.client_id = assign_client_id();
  if (const auto error = check_names(named)) return *error;
  auto entry = std::make_unique<SessionEntry>();
  entry->index = next_index_++;
  entry->id = draw_id_();
  entry->client_id = named.client_id;
  entry->channel = named.channel;
  entry->kind = syn.kind;
  entry->attempt = syn.attempt;
  entry->max_packet_size = std::min({syn.max_packet_size, options_.max_packet_size, kPacketSizeMax});
  entry->holder = &holder;
  SessionEntry& added = *entry;
  by_id_[added.id] = &added;
  by_index_[added.index] = std::move(entry);
  enter(sessions_of_[added.client_id], added.channel);
  Admission admission = this->admission(syn, added, SynAck::Outcome::begun);
  if (syn.client_id.empty()) admission.terms.client_id = added.client_id;
  return admission;
}

// PROTOCOL §3.3, §5.1: the smaller side wins; step-by-step is a window of one.
Admission SessionRegistry::admission(const Syn& syn, SessionEntry& entry, SynAck::Outcome outcome) const {
  SynAck terms;
  terms.version = std::min(syn.version_max, kVersionMax);
  terms.mode = syn.mode;
  terms.outcome = outcome;
  terms.max_packet_size = entry.max_packet_size;
  terms.window_size = syn.mode == OperationMode::step_by_step ? 1 : std::min(syn.window_size, options_.window_size);
  terms.store = options_.store;
  terms.session = entry.id;
  terms.durable_through = entry.durable.through;
  terms.durable_bytes = entry.durable.bytes;
  terms.durable_messages = entry.durable.messages;
  terms.message_size_max = options_.message_size_max;
  terms.file_size_max = options_.file_size_max;
  terms.durability = options_.durability;
  terms.replicas = options_.replicas;
  terms.replicas_sync = options_.replicas_sync;
  entry.window_size = terms.window_size;
  terms.software = "cprotod/" CPROTO_VERSION;
  const MessageState& message = entry.durable.message;
  if (message.is_begun) terms.unfinished = {message.first, message.bytes, message.kind};
  for (const RecordedRefusal& one : entry.refusals)
    if (one.stage >= RecordedRefusal::Stage::to_tell) terms.refusals.push_back(one.refusal);
  std::ranges::sort(terms.refusals, {}, &Refusal::first);
  return {&entry, std::move(terms), false};
}

// Bounds what strangers can make us remember.
std::optional<Error> SessionRegistry::check_names(const Syn& syn) const {
  const auto client = sessions_of_.find(syn.client_id);
  if (client == sessions_of_.end()) {
    if (folders_.contains(syn.client_id) || !has_all_clients()) return std::nullopt;
    return Error::retry_after(ErrorCode::too_many_clients, 30s);
  }
  const bool is_new = !contains(client->second, syn.channel);
  if (is_new && options_.channels_per_client_max > 0 && client->second.size() >= options_.channels_per_client_max)
    return Error::retry_after(ErrorCode::too_many_channels, 30s);
  return std::nullopt;
}

// Whether there are as many clients as there may be.
bool SessionRegistry::has_all_clients() const {
  const std::size_t max = options_.clients_max;
  if (max == 0 || folders_.size() + sessions_of_.size() < max) return false;
  const auto others = std::count_if(sessions_of_.begin(), sessions_of_.end(),
                                    [this](const auto& client) { return !folders_.contains(client.first); });
  return folders_.size() + static_cast<std::size_t>(others) >= max;
}

std::string SessionRegistry::assign_client_id() {
  const Id128 id = draw_id_();
  return "client-" + to_hex(ByteView(id).first(6));
}

bool SessionRegistry::use_channel(SessionEntry& entry, const std::string& channel) {
  const std::size_t max = options_.channels_per_client_max;
  std::vector<std::string>& more = entry.more_channels;
  if (max == 0 || channel == entry.channel || std::find(more.begin(), more.end(), channel) != more.end()) return true;
  Channels& channels = sessions_of_[entry.client_id];
  if (!contains(channels, channel) && channels.size() >= max) return false;
  more.push_back(channel);
  enter(channels, channel);
  return true;
}

SessionRegistry::Channels::iterator SessionRegistry::place_of(Channels& channels, const std::string& name) {
  return std::lower_bound(channels.begin(), channels.end(), name,
                          [](const Channel& channel, const std::string& wanted) { return channel.name < wanted; });
}

bool SessionRegistry::contains(const Channels& channels, const std::string& name) {
  return std::binary_search(channels.begin(), channels.end(), Channel{name},
                            [](const Channel& one, const Channel& other) { return one.name < other.name; });
}

void SessionRegistry::enter(Channels& channels, const std::string& name) {
  auto at = place_of(channels, name);
  if (at == channels.end() || at->name != name) at = channels.insert(at, {name, 0});
  ++at->sessions;
}

void SessionRegistry::leave(Channels& channels, const std::string& name) {
  const auto at = place_of(channels, name);
  if (--at->sessions == 0) channels.erase(at);
}

void SessionRegistry::release(SessionEntry& entry, const SessionHolder& holder) {
  if (entry.holder != &holder) return;
  entry.holder = nullptr;
  const bool is_waiting = entry.received.through != entry.appended.through;
  if (entry.record_batch == 0 && !entry.is_touched && !entry.is_flying && !is_waiting) purge(entry.index);
}

void SessionRegistry::forget(SessionEntry& entry) {
  entry.is_forgotten = true;
  by_id_.erase(entry.id);
}

void SessionRegistry::purge(std::uint64_t index) {
  const auto it = by_index_.find(index);
  if (it == by_index_.end()) return;
  const SessionEntry& entry = *it->second;
  by_id_.erase(entry.id);
  if (entry.record_batch != 0) folders_.insert(entry.client_id);  // until the inbox is looked at again
  const auto client = sessions_of_.find(entry.client_id);
  leave(client->second, entry.channel);
  for (const std::string& channel : entry.more_channels) leave(client->second, channel);
  if (client->second.empty()) sessions_of_.erase(client);
  by_index_.erase(it);
}

SessionEntry* SessionRegistry::find(std::uint64_t index) {
  const auto it = by_index_.find(index);
  return it == by_index_.end() ? nullptr : it->second.get();
}

SessionEntry* SessionRegistry::find(const SessionId& id) {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

SessionEntry& SessionRegistry::restore(std::uint64_t index, const SessionRecord& record) {
  std::unique_ptr<SessionEntry>& slot = by_index_[index];
  if (!slot) {
    slot = std::make_unique<SessionEntry>();
    slot->index = index;
    slot->id = record.id;
    slot->client_id = record.client_id;
    slot->channel = record.channel;
    slot->identity = record.identity;
    slot->kind = record.kind;
    slot->max_packet_size = record.max_packet_size;
    slot->last_there = record.last_there;
    by_id_[record.id] = slot.get();
    reserve(index);
    enter(sessions_of_[record.client_id], record.channel);
  }
  slot->attempt = std::max(slot->attempt, record.attempt);
  return *slot;
}

SessionRecord to_record(const SessionEntry& entry) {
  std::vector<Refusal> refusals;
  for (const RecordedRefusal& one : entry.refusals) refusals.push_back(one.refusal);
  return {.id = entry.id,
          .client_id = entry.client_id,
          .channel = entry.channel,
          .identity = entry.identity,
          .kind = entry.kind,
          .attempt = entry.attempt,
          .max_packet_size = entry.max_packet_size,
          .last_there = entry.last_there,
          .position = entry.appended,
          .refusals = std::move(refusals)};
}

}  // namespace cproto
