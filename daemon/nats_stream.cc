#include "daemon/nats_stream.h"

#include <nats/nats.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

namespace cproto {

namespace {

constexpr const char* kSubjects = "cproto.>";
constexpr const char* kAfterHeader = "Nats-Expected-Last-Subject-Sequence";
// A message is known by its place behind another one, so the server need not remember ids for longer than this.
constexpr std::int64_t kDuplicatesNs = 1'000'000'000;
constexpr std::int64_t kConnectMs = 2000;
constexpr std::int64_t kWriteMs = 2000;
constexpr std::int64_t kPingMs = 5000;
constexpr int kBufferSize = 1 << 20;  // a publication is written at once
// So many connections ago nothing can be heard of one.
constexpr std::size_t kLinksMax = 64;
// Of an answer to a publication, and of one to a question: that one begins with 'q' in its inbox.
constexpr char kAck = 'a';
constexpr char kQuestion = 'q';

template <class T, void (*destroy)(T*)>
struct Destroyer {
  void operator()(T* one) const { destroy(one); }
};
using MessageHandle = std::unique_ptr<natsMsg, Destroyer<natsMsg, natsMsg_Destroy>>;
using OptionsHandle = std::unique_ptr<natsOptions, Destroyer<natsOptions, natsOptions_Destroy>>;
using ConnectionHandle = std::unique_ptr<natsConnection, Destroyer<natsConnection, natsConnection_Destroy>>;
using SubscriptionHandle = std::unique_ptr<natsSubscription, Destroyer<natsSubscription, natsSubscription_Destroy>>;
using ContextHandle = std::unique_ptr<jsCtx, Destroyer<jsCtx, jsCtx_Destroy>>;

using InfoHandle = std::unique_ptr<jsStreamInfo, Destroyer<jsStreamInfo, jsStreamInfo_Destroy>>;

// --- what the server says: JSON of a form that it keeps to ---

std::string_view behind(std::string_view json, std::string_view name) {
  const std::string quoted = "\"" + std::string(name) + "\":";
  const std::size_t at = json.find(quoted);
  if (at == json.npos) return {};
  json.remove_prefix(at + quoted.size());
  while (!json.empty() && json.front() == ' ') json.remove_prefix(1);
  return json;
}

std::uint64_t number_in(std::string_view json, std::string_view name) {
  const std::string_view text = behind(json, name);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// As it stands between its quotes.
std::string_view text_in(std::string_view json, std::string_view name) {
  std::string_view text = behind(json, name);
  if (text.empty() || text.front() != '"') return {};
  text.remove_prefix(1);
  return text.substr(0, text.find('"'));
}

std::string from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return {};
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  const auto padding = static_cast<std::size_t>(
      std::count(text.end() - std::min<std::ptrdiff_t>(2, text.end() - text.begin()), text.end(), '='));
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

// "NATS/1.0\r\nName: value\r\n…\r\n\r\n"
StreamHeaders parse_headers(std::string_view text) {
  StreamHeaders headers;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 2);
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    headers.emplace_back(line.substr(0, colon), value);
  }
  return headers;
}

Stream::Refused judge(std::uint64_t code) {
  switch (code) {
    case JSStreamWrongLastSequenceErr: return Stream::Refused::elsewhere;
    case JSInsufficientResourcesErr:
    case JSStorageResourcesExceededErr:
    case JSMemoryResourcesExceededErr:
    case JSStreamStoreFailedErr: return Stream::Refused::full;  // "maximum bytes exceeded"
    default: return Stream::Refused::other;
  }
}

Id128 id_of(const jsStreamInfo& info) {
  const std::string text = std::string("cproto stream ") + info.Config->Name + " " + std::to_string(info.Created);
  std::uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  Id128 id;
  std::copy_n(digest, id.size(), id.begin());
  return id;
}

// Why a stream that is there cannot be used; empty: it can.
std::string objection(const jsStreamConfig& config) {
  bool has_subjects = false;
  for (int i = 0; i < config.SubjectsLen; ++i) has_subjects |= std::string_view(config.Subjects[i]) == kSubjects;
  if (!has_subjects) return std::string("it does not take the subjects ") + kSubjects;
  if (config.Retention != js_LimitsPolicy)
    return "it drops what its consumers have seen: it has to have the retention \"limits\"";
  if (config.Storage != js_FileStorage) return "it is kept in memory";
  if (config.NoAck) return "it acknowledges nothing";
  return {};
}

}  // namespace

