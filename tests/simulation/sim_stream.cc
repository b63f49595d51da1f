#include "tests/simulation/sim_stream.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "daemon/stream_record.h"
#include "proto/checksum.h"

namespace cproto::sim {

namespace {

// What a planted bug says instead of the sequence before.
constexpr std::uint64_t kAnything = ~0ull;

std::string header(const StreamHeaders& headers, const std::string& name) {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

// STREAM.md §2: the messages of one session, in order.
std::string read_session(const std::vector<StreamServers::Stored>& all,
                         const std::function<void(const std::string& channel, bool is_binary, ByteView)>& each) {
  Bytes begun;
  std::uint64_t before = 0;
  for (const StreamServers::Stored& one : all) {
    const std::string number = header(one.headers, "Cproto-Number");
    const std::uint64_t through = std::strtoull(number.c_str(), nullptr, 10);
    const std::string sizes = header(one.headers, "Cproto-Sizes");
    if (through < before || (through == before && sizes != "none")) return "number " + number + " is there twice";
    before = through;
    if (sizes == "none") continue;
    ByteView rest(one.payload);
    const std::vector<std::string> pieces = split(sizes, ' ');
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::size_t size = std::strtoull(pieces[i].c_str(), nullptr, 10);
      if (size > rest.size()) return "pieces are larger than the payload behind number " + number;
      if (i > 0 || header(one.headers, "Cproto-Rest").empty()) begun.clear();
      append(begun, rest.first(size));
      rest = rest.subspan(size);
      const bool has_more = i + 1 == pieces.size() && !header(one.headers, "Cproto-More").empty();
      if (!has_more) each(header(one.headers, "Cproto-Channel"), !header(one.headers, "Cproto-Kind").empty(), begun);
    }
    if (!rest.empty()) return "pieces are smaller than the payload behind number " + number;
  }
  return {};
}

}  // namespace

// --- the servers ---

std::optional<std::uint64_t> StreamServers::store(const Publication& publication) {
  std::vector<Stored>& messages = subjects_[publication.subject];
  const std::uint64_t last = messages.empty() ? 0 : messages.back().sequence;
  if (publication.after != last && publication.after != kAnything) return std::nullopt;
  messages.push_back({++last_sequence_, publication.headers, publication.payload});
  return last_sequence_;
}

const std::vector<StreamServers::Stored>* StreamServers::messages(const std::string& subject) const {
  const auto it = subjects_.find(subject);
  return it == subjects_.end() || it->second.empty() ? nullptr : &it->second;
}

Seq StreamServers::through(const SessionId& id) const {
  const std::string name = "." + stream_session_name(id);
  Seq through{0};
  for (const auto& [subject, messages] : subjects_) {
    if (!subject.ends_with(name) || messages.empty()) continue;
    if (const auto mark = decode_stream_mark(messages.back().headers)) through = mark->position.through;
  }
  return through;
}

std::string StreamServers::write_inbox(test::MemoryDisk& disk, const std::string& inbox) const {
  std::map<std::string, Bytes> logs;
  for (const auto& [subject, messages] : subjects_) {
    const std::vector<std::string> words = split(subject, '.');
    const std::string wrong = read_session(messages, [&](const std::string& channel, bool is_binary, ByteView message) {
      Bytes& log =
          logs[inbox + "/" + words[1] + "/" + (channel.empty() ? words[2] : channel) + (is_binary ? ".bin" : ".log")];
      if (is_binary) {
        ByteWriter writer(log);
        writer.u32(static_cast<std::uint32_t>(message.size()));
        writer.u32(crc32(0, message));
      }
      append(log, message);
      if (!is_binary) log.push_back('\n');
    });
    if (!wrong.empty()) return subject + ": " + wrong;
  }
  for (const auto& [path, bytes] : logs) {
    disk.make_directories(path.substr(0, path.find_last_of('/')));
    disk.write_file(path, bytes);
  }
  return {};
}

// --- a connection ---

SimStream::SimStream(Scheduler& scheduler, StreamServers& servers, Random& random, const StreamPlan& plan,
                     Coverage& coverage, std::function<bool()> is_healed, std::function<void()> after)
    : scheduler_(scheduler),
      servers_(servers),
      random_(random),
      plan_(plan),
      coverage_(coverage),
      is_healed_(std::move(is_healed)),
      after_(std::move(after)) {}

// What is on its way arrives all the same, some of it.
SimStream::~SimStream() {
  *alive_ = false;
  if (link_) link_->is_up = false;
}

bool SimStream::draws(double per_cent, Fault fault) {
  if (is_healed_() || !random_.chance(per_cent)) return false;
  coverage_.add(fault);
  return true;
}

Duration SimStream::draw_delay() {
  const auto most = static_cast<std::uint64_t>(plan_.latency_max.count());
  const Duration delay(static_cast<std::int64_t>(random_.below(most) + 1));
  return draws(plan_.late, Fault::stream_late) ? delay + std::chrono::milliseconds(random_.between(100, 12'000))
                                               : delay;
}

void SimStream::open() {
  scheduler_.after(draw_delay(), [this, alive = alive_] {
    if (!*alive || owner_ == nullptr) return;
    if (draws(plan_.away, Fault::stream_away)) {
      owner_->on_closed("no server can be reached");
      return after_();
    }
    link_ = std::make_shared<Link>();
    link_->is_up = true;
    Id128 id{};
    id[0] = 7;
    owner_->on_opened({id, plan_.payload_max, 3});
    after_();
    if (!draws(plan_.away, Fault::stream_cut)) return;
    scheduler_.after(std::chrono::milliseconds(random_.below(5000)), [this, alive = alive_, link = link_] {
      if (*alive && link->is_up) close("the connection was closed");
    });
  });
}

void SimStream::close(const std::string& why) {
  link_->is_up = false;
  if (owner_ != nullptr) owner_->on_closed(why);
  after_();
}

// In order, as far as one connection is concerned; what was sent on one that is gone comes behind it, or not at all.
void SimStream::publish(std::uint64_t ticket, Publication publication) {
  if (draws(plan_.lost, Fault::publication_lost)) return;
  link_->last_arrival = std::max(link_->last_arrival, scheduler_.now() + draw_delay());
  scheduler_.at(link_->last_arrival, [this, alive = alive_, servers = &servers_, link = link_, ticket,
                                      one = std::move(publication), arrives_late = random_.chance(50)] {
    if (*alive) return arrive(link, ticket, one);
    if (arrives_late) servers->store(one);  // of a daemon that is no more
  });
}

void SimStream::arrive(const std::shared_ptr<Link>& link, std::uint64_t ticket, const Publication& publication) {
  if (!link->is_up && random_.chance(50)) return;
  if (draws(plan_.full, Fault::stream_full))
    return answer(link, [ticket](Owner& to) { to.on_refused(ticket, Refused::full, "maximum bytes exceeded"); });
  if (draws(plan_.full, Fault::publication_refused))
    return answer(link, [ticket](Owner& to) { to.on_refused(ticket, Refused::other, "no leader"); });
  const auto sequence = servers_.store(publication);
  if (!sequence) coverage_.add(Fault::written_elsewhere);
  if (draws(plan_.lost, Fault::answer_lost)) return;
  answer(link, [ticket, sequence](Owner& to) {
    sequence ? to.on_stored(ticket, *sequence) : to.on_refused(ticket, Refused::elsewhere, "wrong last sequence");
  });
}

void SimStream::answer(const std::shared_ptr<Link>& link, std::function<void(Owner&)> what) {
  scheduler_.after(draw_delay(), [this, alive = alive_, link, what = std::move(what)] {
    if (!*alive || !link->is_up || owner_ == nullptr) return;
    what(*owner_);
    after_();
  });
}

void SimStream::find_last(std::uint64_t ticket, const std::string& subject) {
  scheduler_.after(draw_delay(), [this, alive = alive_, link = link_, ticket, subject] {
    if (!*alive || !link->is_up) return;
    if (draws(plan_.lost, Fault::answer_lost)) return;
    const auto* messages = servers_.messages(subject);
    const std::size_t count = messages == nullptr ? 0 : messages->size();
    const bool is_stale = count > 0 && draws(plan_.stale, Fault::stale_answer);
    const std::size_t at = is_stale ? random_.below(count) : count;
    std::optional<StreamMessage> last;
    if (at > 0) last = StreamMessage{(*messages)[at - 1].sequence, (*messages)[at - 1].headers};
    answer(link, [ticket, last](Owner& to) { to.on_found(ticket, last); });
  });
}

}  // namespace cproto::sim
