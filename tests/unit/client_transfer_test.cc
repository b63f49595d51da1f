#include "client/transfer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "client/kept_lines.h"
#include "client/text_source.h"
#include "tests/support/frames.h"
#include "tests/support/memory_files.h"

using namespace cproto;
using namespace cproto::client;
using namespace cproto::test;

namespace {

// A transfer at the other end of a network that does nothing by itself.
class Rig : Transfer::Network, Screen {
 public:
  explicit Rig(Options::Job job = Options::Job::texts) {
    options.job = job;
    options.servers = {{"logs", 7780}};
    options.client_id = "web-1";
    options.texts = {"one", "two"};
    options.files = {"/app.log"};
    options.state_directory = "/state";
    source = std::make_unique<TextSource>(options.texts);
  }

  void begin(TransferState* state = nullptr) {
    progress.emplace(static_cast<Screen&>(*this), Progress::Options{}, tally, now);
    transfer.emplace(static_cast<Transfer::Network&>(*this), now, options, *source, tally, *progress, Random(1), state,
                     std::nullopt, nullptr);
    transfer->start(now);
  }
  void connects(const Congestion& congestion = {}) {
    REQUIRE(wants_connection);
    wants_connection = false;
    is_connected = true;
    transfer->on_connected(now, "192.0.2.7", congestion);
  }
  void establishes() {
    connects();
    transfer->on_bytes(now, syn_ack(some_terms()));
  }
  // The network lets go of what was finished.
  void loses() {
    is_connected = false;
    transfer->on_gone(now, "");
  }
  void fails_at_tls(TlsTrouble::Kind kind) {
    is_connected = false;
    transfer->on_gone(now, "TLS fails", {kind, "why", {}});
  }
  void waits(Duration time) {
    now += time;
    if (deadline <= now) transfer->handle_timeout(now);
  }
  std::string said() const { return names_in(output); }

  Instant now{};
  Options options;
  std::unique_ptr<Source> source;
  Tally tally;
  std::optional<Progress> progress;
  std::optional<Transfer> transfer;
  Bytes output;
  Instant deadline = kNever;
  bool wants_connection = false;
  bool is_connected = false;
  bool is_over = false;
  std::vector<std::string> lines;

 private:
  void connect(const ServerAddress&, std::size_t) override { wants_connection = true; }
  bool can_write() const override { return is_connected; }
  Bytes& write_buffer() override {
    buffer_.clear();
    return buffer_;
  }
  void write() override { append(output, buffer_); }
  void finish() override {}
  void set_deadline(Instant at) override { deadline = at; }
  void on_over() override {
    is_over = true;
    is_connected = false;
  }
  bool is_terminal() const override { return false; }
  void say(std::string_view line) override { lines.emplace_back(line); }
  void show(std::string_view) override {}

  Bytes buffer_;
};

// What a later run finds.
SavedTransfer saved_in(MemoryFiles& files) {
  TransferState state(files);
  std::optional<SavedTransfer> saved;
  REQUIRE(state.open("/state", "x") == 0);
  REQUIRE(state.load(saved) == 0);
  REQUIRE(saved);
  return *saved;
}

// A frame that says it has more bytes than any may have.
Bytes with_damaged_length(Bytes frame) {
  frame[0] ^= 0x40;
  return frame;
}

}  // namespace

TEST_CASE("transfer: messages go out, and behind the final ACK it is over") {
  Rig rig;
  rig.begin();
  rig.establishes();
  CHECK(rig.said() == "SYN, ACK, DATA, DATA, DISCONNECT");
  Ack last;
  last.durable_through = last.received_through = Seq{2};
  last.is_final = true;
  rig.transfer->on_bytes(rig.now, ack(last));
  rig.loses();
  CHECK(rig.is_over);
  CHECK(rig.deadline == kNever);
  CHECK(rig.transfer->outcome().causes.status() == Status::ok);
  CHECK(rig.tally.durable == 2);
}

TEST_CASE("transfer: whoever named a congestion control hears once that it is refused; auto asks on its own account") {
  const Congestion refused{"cubic", "bbr", "do this"};
  Rig named;
  named.options.congestion = "bbr";
  named.begin();
  for (int i = 0; i < 2; ++i) {
    named.connects(refused);
    named.loses();
    named.waits(1min);
  }
  REQUIRE_FALSE(named.lines.empty());
  CHECK(named.lines[0] == "congestion control cubic (bbr is refused; to allow it: do this)");
  CHECK(std::count(named.lines.begin(), named.lines.end(), named.lines[0]) == 1);
  Rig automatic;
  automatic.begin();
  automatic.connects(refused);
  CHECK(automatic.lines.empty());
  CHECK(automatic.transfer->outcome().congestion.refused == "bbr");
}

