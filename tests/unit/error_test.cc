#include "proto/error.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <string>

using namespace cproto;

TEST_CASE("error: the registry names every code once, in the order of the numbers") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < kErrors.size(); ++i) {
    REQUIRE(static_cast<std::size_t>(kErrors[i].code) == i + 1);
    REQUIRE(names.insert(std::string(kErrors[i].name)).second);
    REQUIRE_FALSE(kErrors[i].sentence.empty());
    REQUIRE(find_error(kErrors[i].code) == &kErrors[i]);
  }
}

TEST_CASE("error: a code of a later version has a name all the same") {
  CHECK(find_error(static_cast<ErrorCode>(9'999)) == nullptr);
  CHECK(error_name(static_cast<ErrorCode>(9'999)) == "error 9999");
  CHECK(error_name(ErrorCode::disk_full) == "disk_full");
}

TEST_CASE("error: an ERROR is read as it was written") {
  Bytes out;
  encode_error(Error::of(ErrorCode::message_too_large, 1ull << 33, "64 MiB"), out);
  const auto read = decode_error(out);
  REQUIRE(read);
  CHECK(read->code == ErrorCode::message_too_large);
  CHECK(read->error_class == ErrorClass::never_message);
  CHECK(read->number == 1ull << 33);
  CHECK(read->sentence == "the message is larger than is taken here: 64 MiB");
}

TEST_CASE("error: retry_after carries its time in milliseconds") {
  Bytes out;
  encode_error(Error::retry_after(ErrorCode::disk_full, 90s), out);
  const auto read = decode_error(out);
  REQUIRE(read);
  CHECK(read->error_class == ErrorClass::retry_after);
  CHECK(read->retry_after_ms == 90'000);
}

TEST_CASE("error: an unknown code keeps its class, an unknown class means go away") {
  Bytes out;
  Error error = Error::of(static_cast<ErrorCode>(9'999));
  error.error_class = ErrorClass::never_message;
  encode_error(error, out);
  CHECK(decode_error(out)->error_class == ErrorClass::never_message);
  out[2] = 77;
  CHECK(decode_error(out)->error_class == ErrorClass::go_away);
}

TEST_CASE("error: the fixed part cut short is refused, the sentence may be empty") {
  Bytes out;
  encode_error(Error::of(ErrorCode::disk_full), out);
  for (std::size_t size = 0; size < 16; ++size) REQUIRE_FALSE(decode_error(ByteView(out).first(size)));
  const auto read = decode_error(ByteView(out).first(16));
  REQUIRE(read);
  CHECK(read->sentence.empty());
}

TEST_CASE("error: a sentence is sent to a kibibyte at the most") {
  Bytes out;
  encode_error(Error::of(ErrorCode::bad_parameter, 0, std::string(5'000, 'x')), out);
  CHECK(out.size() == 16 + 1024);
}

TEST_CASE("error: a sentence that is too long is cut between two characters") {
  const std::size_t most = 1024;
  for (const std::string_view character : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x99\x82"}) {
    for (std::size_t before = most - character.size(); before <= most; ++before) {
      Error error;
      error.sentence = std::string(before, 'x') + std::string(character) + "and more";
      Bytes payload;
      encode_error(error, payload);
      const std::string sentence = decode_error(payload)->sentence;
      INFO(before, " before a character of ", character.size());
      CHECK(sentence.size() == (before + character.size() <= most ? most : before));
    }
  }
}

TEST_CASE("error: a sentence that is no UTF-8 is cut all the same") {
  Error error;
  error.sentence.assign(5000, '\x80');
  Bytes payload;
  encode_error(error, payload);
  CHECK(payload.size() == 16 + 1024);
}

TEST_CASE("error: PROTOCOL.md has the same registry") {
  std::ifstream file(CPROTO_SOURCE_DIR "/proto/PROTOCOL.md");
  REQUIRE(file);
  const char* const classes[] = {"retry_now", "retry_after", "never_message", "never_session", "go_away"};
  std::set<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.insert(line);
  for (const ErrorEntry& entry : kErrors) {
    const std::string begin = "| " + std::to_string(static_cast<unsigned>(entry.code)) + " | " +
                              std::string(entry.name) + " | " + classes[static_cast<std::size_t>(entry.error_class)] +
                              " | " + std::string(entry.sentence) + " |";
    INFO(begin);
    const auto at = lines.lower_bound(begin);
    REQUIRE(at != lines.end());
    CHECK(at->substr(0, begin.size()) == begin);
  }
}
