#include "proto/receiver.h"

#include <doctest/doctest.h>

#include <string>

#include "proto/codec.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;
using Verdict = Receiver::Verdict;

namespace {

Frame view_of(const Bytes& bytes) {
  const FrameHeader header = decode_header(bytes.data());
  return {header.type, header.seq, ByteView(bytes).subspan(kHeaderSize), bytes};
}

Receiver::Outcome feed(Receiver& receiver, const Bytes& bytes) { return receiver.on_frame(view_of(bytes)); }

ReceiverOptions datagram_options() {
  return {.transport = Transport::datagram, .window_size = 100, .max_packet_size = 1024};
}
ReceiverOptions stream_options() { return {.window_size = 100, .max_packet_size = 1024}; }

Position at(std::uint64_t through) { return {.through = {through}, .bytes = 0, .messages = 0, .message = {}}; }

}  // namespace

TEST_CASE("receiver: frames in order are accepted and counted") {
  Receiver receiver(stream_options(), {});
  const auto first = feed(receiver, fragment(1, "Hello "));
  CHECK(first.verdict == Verdict::accepted);
  CHECK(first.number == Seq{1});
  CHECK_FALSE(first.ends_message);
  const auto second = feed(receiver, data(2, "World"));
  CHECK(second.verdict == Verdict::accepted);
  CHECK(second.ends_message);
  CHECK(receiver.position().through == Seq{2});
  CHECK(receiver.position().bytes == 11);
  CHECK(receiver.position().messages == 1);
  CHECK(receiver.expected() == Seq{3});
}