TEST_CASE("transfer: what nobody vouches for in a TLS handshake is believed the second time") {
  using Kind = TlsTrouble::Kind;
  for (const Kind kind : {Kind::not_tls, Kind::old_version, Kind::key_unknown}) {
    Rig rig;
    rig.begin();
    rig.connects();
    rig.fails_at_tls(kind);
    CHECK_FALSE(rig.is_over);
    rig.waits(1min);
    rig.connects();
    rig.fails_at_tls(kind);
    CHECK(rig.is_over);
  }
  Rig rig;
  rig.begin();
  rig.connects();
  rig.fails_at_tls(Kind::expired);
  CHECK(rig.is_over);
}

TEST_CASE("transfer: a length that was damaged on the way ends the connection, and not the command") {
  Rig rig;
  rig.begin();
  rig.establishes();
  rig.transfer->on_bytes(rig.now, with_damaged_length(ack_through(1)));
  rig.loses();
  CHECK_FALSE(rig.is_over);
  rig.waits(1min);
  CHECK(rig.wants_connection);
}

TEST_CASE("transfer: whoever is told to come back at once, again and again, waits before it does") {
  Rig rig;
  rig.begin();
  for (const bool is_first : {true, false}) {
    rig.connects();
    rig.transfer->on_bytes(rig.now, error(ErrorCode::too_many_refusals));
    rig.loses();
    rig.waits(0s);
    CHECK(rig.wants_connection == is_first);
  }
}

TEST_CASE("transfer: what a power cut must not take is remembered before the server counts on it") {
  Rig rig;
  rig.options.servers = {{"logs", 7780}, {"other", 7780}};
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  rig.begin(&state);
  rig.establishes();
  SUBCASE("that the session is one server's") {
    Ack first;
    first.durable_through = first.received_through = Seq{1};
    rig.transfer->on_bytes(rig.now, ack(first));
    files.disk.cut_power(Loss::everything);
    state.close();
    CHECK(saved_in(files).session->acknowledged == Seq{1});
  }
  SUBCASE("that a refusal was heard") {
    rig.transfer->on_bytes(rig.now, error(ErrorCode::message_too_large, 1));
    rig.loses();
    rig.waits(1min);
    rig.connects();
    files.disk.cut_power(Loss::everything);
    state.close();
    CHECK(saved_in(files).refusals_heard == Seq{1});
  }
}

TEST_CASE("transfer: a server whose first frame is too long is not tried again") {
  Rig rig;
  rig.begin();
  rig.connects();
  Bytes syn = syn_ack(some_terms());
  syn[2] ^= 0x40;
  rig.transfer->on_bytes(rig.now, syn);
  rig.loses();
  CHECK(rig.is_over);
  CHECK(rig.transfer->outcome().causes.status() == Status::protocol);
}

TEST_CASE(
    "transfer: a log that is followed ends when its place cannot be remembered, before anything goes out behind it") {
  Rig rig(Options::Job::follow);
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  rig.begin(&state);
  bool is_full = true;
  files.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_full && op.kind == FileOp::Kind::write ? ENOSPC : 0;
  };
  rig.establishes();
  CHECK(rig.is_over);
  CHECK(rig.said() == "SYN");
  CHECK(rig.transfer->outcome().causes.status() == Status::cant_create);
  CHECK(rig.transfer->outcome().sentence.find("/state: No space left on device") != std::string::npos);
}

