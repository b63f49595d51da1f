#include "tests/simulation/server_node.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proto/codec.h"

namespace cproto::sim {

namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// More of either at once would be a leak, or a queue without a bound.
constexpr std::size_t kJobsMax = 16;
constexpr std::size_t kOpenFilesMax = 200;

class NoLog final : public Log {
 public:
  void write(Severity, LogEvent, std::string_view, const LogFields&) override {}
  bool is_on(Severity) const override { return false; }
};

}  // namespace

// --- ServerWire ---

ServerWire::ServerWire(World& world, ServerNode& node, std::shared_ptr<Connection> connection)
    : world_(world), node_(node), connection_(std::move(connection)), alarm_(world.scheduler, [this] {
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

void ServerWire::on_broken() { on_end(); }

void ServerWire::on_writable() {
  if (!is_finished_) peer_->on_writable();
  node_.pump();
}

std::size_t ServerWire::read_max() const {
  if (is_finished_) return kReadSize;
  return is_reading_ ? std::min(kReadSize, node_.store_->room()) : 0;
}

Bytes& ServerWire::write_buffer() {
  buffer_.clear();
  return buffer_;
}

void ServerWire::write() {
  world_.trace_frames("server to " + std::to_string(connection_->number()), buffer_);
  Decoder decoder(connection_->plan().transport == Transport::datagram ? Transport::stream : Transport::stream);
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
    world_.ledger.on_told(terms.session, terms.durable_through);
  } else if (frame.type == FrameType::ack && session_) {
    const auto ack = decode_ack(frame.payload);
    if (!ack) return;
    world_.ledger.on_told(*session_, ack->durable_through);
    if (node_.deep_checks_left_ > 0 && world_.random.chance(3)) {
      --node_.deep_checks_left_;
      node_.check_durable();
    }
  }
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
      disk_alarm_(world.scheduler, [this] { pump(); }),
      store_alarm_(world.scheduler, [this] {
        if (store_) store_->handle_timeout();
        pump();
      }) {
  options_.directory = "/store";
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
  disk.latency = [this](const Job&) { return draw_latency(); };
  disk.fault = [this](const FileOp& op, const std::string& path) { return draw_fault(op, path); };
}

ServerNode::~ServerNode() {
  is_ending_ = true;
  wires_.clear();
  disk.kill_process();
  store_.reset();
}

Duration ServerNode::draw_latency() {
  const DiskPlan& plan = world_.plan.disk;
  if (!world_.is_healed() && random_.chance(plan.stall)) return std::chrono::milliseconds(random_.between(100, 3000));
  return Duration(
      static_cast<std::int64_t>(random_.between(20'000, static_cast<std::uint64_t>(plan.latency_max.count()))));
}

int ServerNode::draw_fault(const FileOp& op, const std::string& path) {
  using Kind = FileOp::Kind;
  if (world_.is_healed()) return 0;
  const DiskPlan& plan = world_.plan.disk;
  const bool is_journal = path.starts_with("/store/journal");
  const bool syncs = op.kind == Kind::sync_data || op.kind == Kind::sync_all || op.kind == Kind::sync_directory;
  const bool writes = op.kind == Kind::write || op.kind == Kind::append || op.kind == Kind::append_file ||
                      op.kind == Kind::write_file || op.kind == Kind::zero_fill || op.kind == Kind::reserve;
  if (syncs) return random_.chance(is_journal ? plan.sync_failure : plan.inbox_failure) ? EIO : 0;
  if (!writes) return 0;
  const Instant now = world_.scheduler.now();
  if (plan.fills_up && now >= full_until_ && random_.chance(0.2)) full_until_ = now + 3s;
  const bool is_part = path.ends_with(".file");
  if (plan.fills_up && now < full_until_ && (op.kind != Kind::write || is_part)) return ENOSPC;
  return random_.chance(plan.write_failure) ? EIO : 0;
}

void ServerNode::write(Severity severity, LogEvent, std::string_view line, const LogFields&) {
  if (severity != Severity::debug) world_.trace("log: " + std::string(line));
}

// --- its life ---

void ServerNode::start() {
  disk.make_directories("/store");
  open();
  plan_death();
}

void ServerNode::plan_death() {
  if (world_.plan.server_life_max == 0s) return;
  const auto most = static_cast<std::uint64_t>(world_.plan.server_life_max.count());
  const Duration lives(static_cast<std::int64_t>(random_.below(most)));
  world_.scheduler.after(lives, [this, life = ++life_] {
    if (life == life_ && !world_.is_healed()) kill(random_.chance(world_.plan.power_cut));
  });
}

void ServerNode::kill(bool cuts_power) {
  world_.trace(cuts_power ? "server: the power is cut" : "server: kill -9");
  ++world_.verdict.crashes;
  if (cuts_power) ++world_.verdict.power_cuts;
  is_ending_ = true;
  for (auto& [number, wire] : wires_) wire->connection().cut();
  wires_.clear();
  is_ending_ = false;
  read_along();
  if (cuts_power) {
    disk.cut_power();
    world_.ledger.forget_readers();
    has_torn_logs_ = true;
  } else {
    disk.kill_process();
  }
  store_.reset();
  const Duration down = std::chrono::milliseconds(random_.between(1, 2000));
  world_.scheduler.after(down, [this] { open(); });
  world_.scheduler.after(down, [this] { plan_death(); });
}

// It may die while it recovers, too.
void ServerNode::open() {
  if (store_) return;
  disk.advance_to(world_.scheduler.now());
  if (!world_.is_healed() && world_.plan.server_life_max > 0s && random_.chance(20))
    disk.crash_after(random_.below(60));
  try {
    auto opened = Store::open(disk, options_, store_world_, *this);
    disk.never_crash();
    if (const auto* problem = std::get_if<StoreProblem>(&opened)) {
      world_.trace("server: the store does not open: " + problem->sentence);
      if (world_.is_healed()) world_.fail("the store does not open: " + problem->sentence);
      disk.kill_process();
      world_.scheduler.after(1s, [this] { open(); });
      return;
    }
    store_ = std::move(std::get<std::unique_ptr<Store>>(opened));
  } catch (const test::ProcessDied&) {
    return kill(random_.chance(world_.plan.power_cut));
  }
  world_.trace("server: up");
  check_told(*store_, "after recovery");
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
  if (is_ending_ || is_pumping_) return;
  is_pumping_ = true;
  disk.advance_to(world_.scheduler.now());
  if (store_) store_->flush();
  is_pumping_ = false;
  // A wire must outlive the call that finished it.
  if (std::any_of(wires_.begin(), wires_.end(), [](const auto& one) { return one.second->is_finished(); }))
    world_.scheduler.after(0s, [this] { bury(); });
  disk_alarm_.set(disk.next_completion());
  store_alarm_.set(store_ ? store_->next_deadline() : kNever);
  if (disk.jobs_under_way() > kJobsMax) world_.fail("too many jobs under way");
  if (disk.open_files() > kOpenFilesMax) world_.fail("too many open files");
}

std::string ServerNode::describe() const {
  if (!store_) return "the server is down";
  return "the server has room for " + std::to_string(store_->room()) + " bytes, " +
         std::to_string(store_->journal().segments_in_use()) + " segments in use, " +
         std::to_string(store_->delivery().backlog(world_.scheduler.now()).batches) + " batches to deliver, " +
         std::to_string(disk.jobs_under_way()) + " jobs under way" + (store_->trouble() != nullptr ? ", trouble" : "");
}

// --- the promise ---

// Behind a power cut the logs are as it left them, until recovery has been through them.
void ServerNode::read_along() {
  if (store_ && !store_->delivery().is_recovering()) has_torn_logs_ = false;
  if (has_torn_logs_) return;
  if (std::string wrong = world_.ledger.read_along(disk); !wrong.empty()) world_.fail(wrong);
}

void ServerNode::check_told(const Store& store, const char* where) {
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
  auto opened = Store::open(*copy, options_, world, log);
  if (const auto* problem = std::get_if<StoreProblem>(&opened))
    return world_.fail("what is durable cannot be opened: " + problem->sentence);
  auto store = std::move(std::get<std::unique_ptr<Store>>(opened));
  check_told(*store, "in what is durable");
  copy->kill_process();
}

}  // namespace cproto::sim
