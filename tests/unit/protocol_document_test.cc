// proto/PROTOCOL.md against the code: its examples, its tables and its sections.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/checksum.h"
#include "proto/client_session.h"
#include "proto/codec.h"
#include "proto/control.h"
#include "proto/error.h"
#include "proto/handshake.h"
#include "proto/message.h"
#include "proto/options.h"
#include "proto/server_session.h"
#include "proto/tlv.h"

using namespace cproto;

namespace {

const std::filesystem::path kSource = CPROTO_SOURCE_DIR;

// --- the document ---

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE_MESSAGE(in, path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

const std::vector<std::string>& document() {
  static const std::vector<std::string> lines = [] {
    std::vector<std::string> result;
    std::istringstream in(read_file(kSource / "proto" / "PROTOCOL.md"));
    for (std::string line; std::getline(in, line);) result.push_back(line);
    return result;
  }();
  return lines;
}

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// "4.2" of "4.2: ..." ; empty if `text` does not begin with a number.
std::string_view section_number(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && (is_digit(text[size]) ||
                                (text[size] == '.' && size + 1 < text.size() && size > 0 && is_digit(text[size + 1]))))
    ++size;
  return text.substr(0, size);
}

// The section a line is the heading of; empty for any other line.
std::string_view heading_of(std::string_view line) {
  for (const std::string_view mark : {"## §", "### §"})
    if (starts_with(line, mark)) return section_number(line.substr(mark.size()));
  return {};
}

std::set<std::string> headings() {
  std::set<std::string> result;
  for (const std::string& line : document())
    if (const std::string_view number = heading_of(line); !number.empty()) result.emplace(number);
  return result;
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

using Row = std::vector<std::string>;

Row cells_of(std::string_view line) {
  Row cells;
  line.remove_prefix(1);
  for (std::size_t bar = line.find('|'); bar != line.npos; bar = line.find('|')) {
    cells.push_back(trimmed(line.substr(0, bar)));
    line.remove_prefix(bar + 1);
  }
  return cells;
}

// The rows below `header_start` in a section, up to the end of that table.
std::vector<Row> table(std::string_view section, std::string_view header_start) {
  std::vector<Row> rows;
  bool is_here = false;
  bool is_inside = false;
  for (const std::string& line : document()) {
    if (const std::string_view number = heading_of(line); !number.empty()) is_here = number == section;
    if (is_inside && !starts_with(line, "|")) break;
    if (is_inside && !starts_with(line, "|---")) rows.push_back(cells_of(line));
    is_inside = is_inside || (is_here && starts_with(line, header_start));
  }
  REQUIRE_MESSAGE(!rows.empty(), "no table '" << header_start << "' in §" << section);
  return rows;
}

// Every number in a cell; 1,048,576 is one.
std::vector<std::uint64_t> numbers_in(std::string_view cell) {
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 0; i < cell.size();) {
    if (!is_digit(cell[i])) {
      ++i;
      continue;
    }
    std::uint64_t number = 0;
    for (; i < cell.size() && (is_digit(cell[i]) || (cell[i] == ',' && i + 1 < cell.size() && is_digit(cell[i + 1])));
         ++i)
      if (cell[i] != ',') number = number * 10 + static_cast<std::uint64_t>(cell[i] - '0');
    numbers.push_back(number);
  }
  return numbers;
}

std::uint64_t hex_number(std::string_view text) { return std::stoull(std::string(text), nullptr, 16); }

// --- its examples ---

struct Example {
  std::string section;
  std::string type;
  bool is_from_client = false;
  std::uint16_t sequence = 0;
  Bytes bytes;

