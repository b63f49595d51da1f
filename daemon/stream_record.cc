#include "daemon/stream_record.h"

#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace cproto {

namespace {

constexpr std::string_view kMarkHeader = "Cproto-Mark";
constexpr std::string_view kMarkVersion = "1";

std::string token(std::string name) {
  std::replace(name.begin(), name.end(), '.', ':');
  return name;
}

// The fields of a mark, one behind the other. Numbers are decimal.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  std::string_view next() {
    const std::size_t end = rest_.find(' ');
    const std::string_view word = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    return word;
  }
  std::uint64_t number() { return parse(next()); }
  bool is_empty() const { return rest_.empty(); }
  bool has_failed() const { return has_failed_; }

  std::uint64_t parse(std::string_view word) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) has_failed_ = true;
    return value;
  }

 private:
  std::string_view rest_;
  bool has_failed_ = false;
};

std::string encode_mark(const StreamMark& mark) {
  const Position& at = mark.position;
  const MessageState& message = at.message;
  std::string text(kMarkVersion);
  const auto add = [&](std::uint64_t number) { text.append(" ").append(std::to_string(number)); };
  for (const std::uint64_t number : {at.through.value, at.bytes, at.messages, mark.attempt,
                                     std::uint64_t{mark.max_packet_size}, static_cast<std::uint64_t>(mark.kind)})
    add(number);
  add(message.is_begun ? message.first.value : 0);
  add(message.bytes);
  add(static_cast<std::uint64_t>(message.kind));
  add(message.is_refused ? 1 : 0);
  text.append(" ").append(mark.channel.empty() ? "-" : mark.channel);
  for (const Refusal& refusal : mark.refusals) {
    add(static_cast<std::uint64_t>(refusal.code));
    add(refusal.first.value);
  }
  return text;
}

}  // namespace

std::string stream_session_name(const SessionId& id) {
  std::uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(id.data(), id.size(), digest);
  return to_hex(ByteView(digest).first(16));
}

std::string stream_subject(const std::string& client_id, const std::string& channel, const SessionId& id) {
  return "cproto." + token(client_id) + "." + token(channel) + "." + stream_session_name(id);
}

StreamHeaders encode_stream_headers(const std::string& session_name, const Pack& pack, const StreamMark& mark,
                                    std::uint64_t after) {
  const std::string number = std::to_string(mark.position.through.value);
  std::string sizes;
  for (const std::size_t size : pack.sizes) sizes.append(sizes.empty() ? "" : " ").append(std::to_string(size));
  // A note has the number of what is before it.
  const std::string note = pack.sizes.empty() ? "-" + std::to_string(after) : "";
  StreamHeaders headers{{"Nats-Msg-Id", session_name + "-" + number + note},
                        {"Cproto-Number", number},
                        {"Cproto-Sizes", sizes.empty() ? "none" : sizes}};
  if (pack.kind == MessageKind::binary) headers.emplace_back("Cproto-Kind", "binary");
  if (!pack.channel.empty()) headers.emplace_back("Cproto-Channel", pack.channel);
  if (pack.is_rest) headers.emplace_back("Cproto-Rest", "1");
  if (pack.has_more) headers.emplace_back("Cproto-More", "1");
  headers.emplace_back(kMarkHeader, encode_mark(mark));
  return headers;
}

std::optional<StreamMark> decode_stream_mark(const StreamHeaders& headers) {
  const auto it =
      std::find_if(headers.begin(), headers.end(), [](const auto& one) { return one.first == kMarkHeader; });
  if (it == headers.end()) return std::nullopt;
  Words words(it->second);
  if (words.next() != kMarkVersion) return std::nullopt;
  StreamMark mark;
  Position& at = mark.position;
  at.through.value = words.number();
  at.bytes = words.number();
  at.messages = words.number();
  mark.attempt = words.number();
  mark.max_packet_size = static_cast<std::uint32_t>(words.number());
  mark.kind = static_cast<MessageKind>(words.number());
  at.message.first.value = words.number();
  at.message.is_begun = at.message.first.value != 0;
  at.message.bytes = words.number();
  at.message.kind = static_cast<MessageKind>(words.number());
  at.message.is_refused = words.number() != 0;
  if (const std::string_view channel = words.next(); channel != "-") mark.channel = channel;
  while (!words.is_empty()) {
    const auto code = static_cast<ErrorCode>(words.number());
    mark.refusals.push_back({code, {words.number()}});
  }
  if (words.has_failed()) return std::nullopt;
  return mark;
}

}  // namespace cproto
