#include "daemon/reports.h"

#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "config/wording.h"
#include "daemon/session_name.h"
#include "daemon/table.h"

namespace cproto {

namespace {

constexpr Noun kMessages{"message", "messages"};
constexpr Noun kSessions{"session", "sessions"};

std::uint64_t in_flight(const SessionEntry& entry) {
  return entry.received.through.value - entry.durable.through.value;
}

// Those that are not over, by client and then name.
std::vector<const SessionEntry*> live_sessions(const DaemonView& view, const std::string& client) {
  std::vector<const SessionEntry*> sessions;
  for (const auto& [index, entry] : view.store.registry().all())
    if (!entry->is_forgotten && (client.empty() || entry->client_id == client)) sessions.push_back(entry.get());
  std::sort(sessions.begin(), sessions.end(), [](const SessionEntry* a, const SessionEntry* b) {
    return a->client_id != b->client_id ? a->client_id < b->client_id : a->index < b->index;
  });
  return sessions;
}

// --- why ---

std::string last_heard(const DaemonView& view, const ConnectionView& connection) {
  return "last heard " + human_time(view.now - connection.last_input) + " ago";
}

std::string why_connected(const DaemonView& view, const SessionEntry& entry) {
  const ConnectionView connection = entry.holder->view();
  const std::string who =
      entry.client_id + " (session " + short_name(entry.id) + ", " + std::string(connection.peer) + ") ";
  const std::uint64_t flying = in_flight(entry);
  const std::string received =
      flying == 0 ? "" : "; " + counted(flying, {"frame is", "frames are"}) + " received and not durable";
  if (!view.trouble.empty() && (flying > 0 || !connection.is_reading)) return who + "waits: " + view.trouble + received;
  if (!connection.is_reading) return who + "is held: " + view.store.why_held() + received;
  if (flying > 0) return who + "waits, as always: what it sent is on its way" + received;
  const std::string blocked = view.store.why_blocked(entry.client_id);
  if (!blocked.empty())
    return who + "waits for nothing: all it sent is durable; but " + blocked + ", so it is in the journal";
  if (entry.durable.message.is_begun)
    return who + "has to send the rest of a message: " + human_bytes(entry.durable.message.bytes) +
           " of it are durable, " + last_heard(view, connection);
  return who + "waits for nothing: all it sent is durable (" + counted(entry.durable.messages, kMessages) +
         "), and it says nothing more; " + last_heard(view, connection);
}

std::string why_refused(const DaemonView& view, const std::string& client, const Refusals::Entry& refusal) {
  const ErrorEntry* known = find_error(refusal.code);
  return client + " is refused: " + error_name(refusal.code) +
         (known != nullptr ? ", " + std::string(known->sentence) : "") + " (last tried " +
         human_time(view.now - refusal.at) + " ago, from " + refusal.peer + ")";
}

std::string why_away(const DaemonView& view, const SessionEntry& entry) {
  std::string text = entry.client_id + " is not connected: ";
  if (entry.left_at == kNever) {
    text += "it has not come back since cprotod started " + human_time(view.now - view.started) + " ago";
  } else {
    text += "its last connection ended " + human_time(view.now - entry.left_at) + " ago";
    if (entry.last_error != ErrorCode::none) text += " (" + error_name(entry.last_error) + ")";
  }
  text += "; session " + short_name(entry.id) + " stands at " + counted(entry.durable.messages, kMessages);
  if (entry.durable.message.is_begun)
    text += " and " + human_bytes(entry.durable.message.bytes) + " of an unfinished one";
  return text + ", and goes on when it comes back";
}

// The one to speak of: connected, with most on its way; else the one that left last.
const SessionEntry* most_telling(const std::vector<const SessionEntry*>& sessions) {
  const auto rank = [](const SessionEntry* entry) {
    return std::tuple(entry->holder != nullptr, in_flight(*entry),
                      entry->left_at == kNever ? Instant{} : entry->left_at);
  };
  const auto it = std::max_element(sessions.begin(), sessions.end(),
                                   [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return it == sessions.end() ? nullptr : *it;
}

std::string why(const DaemonView& view, const std::string& client, const std::vector<const SessionEntry*>& sessions) {
  const SessionEntry* entry = most_telling(sessions);
  const Refusals::Entry* refusal = view.counters.last_refused.find(client);
  if (entry != nullptr && entry->holder != nullptr) return why_connected(view, *entry);
  if (refusal != nullptr) return why_refused(view, client, *refusal);
  if (entry != nullptr) return why_away(view, *entry);
  return client + " has no session here: it has not connected since cprotod started " +
         human_time(view.now - view.started) + " ago, or all it began is finished";
}

}  // namespace

std::string status_report(const DaemonView& view, Form form) {
  const auto sessions = live_sessions(view, "");
  const auto unfinished = std::count_if(sessions.begin(), sessions.end(),
                                        [](const SessionEntry* entry) { return entry->durable.message.is_begun; });
  const std::string state = !view.trouble.empty() ? view.trouble : view.is_draining ? "draining" : "well";
  Details details;
  details.add("state", text_cell(state))
      .add("version", text_cell(CPROTO_VERSION))
      .add("pid", figure_cell(std::to_string(::getpid()), static_cast<std::uint64_t>(::getpid())))
      .add("running_for", duration_cell(view.now - view.started))
      .add("listening", text_cell(view.listening))
      .add("connections", number_cell(view.connections))
      .add("sessions",
           figure_cell(grouped(sessions.size()) + " (" +
                           counted(static_cast<std::uint64_t>(unfinished), {"has", "have"}) + " an unfinished message)",
                       sessions.size()))
      .add("messages", number_cell(view.counters.messages))
      .add("bytes", bytes_cell(view.counters.payload_bytes))
      .add("memory", text_cell(human_bytes(view.store.held_bytes()) + " of " + human_bytes(view.store.memory())));
  view.store.add_details(details, form == Form::json);
  if (form == Form::json) details.add("unfinished", number_cell(static_cast<std::uint64_t>(unfinished)));
  return form == Form::json ? details.json() : details.text();
}

std::string sessions_report(const DaemonView& view, const SessionFilter& filter, Form form) {
  Table table({"client", "session", "channel", "peer", "state", "for", "messages", "durable_through", "in_flight",
               "unfinished", "rate", "last_error"});
  for (const SessionEntry* entry : live_sessions(view, filter.client)) {
    if (filter.unfinished_only && !entry->durable.message.is_begun) continue;
    const bool is_here = entry->holder != nullptr;
    const ConnectionView connection = is_here ? entry->holder->view() : ConnectionView{};
    const Instant since = is_here ? connection.since : entry->left_at == kNever ? view.started : entry->left_at;
    table.add({text_cell(entry->client_id), text_cell(short_name(entry->id)), text_cell(entry->channel),
               text_cell(connection.peer),
               text_cell(!is_here                ? "away"
                         : connection.is_reading ? "connected"
                                                 : "held"),
               duration_cell(view.now - since), number_cell(entry->durable.messages),
               number_cell(entry->durable.through.value), number_cell(in_flight(*entry)),
               bytes_cell(entry->durable.message.is_begun ? entry->durable.message.bytes : 0),
               rate_cell(connection.messages_per_second),
               text_cell(entry->last_error == ErrorCode::none ? "" : error_name(entry->last_error))});
  }
  if (form == Form::json) return table.json();
  if (table.is_empty()) return filter.unfinished_only ? "no session has an unfinished message\n" : "no sessions\n";
  return table.text();
}

std::string why_report(const DaemonView& view, const std::string& client, Form form) {
  const auto sessions = live_sessions(view, client);
  std::string sentence = why(view, client, sessions);
  if (sessions.size() > 1)
    sentence += " (" + counted(sessions.size(), kSessions) + " of it: cprotoctl sessions " + client + ")";
  if (form == Form::text) return sentence + "\n";
  return JsonObject().text("client", client).text("why", sentence).number("sessions", sessions.size()).str() + "\n";
}

}  // namespace cproto