  ByteView payload() const { return ByteView(bytes).subspan(kHeaderSize); }
};

// **ACK**, server to client, sequence 1: …
Example parse_caption(std::string_view line, std::string_view section) {
  const std::size_t name_end = line.find("**", 2);
  REQUIRE(name_end != line.npos);
  const std::string_view rest = line.substr(name_end + 2);
  const bool is_from_client = starts_with(rest, ", client to server, sequence ");
  REQUIRE_MESSAGE((is_from_client || starts_with(rest, ", server to client, sequence ")), std::string(line));
  const std::vector<std::uint64_t> numbers = numbers_in(rest.substr(0, rest.find(':')));
  REQUIRE(numbers.size() == 1);
  return {std::string(section),
          std::string(line.substr(2, name_end - 2)),
          is_from_client,
          static_cast<std::uint16_t>(numbers[0]),
          {}};
}

void parse_hex(std::string_view line, Bytes& out) {
  std::istringstream in{std::string(line.substr(0, line.find(';')))};
  for (std::string digits; in >> digits;) {
    REQUIRE_MESSAGE(digits.size() == 2, std::string(line));
    out.push_back(static_cast<std::uint8_t>(hex_number(digits)));
  }
}

const std::vector<Example>& examples() {
  static const std::vector<Example> all = [] {
    std::vector<Example> result;
    std::string section;
    bool is_hex = false;
    for (const std::string& line : document()) {
      if (const std::string_view number = heading_of(line); !number.empty()) section = number;
      if (!starts_with(section, "9.")) continue;
      if (starts_with(line, "**")) result.push_back(parse_caption(line, section));
      if (starts_with(line, "```")) {
        is_hex = line == "```hex";
      } else if (is_hex) {
        REQUIRE(!result.empty());
        parse_hex(line, result.back().bytes);
      }
    }
    return result;
  }();
  return all;
}

FrameType type_named(std::string_view name) {
  for (unsigned value = 0; value < 256; ++value) {
    const auto type = static_cast<FrameType>(value);
    if (const char* known = frame_type_name(type); known != nullptr && name == known) return type;
  }
  FAIL("no frame is called " << name);
  return {};
}

Frame decode_one(const Bytes& bytes) {
  Decoder decoder(Transport::stream);
  decoder.feed(bytes);
  const Decoder::Result result = decoder.next();
  REQUIRE(result.status == Decoder::Status::frame);
  REQUIRE(result.frame.whole.size() == bytes.size());
  return result.frame;
}

// Parameters, whatever they are, taken apart and put together again.
Bytes copy_tlvs(ByteView tlvs) {
  Bytes copy;
  ByteWriter writer(copy);
  for (ByteReader reader(tlvs); !reader.empty();) {
    const Tlv tlv = take_tlv(reader);
    REQUIRE(!reader.failed());
    put_tlv(writer, tlv.type, tlv.value);
  }
  return copy;
}

Bytes encode_again(const Syn& syn) {
  Bytes payload;
  encode_syn(syn, payload);
  return payload;
}

// A SYN that must be refused cannot go through the struct; its fixed part is 20 bytes.
Bytes syn_again(ByteView payload) {
  const auto decoded = decode_syn(payload);
  if (const Syn* syn = std::get_if<Syn>(&decoded)) return encode_again(*syn);
  Bytes copy(payload.begin(), payload.begin() + 20);
  append(copy, copy_tlvs(payload.subspan(20)));
  return copy;
}

// The payload read into its struct and written from it.
Bytes payload_again(const Example& example, FrameType type) {
  const ByteView payload = example.payload();
  Bytes again;
  switch (type) {
    case FrameType::data:
    case FrameType::fragment: again.assign(payload.begin(), payload.end()); break;
    case FrameType::header: {
      const auto header = decode_message_header(payload);
      REQUIRE(std::holds_alternative<MessageHeader>(header));
      encode_message_header(std::get<MessageHeader>(header), again);
      break;
    }
    case FrameType::ack:
      if (example.is_from_client) {
        const std::optional<Confirmation> confirmation = decode_confirmation(payload);
        REQUIRE(confirmation);
        encode_confirmation(*confirmation, again);
      } else {
        const std::optional<Ack> ack = decode_ack(payload);
        REQUIRE(ack);
        CHECK(to_wire(ack->durable_through).value == example.sequence);
        encode_ack(*ack, again);
      }
      break;
    case FrameType::error: {
      const std::optional<Error> error = decode_error(payload);
      REQUIRE(error);
      const ErrorEntry* entry = find_error(error->code);
      REQUIRE(entry != nullptr);
      CHECK(error->error_class == entry->error_class);
      CHECK(starts_with(error->sentence, entry->sentence));
      encode_error(*error, again);
      break;
    }
    case FrameType::keep_alive: {
      const std::optional<KeepAlive> keep_alive = decode_keep_alive(payload);
      REQUIRE(keep_alive);
      encode_keep_alive(*keep_alive, again);
      break;
    }
    case FrameType::disconnect: {
      const std::optional<Disconnect> disconnect = decode_disconnect(payload);
      REQUIRE(disconnect);
      encode_disconnect(*disconnect, again);
      break;
    }
    case FrameType::syn: again = syn_again(payload); break;
    case FrameType::syn_ack: {
      const auto decoded = decode_syn_ack(payload);
      REQUIRE(std::holds_alternative<SynAck>(decoded));
      encode_syn_ack(std::get<SynAck>(decoded), again);
      break;
    }
  }
  return again;
}

// --- both ends, for the exchange of §9.1 ---

struct Exchange {
  Instant now{};
  ClientSession client;
  ServerSession server{now, ServerOptions{}};
  std::optional<Syn> hello;
  bool is_confirmed = false;
  std::vector<Bytes> inputs;  // outlive the turn that reads them

