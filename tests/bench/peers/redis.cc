// Redis streams: RESP arrays out, bulk strings (the new entry's id) back.
#include <algorithm>
#include <charconv>
#include <string>

#include "tests/bench/peers/protocol.h"

namespace cproto::bench {

namespace {

constexpr std::string_view kEnd = "\r\n";

class Redis final : public Protocol {
 public:
  explicit Redis(ByteView payload) {
    for (const std::string_view word : {"XADD", "s", "*", "d"}) add_bulk(as_bytes(word));
    add_bulk(payload);
  }

  // Answered before any message is sent, so that whoever is refused is noticed.
  void greet(Bytes& out) override { append(out, as_bytes("PING\r\n")); }

  void message(Bytes& out) override { append(out, message_); }

  Heard hear(ByteView bytes, Bytes&) override {
    Heard heard;
    for (;;) {
      const std::string_view text = as_text(bytes.subspan(heard.bytes));
      const std::size_t line = text.find(kEnd);
      if (line == std::string_view::npos) return heard;
      std::size_t size = line + kEnd.size();
      if (text[0] == '$') {
        std::size_t value = 0;
        std::from_chars(text.data() + 1, text.data() + line, value);
        size += value + kEnd.size();
        if (text.size() < size) return heard;
        ++heard.acknowledged;
      } else if (text.starts_with("+PONG")) {
        heard.is_ready = true;
      } else {
        heard.trouble = text.substr(0, line);
      }
      heard.bytes += size;
    }
  }

 private:
  void add_bulk(ByteView value) {
    append(message_, as_bytes("$" + std::to_string(value.size()) + "\r\n"));
    append(message_, value);
    append(message_, as_bytes(kEnd));
  }

  static constexpr std::string_view kArray = "*5\r\n";
  Bytes message_{kArray.begin(), kArray.end()};
};

}  // namespace

std::unique_ptr<Protocol> make_redis(std::size_t, ByteView payload) { return std::make_unique<Redis>(payload); }

}  // namespace cproto::bench
