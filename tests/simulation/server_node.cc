#include "tests/simulation/server_node.h"

#include <algorithm>
#include <utility>

#include "daemon/stream_store.h"
#include "proto/codec.h"

namespace cproto::sim {

namespace {

const std::string kStore = "/store";
constexpr std::size_t kReadSize = 64 * 1024;
// More of either at once would be a leak, or a queue without a bound.
constexpr std::size_t kJobsMax = 16;
constexpr std::size_t kOpenFilesMax = 200;
// Behind a batch that is full: what every connection may have read of a frame, and what is carried forward.
constexpr std::size_t kBatchBeyond = 128 * 1024;
constexpr std::size_t kSegmentsMax = 24;
constexpr std::uint64_t kIntakeMax = 16u << 20;
// An ACK, a KEEP-ALIVE and the errors that are due.
constexpr std::size_t kOutputMax = 16 * 1024;

class NoLog final : public Log {
 public:
  void write(Severity, LogEvent, std::string_view, const LogFields&) override {}
  bool is_on(Severity) const override { return false; }
};

}  // namespace

// --- ServerWire ---

ServerWire::ServerWire(World& world, ServerNode& node, std::shared_ptr<Connection> connection)
    : world_(world), node_(node), connection_(std::move(connection)), alarm_(world.scheduler, [this] {
        if (node_.is_stopped_) return;
        if (!is_finished_) peer_->handle_timeout();
        node_.pump();
      }) {
  const ServerOptions options{connection_->plan().transport, 10s, world.plan.keep_alive};
  peer_ =
      std::make_unique<Peer>(world.scheduler.now(), *node.store_, *this, node, node.counters_, node.store_world_,
                             "connection " + std::to_string(connection_->number()), options, world.plan.window_bytes);
  connection_->join(Side::server, this);
}

ServerWire::~ServerWire() { connection_->leave(Side::server); }

void ServerWire::on_bytes(ByteView bytes) {
  if (is_finished_) return;
  node_.disk.advance_to(world_.scheduler.now());
  if (!is_finished_) peer_->receive(bytes);
  node_.pump();
}

void ServerWire::on_end() {
  if (!is_finished_) peer_->receive_end();
  node_.pump();
}

void ServerWire::on_broken() {
  if (!is_finished_) peer_->on_lost();
  is_finished_ = true;
  node_.pump();
}

void ServerWire::on_writable() {
  if (node_.is_stopped_) return;
  if (!is_finished_) peer_->on_writable();
  node_.pump();
}

std::size_t ServerWire::read_max() const {
  if (is_finished_) return kReadSize;
  return is_reading_ ? std::min(kReadSize, peer_->room()) : 0;
}

void ServerWire::on_full() {
  if (!is_finished_) peer_->on_full();
  node_.pump();
}

bool ServerWire::is_stopped() const { return node_.is_stopped_; }

void ServerWire::wake() {
  if (is_finished_) return;
  connection_->resume_reading(Side::server);
  peer_->handle_timeout();
  if (!is_finished_ && can_write()) peer_->on_writable();
}

Bytes& ServerWire::write_buffer() {
  buffer_.clear();
  return buffer_;
}

void ServerWire::write() {
  world_.trace_frames("server to " + std::to_string(connection_->number()), buffer_);
  if (buffer_.size() > kOutputMax) world_.fail("too much to say at once: " + std::to_string(buffer_.size()) + " bytes");
  Decoder decoder(Transport::stream);
  decoder.set_payload_max(kPacketSizeMax);
  decoder.feed(buffer_);
  for (Decoder::Result next = decoder.next(); next.status == Decoder::Status::frame; next = decoder.next())
    look_at(next.frame);
  connection_->write(Side::server, buffer_);
}

// What it tells is a promise from this moment on.
void ServerWire::look_at(const Frame& frame) {
  if (frame.type == FrameType::syn_ack) {
    const auto decoded = decode_syn_ack(frame.payload);
    const SynAck& terms = std::get<SynAck>(decoded);
    session_ = terms.session;
    check_told(terms.durable_through);
    for (const Refusal& refusal : terms.refusals) world_.ledger.on_told_refused(*session_, refusal.first);
  } else if (frame.type == FrameType::error && session_) {
    const auto error = decode_error(frame.payload);
    if (error && error->error_class == ErrorClass::never_message)
      world_.ledger.on_told_refused(*session_, {error->number});
  } else if (frame.type == FrameType::ack && session_) {
    const auto ack = decode_ack(frame.payload);
    if (ack) check_told(ack->durable_through);
  }
}

void ServerWire::check_told(Seq through) {
  const Seq durable = node_.durable_through(*session_);
  if (durable < through)
    world_.fail("session " + to_hex(ByteView(*session_).first(8)) + " is told " + std::to_string(through.value) +
                " and " + std::to_string(durable.value) + " is on the disk");
  world_.ledger.on_told(*session_, through);
  if (node_.journal_store_ == nullptr || node_.deep_checks_left_ == 0 || !world_.random.chance(1)) return;
  --node_.deep_checks_left_;
  node_.check_durable();
}

void ServerWire::shut_down() { connection_->shut_down(Side::server); }
void ServerWire::finish() { is_finished_ = true; }

void ServerWire::set_reading(bool is_reading) {
  is_reading_ = is_reading;
  if (is_reading) connection_->resume_reading(Side::server);
}

// --- ServerNode ---

ServerNode::ServerNode(World& world)
    : disk(world.plan.seed ^ 0xd15c),
      world_(world),
      random_(world.plan.seed ^ 0x5e1f),
      faults_(world.plan.disk, world.plan.seed ^ 0xfa17, world.verdict.coverage),
      durable_(disk, kStore, [this](const std::string& what) { world_.fail(what); }),
      disk_alarm_(world.scheduler, [this] { pump(); }),
      store_alarm_(world.scheduler, [this] {
        if (store_ && !is_stopped_) store_->handle_timeout();
        pump();
      }) {
  options_.directory = kStore;
  options_.segment_size = world.plan.segment_size;
  options_.registry.message_size_max = world.plan.message_size_max;
  options_.registry.max_packet_size = 16384;
  store_world_.now = [this] { return world_.scheduler.now(); };
  store_world_.draw_id = [this] {
    Id128 id{};
    store_be(id.data(), ++ids_);
    store_be(id.data() + 8, world_.plan.seed);
    return id;
  };
  disk.latency = [this](const Job&) { return faults_.draw_latency(); };
  disk.fault = [this](const FileOp& op, const std::string& path) {
    return faults_.draw_error(world_.scheduler.now(), op, path);
  };
  disk.misread = [this](std::uint64_t bits) { return faults_.draw_misread(bits); };
  disk.on_synced = [this](const std::string& path, std::uint64_t begin, std::uint64_t end) {
    durable_.on_synced(path, begin, end);
  };
}

ServerNode::~ServerNode() {
  is_ending_ = true;
  wires_.clear();
  disk.kill_process();
  store_.reset();
  stream_.reset();
}

void ServerNode::write(Severity severity, LogEvent, std::string_view line, const LogFields&) {
  if (severity != Severity::debug) world_.trace("log: " + std::string(line));
}

// --- its life ---

void ServerNode::start() {
  disk.make_directories(kStore);
  open();
  plan_death();
}

void ServerNode::heal() {
  faults_.heal();
  ++life_;
  dies_at_work_ = false;
  go_on();
}

// Often in the middle of a job: between two, little can happen to it.
void ServerNode::plan_death() {
  if (world_.plan.server_life_max == 0s || world_.is_healed()) return;
  const auto most = static_cast<std::uint64_t>(world_.plan.server_life_max.count());
  const Duration lives(static_cast<std::int64_t>(random_.below(most)));
  const bool at_work = random_.chance(60);
  world_.scheduler.after(lives, [this, at_work, life = ++life_] {
    if (life != life_) return;
    dies_at_work_ = at_work;
    at_work ? pump() : die();
  });
  plan_stop();
}

void ServerNode::die() { kill(random_.chance(world_.plan.power_cut)); }

void ServerNode::plan_stop() {
  if (!random_.chance(world_.plan.stop)) return;
  const Duration begins = std::chrono::milliseconds(random_.below(5000));
  const Duration lasts =
      std::chrono::milliseconds(random_.chance(50) ? random_.between(10, 5000) : random_.between(5000, 180'000));
  world_.scheduler.after(begins, [this, lasts, life = life_] {
    if (life == life_ && store_) stop(lasts);
  });
}

// SIGSTOP. It hears of nothing; what is on its way to the disk or to others goes on.
void ServerNode::stop(Duration lasts) {
  world_.trace("server: stopped");
  world_.count(Fault::server_stopped);
  is_stopped_ = true;
  world_.scheduler.after(lasts, [this, life = life_] {
    if (life == life_) go_on();
  });
}

void ServerNode::go_on() {
  if (!std::exchange(is_stopped_, false)) return;
  world_.trace("server: goes on");
  for (auto& [number, wire] : wires_) wire->wake();
  if (store_) store_->handle_timeout();
  pump();
}

void ServerNode::kill(bool cuts_power) {
  world_.trace(cuts_power ? "server: the power is cut" : "server: kill -9");
  world_.count(cuts_power ? Fault::power_cut : Fault::server_killed);
  ++life_;
  dies_at_work_ = is_stopped_ = false;
  is_ending_ = true;
  for (auto& [number, wire] : wires_) wire->connection().cut();
  wires_.clear();
  is_ending_ = false;
  read_along();
  if (cuts_power) {
    disk.cut_power();
    count_losses();
    has_torn_logs_ = true;
  } else {
    disk.kill_process();
  }
  journal_store_ = nullptr;
  store_.reset();
  stream_.reset();
  const Duration down = std::chrono::milliseconds(random_.between(1, 2000));
  world_.scheduler.after(down, [this] { open(); });
  if (world_.is_healed()) return;
  const bool is_cut_soon = !cuts_power && random_.chance(world_.plan.second_cut);
  if (!is_cut_soon) return world_.scheduler.after(down, [this] { plan_death(); });
  // What the one before left in the page cache was seen by this one, and goes.
  const Duration lives = std::chrono::milliseconds(random_.below(random_.chance(50) ? 50 : 1500));
  world_.scheduler.after(down + lives, [this, life = life_] {
    if (life != life_ || world_.is_healed()) return;
    world_.count(Fault::power_cut_behind_kill);
    kill(true);
  });
}

void ServerNode::count_losses() {
  const test::DiskLosses now = disk.losses();
  const test::DiskLosses was = std::exchange(losses_counted_, now);
  Coverage& coverage = world_.verdict.coverage;
  coverage.add(Fault::bytes_lost, now.lost - was.lost);
  coverage.add(Fault::bytes_kept, now.kept - was.kept);
  coverage.add(Fault::torn_at_sector, now.torn_sectors - was.torn_sectors);
  coverage.add(Fault::torn_at_byte, now.torn_bytes - was.torn_bytes);
  coverage.add(Fault::sectors_out_of_order, now.out_of_order - was.out_of_order);
  coverage.add(Fault::names_lost, now.names_lost - was.names_lost);
  coverage.add(Fault::names_out_of_order, now.names_out_of_order - was.names_out_of_order);
}

// It may die while it recovers, too.
bool ServerNode::open_journal() {
  try {
    auto opened = JournalStore::open(disk, options_, store_world_, *this);
    disk.never_crash();
    if (const auto* problem = std::get_if<StoreProblem>(&opened)) {
      world_.trace("server: the store does not open: " + problem->sentence);
      if (world_.is_healed()) world_.fail("the store does not open: " + problem->sentence);
      disk.kill_process();
      world_.scheduler.after(1s, [this] { open(); });
      return false;
    }
    journal_store_ = std::get<std::unique_ptr<JournalStore>>(opened).get();
    store_ = std::move(std::get<std::unique_ptr<JournalStore>>(opened));
  } catch (const test::ProcessDied&) {
    world_.count(Fault::died_recovering);
    die();
    return false;
  }
  return true;
}

void ServerNode::open_stream() {
  const StreamPlan& plan = *world_.plan.stream;
  store_.reset();
  stream_ = std::make_unique<SimStream>(
      world_.scheduler, stream_servers_, random_, plan, world_.verdict.coverage, [this] { return world_.is_healed(); },
      [this] { pump(); });
  store_ = std::make_unique<StreamStore>(*stream_, options_, StreamStoreOptions{"the stream", plan.pack_size, true},
                                         store_world_, *this);
}

Seq ServerNode::durable_through(const SessionId& session) const {
  return world_.plan.stream ? stream_servers_.through(session) : durable_.through(session);
}

std::string ServerNode::write_inbox() {
  return world_.plan.stream ? stream_servers_.write_inbox(disk, kStore + "/inbox") : std::string();
}

void ServerNode::open() {
  if (store_) return;
  disk.advance_to(world_.scheduler.now());
  if (world_.plan.changes_settings && !world_.is_healed()) {
    world_.count(Fault::setting_changed);
    options_.registry.max_packet_size =
        random_.chance(50) ? 16384 : static_cast<std::uint32_t>(random_.between(64, 4096));
  }
  if (!world_.is_healed() && world_.plan.server_life_max > 0s && random_.chance(20))
    disk.crash_after(random_.below(60));
  if (world_.plan.stream)
    open_stream();
  else if (!open_journal())
    return;
  world_.trace("server: up");
  if (journal_store_ != nullptr) check_told(*journal_store_, "after recovery");
  store_->set_on_room([this] {
    for (auto& [number, wire] : wires_)
      if (!wire->is_finished()) wire->peer().on_room();
  });
  pump();
}

void ServerNode::on_connect(const std::shared_ptr<Connection>& connection) {
  if (connection->is_broken()) return;
  if (!is_up()) return connection->cut();
  wires_[connection->number()] = std::make_unique<ServerWire>(world_, *this, connection);
  connection->resume_reading(Side::server);
  pump();
}

void ServerNode::on_datagram(const std::shared_ptr<Connection>& connection) {
  if (is_up()) on_connect(connection);
}

void ServerNode::bury() {
  std::erase_if(wires_, [](const auto& one) { return one.second->is_finished(); });
}

void ServerNode::pump() {
  if (is_ending_ || is_pumping_ || is_stopped_) return;
  is_pumping_ = true;
  disk.advance_to(world_.scheduler.now());
  if (store_) store_->flush();
  is_pumping_ = false;
  if (dies_at_work_ && disk.jobs_under_way() > 0) {
    dies_at_work_ = false;
    world_.scheduler.after(0s, [this, life = life_] {
      if (life == life_) die();
    });
  }
  // A wire must outlive the call that finished it.
  if (std::any_of(wires_.begin(), wires_.end(), [](const auto& one) { return one.second->is_finished(); }))
    world_.scheduler.after(0s, [this] { bury(); });
  disk_alarm_.set(disk.next_completion());
  store_alarm_.set(store_ ? store_->next_deadline() : kNever);
  check_bounds();
}

void ServerNode::check_bounds() {
  if (disk.jobs_under_way() > kJobsMax) world_.fail("too many jobs under way");
  if (disk.open_files() > kOpenFilesMax) world_.fail("too many open files");
  if (journal_store_ == nullptr) return;
  // What was kept out of order comes at once when its gap is closed. A batch that failed is gathered again, with what
  // was gathered behind it.
  std::uint64_t kept = 0;
  for (const auto& [number, wire] : wires_) kept += wire->peer().session().reordered_bytes();
  most_kept_ = std::max(most_kept_, kept);
  waited_for_files_ = std::max(waited_for_files_, journal_store_->intake().gathered_bytes());
  if (journal_store_->journal().gathered_bytes() >
      2 * (options_.segment_size / 4 + kBatchBeyond) + most_kept_ + waited_for_files_)
    world_.fail("too much for one batch: " + std::to_string(journal_store_->journal().gathered_bytes()) + " bytes");
  if (journal_store_->journal().segments_in_use() > kSegmentsMax) world_.fail("too many segments in use");
  if (journal_store_->intake().gathered_bytes() > kIntakeMax) world_.fail("too much of files waits for the disk");
  for (const auto& [number, wire] : wires_)
    if (wire->peer().session().reordered_bytes() > wire->peer().session().window_bytes())
      world_.fail("too much is kept out of order");
}

std::string ServerNode::describe() const {
  if (!store_) return "the server is down";
  if (journal_store_ == nullptr)
    return "the server has room for " + std::to_string(store_->room()) + " bytes, " + store_->left_to_do() +
           (store_->worst_trouble() != nullptr ? ", trouble: " + store_->worst_trouble()->sentence : "");
  return "the server has room for " + std::to_string(store_->room()) + " bytes, " +
         std::to_string(journal_store_->journal().segments_in_use()) + " segments in use, " +
         std::to_string(journal_store_->delivery().backlog(world_.scheduler.now()).batches) + " batches to deliver, " +
         std::to_string(disk.jobs_under_way()) + " jobs under way" + (store_->trouble() != nullptr ? ", trouble" : "");
}

// --- the promise ---

// Behind a power cut the logs are as it left them, until recovery has been through them.
void ServerNode::read_along() {
  if (has_torn_logs_ && (journal_store_ == nullptr || journal_store_->delivery().is_recovering())) return;
  if (std::exchange(has_torn_logs_, false)) disk.forget_changes();
  if (std::string wrong = Ledger::read_along(disk); !wrong.empty()) world_.fail(wrong);
}

void ServerNode::check_told(const JournalStore& store, const char* where) {
  std::map<SessionId, Seq> durable;
  for (const auto& [index, entry] : store.registry().all()) durable[entry->id] = entry->durable.through;
  for (const auto& [id, told] : world_.ledger.told()) {
    if (told == Seq{0} || world_.ledger.is_closed(id)) continue;
    const auto it = durable.find(id);
    const Seq there = it == durable.end() ? Seq{0} : it->second;
    if (there < told)
      world_.fail(std::string(where) + ": session " + to_hex(ByteView(id).first(8)) + " was told " +
                  std::to_string(told.value) + " and " + std::to_string(there.value) + " is durable");
  }
}

void ServerNode::check_durable() {
  const auto copy = disk.durable_copy();
  NoLog log;
  cproto::World world = store_world_;
  std::uint64_t ids = 1u << 30;
  world.draw_id = [&ids] {
    Id128 id{};
    store_be(id.data(), ++ids);
    return id;
  };
  auto opened = JournalStore::open(*copy, options_, world, log);
  if (const auto* problem = std::get_if<StoreProblem>(&opened))
    return world_.fail("what is durable cannot be opened: " + problem->sentence);
  auto store = std::move(std::get<std::unique_ptr<JournalStore>>(opened));
  check_told(*store, "in what is durable");
  copy->kill_process();
}

}  // namespace cproto::sim