  explicit Exchange(const ClientOptions& options) : client(options) {}

  template <class Session>
  Bytes taken_from(Session& session) {
    Bytes out;
    session.take_output(now, out, 1 << 20);
    return out;
  }

  void give_server(const Bytes& bytes) {
    server.receive(now, inputs.emplace_back(bytes));
    while (auto event = server.poll_event(now)) {
      if (auto* wanted = std::get_if<server_event::Hello>(&*event)) hello = wanted->syn;
      if (std::holds_alternative<server_event::Confirmed>(*event)) is_confirmed = true;
      REQUIRE(!std::holds_alternative<server_event::Ended>(*event));
    }
  }
  void give_client(const Bytes& bytes) {
    client.receive(now, inputs.emplace_back(bytes));
    while (auto event = client.poll_event(now)) REQUIRE(!std::holds_alternative<client_event::Failed>(*event));
  }
  void accept(const SynAck& terms) {
    server.accept(now, {terms, {}, 4u << 20, MessageKind::text});
    REQUIRE(!server.poll_event(now));
  }
};

// The client of the example, its attempt being raised by attach().
ClientOptions client_of(const Syn& offer) {
  ClientOptions options;
  options.offer = offer;
  options.offer.attempt = offer.attempt - 1;
  return options;
}

// --- sections cited by the code ---

// Adds the sections behind each mark in `text`: "§3 to §7", "§4.1, §4.2".
void collect_citations(std::string_view text, std::string_view mark, std::set<std::string>& out) {
  for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark)) {
    text.remove_prefix(at + mark.size());
    bool goes_on = true;
    while (goes_on) {
      const std::string_view number = section_number(text);
      out.emplace(number);
      text.remove_prefix(number.size());
      goes_on = false;
      for (const std::string_view joint : {", §", " and §", " to §"}) {
        if (!starts_with(text, joint)) continue;
        text.remove_prefix(joint.size());
        goes_on = true;
        break;
      }
    }
  }
}

std::string_view class_name(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::retry_now: return "retry_now";
    case ErrorClass::retry_after: return "retry_after";
    case ErrorClass::never_message: return "never_message";
    case ErrorClass::never_session: return "never_session";
    case ErrorClass::go_away: return "go_away";
  }
  return {};
}

std::vector<std::uint64_t> in_seconds(Duration duration) {
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count())};
}
std::vector<std::uint64_t> in_milliseconds(Duration duration) {
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count())};
}

using NumberRows = std::map<std::string, std::vector<std::uint64_t>>;

NumberRows number_rows(const std::vector<Row>& rows) {
  NumberRows result;
  for (const Row& row : rows) result[row.at(0)] = numbers_in(row.at(1));
  return result;
}

// Both ways round, so that neither side has a row of its own.
void check_equal(const NumberRows& said, const NumberRows& meant) {
  for (const auto& row : meant) {
    INFO(row.first);
    const auto it = said.find(row.first);
    REQUIRE(it != said.end());
    CHECK(it->second == row.second);
  }
  CHECK(said.size() == meant.size());
}

}  // namespace

