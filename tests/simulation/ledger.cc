#include "tests/simulation/ledger.h"

#include <algorithm>
#include <cstdlib>

#include "proto/checksum.h"

namespace cproto::sim {

namespace {

const std::string kInbox = "/store/inbox";
const std::string kFiles = "files";

// "messages.log" and its older brothers "messages.log.7": oldest first.
std::vector<std::string> in_order(std::vector<std::string> names) {
  const auto rank = [](const std::string& name) {
    const std::size_t dot = name.find_last_of('.');
    if (dot == std::string::npos) return ~0ul;
    const unsigned long turn = std::strtoul(name.c_str() + dot + 1, nullptr, 10);
    return turn == 0 ? ~0ul : turn;
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  return names;
}

}  // namespace

std::string client_name(unsigned client) { return "client-" + std::to_string(client); }

void Ledger::on_told(const SessionId& id, Seq through) {
  Seq& told = told_[id];
  told = std::max(told, through);
}

std::size_t Ledger::refusals(const SessionId& id) const {
  const auto there = refused_.find(id);
  return there == refused_.end() ? 0 : there->second.size();
}

std::uint64_t Ledger::progress() const {
  std::uint64_t progress = sessions_.size();
  for (const auto& [id, through] : told_) progress += through.value;
  return progress;
}

bool Ledger::is_closed(const SessionId& id) const {
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [&](const auto& one) { return one.second.id == id && one.second.is_closed; });
}

std::string Ledger::check_inbox(const test::MemoryDisk& disk, bool is_final) {
  Found found;
  for (const std::string& client : disk.list_directory(kInbox)) {
    const auto number = static_cast<unsigned>(std::strtoul(client.c_str() + client.find('-') + 1, nullptr, 10));
    for (const std::string& name : in_order(disk.list_directory(kInbox + "/" + client))) {
      if (name == kFiles) continue;
      const Bytes bytes = disk.read_file(kInbox + "/" + client + "/" + name);
      if (std::string wrong = check_log(bytes, number, name, is_final, found); !wrong.empty())
        return client + "/" + name + ": " + wrong;
    }
    if (std::string wrong = check_files(disk, client, number, found); !wrong.empty()) return client + "/" + wrong;
  }
  return is_final ? check_missing(found) : std::string();
}

// A file that is seen is whole, at any time.
std::string Ledger::check_files(const test::MemoryDisk& disk, const std::string& client, unsigned number,
                                Found& found) {
  const std::string folder = kInbox + "/" + client + "/" + kFiles;
  for (const std::string& name : disk.list_directory(folder)) {
    const Bytes bytes = disk.read_file(folder + "/" + name);
    const auto id = identify(bytes, MessageKind::file);
    if (!id || file_name_of(*id) != name) return name + ": not what was sent under this name";
    if (std::string wrong = check_message(bytes, MessageKind::file, number, {}, found); !wrong.empty()) return wrong;
  }
  return {};
}

std::string Ledger::check_log(const Bytes& bytes, unsigned client, const std::string& name, bool is_final,
                              Found& found) {
  const std::string channel = name.substr(0, name.find('.'));
  const bool is_binary = name.find(".bin") != std::string::npos;
  ByteView rest(bytes);
  while (!rest.empty()) {
    ByteView message;
    if (is_binary) {
      ByteReader reader(rest);
      const std::uint32_t size = reader.u32();
      const std::uint32_t checksum = reader.u32();
      message = reader.bytes(size);
      if (reader.failed()) return is_final ? "ends within a message" : "";
      if (crc32(0, message) != checksum) return "a message with a wrong checksum";
      rest = reader.rest();
    } else {
      const auto end = std::find(rest.begin(), rest.end(), '\n');
      if (end == rest.end()) return is_final ? "ends within a line" : "";
      message = rest.first(static_cast<std::size_t>(end - rest.begin()));
      rest = rest.subspan(message.size() + 1);
    }
    const MessageKind kind = is_binary ? MessageKind::binary : MessageKind::text;
    if (std::string wrong = check_message(message, kind, client, channel, found); !wrong.empty()) return wrong;
  }
  return {};
}

std::string Ledger::check_message(ByteView bytes, MessageKind kind, unsigned client, const std::string& channel,
                                  Found& found) {
  const auto id = identify(bytes, kind);
  if (!id)
    return "bytes that nobody sent: '" + std::string(as_text(bytes.first(std::min<std::size_t>(bytes.size(), 40)))) +
           "', " + std::to_string(bytes.size()) + " bytes";
  const auto session = sessions_.find({id->client, id->session});
  if (id->client != client || session == sessions_.end() || id->number >= session->second.messages.size())
    return to_text(*id) + " was not sent by this client";
  const SentMessage& sent = session->second.messages[id->number];
  if (sent.kind != kind || (kind != MessageKind::file && sent.channel != channel))
    return to_text(*id) + " is in the wrong log";
  if (sent.is_abandoned || !sent.last || !sent.had_size(bytes.size())) return to_text(*id) + " was never sent whole";
  if (is_too_large(sent)) return to_text(*id) + " is too large to be there";
  if (kind == MessageKind::file && sent.was_refused && !session->second.was_recut)
    return to_text(*id) + " was refused and is there";
  if (++found.times[*id] > 1) return to_text(*id) + " is there twice";
  if (kind == MessageKind::file) return {};
  const std::string key = std::to_string(client) + "/" + std::to_string(id->session) + "/" + channel +
                          (kind == MessageKind::binary ? "b" : "t");
  const auto [last, is_first] = found.last_of.try_emplace(key, id->number);
  if (!is_first && last->second > id->number) return to_text(*id) + " is out of order";
  last->second = id->number;
  return {};
}

std::string Ledger::check_missing(const Found& found) const {
  for (const auto& [key, session] : sessions_) {
    for (std::size_t i = 0; i < std::min<std::size_t>(session.messages.size(), session.acknowledged); ++i) {
      const SentMessage& message = session.messages[i];
      if (message.is_abandoned) continue;
      // A file that did not fit on the disk is refused, too.
      const bool may_be_refused = is_too_large(message) || message.kind == MessageKind::file;
      if (may_be_refused && session.was_recut) continue;  // whose refusal it was cannot be told
      const bool is_missing = !found.times.contains(message.id);
      if (is_missing && !(may_be_refused && message.was_refused) && !is_too_large(message))
        return to_text(message.id) + " was acknowledged and is not there";
      if (is_too_large(message) && session.is_closed && !message.was_refused)
        return to_text(message.id) + " was refused and its sender was not told";
    }
  }
  return {};
}

std::string Ledger::read_along(const test::MemoryDisk& disk) {
  for (const std::string& client : disk.list_directory(kInbox)) {
    for (const std::string& name : disk.list_directory(kInbox + "/" + client)) {
      const std::string path = kInbox + "/" + client + "/" + name;
      if (const auto changed = disk.changed_at(path); changed && !disk.is_directory(path))
        return path + " lost bytes that a reader had seen: of " + std::to_string(disk.size_of(path)) + " the first " +
               std::to_string(*changed) + " are the same";
    }
  }
  return {};
}

}  // namespace cproto::sim