struct NatsStream::Worker {
  // One connection, and what its callbacks know of it.
  struct Link {
    Worker& worker;
    std::uint64_t epoch = 0;
    std::string inbox;
    ConnectionHandle connection;
    ContextHandle context;
    SubscriptionHandle answers;
  };
  struct Event {
    std::uint64_t epoch = 0;
    std::function<void(Owner&)> tell;
    bool closes = false;
  };

  explicit Worker(NatsStreamOptions given) : options(std::move(given)) {}

  // --- the thread ---
  void run();
  void connect(std::uint64_t epoch);
  std::string try_connect(Link& link, StreamTerms& terms);
  std::string find_stream(Link& link, StreamTerms& terms);
  void publish(std::uint64_t ticket, const Publication& publication);
  void ask(std::uint64_t ticket, const std::string& subject);
  void disconnect();

  // --- from any thread ---
  void post(std::uint64_t epoch, std::function<void(Owner&)> tell, bool closes = false);
  static void on_answer(natsConnection* connection, natsSubscription* subscription, natsMsg* message, void* closure);
  static void on_closed(natsConnection* connection, void* closure);

  // --- on the loop ---
  void drain();
  void command(std::function<void()> what);

  const NatsStreamOptions options;
  std::mutex mutex;
  std::condition_variable wakes;
  std::deque<std::function<void()>> commands;
  std::vector<Event> events;
  bool is_ending = false;
  uv_async_t async{};
  std::thread thread;
  // The thread's. Links that are over stay for a while: a callback of theirs may still come.
  std::deque<Link> links;
  Link* link = nullptr;
  // The loop's.
  Owner* owner = nullptr;
  std::uint64_t epoch = 0;
};

// --- the thread ---

void NatsStream::Worker::run() {
  for (;;) {
    std::function<void()> next;
    {
      std::unique_lock lock(mutex);
      wakes.wait(lock, [this] { return is_ending || !commands.empty(); });
      if (is_ending) break;
      next = std::move(commands.front());
      commands.pop_front();
    }
    next();
  }
  disconnect();
}

void NatsStream::Worker::disconnect() {
  if (Link* old = std::exchange(link, nullptr)) {
    old->answers.reset();
    old->context.reset();
    old->connection.reset();
  }
}

void NatsStream::Worker::connect(std::uint64_t of) {
  disconnect();
  if (links.size() == kLinksMax) links.pop_front();
  link = &links.emplace_back(Link{*this, of, {}, {}, {}, {}});
  StreamTerms terms;
  const std::string trouble = try_connect(*link, terms);
  if (trouble.empty()) return post(link->epoch, [terms](Owner& to) { to.on_opened(terms); });
  post(
      of, [trouble](Owner& to) { to.on_closed(trouble); }, true);  // before the connection says that it closed
  disconnect();
}