TEST_CASE("protocol document: every example is one intact frame of the type and sequence it says") {
  REQUIRE(examples().size() == 28);
  for (const Example& example : examples()) {
    INFO("§" << example.section << " " << example.type << ", sequence " << example.sequence);
    const Frame frame = decode_one(example.bytes);
    CHECK(frame.type == type_named(example.type));
    CHECK(frame.seq.value == example.sequence);
    CHECK(decode_header(example.bytes.data()).checksum == frame_checksum(example.bytes.data(), frame.payload.size()));
  }
}

TEST_CASE("protocol document: every example is read and written again to the same bytes") {
  for (const Example& example : examples()) {
    INFO("§" << example.section << " " << example.type << ", sequence " << example.sequence);
    const FrameType type = type_named(example.type);
    Bytes again;
    encode_frame(type, {example.sequence}, payload_again(example, type), again);
    CHECK(to_hex(again) == to_hex(example.bytes));
  }
}

TEST_CASE("protocol document: the example of an unknown critical parameter is refused as it says") {
  std::vector<Example> pair;
  std::copy_if(examples().begin(), examples().end(), std::back_inserter(pair),
               [](const Example& example) { return example.section == "9.8"; });
  REQUIRE(pair.size() == 2);
  const auto decoded = decode_syn(pair[0].payload());
  REQUIRE(std::holds_alternative<Error>(decoded));
  CHECK(std::get<Error>(decoded).code == ErrorCode::unknown_critical_parameter);
  Bytes payload;
  encode_error(std::get<Error>(decoded), payload);
  CHECK(to_hex(payload) == to_hex(pair[1].payload()));
}

TEST_CASE("protocol document: the first example is what both ends say") {
  std::vector<Bytes> said;
  for (const Example& example : examples())
    if (example.section == "9.1") said.push_back(example.bytes);
  REQUIRE(said.size() == 8);
  const auto expect = [&](const Bytes& bytes, std::initializer_list<std::size_t> frames) {
    Bytes expected;
    for (const std::size_t index : frames) append(expected, said[index]);
    CHECK(to_hex(bytes) == to_hex(expected));
    return bytes;
  };
  const auto offer = decode_syn(ByteView(said[0]).subspan(kHeaderSize));
  const auto terms = decode_syn_ack(ByteView(said[1]).subspan(kHeaderSize));
  REQUIRE(std::holds_alternative<Syn>(offer));
  REQUIRE(std::holds_alternative<SynAck>(terms));
  CHECK(std::get<Syn>(offer).mode == OperationMode::burst);
  CHECK(std::get<Syn>(offer).max_packet_size == 1024);
  CHECK(std::get<Syn>(offer).window_size == 5);

  Exchange ends(client_of(std::get<Syn>(offer)));
  ends.client.attach(ends.now);
  ends.give_server(expect(ends.taken_from(ends.client), {0}));
  REQUIRE(ends.hello);
  ends.accept(std::get<SynAck>(terms));
  ends.give_client(expect(ends.taken_from(ends.server), {1}));
  CHECK(ends.client.send(as_bytes("Hello World"), true).is_complete);
  ends.give_server(expect(ends.taken_from(ends.client), {2, 3}));
  ends.server.commit(ends.now, {1}, 11, {});
  ends.give_client(expect(ends.taken_from(ends.server), {4}));
  ends.client.close(Disconnect::End::finish);
  ends.give_server(expect(ends.taken_from(ends.client), {5}));
  ends.server.settle_close(ends.now);
  ends.give_client(expect(ends.taken_from(ends.server), {6}));
  CHECK(ends.client.state() == ClientSession::State::closed);
  ends.give_server(expect(ends.taken_from(ends.client), {7}));
  CHECK(ends.is_confirmed);
}

TEST_CASE("protocol document: the table of frame types is that of the code") {
  std::map<unsigned, Row> rows;
  for (const Row& row : table("2.2", "| type |")) rows[static_cast<unsigned>(hex_number(row.at(0)))] = row;
  for (unsigned value = 0; value < 256; ++value) {
    INFO(value);
    const auto type = static_cast<FrameType>(value);
    const auto row = rows.find(value);
    REQUIRE((row != rows.end()) == (frame_type_name(type) != nullptr));
    if (row == rows.end()) continue;
    CHECK(row->second.at(1) == frame_type_name(type));
    CHECK(row->second.at(2) == (is_numbered(type) ? "yes" : "no"));
  }
}