TEST_CASE("transfer: lines that cannot be read any more are gone on with by the same command") {
  // One line, and then the disk fails.
  class Failing final : public PlacedInput {
   public:
    int begin() override { return 0; }
    Bytes place() const override { return {1}; }
    std::uint64_t generation() const override { return 0; }
    int knows(ByteView, bool& is_known) const override {
      is_known = true;
      return 0;
    }
    int resume(ByteView, std::uint64_t) override { return 0; }
    Got fill() override { return std::exchange(is_read_, true) ? Got::failed : Got::some; }
    int error() const override { return EIO; }
    ByteView data() const override { return is_taken_ || !is_read_ ? ByteView{} : as_bytes("one\n"); }
    void consume(std::size_t bytes) override { is_taken_ = is_taken_ || bytes > 0; }
    bool is_stream() const override { return false; }
    bool has_writer() const override { return false; }

   private:
    bool is_read_ = false;
    bool is_taken_ = false;
  };
  Rig rig(Options::Job::lines);
  rig.source = std::make_unique<KeptLines>("/app.log", std::make_unique<Failing>(), false, [] { return Instant{}; });
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    rig.begin(&state);
    rig.establishes();
    CHECK(rig.said() == "SYN, ACK, DATA, DISCONNECT");
    CHECK(rig.lines == std::vector<std::string>{"/app.log: Input/output error"});
    Ack last;
    last.durable_through = last.received_through = Seq{1};
    last.is_final = true;
    rig.transfer->on_bytes(rig.now, ack(last));
    CHECK(rig.transfer->outcome().sentence == "1 line is durable; the same command continues");
    rig.loses();
    CHECK(rig.is_over);
    CHECK(rig.transfer->outcome().causes.status() == Status::io_error);
  }
  const SavedTransfer saved = saved_in(files);
  CHECK(saved.session->session == some_terms().session);
}

TEST_CASE(
    "transfer: the session and the place in front of its first message are remembered in one go, before it goes out") {
  // Texts that begin at a place that can be remembered.
  class Placed final : public Source {
   public:
    Piece peek(std::size_t packet_size) override { return texts_.peek(packet_size); }
    void take(std::size_t bytes, bool is_complete) override { texts_.take(bytes, is_complete); }
    void skip() override { texts_.skip(); }
    void stop() override { texts_.stop(); }
    bool is_drained() override { return texts_.is_drained(); }
    std::string name(std::uint64_t number) const override { return texts_.name(number); }
    Noun noun() const override { return texts_.noun(); }
    bool can_continue() const override { return true; }
    std::optional<Bytes> take_bookmark() override { return std::exchange(place_, std::nullopt); }

   private:
    TextSource texts_{{"one", "two"}};
    std::optional<Bytes> place_ = Bytes{7};
  };
  Rig rig(Options::Job::lines);
  rig.source = std::make_unique<Placed>();
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    int saves = 0;
    files.disk.fault = [&](const FileOp& op, const std::string&) {
      if (op.kind != FileOp::Kind::sync_all) return 0;
      ++saves;
      CHECK(rig.said() == "SYN");
      return 0;
    };
    rig.begin(&state);
    rig.establishes();
    CHECK(rig.said() == "SYN, ACK, DATA, DATA, DISCONNECT");
    CHECK(saves == 1);
  }
  files.disk.cut_power(Loss::everything);
  const SavedTransfer saved = saved_in(files);
  CHECK(saved.session->session == some_terms().session);
  REQUIRE(saved.bookmarks.size() == 1);
  CHECK(saved.bookmarks[0].place == Bytes{7});
}

TEST_CASE("transfer: what cannot be remembered is sent all the same, and nothing is left to lead the next run astray") {
  Rig rig(Options::Job::lines);
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  files.disk.fault = [](const FileOp& op, const std::string&) { return op.kind == FileOp::Kind::sync_all ? EIO : 0; };
  rig.begin(&state);
  rig.establishes();
  CHECK_FALSE(rig.is_over);
  CHECK(rig.said() == "SYN, ACK, DATA, DATA, DISCONNECT");
  CHECK_FALSE(files.disk.exists("/state/x"));
  REQUIRE_FALSE(rig.lines.empty());
  CHECK(rig.lines.front() == "/state: Input/output error; if this is interrupted it will begin anew");
}

TEST_CASE("transfer: it ends where a power cut could bring back what leads astray, and says that it will begin anew") {
  Rig rig(Options::Job::lines);
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  files.disk.fault = [](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::sync_all || op.kind == FileOp::Kind::sync_directory ? EIO : 0;
  };
  rig.begin(&state);
  rig.establishes();
  CHECK(rig.is_over);
  CHECK(rig.said() == "SYN");
  CHECK(rig.transfer->outcome().causes.status() == Status::cant_create);
  CHECK(rig.transfer->outcome().sentence == "/state: Input/output error; the same command begins anew");
}
