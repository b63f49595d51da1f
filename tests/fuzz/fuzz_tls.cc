// Whatever passes between the two ends of a TLS connection, or is changed, cut or put in on the way: the server takes
// what this very client wrote, in order and from the beginning, as that client's, and nothing else.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "proto/assert.h"
#include "proto/tls_stream.h"

using namespace cproto;

namespace {

enum Action : std::uint8_t {
  kToServer,
  kToClient,
  kClientWrites,
  kServerWrites,
  kChange,
  kPutIn,
  kClientCloses,
  kActions
};

ClientKey key(std::uint8_t seed) {
  std::array<std::uint8_t, Secret::kSize> bytes{};
  bytes.fill(seed);
  return {"web-1", Secret(bytes)};
}

std::shared_ptr<const TlsContext> server_side() {
  static const auto context = [] {
    TlsServerSettings settings;
    settings.keys.push_back(key(1));
    std::string trouble;
    return TlsContext::of_server(std::move(settings), trouble);
  }();
  return context;
}

std::shared_ptr<const TlsContext> client_side(bool has_right_key) {
  const auto make = [](std::uint8_t seed) {
    TlsClientSettings settings;
    settings.key = key(seed);
    std::string trouble;
    return TlsContext::of_client(std::move(settings), trouble);
  };
  static const auto right = make(1);
  static const auto wrong = make(2);
  return has_right_key ? right : wrong;
}

class Run {
 public:
  explicit Run(bool has_right_key)
      : has_right_key_(has_right_key), server_(server_side()), client_(client_side(has_right_key)) {
    client_.start();
  }

  void play(ByteView script) {
    const auto next = [&]() -> std::uint8_t {
      if (script.empty()) return 0;
      const std::uint8_t byte = script.front();
      script = script.subspan(1);
      return byte;
    };
    while (!script.empty()) {
      const auto action = static_cast<Action>(next() % kActions);
      const std::uint8_t argument = next();
      switch (action) {
        case kToServer: carry(client_, server_, to_server_, argument); break;
        case kToClient: carry(server_, client_, to_client_, argument); break;
        case kClientWrites: write(argument); break;
        case kServerWrites:
          if (server_.can_write()) server_.write(Bytes(argument));
          break;
        case kChange: change(argument, next()); break;
        case kPutIn: {
          const ByteView bytes = script.first(std::min<std::size_t>(script.size(), argument));
          to_server_.insert(to_server_.begin(), bytes.begin(), bytes.end());
          script = script.subspan(bytes.size());
          is_tampered_with_ = is_tampered_with_ || !bytes.empty();
          break;
        }
        case kClientCloses: client_.close(); break;
        case kActions: break;
      }
    }
  }

  // What is still on its way arrives.
  void finish() {
    for (int i = 0; i < 8; ++i) {
      carry(client_, server_, to_server_, 0);
      carry(server_, client_, to_client_, 0);
    }
    if (is_tampered_with_) return;
    CPROTO_ASSERT(server_.is_open() == has_right_key_);
    CPROTO_ASSERT(client_.is_open() == has_right_key_);
    CPROTO_ASSERT(received_ == written_);
  }

 private:
  // `size` bytes of what is on the way, or all.
  void carry(TlsStream& from, TlsStream& to, Bytes& on_the_way, std::size_t size) {
    append(on_the_way, std::exchange(from.output(), {}));
    const std::size_t count = size == 0 ? on_the_way.size() : std::min(size, on_the_way.size());
    const Bytes bytes(on_the_way.begin(), on_the_way.begin() + static_cast<std::ptrdiff_t>(count));
    on_the_way.erase(on_the_way.begin(), on_the_way.begin() + static_cast<std::ptrdiff_t>(count));
    std::array<std::uint8_t, 700> buffer;
    to.receive(bytes);
    for (ByteView plain = to.read(buffer); !plain.empty(); plain = to.read(buffer))
      if (&to == &server_) take(plain);
    if (server_.is_open()) CPROTO_ASSERT(has_right_key_ && server_.key()->client_id == "web-1");
  }

  void take(ByteView plain) {
    CPROTO_ASSERT(server_.is_open());
    append(received_, plain);
    CPROTO_ASSERT(received_.size() <= written_.size() &&
                  std::equal(received_.begin(), received_.end(), written_.begin()));
  }

  void write(std::uint8_t size) {
    if (!client_.can_write() || written_.size() > 20'000) return;
    Bytes bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(counter_++ * 151 >> 3);
    client_.write(bytes);
    append(written_, bytes);
  }

  void change(std::uint8_t at, std::uint8_t mask) {
    if (mask == 0 || to_server_.empty()) return;
    to_server_[at % to_server_.size()] ^= mask;
    is_tampered_with_ = true;
  }

  bool has_right_key_;
  bool is_tampered_with_ = false;
  TlsStream server_;
  TlsStream client_;
  Bytes to_server_;
  Bytes to_client_;
  Bytes written_;
  Bytes received_;
  std::uint32_t counter_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Run run((data[0] & 1) == 0);
  run.play(ByteView(data, size).subspan(1));
  run.finish();
  return 0;
}
