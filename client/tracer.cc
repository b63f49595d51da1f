#include "client/tracer.h"

#include <array>
#include <cstdio>
#include <limits>

#include "proto/trace.h"

namespace cproto::client {

Tracer::Tracer(Instant start) : start_(start) { restart(); }

void Tracer::restart() {
  for (Decoder* decoder : {&sent_, &received_}) {
    *decoder = Decoder(Transport::stream);
    decoder->set_payload_max(kPacketSizeMax);
  }
}

std::string Tracer::trace(Instant now, const char* arrow, Decoder& decoder, ByteView bytes) const {
  std::array<char, 48> prefix{};
  std::snprintf(prefix.data(), prefix.size(), "%10.6f %s ", std::chrono::duration<double>(now - start_).count(), arrow);
  std::string lines;
  decoder.feed(bytes);
  while (true) {
    const Decoder::Result result = decoder.next();
    switch (result.status) {
      case Decoder::Status::need_more: return lines;
      case Decoder::Status::frame: lines.append(prefix.data()).append(describe(result.frame)).append("\n"); break;
      case Decoder::Status::damaged: lines.append(prefix.data()).append("a damaged frame\n"); break;
      case Decoder::Status::too_large: return lines.append(prefix.data()).append("no frame\n");
    }
  }
}

}  // namespace cproto::client
