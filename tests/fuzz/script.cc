#include "tests/fuzz/script.h"

#include "proto/assert.h"

namespace cproto::fuzz {

namespace {

enum : std::uint8_t { kRaw, kFrame, kTime, kAct, kOps };

Bytes read_frame(ByteReader& reader) {
  const auto type = static_cast<FrameType>(reader.u8());
  const WireSeq seq{reader.u16()};
  const ByteView payload = reader.bytes(std::min<std::size_t>(reader.u8(), reader.rest().size()));
  Bytes frame;
  encode_frame(type, seq, payload, frame);
  return frame;
}

}  // namespace

Script read_script(ByteView bytes) {
  ByteReader reader(bytes);
  Script script;
  script.options = reader.u8();
  const auto put_input = [&](ByteView input) {
    if (script.steps.empty() || script.steps.back().kind != Step::Kind::input)
      script.steps.push_back({.kind = Step::Kind::input, .input = {}});
    append(script.steps.back().input, input);
  };
  while (!reader.empty()) {
    switch (reader.u8() % kOps) {
      case kRaw: put_input(reader.bytes(std::min<std::size_t>(reader.u8(), reader.rest().size()))); break;
      case kFrame: put_input(read_frame(reader)); break;
      case kTime: script.steps.push_back({.kind = Step::Kind::time, .input = {}, .time = 100ms * reader.u8()}); break;
      case kAct:
        script.steps.push_back({.kind = Step::Kind::act, .input = {}, .action = reader.u8(), .argument = reader.u8()});
        break;
    }
  }
  return script;
}

void begin_script(std::uint8_t options, Bytes& out) { out.push_back(options); }

void put_frames(ByteView frames, Bytes& out) {
  while (!frames.empty()) {
    const FrameHeader header = decode_header(frames.data());
    CPROTO_ASSERT(header.payload_size <= 255);
    ByteWriter writer(out);
    writer.u8(kFrame);
    writer.u8(static_cast<std::uint8_t>(header.type));
    writer.u16(header.seq.value);
    writer.u8(static_cast<std::uint8_t>(header.payload_size));
    writer.bytes(frames.subspan(kHeaderSize, header.payload_size));
    frames = frames.subspan(kHeaderSize + header.payload_size);
  }
}

void put_time(std::uint8_t tenths, Bytes& out) {
  out.push_back(kTime);
  out.push_back(tenths);
}

void put_action(std::uint8_t action, std::uint8_t argument, Bytes& out) {
  out.push_back(kAct);
  out.push_back(action);
  out.push_back(argument);
}

}  // namespace cproto::fuzz