TEST_CASE("receiver: a session goes on from the position it is given") {
  Receiver receiver(stream_options(), {.through = {70'000}, .bytes = 123, .messages = 9, .message = {}});
  CHECK(feed(receiver, data(70'001, "x")).number == Seq{70'001});
  CHECK(receiver.position().bytes == 124);
  CHECK(receiver.position().messages == 10);
}

TEST_CASE("receiver: a duplicate is told with its number and changes nothing") {
  Receiver receiver(stream_options(), at(70'000));
  const auto outcome = feed(receiver, data(69'950, "again"));
  CHECK(outcome.verdict == Verdict::duplicate);
  CHECK(outcome.number == Seq{69'950});
  CHECK(receiver.position().through == Seq{70'000});
}

TEST_CASE("receiver: a wire number that would lie before the first is a duplicate of nothing") {
  Receiver receiver(stream_options(), at(3));
  const auto outcome = feed(receiver, data(0, "?"));
  CHECK(outcome.verdict == Verdict::duplicate);
  CHECK(outcome.number == Seq{0});
}

TEST_CASE("receiver: on a stream a frame ahead of its turn is dropped") {
  Receiver receiver(stream_options(), {});
  const auto outcome = feed(receiver, data(3, "early"));
  CHECK(outcome.verdict == Verdict::dropped);
  CHECK(outcome.number == Seq{3});
  CHECK(receiver.ranges().empty());
  CHECK(receiver.take_kept().empty());
}

TEST_CASE("receiver: on datagrams frames ahead of their turn are kept and follow when the gap closes") {
  Receiver receiver(datagram_options(), {});
  CHECK(feed(receiver, data(3, "three")).verdict == Verdict::kept);
  CHECK(feed(receiver, data(2, "two")).verdict == Verdict::kept);
  CHECK(feed(receiver, data(5, "five")).verdict == Verdict::kept);
  CHECK(receiver.ranges() == std::vector<SeqRange>{{{2}, {3}}, {{5}, {5}}});
  CHECK(receiver.take_kept().empty());
  CHECK(feed(receiver, data(1, "one")).verdict == Verdict::accepted);
  for (std::uint64_t expected = 2; expected <= 3; ++expected) {
    const Bytes kept = receiver.take_kept();
    REQUIRE_FALSE(kept.empty());
    const auto outcome = feed(receiver, kept);
    CHECK(outcome.verdict == Verdict::accepted);
    CHECK(outcome.number == Seq{expected});
  }
  CHECK(receiver.take_kept().empty());
  CHECK(receiver.ranges() == std::vector<SeqRange>{{{5}, {5}}});
}

TEST_CASE("receiver: a frame kept is a duplicate when it comes again") {
  Receiver receiver(datagram_options(), {});
  CHECK(feed(receiver, data(3, "three")).verdict == Verdict::kept);
  CHECK(feed(receiver, data(3, "three")).verdict == Verdict::duplicate);
}

TEST_CASE("receiver: what was kept and came in order meanwhile is let go") {
  ReceiverOptions options = datagram_options();
  options.reorder_bytes_max = 30;
  Receiver receiver(options, {});
  CHECK(feed(receiver, data(2, "0123456789")).verdict == Verdict::kept);
  CHECK(feed(receiver, data(1, "one")).verdict == Verdict::accepted);
  CHECK(feed(receiver, data(2, "0123456789")).verdict == Verdict::accepted);
  CHECK(receiver.take_kept().empty());
  CHECK(feed(receiver, data(4, "0123456789")).verdict == Verdict::kept);
}

TEST_CASE("receiver: no more is kept out of order than its bound") {
  ReceiverOptions options = datagram_options();
  options.reorder_bytes_max = 2 * (kHeaderSize + 10);
  Receiver receiver(options, {});
  CHECK(feed(receiver, data(2, "0123456789")).verdict == Verdict::kept);
  CHECK(feed(receiver, data(4, "0123456789")).verdict == Verdict::kept);
  CHECK(feed(receiver, data(6, "0123456789")).verdict == Verdict::dropped);
  CHECK(receiver.ranges().size() == 2);
}

TEST_CASE("receiver: one ACK names the lowest ranges and as many as it may") {
  Receiver receiver(datagram_options(), {});
  for (std::uint64_t i = 0; i < 40; ++i) feed(receiver, data(2 + 2 * i, "x"));
  const auto ranges = receiver.ranges();
  REQUIRE(ranges.size() == kAckRangesMax);
  CHECK(ranges.front() == SeqRange{{2}, {2}});
  CHECK(ranges.back() == SeqRange{{64}, {64}});
}

TEST_CASE("receiver: numbers are told apart across the wrap of the wire's 16 bits") {
  for (std::uint64_t through : {65'530ull, 65'535ull, 65'536ull, 131'071ull, (1ull << 40) - 1}) {
    Receiver receiver(datagram_options(), at(through));
    CHECK(feed(receiver, data(through + 1, "next")).number == Seq{through + 1});
    const auto early = feed(receiver, data(through + 90, "early"));
    CHECK(early.verdict == Verdict::kept);
    CHECK(early.number == Seq{through + 90});
    const auto late = feed(receiver, data(through - 60'000 % through, "late"));
    CHECK(late.verdict == Verdict::duplicate);
  }
}

TEST_CASE("receiver: a payload above the agreed size breaks the session") {
  Receiver receiver(stream_options(), {});
  const auto outcome = feed(receiver, data(1, std::string(1025, 'x')));
  CHECK(outcome.verdict == Verdict::broken);
  CHECK(outcome.error.code == ErrorCode::frame_too_large);
  CHECK(receiver.position().through == Seq{0});
}

TEST_CASE("receiver: a HEADER may be longer than the smallest packet") {
  ReceiverOptions options = stream_options();
  options.max_packet_size = kPacketSizeMin;
  Receiver receiver(options, {});
  CHECK(feed(receiver, header(1, MessageKind::text, std::string(64, 'c'))).verdict == Verdict::accepted);
}

TEST_CASE("receiver: an order that makes no message breaks the session") {
  Receiver receiver(stream_options(), {});
  SUBCASE("an abandonment of nothing") {
    const auto outcome = feed(receiver, abandonment(1));
    CHECK(outcome.verdict == Verdict::broken);
    CHECK(outcome.error.code == ErrorCode::bad_message_order);
  }
  SUBCASE("a HEADER within a message") {
    feed(receiver, fragment(1, "begun"));
    const auto outcome = feed(receiver, header(2, MessageKind::text));
    CHECK(outcome.verdict == Verdict::broken);
    CHECK(outcome.error.code == ErrorCode::bad_message_order);
  }
}

TEST_CASE("receiver: a HEADER that cannot be read breaks the session") {
  Receiver receiver(stream_options(), {});
  const auto outcome = feed(receiver, frame_of(FrameType::header, as_bytes("xx"), 1));
  CHECK(outcome.verdict == Verdict::broken);
  CHECK(outcome.error.code == ErrorCode::malformed_frame);
}

TEST_CASE("receiver: an abandoned message is over and counted") {
  Receiver receiver(stream_options(), {});
  feed(receiver, fragment(1, "begun"));
  const auto outcome = feed(receiver, abandonment(2));
  CHECK(outcome.verdict == Verdict::accepted);
  CHECK(outcome.ends_message);
  CHECK(receiver.position().messages == 1);
  CHECK(feed(receiver, data(3, "next")).verdict == Verdict::accepted);
}

TEST_CASE("receiver: too large a message is refused once and skipped to its end") {
  ReceiverOptions options = stream_options();
  options.message_size_max = 10;
  Receiver receiver(options, {});
  CHECK(feed(receiver, fragment(1, "01234567")).verdict == Verdict::accepted);
  const auto refused = feed(receiver, fragment(2, "89A"));
  CHECK(refused.verdict == Verdict::skipped);
  CHECK(refused.refusal == Refusal{ErrorCode::message_too_large, {1}});
  const auto rest = feed(receiver, fragment(3, "BC"));
  CHECK(rest.verdict == Verdict::skipped);
  CHECK(rest.refusal == Refusal{});
  const auto end = feed(receiver, data(4, "D"));
  CHECK(end.verdict == Verdict::skipped);
  CHECK(end.ends_message);
  CHECK(receiver.position().messages == 1);
  CHECK(feed(receiver, data(5, "fits")).verdict == Verdict::accepted);
}

TEST_CASE("receiver: a message of the largest size is taken, and one DATA too large is refused at once") {
  ReceiverOptions options = stream_options();
  options.message_size_max = 10;
  Receiver receiver(options, {});
  CHECK(feed(receiver, data(1, "0123456789")).verdict == Verdict::accepted);
  const auto refused = feed(receiver, data(2, "0123456789A"));
  CHECK(refused.verdict == Verdict::skipped);
  CHECK(refused.ends_message);
  CHECK(refused.refusal == Refusal{ErrorCode::message_too_large, {2}});
  CHECK(feed(receiver, data(3, "fits")).verdict == Verdict::accepted);
}

TEST_CASE("receiver: a refused message may be abandoned") {
  ReceiverOptions options = stream_options();
  options.message_size_max = 3;
  Receiver receiver(options, {});
  CHECK(feed(receiver, fragment(1, "0123")).verdict == Verdict::skipped);
  const auto outcome = feed(receiver, abandonment(2));
  CHECK(outcome.verdict == Verdict::skipped);
  CHECK(outcome.ends_message);
  CHECK(feed(receiver, data(3, "ok")).verdict == Verdict::accepted);
}

namespace {

// A file's HEADER, at this number.
Bytes file_header(std::uint64_t number, const FileDescription& file, const std::optional<Digest>& digest = {}) {
  Bytes payload;
  encode_message_header({MessageKind::file, {}, file, digest}, payload);
  Bytes frame;
  encode_frame(FrameType::header, to_wire(Seq{number}), payload, frame);
  return frame;
}

}  // namespace

TEST_CASE("receiver: a file is HEADER, bytes, HEADER with the digest, DATA; each frame is known to be a file's") {
  Receiver receiver(stream_options(), {});
  CHECK(feed(receiver, file_header(1, {"a", {}, {}, {}})).is_file);
  CHECK(feed(receiver, fragment(2, "x")).is_file);
  CHECK(feed(receiver, file_header(3, {}, Digest{})).is_file);
  const auto last = feed(receiver, data(4, "y"));
  CHECK(last.is_file);
  CHECK(last.ends_message);
  CHECK_FALSE(feed(receiver, data(5, "text")).is_file);
}

TEST_CASE("receiver: a file with a name that is none is refused, and what is behind it is taken") {
  for (const char* name : {"", ".", "..", "../x", "/etc/passwd", "a\nb", "a\x7f"}) {
    CAPTURE(name);
    Receiver receiver(stream_options(), {});
    CHECK(feed(receiver, file_header(1, {name, {}, {}, {}})).refusal == Refusal{ErrorCode::bad_file_name, {1}});
    CHECK(feed(receiver, fragment(2, "x")).verdict == Verdict::skipped);
    CHECK(feed(receiver, file_header(3, {}, Digest{})).verdict == Verdict::skipped);
    CHECK(feed(receiver, data(4, "")).verdict == Verdict::skipped);
    CHECK(feed(receiver, data(5, "text")).verdict == Verdict::accepted);
  }
}

TEST_CASE("receiver: a file without a HEADER has no name") {
  ReceiverOptions options = stream_options();
  options.default_kind = MessageKind::file;
  SUBCASE("FRAGMENT") {
    Receiver receiver(options, {});
    CHECK(feed(receiver, fragment(1, "x")).refusal == Refusal{ErrorCode::bad_file_name, {1}});
  }
  SUBCASE("DATA") {
    Receiver receiver(options, {});
    CHECK(feed(receiver, data(1, "x")).refusal == Refusal{ErrorCode::bad_file_name, {1}});
  }
}

TEST_CASE("receiver: file names are bytes, whatever they would be in UTF-8") {
  for (const char* name : {"a b", "\xff\xfe", "\xc3\xa9.txt", "-", ".hidden", "~"}) {
    CAPTURE(name);
    Receiver receiver(stream_options(), {});
    CHECK(feed(receiver, file_header(1, {name, {}, {}, {}})).verdict == Verdict::accepted);
  }
  Receiver receiver(stream_options(), {});
  CHECK(feed(receiver, file_header(1, {std::string(255, 'n'), {}, {}, {}})).verdict == Verdict::accepted);
  Receiver other(stream_options(), {});
  CHECK(feed(other, file_header(1, {std::string(256, 'n'), {}, {}, {}})).refusal.code == ErrorCode::bad_file_name);
}

TEST_CASE("receiver: a file larger than is taken is refused by what was announced, or by what comes") {
  ReceiverOptions options = stream_options();
  options.message_size_max = 3;
  options.file_size_max = 10;
  SUBCASE("announced") {
    Receiver receiver(options, {});
    CHECK(feed(receiver, file_header(1, {"a", 11, {}, {}})).refusal == Refusal{ErrorCode::message_too_large, {1}});
  }
  SUBCASE("not announced") {
    Receiver receiver(options, {});
    CHECK(feed(receiver, file_header(1, {"a", {}, {}, {}})).verdict == Verdict::accepted);
    CHECK(feed(receiver, fragment(2, "0123456789")).verdict == Verdict::accepted);
    CHECK(feed(receiver, fragment(3, "0")).refusal == Refusal{ErrorCode::message_too_large, {1}});
  }
}

TEST_CASE("receiver: a digest anywhere but inside a file makes no message") {
  SUBCASE("before one") {
    Receiver receiver(stream_options(), {});
    CHECK(feed(receiver, file_header(1, {"a", {}, {}, {}}, Digest{})).error.code == ErrorCode::bad_message_order);
  }
  SUBCASE("inside a text") {
    Receiver receiver(stream_options(), {});
    feed(receiver, fragment(1, "x"));
    CHECK(feed(receiver, file_header(2, {}, Digest{})).error.code == ErrorCode::bad_message_order);
  }
  SUBCASE("and inside a file there is no HEADER without one") {
    Receiver receiver(stream_options(), {});
    feed(receiver, file_header(1, {"a", {}, {}, {}}));
    CHECK(feed(receiver, file_header(2, {"b", {}, {}, {}})).error.code == ErrorCode::bad_message_order);
  }
}

TEST_CASE("receiver: a HEADER that names one channel too many is not taken, and its sender is to come back") {
  ReceiverOptions options;
  options.objection = [](const MessageHeader& header) {
    return header.channel == "access"
               ? std::nullopt
               : std::optional(Error::retry_after(ErrorCode::too_many_channels, kChannelsRetryAfter));
  };
  Receiver receiver(options, {});
  CHECK(feed(receiver, header(1, MessageKind::text, "access")).verdict == Receiver::Verdict::accepted);
  CHECK(feed(receiver, data(2, "a")).verdict == Receiver::Verdict::accepted);
  const auto outcome = feed(receiver, header(3, MessageKind::text, "other"));
  CHECK(outcome.verdict == Receiver::Verdict::broken);
  CHECK(outcome.error.code == ErrorCode::too_many_channels);
  CHECK(outcome.error.error_class == ErrorClass::retry_after);
  CHECK(receiver.position().through == Seq{2});
  CHECK_FALSE(receiver.position().message.is_begun);
}
