#include "proto/receiver.h"

#include <utility>

#include "proto/assert.h"

namespace cproto {

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
  MessageKind kind = options_.default_kind;
  if (frame.type == FrameType::header) {
    auto header = decode_message_header(frame.payload);
    if (Error* error = std::get_if<Error>(&header)) return broken(std::move(*error));
    kind = std::get<MessageHeader>(header).kind;
  }
  MessageState& message = position_.message;
  const MessageState before = message;
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
  if (!before.is_begun && kind == MessageKind::file && !options_.takes_files)
    return refuse(outcome, ErrorCode::kind_not_accepted, first);
  if (options_.message_size_max > 0 && step != MessageStep::abandoned &&
      before.bytes + (frame.type == FrameType::header ? 0 : frame.payload.size()) > options_.message_size_max)
    return refuse(outcome, ErrorCode::message_too_large, first);
  return outcome;
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
  const auto [at, is_new] = kept_.try_emplace(number.value);
  if (!is_new) return {.verdict = Verdict::duplicate, .number = number};
  if (kept_bytes_ + frame.whole.size() > options_.reorder_bytes_max) {
    kept_.erase(at);
    return {.verdict = Verdict::dropped, .number = number};
  }
  at->second.assign(frame.whole.begin(), frame.whole.end());
  kept_bytes_ += frame.whole.size();
  return {.verdict = Verdict::kept, .number = number};
}

Bytes Receiver::take_kept() {
  // What came again in order meanwhile is not needed from here.
  while (!kept_.empty() && kept_.begin()->first <= position_.through.value) {
    kept_bytes_ -= kept_.begin()->second.size();
    kept_.erase(kept_.begin());
  }
  if (kept_.empty() || kept_.begin()->first != expected().value) return {};
  Bytes frame = std::move(kept_.begin()->second);
  kept_bytes_ -= frame.size();
  kept_.erase(kept_.begin());
  return frame;
}

std::vector<SeqRange> Receiver::ranges() const {
  std::vector<SeqRange> ranges;
  for (const auto& [number, frame] : kept_) {
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