TEST_CASE("protocol document: the table of parameters is that of the code") {
  const std::map<std::string, std::uint16_t> known{{"client_id", kTlvClientId},
                                                   {"channel", kTlvChannel},
                                                   {"kind", kTlvKind},
                                                   {"resume", kTlvResume},
                                                   {"refusals_heard", kTlvRefusalsHeard},
                                                   {"software", kTlvSoftware},
                                                   {"assigned_client_id", kTlvAssignedClientId},
                                                   {"message_size_max", kTlvMessageSizeMax},
                                                   {"unfinished", kTlvUnfinished},
                                                   {"file_size_max", kTlvFileSizeMax},
                                                   {"replication", kTlvReplication},
                                                   {"refusal", kTlvRefusal},
                                                   {"message_channel", kTlvMessageChannel},
                                                   {"file_name", kTlvFileName},
                                                   {"file_size", kTlvFileSize},
                                                   {"file_mode", kTlvFileMode},
                                                   {"file_mtime", kTlvFileMtime},
                                                   {"file_digest", kTlvFileDigest}};
  const std::vector<Row> rows = table("3.1", "| type |");
  CHECK(rows.size() == known.size());
  for (const Row& row : rows) {
    INFO(row.at(1));
    const auto it = known.find(row.at(1));
    REQUIRE(it != known.end());
    CHECK(hex_number(row.at(0)) == it->second);
    CHECK(row.at(3) == ((it->second & kTlvCritical) != 0 ? "yes" : "no"));
  }
}

TEST_CASE("protocol document: every parameter of tlv.h is in its table") {
  std::set<std::uint64_t> in_table;
  for (const Row& row : table("3.1", "| type |")) in_table.insert(hex_number(row.at(0)));
  std::istringstream header(read_file(kSource / "proto" / "tlv.h"));
  constexpr std::string_view kStart = "inline constexpr std::uint16_t kTlv";
  std::size_t found = 0;
  for (std::string line; std::getline(header, line);) {
    if (!starts_with(line, kStart) || line.find("kTlvCritical") != line.npos) continue;
    INFO(line);
    CHECK(in_table.count(hex_number(line.substr(line.find("0x"), 6))) == 1);
    ++found;
  }
  CHECK(found == in_table.size());
}

TEST_CASE("protocol document: the reserved types are those of the code") {
  std::string text;
  for (const std::string& line : document()) text += line + " ";
  for (std::uint64_t pick = 0; pick < 8; ++pick) {
    std::uint8_t bytes[2];
    store_be(bytes, reserved_tlv(pick));
    CHECK(text.find("0x" + to_hex(bytes)) != text.npos);
  }
  CHECK(text.find("The eight types 0x0a0a") != text.npos);
}

TEST_CASE("protocol document: the check value of the checksum is that of the code") {
  std::string text;
  for (const std::string& line : document()) text += line + " ";
  const std::size_t at = text.find("\"123456789\" give **0x");
  REQUIRE(at != text.npos);
  CHECK(hex_number(text.substr(text.find("0x", at), 10)) == crc32(0, as_bytes("123456789")));
}

TEST_CASE("protocol document: the registry of errors is that of the code") {
  const std::vector<Row> rows = table("8", "| code |");
  REQUIRE(rows.size() == kErrors.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    INFO(rows[i].at(1));
    CHECK(rows[i].at(0) == std::to_string(static_cast<unsigned>(kErrors[i].code)));
    CHECK(rows[i].at(1) == kErrors[i].name);
    CHECK(rows[i].at(2) == class_name(kErrors[i].error_class));
    CHECK(rows[i].at(3) == kErrors[i].sentence);
  }
}

TEST_CASE("protocol document: the classes of errors are those of the code") {
  const std::vector<Row> rows = table("6.4", "| class |");
  REQUIRE(rows.size() == 5);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i].at(0) == std::to_string(i));
    CHECK(rows[i].at(1) == class_name(static_cast<ErrorClass>(i)));
  }
}

