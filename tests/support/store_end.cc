#include "tests/support/store_end.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"
#include "proto/message.h"

namespace cproto::test {

bool LinesLog::contains(std::string_view part) const { return count(part) > 0; }

std::size_t LinesLog::count(std::string_view part) const {
  return static_cast<std::size_t>(std::count_if(
      lines.begin(), lines.end(), [&](const std::string& line) { return line.find(part) != std::string::npos; }));
}

// --- StoreEnd ---

StoreEnd::StoreEnd(std::uint64_t seed) : disk(seed) {
  disk.latency = [](const Job&) { return Duration(1ms); };
  options.directory = "/store";
  options.segment_size = 1u << 20;
  world.now = [this] { return disk.now(); };
  world.draw_id = [this] {
    Id128 id{};
    store_be(id.data(), ++ids_);
    return id;
  };
}

StoreEnd::~StoreEnd() { kill(); }

std::string StoreEnd::open() {
  auto opened = JournalStore::open(disk, options, world, log);
  if (const auto* problem = std::get_if<StoreProblem>(&opened)) return problem->sentence;
  store = std::move(std::get<std::unique_ptr<JournalStore>>(opened));
  return {};
}

void StoreEnd::close() {
  disk.drain();
  kill();
}

// Jobs under way point into the store: it goes after them.
void StoreEnd::kill() {
  disk.kill_process();
  store.reset();
}

void StoreEnd::cut_power(Loss loss) {
  disk.cut_power(loss);
  store.reset();
}

void StoreEnd::run(Duration duration) {
  const Instant end = disk.now() + duration;
  while (true) {
    if (store) store->flush();
    const Instant deadline = store ? store->next_deadline() : kNever;
    const Instant next = std::min(disk.next_completion(), std::max(deadline, disk.now()));
    if (next > end) break;
    disk.advance_to(next);
    if (store && store->next_deadline() <= disk.now()) store->handle_timeout();
  }
  disk.advance_to(end);
}

void StoreEnd::rest() {
  for (int i = 0; i < 1000; ++i) {
    store->settle();
    if (store->is_at_rest()) return;
    run(10ms);
  }
  CPROTO_ASSERT(false);
}

void StoreEnd::sync() {
  for (int i = 0; i < 1000; ++i) {
    store->flush();
    if (store->journal().is_idle()) return;
    run(1ms);
  }
  CPROTO_ASSERT(false);
}

std::string StoreEnd::log_text(const std::string& client, const std::string& name) const {
  return std::string(as_text(log_bytes(client, name)));
}
Bytes StoreEnd::log_bytes(const std::string& client, const std::string& name) const {
  return disk.read_file(inbox(client, name));
}

std::vector<std::string> StoreEnd::segments() const {
  std::vector<std::string> paths;
  for (const std::string& name : disk.list_directory("/store/journal")) paths.push_back("/store/journal/" + name);
  return paths;
}

// --- SessionEnd ---

SessionEnd::SessionEnd(StoreEnd& store, std::string client_id, std::string channel, MessageKind kind) : host(store) {
  syn.client_id = std::move(client_id);
  syn.channel = std::move(channel);
  syn.kind = kind;
  syn.attempt = 0;
}

SessionEnd::~SessionEnd() { disconnect(); }

std::string SessionEnd::connect() {
  disconnect();
  ++syn.attempt;
  const Store::Admitted admitted = *host.store->admit(syn, *this);
  if (const Error* error = std::get_if<Error>(&admitted)) return error_name(error->code);
  const Admission& admission = std::get<Admission>(admitted);
  entry = admission.entry;
  terms = admission.terms;
  acknowledged = terms.durable_through;
  sent_ = entry->received.through;
  syn.resume = Syn::Resume{terms.session, terms.store, acknowledged, terms.durable_bytes, terms.durable_messages};
  receiver_ = std::make_unique<Receiver>(
      ReceiverOptions{
          .max_packet_size = kPacketSizeMax, .message_size_max = message_size_max, .default_kind = syn.kind},
      entry->received);
  return {};
}

void SessionEnd::disconnect() {
  if (entry != nullptr && host.store) host.store->release(*std::exchange(entry, nullptr), *this);
  entry = nullptr;
}

void SessionEnd::lose_server() { entry = nullptr; }

void SessionEnd::send_frame(FrameType type, ByteView payload) {
  sent_ = sent_.next();
  Bytes frame;
  encode_frame(type, to_wire(sent_), payload, frame);
  receive(frame);
}

void SessionEnd::receive(ByteView frames) {
  while (!frames.empty()) {
    const FrameHeader header = decode_header(frames.data());
    const ByteView whole = frames.first(kHeaderSize + header.payload_size);
    frames = frames.subspan(whole.size());
    const Frame frame{header.type, header.seq, whole.subspan(kHeaderSize), whole};
    const Receiver::Outcome outcome = receiver_->on_frame(frame);
    if (outcome.verdict == Receiver::Verdict::accepted)
      host.store->append(*entry, server_event::Received{outcome.number, 1, frame.payload.size(), outcome.is_file, whole,
                                                        receiver_->position()});
    if (outcome.verdict == Receiver::Verdict::skipped)
      host.store->append(*entry, server_event::Skipped{outcome.number, frame.payload.size(), outcome.ends_message,
                                                       outcome.refusal, receiver_->position()});
  }
}

void SessionEnd::send(std::string_view message) { send_frame(FrameType::data, as_bytes(message)); }
void SessionEnd::send_fragment(std::string_view part) { send_frame(FrameType::fragment, as_bytes(part)); }

void SessionEnd::send_header(MessageKind kind, const std::string& channel) {
  Bytes payload;
  encode_message_header({kind, channel}, payload);
  send_frame(FrameType::header, payload);
}

void SessionEnd::begin_file(const FileDescription& file) {
  Bytes payload;
  encode_message_header({MessageKind::file, {}, file}, payload);
  send_frame(FrameType::header, payload);
}

void SessionEnd::send_digest(const Digest& digest) {
  Bytes payload;
  encode_message_header({MessageKind::file, {}, {}, digest}, payload);
  send_frame(FrameType::header, payload);
}

void SessionEnd::send_file(const FileDescription& file, ByteView content, std::size_t packet_size) {
  begin_file(file);
  FileDigest digest;
  digest.update(content);
  for (; content.size() > packet_size; content = content.subspan(packet_size))
    send_frame(FrameType::fragment, content.first(packet_size));
  send_digest(digest.value());
  send_frame(FrameType::data, content);
}

void SessionEnd::abandon() { send_header(MessageKind::none); }

void SessionEnd::forget() { host.store->forget(*std::exchange(entry, nullptr)); }

void SessionEnd::on_admitted(Store::Admitted) {}  // the journal knows at once

void SessionEnd::on_committed() {
  acknowledged = entry->durable.through;
  syn.resume->acknowledged = acknowledged;
  syn.resume->acknowledged_bytes = entry->durable.bytes;
  syn.resume->acknowledged_messages = entry->durable.messages;
  for (const Refusal& refusal : entry->take_refusals()) refused.push_back(refusal);
}

}  // namespace cproto::test
