#include "tests/simulation/command_node.h"

#include <uv.h>

#include <algorithm>
#include <csignal>
#include <utility>
#include <variant>

#include "client/recall.h"
#include "tests/simulation/server_node.h"

namespace cproto::sim {

namespace {

constexpr std::int64_t kEpoch = 1'700'000'000'000'000'000;
constexpr Duration kRestart = 100ms;  // as its supervisor does

}  // namespace

struct CommandNode::Process {
  Process(CommandNode& node, bool sees_changes)
      : machine(node.world_.scheduler, node.world_.random, node.files_, node.errand_->pipe(), sees_changes,
                [&node](const std::function<void()>& step) { node.enter(step); }),
        options(node.errand_->options()),
        state(node.files_) {}

  ClientMachine machine;
  client::Options options;
  client::Tally tally;
  std::unique_ptr<client::Source> source;
  std::optional<client::Progress> progress;
  client::TransferState state;
  std::unique_ptr<client::Transfer> transfer;
  bool was_told_to_end = false;
};

CommandNode::CommandNode(World& world, unsigned number, const ClientPlan& plan)
    : world_(world),
      number_(number),
      plan_(plan),
      files_(world.plan.seed ^ (0xc11e47 + number),
             [this] { return kEpoch + (clock_ahead_ + (world_.scheduler.now() - Instant{})).count(); }),
      errands_left_(plan.sessions),
      alarm_(world.scheduler,
             [this] { enter([this] { process_->transfer->handle_timeout(world_.scheduler.now()); }); }) {
  if (plan_.life_max > 0s && world_.random.chance(25))
    disk_failure_ = static_cast<double>(world_.random.between(1, 20));
  files_.disk.fault = [this](const FileOp& op, const std::string& path) { return draw_fault(op, path); };
  begin_errand();
}

CommandNode::~CommandNode() {
  drop_connection();
  process_.reset();
}

Duration CommandNode::below(Duration most) {
  return Duration(static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

std::string CommandNode::describe() const {
  if (!errand_) return name() + " rests";
  std::string text = name() + " errand " + std::to_string(errand_number_) + " of kind " +
                     std::to_string(static_cast<int>(errand_->kind())) + ", " + std::to_string(errand_->messages()) +
                     " messages" + (errand_->is_written() ? "" : ", being written");
  if (!process_ || !process_->transfer) return text + ", no process";
  const Sender& sender = process_->transfer->session().sender();
  return text + ", state " + std::to_string(static_cast<int>(process_->transfer->session().state())) + ", read " +
         std::to_string(process_->tally.read) + ", pushed " + std::to_string(sender.last_pushed().value) + ", sent " +
         std::to_string(sender.sent_through().value) + ", durable " + std::to_string(sender.durable_through().value);
}

void CommandNode::heal() {
  plan_.life_max = Duration{0};
  plan_.pause_max = std::min<Duration>(plan_.pause_max, 20ms);
  plan_.link.life_max = Duration{0};
  plan_.link.loss = plan_.link.duplication = plan_.link.corruption = 0;
  files_.disk.never_crash();
  disk_failure_ = 0;
  go_on();
}

// --- what it has to do ---

void CommandNode::begin_errand() {
  --errands_left_;
  errand_ = std::make_unique<Errand>(world_, files_, number_, ++errand_number_, plan_);
  told_.clear();
  begins_anew_ = may_begin_anew_ = was_put_back_ = false;
  world_.trace(name() + " begins errand " + std::to_string(errand_number_) + " of kind " +
               std::to_string(static_cast<int>(errand_->kind())));
  write_on();
  start();
}

void CommandNode::write_on() {
  if (errand_->is_written()) return;
  const Duration pause = plan_.pause_max > 0s ? below(plan_.pause_max) : below(5ms);
  world_.scheduler.after(pause, [this, number = errand_number_] {
    if (!errand_ || number != errand_number_) return;
    errand_->write();
    if (process_) process_->machine.on_change();
    write_on();
  });
}

void CommandNode::end_errand() {
  errand_.reset();
  if (errands_left_ > 0) begin_errand();
}

// --- the process ---

void CommandNode::start() {
  world_.scheduler.after(below(kRestart), [this] {
    if (!errand_ || process_) return;
    ++life_;
    process_ = std::make_unique<Process>(*this, world_.random.chance(80));
    plan_worst();
    enter([this] { start_process(); });
  });
}

void CommandNode::start_process() {
  Process& process = *process_;
  const auto wake = [this, &process] {
    if (process.transfer) process.transfer->wake(world_.scheduler.now());
  };
  const auto fail = [this](const client::Problem& problem) {
    if ((problem.status != client::Status::cant_create && problem.status != client::Status::no_input) ||
        disk_failure_ == 0)
      world_.fail(name() + " does not begin: " + problem.sentence);
  };
  auto made = client::make_source(process.machine, process.options, wake, *this);
  if (const auto* problem = std::get_if<client::Problem>(&made)) return fail(*problem);
  process.source = std::move(std::get<std::unique_ptr<client::Source>>(made));
  client::Screen& screen = *this;
  client::Transfer::Network& network = *this;
  process.progress.emplace(screen, client::Progress::Options{false, true, process.source->noun()}, process.tally,
                           world_.scheduler.now());
  auto remembered = client::recall(process.options, *process.source, process.state, *process.progress);
  if (const auto* problem = std::get_if<client::Problem>(&remembered)) return fail(*problem);
  auto& saved = std::get<std::optional<client::SavedTransfer>>(remembered);
  if (!saved)
    if (const auto problem = process.source->begin()) return fail(*problem);
  process.transfer = std::make_unique<client::Transfer>(
      network, world_.scheduler.now(), process.options, *process.source, process.tally, *process.progress,
      Random(world_.random.next()), process.state.is_open() ? &process.state : nullptr, std::move(saved), nullptr);
  process.transfer->start(world_.scheduler.now());
}

// One step of the process, which may be its last. What it does in a step of its own is part of that.
void CommandNode::enter(const std::function<void()>& step) {
  if (!process_) return;
  if (depth_ > 0) return step();
  if (is_stopped_) {
    missed_.push_back(step);
    return;
  }
  ++depth_;
  bool has_died = false;
  try {
    step();
  } catch (const test::ProcessDied&) {
    has_died = true;
  }
  --depth_;
  if (has_died) {
    note_close();  // it may have forgotten the transfer as one that is over
    return die("dies");
  }
  if (process_->transfer) return look();
  bury();
  start();
}

void CommandNode::note_close() {
  if (!process_->transfer) return;
  const ClientSession& session = process_->transfer->session();
  if (session.state() == ClientSession::State::closed && !session.is_paused()) errand_->sent().is_closed = true;
}

void CommandNode::look() {
  const client::Transfer& transfer = *process_->transfer;
  const ClientSession& session = transfer.session();
  SentSession& sent = errand_->sent();
  if (session.offer().resume) {
    const SessionId& id = session.offer().resume->session;
    sent.id = id;
    const auto told = world_.ledger.told().find(id);
    const Seq most = told == world_.ledger.told().end() ? Seq{0} : told->second;
    if (session.sender().durable_through() > most)
      world_.fail(name() + " believes durable what the server never said is");
  }
  // Before, it need not remember where it began.
  if (session.state() == ClientSession::State::established) errand_->on_begun();
  errand_->on_durable(process_->tally.durable);
  note_close();
  if (transfer.is_over()) return on_exit();
  // A log that is followed has no end; somebody has to say so.
  if (errand_->kind() != Errand::Kind::follow || process_->was_told_to_end) return;
  const bool is_all = errand_->is_written() && process_->tally.read == errand_->messages() &&
                      session.state() == ClientSession::State::established &&
                      session.sender().last_pushed() == session.sender().durable_through();
  if (!is_all) return;
  process_->was_told_to_end = true;
  process_->machine.later(0s, [this] { process_->transfer->interrupt(world_.scheduler.now(), SIGTERM); });
}

// On the disk where it remembers, and where its log is that it follows.
int CommandNode::draw_fault(const FileOp& op, const std::string& path) {
  using Kind = FileOp::Kind;
  const bool is_state = path.starts_with("/home/state");
  const bool opens = op.kind == Kind::open_or_create || op.kind == Kind::open_to_read;
  const bool reads = op.kind == Kind::open_to_read || op.kind == Kind::read || op.kind == Kind::status ||
                     op.kind == Kind::status_of_path || op.kind == Kind::list;
  const bool is_followed = errand_ && errand_->kind() == Errand::Kind::follow && reads;
  if (!is_state && !is_followed) return 0;
  if (op.kind == Kind::close || disk_failure_ == 0 || !world_.random.chance(disk_failure_)) return 0;
  world_.count(Fault::client_disk_failed);
  if (opens) return is_state && world_.random.chance(50) ? EACCES : EMFILE;
  return op.kind == Kind::write ? ENOSPC : EIO;
}

// What it said last is known; whether it is all true shows in the end.
void CommandNode::on_exit() {
  const client::Outcome& outcome = process_->transfer->outcome();
  const client::Status status = outcome.causes.status();
  const client::Tally tally = process_->tally;
  world_.trace(name() + " ends with " + std::to_string(static_cast<int>(status)) + " " + outcome.sentence);
  for (const client::Problem& problem : tally.problems) told_.push_back(problem.sentence);
  for (const auto& refused : tally.refused_named) told_.push_back(refused.name + ": " + refused.reason);
  note_promise(outcome.sentence);
  const bool was_closed = errand_->sent().is_closed;
  const bool is_over = was_closed || process_->was_told_to_end;
  bury();
  if (!is_over && (!errand_->survives() || begins_anew_)) {
    errand_->expect_first(tally.durable, told_);
    return end_errand();
  }
  if (!is_over) return start();
  const std::size_t written = errand_->messages() - errand_->too_large();
  // What a run refused that a power cut made it forget is refused, and counted, once more.
  const bool may_count_less = errand_->too_large() > 0 && errand_->survives();
  const bool is_wrong = tally.durable > written || (tally.durable < written && !may_count_less);
  if (errand_->kind() != Errand::Kind::files && is_wrong)
    world_.fail(name() + " says that " + std::to_string(tally.durable) + " messages are durable, of " +
                std::to_string(written));
  if (std::string wrong = errand_->expect_all(told_); !wrong.empty()) world_.fail(wrong);
  end_errand();
}

void CommandNode::say(std::string_view line) {
  world_.trace(name() + " says: " + std::string(line));
  told_.emplace_back(line);
  note_promise(line);
  if (line.find("Is its disk mounted?") != std::string_view::npos)
    world_.fail(name() + " hears that the store lost what it acknowledged: " + std::string(line));
}

void CommandNode::note_promise(std::string_view line) {
  const auto says = [line](std::string_view words) { return line.find(words) != std::string_view::npos; };
  begins_anew_ = begins_anew_ || says("it will begin anew") || says("the same command begins anew");
  may_begin_anew_ = may_begin_anew_ || says("it may begin anew");
}

void CommandNode::on_lost(const client::LostBytes& lost) { world_.fail(name() + " lost: " + lost.what); }

// --- the worst moments ---

void CommandNode::plan_worst() {
  if (!is_faulty() || plan_.life_max == 0s) return;
  // In the middle of a step, or between two.
  if (world_.random.chance(40)) files_.disk.crash_after(world_.random.below(300));
  world_.scheduler.after(below(plan_.life_max), [this, life = life_] {
    if (life == life_ && process_ && is_faulty()) die("is killed");
  });
  if (plan_.jumps_clock && world_.random.chance(30))
    world_.scheduler.after(below(plan_.life_max), [this] { jump_clock(); });
  if (!world_.random.chance(10)) return;
  world_.scheduler.after(below(plan_.life_max), [this, life = life_] {
    if (life == life_ && process_ && is_faulty()) stop_for(below(3min));
  });
}

void CommandNode::stop_for(Duration time) {
  world_.trace(name() + " is stopped");
  world_.count(Fault::client_stopped);
  is_stopped_ = true;
  world_.scheduler.after(time, [this, life = life_] {
    if (life == life_) go_on();
  });
}

// As when a device without a clock of its own hears what time it is, or somebody sets it.
void CommandNode::jump_clock() {
  const Duration size = world_.random.chance(50) ? below(10s) : below(24h * 365);
  // By their times copies are told apart, and what was there before its follower began from what was rotated before
  // that had read anything; and which way rotated files are numbered. Where a clock is put back beside those, or twice
  // in the life of a few files, nothing can be told.
  const bool has_read = errand_ && errand_->has_durable();
  const bool may_go_back = has_read && !errand_->copies() && !std::exchange(was_put_back_, true);
  const bool goes_back = may_go_back && world_.random.chance(50);
  const Duration step = goes_back ? -size : size;
  clock_ahead_ += step;
  world_.trace(name() + ": its clock jumps by " + std::to_string(std::chrono::duration<double>(step).count()) + " s");
  world_.count(Fault::clock_jumped);
}

void CommandNode::go_on() {
  if (!std::exchange(is_stopped_, false)) return;
  world_.trace(name() + " goes on");
  for (const auto& step : std::exchange(missed_, {})) enter(step);
  if (connection_) connection_->resume_reading(Side::client);
}

void CommandNode::die(const char* how) {
  const bool cuts_power = world_.random.chance(40);
  world_.trace(name() + " " + how + (cuts_power ? ", and its power is cut" : ""));
  world_.count(cuts_power ? Fault::client_power_cut : Fault::client_killed);
  if (connection_) connection_->cut();
  const std::uint64_t durable = process_->tally.durable;
  const bool was_closed = errand_->sent().is_closed;
  bury();
  if (cuts_power) {
    files_.disk.cut_power();
    errand_->on_power_cut(told_.size());
  }
  begins_anew_ = begins_anew_ || (cuts_power && may_begin_anew_);
  if (was_closed) {  // it was, all but its exit, at its end
    if (std::string wrong = errand_->expect_all(told_); !wrong.empty()) world_.fail(wrong);
    return end_errand();
  }
  if (!errand_->survives() || begins_anew_) {
    errand_->expect_first(durable, told_);
    return end_errand();
  }
  errand_->change();
  start();
}

void CommandNode::bury() {
  ++life_;
  is_stopped_ = false;
  missed_.clear();
  drop_connection();
  alarm_.set(kNever);
  process_.reset();
  files_.disk.kill_process();
}

// --- the network ---

void CommandNode::connect(const client::ServerAddress&, std::size_t) {
  process_->machine.later(plan_.link.delay_max, [this] { meet_server(); });
}

void CommandNode::meet_server() {
  client::Transfer& transfer = *process_->transfer;
  const Instant now = world_.scheduler.now();
  if (!world_.server->is_up() && world_.random.chance(50))
    return transfer.on_unreachable(now, {0, {{"192.0.2.7", UV_ECONNREFUSED}}});
  connection_ = world_.make_connection(plan_.link);
  connection_->join(Side::client, this);
  if (plan_.link.life_max > 0s) {
    world_.scheduler.after(below(plan_.link.life_max), [this, weak = std::weak_ptr(connection_)] {
      const auto connection = weak.lock();
      if (!connection || !is_faulty()) return;
      world_.trace("connection " + std::to_string(connection->number()) + " is cut");
      world_.count(Fault::connection_cut);
      connection->cut();
    });
  }
  world_.scheduler.after(plan_.link.delay_max,
                         [this, connection = connection_] { world_.server->on_connect(connection); });
  transfer.on_connected(now, "192.0.2.7", {});
}

void CommandNode::drop_connection() {
  if (connection_) std::exchange(connection_, nullptr)->leave(Side::client);
}

void CommandNode::on_bytes(ByteView bytes) {
  enter([&] { process_->transfer->on_bytes(world_.scheduler.now(), bytes); });
}

void CommandNode::on_writable() {
  enter([this] { process_->transfer->on_writable(world_.scheduler.now()); });
}

void CommandNode::on_gone(const std::string& reason) {
  enter([this, reason] {
    if (!connection_) return;
    drop_connection();
    process_->transfer->on_gone(world_.scheduler.now(), reason);
  });
}

Bytes& CommandNode::write_buffer() {
  buffer_.clear();
  return buffer_;
}

void CommandNode::write() {
  world_.trace_frames(name(), buffer_);
  connection_->write(Side::client, buffer_);
}

void CommandNode::finish() {
  if (!connection_) return;
  drop_connection();
  process_->machine.later(0s, [this] { process_->transfer->on_gone(world_.scheduler.now(), ""); });
}

void CommandNode::set_deadline(Instant at) { alarm_.set(at); }

}  // namespace cproto::sim
