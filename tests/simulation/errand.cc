#include "tests/simulation/errand.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tests/simulation/server_node.h"

namespace cproto::sim {

namespace {

constexpr Seq kWhole{1};  // of a message that may be there: its numbers are the command's business
const std::string kState = "/home/state";
constexpr std::size_t kFilesMax = 6;

// What the command says of files.
constexpr std::string_view kSentAnew = "; sent from its beginning";
constexpr std::string_view kGivenUpHere = "; not sent";  // and the server did not refuse it
constexpr std::string_view kUnnamed = "an earlier message: ";

bool says(std::string_view line, std::string_view words) { return line.find(words) != std::string_view::npos; }

}  // namespace

Errand::Errand(World& world, test::MemoryFiles& files, unsigned client, unsigned number, const ClientPlan& plan)
    : world_(world),
      random_(world.random),
      files_(files),
      client_(client),
      number_(number),
      large_(plan.large),
      kind_(static_cast<Kind>(random_.below(world.plan.stream ? 4 : 5))) {
  sent().messages.reserve(plan.messages);
  options_.servers = {{"server", 7780}};
  options_.mode = plan.mode;
  options_.window_size = plan.window_size;
  options_.max_packet_size = plan.max_packet_size;
  options_.client_id = client_name(client);
  options_.channel = random_.chance(70) ? "messages" : "other";
  const std::string folder = "/home/errand-" + std::to_string(number);
  files_.disk.make_directories(folder);
  if (survives()) options_.state_directory = kState;
  std::size_t count = 1 + random_.below(plan.messages);
  switch (kind_) {
    case Kind::texts:
      options_.job = client::Options::Job::texts;
      for (; count > 0; --count) {
        const SentMessage& message = add_message(draw_size());
        options_.texts.emplace_back(as_text(content_of(message.id, message.kind, message.size)));
      }
      return;
    case Kind::pipe:
      options_.job = client::Options::Job::lines;
      options_.files = {"-"};
      left_to_write_ = count;
      return;
    case Kind::lines: {
      options_.job = client::Options::Job::lines;
      options_.files = {path_ = folder + "/lines"};
      written_last_ = path_;
      files_.append(path_, {});
      left_to_write_ = count;
      write_lines(count);
      return;
    }
    case Kind::follow:
      options_.job = client::Options::Job::follow;
      options_.files = {path_ = folder + "/app.log"};
      written_last_ = path_;
      rotates_ = random_.chance(60);
      copies_ = random_.chance(40);
      left_to_write_ = count;
      if (random_.chance(50)) write_lines(1);
      return;
    case Kind::files:
      options_.job = client::Options::Job::files;
      options_.kind = MessageKind::file;
      for (count = 1 + count % kFilesMax; count > 0; --count) {
        SentMessage& message = add_message(draw_size());
        options_.files.push_back(folder + "/" + file_name_of(message.id));
        place_file(message);
      }
      return;
  }
}

std::size_t Errand::draw_size() {
  const std::uint64_t kind = random_.below(100);
  if (random_.chance(large_)) return random_.between(64 * 1024, 2u << 20);
  if (kind < 60) return random_.below(200);
  if (kind < 90) return random_.below(4096);
  return random_.below(64 * 1024);
}

SentMessage& Errand::add_message(std::size_t size) {
  SentMessage& message = sent().messages.emplace_back();
  message.id = {client_, number_, static_cast<unsigned>(sent().messages.size() - 1)};
  message.kind = options_.kind;
  message.channel = options_.channel;
  message.size = content_of(message.id, message.kind, size).size();
  message.last = kWhole;
  return message;
}

void Errand::place_file(const SentMessage& message) {
  const std::string& path = options_.files[message.id.number];
  files_.truncate(path);
  files_.append(path, content_of(message.id, message.kind, message.size));
}

// --- lines ---

Bytes Errand::next_line() {
  --left_to_write_;
  const SentMessage& message = add_message(draw_size());
  Bytes line = content_of(message.id, message.kind, message.size);
  line.push_back('\n');
  return line;
}

void Errand::write_lines(std::size_t count) {
  Bytes bytes = std::exchange(rest_, {});
  for (count = std::min(count, left_to_write_); count > 0; --count) append(bytes, next_line());
  if (kind_ == Kind::pipe) {
    append(pipe_->bytes, bytes);
    pipe_->is_closed = is_written();
    return;
  }
  files_.append(written_last_, bytes);
}

void Errand::write() {
  if (kind_ != Kind::pipe && kind_ != Kind::follow) return;
  if (rest_.empty() && !is_written() && random_.chance(10)) {
    // A line in two steps.
    Bytes line = next_line();
    const auto half = static_cast<std::ptrdiff_t>(random_.below(line.size()));
    rest_.assign(line.begin() + half, line.end());
    line.resize(static_cast<std::size_t>(half));
    if (kind_ == Kind::pipe)
      append(pipe_->bytes, line);
    else
      files_.append(written_last_, line);
    return;
  }
  const bool may_rotate = rotates_ && is_begun_ && rest_.empty() && !files_.disk.read_file(path_).empty();
  if (may_rotate && random_.chance(15)) return rotate();
  write_lines(1 + random_.below(4));
}

// As logrotate does. What is removed at the end was read long ago.
void Errand::rotate() {
  for (std::size_t i = rotated_.size(); i > 0; --i)
    files_.rename(path_ + "." + std::to_string(i), path_ + "." + std::to_string(i + 1));
  if (copies_) {
    files_.copy(path_, path_ + ".1");
    files_.truncate(path_);
  } else {
    files_.rename(path_, path_ + ".1");
  }
  written_last_ = path_;
  rotated_.push_back({{}, messages()});
  if (rotated_.size() > 2 && rotated_[1].lines_through <= durable_ && random_.chance(50)) {
    files_.remove_file(path_ + "." + std::to_string(rotated_.size()));
    rotated_.erase(rotated_.begin());
  }
  world_.trace(path_ + (copies_ ? " is copied and truncated" : " is renamed"));
}

void Errand::change() {
  if (kind_ == Kind::lines && random_.chance(30)) {
    left_to_write_ += 1 + random_.below(3);
    write_lines(left_to_write_);
  }
  if (kind_ != Kind::files || !random_.chance(15)) return;
  SentMessage& message = sent().messages[random_.below(messages())];
  message.former_sizes.push_back(message.size);
  message.size = content_of(message.id, message.kind, draw_size()).size();
  world_.trace(file_name_of(message.id) + " is changed");
  place_file(message);
}

// --- what must have arrived ---

// Whether this sentence says that the file was refused.
bool Errand::is_refusal(const std::string& line, const SentMessage& file) {
  return says(line, "/" + file_name_of(file.id) + ":") && !says(line, kSentAnew);
}

void Errand::expect_first(std::uint64_t messages, const std::vector<std::string>& told) {
  sent().acknowledged = std::max(sent().acknowledged, messages);
  if (kind_ != Kind::files) return;
  // Whose refusal that is cannot be told.
  const auto is_unnamed = [](const std::string& line) { return line.starts_with(kUnnamed); };
  sent().was_recut = sent().was_recut || std::any_of(told.begin(), told.end(), is_unnamed);
  for (SentMessage& file : sent().messages)
    file.was_refused = !is_there(file) && std::any_of(told.begin(), told.end(),
                                                      [&](const std::string& line) { return is_refusal(line, file); });
}

std::string Errand::expect_all(const std::vector<std::string>& told) {
  sent().acknowledged = messages();
  for (SentMessage& message : sent().messages) message.was_refused = world_.ledger.is_too_large(message);
  return kind_ == Kind::files ? expect_files(told) : "";
}

// That a command has ended with 0 means that its files are there. A run that goes on with what an earlier one sent may
// hear of a refusal and not know whose it is: then it names no file, and as many may be missing as the server refused
// beside those that have a name.
std::string Errand::expect_files(const std::vector<std::string>& told) {
  const auto count_told = [&](const auto& is_it) { return std::count_if(told.begin(), told.end(), is_it); };
  std::ptrdiff_t refusals = sent().id ? static_cast<std::ptrdiff_t>(world_.ledger.refusals(*sent().id)) : 0;
  for (SentMessage& message : sent().messages) {
    const auto is_named = [&](const std::string& line) { return is_refusal(line, message); };
    const auto since_cut = told.begin() + static_cast<std::ptrdiff_t>(told_before_cut_);
    const bool is_certain = std::any_of(since_cut, told.end(), is_named);
    message.was_refused = is_certain || (count_told(is_named) > 0 && !is_there(message));
    if (count_told([&](const std::string& line) { return is_named(line) && !says(line, kGivenUpHere); }) > 0)
      --refusals;
  }
  std::ptrdiff_t unnamed =
      std::min(refusals, count_told([](const std::string& line) { return line.starts_with(kUnnamed); }));
  for (SentMessage& message : sent().messages) {
    if (message.was_refused || is_there(message)) continue;
    if (--unnamed < 0) return file_name_of(message.id) + " was sent, says its client, and is not there";
    message.was_refused = true;
  }
  return {};
}

bool Errand::is_there(const SentMessage& file) const {
  return world_.server->disk.exists("/store/inbox/" + client_name(client_) + "/files/" + file_name_of(file.id));
}

std::size_t Errand::too_large() const {
  const auto& all = sent().messages;
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [this](const SentMessage& message) { return world_.ledger.is_too_large(message); }));
}

}  // namespace cproto::sim
