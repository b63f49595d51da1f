#include "proto/receiver.h"

#include <utility>

#include "proto/assert.h"

namespace cproto {

MessageStep advance(Position& position, const FrameHeader& header, ByteView payload, MessageKind default_kind) {
  MessageKind kind = MessageKind::none;
  if (header.type == FrameType::header) {
    const auto decoded = decode_message_header(payload);
    if (const MessageHeader* message = std::get_if<MessageHeader>(&decoded)) kind = message->kind;
  }
  position.through = position.through.next();
  position.bytes += header.payload_size;
  const MessageStep step =
      advance(position.message, header.type, position.through, header.payload_size, default_kind, kind);
  if (step == MessageStep::ends || step == MessageStep::abandoned) ++position.messages;
  return step;
}

Receiver::Outcome Receiver::on_frame(const Frame& frame) {
  CPROTO_ASSERT(is_numbered(frame.type));
  if (frame.seq == to_wire(expected())) return take_next(frame);  // a stream has nothing else
  // PROTOCOL §4.2. The sender is at most a window ahead of what is durable, so of what was received.
  const std::optional<Seq> number = unwrap(frame.seq, position_.through + options_.window_size);
  if (!number || *number <= position_.through) return {.verdict = Verdict::duplicate, .number = number.value_or(Seq{})};
  if (options_.transport == Transport::stream) return {.verdict = Verdict::dropped, .number = *number};
  return keep(frame, *number);
}

Receiver::Outcome Receiver::take_next(const Frame& frame) {
  Outcome outcome{.verdict = Verdict::accepted, .number = expected()};
  // A HEADER is as long as the names in it: what bounds it is the link's limit on control frames.
  if (frame.type != FrameType::header && frame.payload.size() > options_.max_packet_size)
    return broken(Error::of(ErrorCode::frame_too_large));
  MessageState& message = position_.message;
  const MessageState before = message;
  MessageKind kind = before.is_begun ? before.kind : options_.default_kind;
  std::optional<MessageHeader> header;
  if (frame.type == FrameType::header) {
    auto decoded = decode_message_header(frame.payload);
    if (Error* error = std::get_if<Error>(&decoded)) return broken(std::move(*error));
    header = std::move(std::get<MessageHeader>(decoded));
    kind = header->kind;
    // PROTOCOL §4.7. Inside a file a HEADER of its kind is there for the digest, and nowhere else is one.
    const bool is_inside = before.is_begun && kind == MessageKind::file;
    if (header->digest.has_value() != is_inside) return broken(Error::of(ErrorCode::bad_message_order));
    // §4.4. As at the handshake: its sender waits, and the frame is taken another time, or it is sent away.
    if (!before.is_begun && options_.objection)
      if (auto objection = options_.objection(*header)) return broken(std::move(*objection));
  }
  const MessageStep step =
      advance(message, frame.type, outcome.number, frame.payload.size(), options_.default_kind, kind);
  if (step == MessageStep::breaks) return broken(Error::of(ErrorCode::bad_message_order));
  outcome.ends_message = step != MessageStep::goes_on;
  count(frame, outcome.ends_message);
  if (before.is_refused) {
    outcome.verdict = Verdict::skipped;
    return outcome;
  }
  const Seq first = before.is_begun ? before.first : outcome.number;
  outcome.is_file = (before.is_begun ? before.kind : kind) == MessageKind::file;
  if (step == MessageStep::abandoned) return outcome;
  if (!before.is_begun && kind == MessageKind::file)
    if (const auto code = judge_start(header.value_or(MessageHeader{}))) return refuse(outcome, *code, first);
  if (is_too_large(before, frame, kind)) return refuse(outcome, ErrorCode::message_too_large, first);
  return outcome;
}

// PROTOCOL §4.7. What can be told of a file before its bytes.
std::optional<ErrorCode> Receiver::judge_start(const MessageHeader& header) const {
  if (!is_valid_file_name(header.file.name)) return ErrorCode::bad_file_name;
  if (options_.file_size_max > 0 && header.file.size > options_.file_size_max) return ErrorCode::message_too_large;
  return std::nullopt;
}

bool Receiver::is_too_large(const MessageState& before, const Frame& frame, MessageKind kind) const {
  if (frame.type == FrameType::header) return false;
  const std::uint64_t size_max = kind == MessageKind::file ? options_.file_size_max : options_.message_size_max;
  return size_max > 0 && before.bytes + frame.payload.size() > size_max;
}

// PROTOCOL §8. The number is that of the frame, whatever of it is wrong.
Receiver::Outcome Receiver::broken(Error error) const {
  error.number = expected().value;
  return {.verdict = Verdict::broken, .number = expected(), .error = std::move(error)};
}

Receiver::Outcome Receiver::refuse(Outcome outcome, ErrorCode code, Seq message_first) {
  if (!outcome.ends_message) position_.message.is_refused = true;
  outcome.verdict = Verdict::skipped;
  outcome.refusal = {code, message_first};
  return outcome;
}

void Receiver::count(const Frame& frame, bool ends_message) {
  position_.through = position_.through.next();
  position_.bytes += frame.payload.size();
  if (ends_message) ++position_.messages;
}

Receiver::Outcome Receiver::keep(const Frame& frame, Seq number) {
  if (!kept_) kept_ = std::make_unique<Kept>();
  const auto [at, is_new] = kept_->frames.try_emplace(number.value);
  if (!is_new) return {.verdict = Verdict::duplicate, .number = number};
  if (kept_->bytes + frame.whole.size() > options_.reorder_bytes_max) {
    kept_->frames.erase(at);
    return {.verdict = Verdict::dropped, .number = number};
  }
  at->second.assign(frame.whole.begin(), frame.whole.end());
  kept_->bytes += frame.whole.size();
  return {.verdict = Verdict::kept, .number = number};
}

Bytes Receiver::take_kept() {
  if (!kept_) return {};
  std::map<std::uint64_t, Bytes>& frames = kept_->frames;
  // What came again in order meanwhile is not needed from here.
  while (!frames.empty() && frames.begin()->first <= position_.through.value) {
    kept_->bytes -= frames.begin()->second.size();
    frames.erase(frames.begin());
  }
  if (frames.empty()) kept_.reset();
  if (!kept_ || frames.begin()->first != expected().value) return {};
  Bytes frame = std::move(frames.begin()->second);
  kept_->bytes -= frame.size();
  frames.erase(frames.begin());
  return frame;
}

std::vector<SeqRange> Receiver::ranges() const {
  std::vector<SeqRange> ranges;
  if (!kept_) return ranges;
  for (const auto& [number, frame] : kept_->frames) {
    if (number <= position_.through.value) continue;
    if (!ranges.empty() && ranges.back().last.value + 1 == number) {
      ranges.back().last = {number};
    } else if (ranges.size() < kAckRangesMax) {
      ranges.push_back({{number}, {number}});
    } else {
      break;
    }
  }
  return ranges;
}

}  // namespace cproto
