// RELP: "TXNR COMMAND LENGTH DATA\n", answered by "TXNR rsp LENGTH 200 OK\n".
#include <algorithm>
#include <charconv>
#include <string>

#include "tests/bench/peers/protocol.h"

namespace cproto::bench {

namespace {

constexpr std::uint32_t kNumberMax = 999'999'999;  // then again from 1
// What syslog wants in front of a message; it takes the place of the payload's first bytes.
constexpr std::string_view kSyslog = "<13>Jan  1 00:00:00 h t: ";

class Relp final : public Protocol {
 public:
  explicit Relp(ByteView payload) : message_(payload.begin(), payload.end()) {
    std::copy_n(kSyslog.begin(), std::min(kSyslog.size(), message_.size()), message_.begin());
    middle_ = " syslog " + std::to_string(message_.size()) + " ";
    message_.push_back('\n');
  }

  void greet(Bytes& out) override {
    static constexpr std::string_view kOffer = "relp_version=0\nrelp_software=cproto-bench\ncommands=syslog";
    append(out, as_bytes("1 open " + std::to_string(kOffer.size()) + " "));
    append(out, as_bytes(kOffer));
    out.push_back('\n');
  }

  void message(Bytes& out) override {
    number_ = number_ == kNumberMax ? 1 : number_ + 1;
    char text[16];
    const char* end = std::to_chars(text, text + sizeof text, number_).ptr;
    append(out, as_bytes(std::string_view(text, static_cast<std::size_t>(end - text))));
    append(out, as_bytes(middle_));
    append(out, message_);
  }

  Heard hear(ByteView bytes, Bytes&) override {
    Heard heard;
    for (;;) {
      const std::string_view text = as_text(bytes.subspan(heard.bytes));
      const std::size_t command = text.find(' ');
      const std::size_t length = text.find(' ', command == std::string_view::npos ? command : command + 1);
      if (length == std::string_view::npos) return heard;
      std::size_t data = 0;
      const char* digits_end = std::from_chars(text.data() + length + 1, text.data() + text.size(), data).ptr;
      const auto begin =
          static_cast<std::size_t>(digits_end - text.data()) + 1;  // behind the blank, where there is one
      const std::size_t size = begin + (data > 0 ? data + 1 : 0);
      if (text.size() < size) return heard;
      if (!text.substr(begin).starts_with("200")) heard.trouble = text.substr(0, size);
      // The first is the answer to `open`.
      if (!is_open_)
        is_open_ = heard.is_ready = true;
      else
        ++heard.acknowledged;
      heard.bytes += size;
    }
  }

 private:
  Bytes message_;
  std::string middle_;
  std::uint32_t number_ = 1;
  bool is_open_ = false;
};

}  // namespace

std::unique_ptr<Protocol> make_relp(std::size_t, ByteView payload) { return std::make_unique<Relp>(payload); }

}  // namespace cproto::bench
