// cproto's frames, and ACKs of a header alone, whose sequence is the low 16 bits of the number of messages that are
// durable. No handshake: the server counts from 1.
#include "proto/frame.h"
#include "tests/bench/peers/protocol.h"

namespace cproto::bench {

namespace {

class Bare final : public Protocol {
 public:
  explicit Bare(ByteView payload) : payload_(payload) {}

  void greet(Bytes&) override {}

  void message(Bytes& out) override { encode_frame(FrameType::data, WireSeq{++sent_}, payload_, out); }

  // Fewer than 65,536 messages are on their way.
  Heard hear(ByteView bytes, Bytes&) override {
    Heard heard;
    heard.is_ready = true;
    for (; bytes.size() - heard.bytes >= kHeaderSize; heard.bytes += kHeaderSize) {
      const std::uint8_t* at = bytes.data() + heard.bytes;
      const FrameHeader header = decode_header(at);
      if (header.type != FrameType::ack || header.checksum != frame_checksum(at, 0)) heard.trouble = "not an ACK";
      const std::uint16_t number = header.seq.value;
      heard.acknowledged += static_cast<std::uint16_t>(number - acknowledged_);
      acknowledged_ = number;
    }
    return heard;
  }

 private:
  ByteView payload_;
  std::uint16_t sent_ = 0;
  std::uint16_t acknowledged_ = 0;
};

}  // namespace

std::unique_ptr<Protocol> make_bare(std::size_t, ByteView payload) { return std::make_unique<Bare>(payload); }

}  // namespace cproto::bench