std::string NatsStream::Worker::try_connect(Link& to, StreamTerms& terms) {
  natsOptions* raw = nullptr;
  natsStatus status = natsOptions_Create(&raw);
  const OptionsHandle made(raw);
  std::vector<const char*> servers;
  bool is_secure = false;
  for (const std::string& server : options.servers) {
    servers.push_back(server.c_str());
    is_secure |= server.starts_with("tls://");
  }
  const auto also = [&](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  also(natsOptions_SetServers(raw, servers.data(), static_cast<int>(servers.size())));
  also(natsOptions_SetName(raw, "cprotod"));
  also(natsOptions_SetTimeout(raw, kConnectMs));
  also(natsOptions_SetWriteDeadline(raw, kWriteMs));
  also(natsOptions_SetPingInterval(raw, kPingMs));
  also(natsOptions_SetSendAsap(raw, true));
  also(natsOptions_SetIOBufSize(raw, kBufferSize));
  // What is sent on a new connection must not follow what was lost on the old one.
  also(natsOptions_SetAllowReconnect(raw, false));
  also(natsOptions_SetClosedCB(raw, on_closed, &to));
  if (is_secure) also(natsOptions_SetSecure(raw, true));
  if (!options.ca.empty()) also(natsOptions_LoadCATrustedCertificates(raw, options.ca.c_str()));
  if (!options.credentials.empty())
    also(natsOptions_SetUserCredentialsFromFiles(raw, options.credentials.c_str(), nullptr));
  if (status != NATS_OK) return natsStatus_GetText(status);
  natsConnection* connection = nullptr;
  status = natsConnection_Connect(&connection, raw);
  to.connection.reset(connection);
  if (status != NATS_OK) return "no server can be reached: " + std::string(natsStatus_GetText(status));
  jsCtx* context = nullptr;
  also(natsConnection_JetStream(&context, connection, nullptr));
  to.context.reset(context);
  natsInbox* inbox = nullptr;
  also(natsInbox_Create(&inbox));
  if (status != NATS_OK) return natsStatus_GetText(status);
  to.inbox = inbox;
  natsInbox_Destroy(inbox);
  natsSubscription* answers = nullptr;
  status = natsConnection_Subscribe(&answers, connection, (to.inbox + ".*").c_str(), on_answer, &to);
  to.answers.reset(answers);
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(answers, -1, -1);  // bounded by what was asked
  if (status != NATS_OK) return natsStatus_GetText(status);
  return find_stream(to, terms);
}

std::string NatsStream::Worker::find_stream(Link& to, StreamTerms& terms) {
  jsErrCode code{};
  jsStreamInfo* info = nullptr;
  natsStatus status = js_GetStreamInfo(&info, to.context.get(), options.stream.c_str(), nullptr, &code);
  if (status == NATS_NOT_FOUND && code == JSStreamNotFoundErr) {
    if (!options.creates) return "there is no stream " + options.stream + " (and jetstream.create = false)";
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subjects[] = {kSubjects};
    config.Name = options.stream.c_str();
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Retention = js_LimitsPolicy;
    config.Discard = js_DiscardNew;
    config.Replicas = options.replicas;
    config.MaxBytes = options.bytes_max == 0 ? -1 : static_cast<std::int64_t>(options.bytes_max);
    config.MaxAge = static_cast<std::int64_t>(options.age_max_ns);
    config.Duplicates = kDuplicatesNs;
    status = js_AddStream(&info, to.context.get(), &config, nullptr, &code);
    if (status != NATS_OK)
      return std::string("it is not there and cannot be made: ") + natsStatus_GetText(status) + " (" +
             std::to_string(code) + ")";
  }
  const InfoHandle found(info);
  if (status == NATS_NO_RESPONDERS) return "the server has no JetStream, or none that is ready";
  if (status != NATS_OK) return std::string("it does not answer: ") + natsStatus_GetText(status);
  terms = {id_of(*found), static_cast<std::size_t>(natsConnection_GetMaxPayload(to.connection.get())),
           static_cast<unsigned>(found->Config->Replicas)};
  return objection(*found->Config);
}

void NatsStream::Worker::publish(std::uint64_t ticket, const Publication& publication) {
  if (link == nullptr) return;
  const std::string reply = link->inbox + "." + kAck + std::to_string(ticket);
  natsMsg* raw = nullptr;
  natsStatus status = natsMsg_Create(&raw, publication.subject.c_str(), reply.c_str(),
                                     reinterpret_cast<const char*>(publication.payload.data()),
                                     static_cast<int>(publication.payload.size()));
  const MessageHandle message(raw);
  const auto add = [&](const std::string& name, const std::string& value) {
    if (status == NATS_OK) status = natsMsgHeader_Set(raw, name.c_str(), value.c_str());
  };
  add(kAfterHeader, std::to_string(publication.after));
  for (const auto& [name, value] : publication.headers) add(name, value);
  if (status == NATS_OK) status = natsConnection_PublishMsg(link->connection.get(), raw);
  if (status == NATS_OK) return;
  post(link->epoch,
       [ticket, status](Owner& to) { to.on_refused(ticket, Refused::unknown, natsStatus_GetText(status)); });
}

void NatsStream::Worker::ask(std::uint64_t ticket, const std::string& subject) {
  if (link == nullptr) return;
  const std::string reply = link->inbox + "." + kQuestion + std::to_string(ticket);
  const std::string request = "{\"last_by_subj\":\"" + subject + "\"}";
  const natsStatus status =
      natsConnection_PublishRequest(link->connection.get(), ("$JS.API.STREAM.MSG.GET." + options.stream).c_str(),
                                    reply.c_str(), request.data(), static_cast<int>(request.size()));
  if (status == NATS_OK) return;
  post(link->epoch, [ticket, status](Owner& to) { to.on_not_asked(ticket, natsStatus_GetText(status)); });
}

// --- from libnats' threads ---

void NatsStream::Worker::on_answer(natsConnection*, natsSubscription*, natsMsg* raw, void* closure) {
  const MessageHandle message(raw);
  const Link& from = *static_cast<Link*>(closure);
  const std::string_view subject = natsMsg_GetSubject(raw);
  const std::size_t dot = subject.rfind('.');
  std::uint64_t ticket = 0;
  if (dot == subject.npos || dot + 2 > subject.size()) return;
  std::from_chars(subject.data() + dot + 2, subject.data() + subject.size(), ticket);
  const bool is_question = subject[dot + 1] == kQuestion;
  const std::string_view json(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
  const std::string_view error = behind(json, "error");
  // The stream has no leader at the moment, or was removed: it is opened anew when it is there, or made again.
  if (natsMsg_IsNoResponders(raw))
    return from.worker.post(
        from.epoch, [](Owner& to) { to.on_closed("no server answers for it"); }, true);
  const std::string why(text_in(error, "description"));
  const std::uint64_t code = number_in(error, "err_code");
  const bool has_failed = !error.empty();
  if (is_question) {
    if (has_failed && code != JSNoMessageFoundErr)
      return from.worker.post(from.epoch, [ticket, why](Owner& to) { to.on_not_asked(ticket, why); });
    std::optional<StreamMessage> last;
    if (!has_failed) {
      const std::string_view found = behind(json, "message");
      last = StreamMessage{number_in(found, "seq"), parse_headers(from_base64(text_in(found, "hdrs")))};
    }
    return from.worker.post(from.epoch, [ticket, last = std::move(last)](Owner& to) { to.on_found(ticket, last); });
  }
  const std::uint64_t sequence = number_in(json, "seq");
  if (has_failed)
    return from.worker.post(from.epoch, [ticket, code, why](Owner& to) { to.on_refused(ticket, judge(code), why); });
  // A server that knows the id may have forgotten the message: what is in the stream is asked.
  if (behind(json, "duplicate").starts_with("true") || sequence == 0)
    return from.worker.post(
        from.epoch, [ticket](Owner& to) { to.on_refused(ticket, Refused::elsewhere, "its id is known already"); });
  from.worker.post(from.epoch, [ticket, sequence](Owner& to) { to.on_stored(ticket, sequence); });
}

void NatsStream::Worker::on_closed(natsConnection* connection, void* closure) {
  const Link& from = *static_cast<Link*>(closure);
  const char* last = nullptr;
  const natsStatus status = natsConnection_GetLastError(connection, &last);
  std::string why = "the connection was closed";
  if (last != nullptr && *last != '\0')
    why += std::string(": ") + last;
  else if (status != NATS_OK)
    why += std::string(": ") + natsStatus_GetText(status);
  from.worker.post(
      from.epoch, [why](Owner& to) { to.on_closed(why); }, true);
}

void NatsStream::Worker::post(std::uint64_t of, std::function<void(Owner&)> tell, bool closes) {
  const std::lock_guard lock(mutex);
  if (is_ending) return;
  events.push_back({of, std::move(tell), closes});
  uv_async_send(&async);
}

// --- on the loop ---

void NatsStream::Worker::command(std::function<void()> what) {
  const std::lock_guard lock(mutex);
  commands.push_back(std::move(what));
  wakes.notify_one();
}

void NatsStream::Worker::drain() {
  std::vector<Event> heard;
  {
    const std::lock_guard lock(mutex);
    heard.swap(events);
  }
  for (const Event& event : heard) {
    if (event.epoch != epoch) continue;
    if (event.closes) ++epoch;  // nothing more of that connection
    if (owner != nullptr) event.tell(*owner);
  }
}

NatsStream::NatsStream(uv_loop_t* loop, NatsStreamOptions options)
    : worker_(std::make_shared<Worker>(std::move(options))) {
  uv_async_init(loop, &worker_->async, [](uv_async_t* handle) { static_cast<Worker*>(handle->data)->drain(); });
  worker_->async.data = worker_.get();
  worker_->thread = std::thread([worker = worker_.get()] { worker->run(); });
}

NatsStream::~NatsStream() {
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->is_ending = true;
    worker_->wakes.notify_one();
  }
  worker_->thread.join();
  nats_CloseAndWait(kConnectMs);
  // Its memory is the handle's until the loop has closed it.
  worker_->async.data = new std::shared_ptr<Worker>(worker_);
  uv_close(reinterpret_cast<uv_handle_t*>(&worker_->async),
           [](uv_handle_t* handle) { delete static_cast<std::shared_ptr<Worker>*>(handle->data); });
}

void NatsStream::set_owner(Owner* owner) { worker_->owner = owner; }

void NatsStream::open() {
  worker_->command([worker = worker_.get(), epoch = worker_->epoch] { worker->connect(epoch); });
}

void NatsStream::publish(std::uint64_t ticket, Publication publication) {
  worker_->command([worker = worker_.get(), ticket, one = std::move(publication)] { worker->publish(ticket, one); });
}

void NatsStream::find_last(std::uint64_t ticket, const std::string& subject) {
  worker_->command([worker = worker_.get(), ticket, subject] { worker->ask(ticket, subject); });
}

}  // namespace cproto
