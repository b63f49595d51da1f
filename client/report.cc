#include "client/report.h"

#include <algorithm>
#include <array>
#include <vector>

#include "client/signals.h"
#include "config/units.h"

namespace cproto::client {

namespace {

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

const char* mode_name(OperationMode mode) { return mode == OperationMode::burst ? "burst" : "step-by-step"; }

template <class Items, class Write>
std::string json_list(const Items& items, Write write) {
  std::vector<std::string> members;
  for (const auto& item : items) members.push_back(write(item));
  return json_array(members);
}

void add_terms(const SynAck& terms, JsonObject& object) {
  object.raw("terms", JsonObject()
                          .text("software", terms.software)
                          .number("version", terms.version)
                          .text("store", short_id(terms.store))
                          .text("operation_mode", mode_name(terms.mode))
                          .number("max_packet_size", terms.max_packet_size)
                          .number("window_size", terms.window_size)
                          .number("message_size_max", terms.message_size_max)
                          .number("keep_alive_ms", terms.keep_alive_ms)
                          .text("durability", durability_text(terms))
                          .str());
}

}  // namespace

std::string durable_clause(const Tally& tally, std::optional<std::uint64_t> total, const Noun& noun) {
  if (total) return grouped(tally.durable) + " of " + counted_are(*total, noun);
  if (tally.durable == tally.read) return counted_are(tally.durable, noun);
  return grouped(tally.durable) + " of the " + counted(tally.read, noun) + " read are";
}

std::string refused_clause(const Tally& tally, const Noun& noun) {
  return grouped(tally.refused) + " of " + counted(tally.read, noun) + (tally.refused == 1 ? " was" : " were") +
         " refused; the rest is durable";
}

std::string summary(const Outcome& outcome, const Tally& tally, const Noun& noun) {
  const double rate = static_cast<double>(tally.durable_bytes) / std::max(seconds(outcome.lasted), 1e-6);
  std::string text = counted(tally.durable, noun) + " (" + human_bytes(tally.durable_bytes) + ") durable on " +
                     outcome.where + " in " + human_time(outcome.lasted) + " (" +
                     human_bytes(static_cast<std::uint64_t>(rate)) + "/s); " +
                     counted(outcome.retransmitted, {"frame", "frames"}) + " retransmitted, " +
                     counted(outcome.reconnects, {"reconnect", "reconnects"});
  if (!outcome.congestion.name.empty()) text += ", " + congestion_clause(outcome.congestion);
  if (tally.losses > 0)
    text += "; lost " + counted(tally.losses, {"time", "times"}) + ", " + human_bytes(tally.lost_bytes);
  return text;
}

std::string json_report(const Outcome& outcome, const Tally& tally, const Options& options) {
  JsonObject object;
  object.number("status", static_cast<std::uint64_t>(outcome.causes.status()));
  object.raw("causes", json_list(outcome.causes.all(), [](Status s) { return std::to_string(static_cast<int>(s)); }));
  if (!outcome.sentence.empty()) object.text("reason", outcome.sentence);
  if (outcome.signal != 0) object.text("signal", signal_name(outcome.signal));
  object.text("server", outcome.where).text("client_id", options.client_id).text("channel", options.channel);
  object.number("messages", tally.read).number("durable", tally.durable).number("bytes", tally.durable_bytes);
  object.number("refused", tally.refused);
  object.number("losses", tally.losses).number("lost_bytes", tally.lost_bytes);
  object.raw("refused_first", json_list(tally.refused_named, [](const Tally::Refused& refused) {
               return JsonObject().text("name", refused.name).text("reason", refused.reason).str();
             }));
  object.raw("problems", json_list(tally.problems, [](const Problem& p) { return json_string(p.sentence); }));
  object.seconds("seconds", outcome.lasted);
  object.number("retransmitted", outcome.retransmitted).number("reconnects", outcome.reconnects);
  object.text("congestion_control", outcome.congestion.name);
  if (!outcome.congestion.refused.empty())
    object.text("congestion_control_refused", outcome.congestion.refused)
        .text("congestion_control_remedy", outcome.congestion.remedy);
  if (outcome.round_trip > 0ns) object.seconds("round_trip_seconds", outcome.round_trip);
  if (outcome.terms) add_terms(*outcome.terms, object);
  return object.str() + "\n";
}

std::string check_report(const Outcome& outcome) {
  const SynAck& terms = *outcome.terms;
  const auto keep_alive = std::chrono::milliseconds(terms.keep_alive_ms);
  std::string text = outcome.where + ": " + (terms.software.empty() ? "unnamed software" : printable(terms.software)) +
                     ", protocol version " + std::to_string(terms.version) + ", store " + short_id(terms.store) + "\n";
  if (!terms.client_id.empty()) text += "client id " + printable(terms.client_id) + ", assigned by the server\n";
  text += std::string("mode ") + mode_name(terms.mode) + ", window " + grouped(terms.window_size) +
          " frames, packets to " + format_size(terms.max_packet_size) + ", messages to " +
          (terms.message_size_max == 0 ? "any size" : format_size(terms.message_size_max)) + ", keep-alive " +
          format_time(keep_alive) + ", durability " + durability_text(terms) + "\n";
  text += "round trip " + human_latency(outcome.round_trip) +
          (outcome.congestion.name.empty() ? "" : ", congestion control " + congestion_clause(outcome.congestion)) +
          "\n";
  return text;
}

}  // namespace cproto::client
