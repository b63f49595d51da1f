// NATS: PUB with a reply subject, on which JetStream says that the message is stored.
#include <charconv>
#include <string>

#include "tests/bench/peers/protocol.h"

namespace cproto::bench {

namespace {

constexpr std::string_view kEnd = "\r\n";

class Nats final : public Protocol {
 public:
  Nats(std::size_t connection, ByteView payload) : inbox_("_INBOX.bench." + std::to_string(connection)) {
    append(message_, as_bytes("PUB bench " + inbox_ + " " + std::to_string(payload.size()) + "\r\n"));
    append(message_, payload);
    append(message_, as_bytes(kEnd));
  }

  void greet(Bytes& out) override {
    append(out,
           as_bytes("CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c++\",\"version\":\"1\",\"protocol\":1}"
                    "\r\nSUB " +
                    inbox_ + " 1\r\nPING\r\n"));
  }

  void message(Bytes& out) override { append(out, message_); }

  Heard hear(ByteView bytes, Bytes& out) override {
    Heard heard;
    for (;;) {
      const std::string_view text = as_text(bytes.subspan(heard.bytes));
      const std::size_t end = text.find(kEnd);
      if (end == std::string_view::npos) return heard;
      const std::string_view line = text.substr(0, end);
      std::size_t size = end + kEnd.size();
      if (line.starts_with("MSG ")) {  // "MSG SUBJECT 1 LENGTH", and then what JetStream says
        std::size_t length = 0;
        std::from_chars(line.data() + line.rfind(' ') + 1, line.data() + line.size(), length);
        size += length + kEnd.size();
        if (text.size() < size) return heard;
        const std::string_view said = text.substr(end + kEnd.size(), length);
        if (said.find("\"error\"") != std::string_view::npos) heard.trouble = said;
        ++heard.acknowledged;
      } else if (line == "PING") {
        append(out, as_bytes("PONG\r\n"));
      } else if (line == "PONG") {
        heard.is_ready = true;
      } else if (line.starts_with("-")) {
        heard.trouble = line;
      }
      heard.bytes += size;
    }
  }

 private:
  std::string inbox_;
  Bytes message_;
};

}  // namespace

std::unique_ptr<Protocol> make_nats(std::size_t connection, ByteView payload) {
  return std::make_unique<Nats>(connection, payload);
}

}  // namespace cproto::bench
