// MQTT 3.1.1: PUBLISH with a packet identifier. At quality of service 1 the PUBACK acknowledges it; at 2 PUBREC is
// answered by PUBREL, and PUBCOMP acknowledges.
#include <unistd.h>

#include <string>

#include "tests/bench/peers/protocol.h"

namespace cproto::bench {

namespace {

constexpr std::uint8_t kConnect = 0x10;
constexpr std::uint8_t kConnectAck = 0x20;
constexpr std::uint8_t kPublish = 0x30;
constexpr std::uint8_t kPublishAck = 0x40;
constexpr std::uint8_t kReceived = 0x50;
constexpr std::uint8_t kRelease = 0x62;
constexpr std::uint8_t kComplete = 0x70;
constexpr std::uint8_t kCleanSession = 0x02;
constexpr std::uint8_t kVersion = 4;          // 3.1.1
constexpr std::size_t kAnswerSize = 4;        // each answer that is expected here
constexpr std::uint32_t kPacketIds = 65'535;  // 0 is none

// Seven bits a byte, the lowest first.
void put_length(Bytes& out, std::size_t length) {
  for (; length >= 128; length /= 128) out.push_back(static_cast<std::uint8_t>(length % 128 | 128));
  out.push_back(static_cast<std::uint8_t>(length));
}

class Mqtt final : public Protocol {
 public:
  Mqtt(std::size_t connection, ByteView payload, std::uint8_t quality)
      : client_("bench-" + std::to_string(::getpid()) + "-" + std::to_string(connection)),
        payload_(payload),
        quality_(quality) {}

  void greet(Bytes& out) override {
    Bytes body;
    ByteWriter writer(body);
    writer.string16(as_bytes("MQTT"));
    writer.u8(kVersion);
    writer.u8(kCleanSession);
    writer.u16(0);  // no keep-alive
    writer.string16(as_bytes(client_));
    out.push_back(kConnect);
    put_length(out, body.size());
    append(out, body);
  }

  void message(Bytes& out) override {
    static constexpr std::string_view kTopic = "bench";
    out.push_back(static_cast<std::uint8_t>(kPublish | quality_ << 1));
    put_length(out, 2 + kTopic.size() + 2 + payload_.size());
    ByteWriter writer(out);
    writer.string16(as_bytes(kTopic));
    writer.u16(static_cast<std::uint16_t>(sent_++ % kPacketIds + 1));
    writer.bytes(payload_);
  }

  Heard hear(ByteView bytes, Bytes& out) override {
    Heard heard;
    for (; bytes.size() - heard.bytes >= kAnswerSize; heard.bytes += kAnswerSize) {
      const std::uint8_t* answer = bytes.data() + heard.bytes;
      switch (answer[0]) {
        case kConnectAck:
          heard.is_ready = true;
          if (answer[3] != 0) heard.trouble = "the connection was refused";
          break;
        case kReceived: append(out, Bytes{kRelease, 2, answer[2], answer[3]}); break;
        case kPublishAck:
        case kComplete: ++heard.acknowledged; break;
        default: heard.trouble = "a packet that was not expected";
      }
    }
    return heard;
  }

 private:
  std::string client_;
  ByteView payload_;
  std::uint8_t quality_;
  std::uint32_t sent_ = 0;
};

}  // namespace

std::unique_ptr<Protocol> make_mqtt1(std::size_t connection, ByteView payload) {
  return std::make_unique<Mqtt>(connection, payload, std::uint8_t{1});
}

std::unique_ptr<Protocol> make_mqtt2(std::size_t connection, ByteView payload) {
  return std::make_unique<Mqtt>(connection, payload, std::uint8_t{2});
}

}  // namespace cproto::bench