TEST_CASE("protocol document: the kinds of messages are those of the code") {
  const std::vector<Row> rows = table("4.4", "| kind |");
  const std::array<std::pair<MessageKind, const char*>, 4> kinds{{{MessageKind::none, "none"},
                                                                  {MessageKind::text, "text"},
                                                                  {MessageKind::binary, "binary"},
                                                                  {MessageKind::file, "file"}}};
  REQUIRE(rows.size() == kinds.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i].at(0) == std::to_string(static_cast<unsigned>(kinds[i].first)));
    CHECK(rows[i].at(1) == kinds[i].second);
  }
}

TEST_CASE("protocol document: the bounds are those of the code") {
  // These two have no name outside their files; what they do is asked instead.
  Error long_winded;
  long_winded.sentence.assign(5000, 'x');
  Bytes error;
  encode_error(long_winded, error);
  Syn talkative;
  talkative.software.assign(500, 'x');
  const auto heard = decode_syn(encode_again(talkative));
  REQUIRE(std::holds_alternative<Syn>(heard));

  check_equal(number_rows(table("10", "| bound |")),
              {{"port, by default", {kDefaultPort}},
               {"versions described here", {kVersionMin, kVersionMax}},
               {"max_packet_size", {kPacketSizeMin, kPacketSizeMax}},
               {"payload before the handshake is complete", {kHandshakePayloadMax}},
               {"payload of a frame that is not numbered", {kControlPayloadMax}},
               {"window_size", {1, kWindowMax}},
               {"client_id, channel", {1, kNameMax}},
               {"ranges in one ACK", {kAckRangesMax}},
               {"refusals not shown to be heard, at which the connection ends", {kRefusalsMax}},
               {"damaged frames within a minute, at which a stream connection ends", {kDamagedFramesMax}},
               {"software, as kept by its reader", {std::get<Syn>(heard).software.size()}},
               {"sentence of an ERROR", {error.size() - 16}}});
}

TEST_CASE("protocol document: the deadlines are those of the code") {
  const std::vector<Row> rows = table("10", "| deadline |");
  check_equal(number_rows(rows),
              {{"client: SYN to SYN-ACK", in_seconds(kSynTimeout)},
               {"server: connection to confirmation, as a whole", in_seconds(ServerOptions{}.handshake_timeout)},
               {"keep-alive interval, said in SYN-ACK", in_seconds(ServerOptions{}.keep_alive)},
               {"intervals of silence", {kKeepAlivesMissed}},
               {"intervals for the largest payload", {kFrameIntervalsMax}},
               {"server: received and not durable", in_milliseconds(kReceivedReportDelay)},
               {"retransmission timeout, before the first sample", in_seconds(kRtoInitial)},
               {"retransmission timeout, at least", in_seconds(kRtoMin)},
               {"retransmission timeout, at most", in_seconds(kRtoMax)},
               {"datagram: SYN and SYN-ACK", in_seconds(kRtoInitial)},
               {"server: final ACK to confirmation", {1}}});
  for (const Row& row : rows)
    CHECK((row.at(1).find(" ms") != std::string::npos) == (row.at(0) == "server: received and not durable"));
}

TEST_CASE("protocol document: every section the code cites is there") {
  const std::set<std::string> known = headings();
  std::set<std::string> all;
  for (const char* room : {"proto", "daemon", "client", "config", "tests"}) {
    if (!std::filesystem::exists(kSource / room)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(kSource / room)) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_regular_file() || name == "PROTOCOL.md" || name == "protocol_document_test.cc") continue;
      std::set<std::string> cited;
      collect_citations(read_file(entry.path()), "PROTOCOL §", cited);
      for (const std::string& section : cited) {
        INFO(entry.path().string() << " cites §" << section);
        CHECK(known.count(section) == 1);
      }
      all.merge(cited);
    }
  }
  CHECK(all.size() >= 20);
}

TEST_CASE("protocol document: every section it refers to itself is there") {
  const std::set<std::string> known = headings();
  CHECK(known.count("1") == 1);
  std::set<std::string> cited;
  for (const std::string& line : document()) collect_citations(line, "§", cited);
  for (const std::string& section : cited) {
    INFO("§" << section);
    CHECK(known.count(section) == 1);
  }
}
