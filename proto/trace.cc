#include "proto/trace.h"

#include "proto/control.h"
#include "proto/error.h"
#include "proto/handshake.h"

namespace cproto {

namespace {

std::string describe_ack(ByteView payload) {
  if (const auto confirmation = decode_confirmation(payload))
    return confirmation->closed_at ? "ACK of the close" : "ACK of the session";
  const std::optional<Ack> ack = decode_ack(payload);
  if (!ack) return "ACK, malformed";
  std::string text = "ACK durable " + std::to_string(ack->durable_through.value) + ", received " +
                     std::to_string(ack->received_through.value) + ", limit " + std::to_string(ack->limit_number.value);
  for (const SeqRange& range : ack->ranges)
    text += ", " + std::to_string(range.first.value) + "-" + std::to_string(range.last.value);
  for (const Refusal& refusal : ack->refusals)
    text += ", " + error_name(refusal.code) + " " + std::to_string(refusal.first.value);
  return ack->is_final ? text + ", final" : text;
}

std::string describe_syn(ByteView payload) {
  const auto decoded = decode_syn(payload);
  const Syn* syn = std::get_if<Syn>(&decoded);
  if (syn == nullptr) return "SYN, refused: " + error_name(std::get<Error>(decoded).code);
  return "SYN " + syn->client_id + "/" + syn->channel + ", packet " + std::to_string(syn->max_packet_size) +
         ", window " + std::to_string(syn->window_size) + ", attempt " + std::to_string(syn->attempt) +
         (syn->resume ? ", resume behind " + std::to_string(syn->resume->acknowledged.value) : "");
}

std::string describe_syn_ack(ByteView payload) {
  const auto decoded = decode_syn_ack(payload);
  const SynAck* terms = std::get_if<SynAck>(&decoded);
  if (terms == nullptr) return "SYN-ACK, malformed";
  return "SYN-ACK packet " + std::to_string(terms->max_packet_size) + ", window " + std::to_string(terms->window_size) +
         ", durable " + std::to_string(terms->durable_through.value);
}

std::string describe_error(ByteView payload) {
  const std::optional<Error> error = decode_error(payload);
  if (!error) return "ERROR, malformed";
  return "ERROR " + error_name(error->code) + ", number " + std::to_string(error->number) + ": " + error->sentence;
}

std::string describe_disconnect(ByteView payload) {
  const std::optional<Disconnect> disconnect = decode_disconnect(payload);
  if (!disconnect) return "DISCONNECT, malformed";
  return std::string("DISCONNECT ") + (disconnect->end == Disconnect::End::finish ? "finish" : "pause") + ", last " +
         std::to_string(disconnect->last.value);
}

std::string describe_keep_alive(ByteView payload) {
  const std::optional<KeepAlive> keep_alive = decode_keep_alive(payload);
  if (!keep_alive) return "KEEP-ALIVE, malformed";
  return *keep_alive == KeepAlive::ask ? "KEEP-ALIVE ask" : "KEEP-ALIVE answer";
}

}  // namespace

std::string describe(const Frame& frame) {
  switch (frame.type) {
    case FrameType::data:
    case FrameType::fragment:
    case FrameType::header:
      return std::string(frame_type_name(frame.type)) + " " + std::to_string(frame.seq.value) + ", " +
             std::to_string(frame.payload.size()) + " B";
    case FrameType::ack: return describe_ack(frame.payload);
    case FrameType::error: return describe_error(frame.payload);
    case FrameType::keep_alive: return describe_keep_alive(frame.payload);
    case FrameType::disconnect: return describe_disconnect(frame.payload);
    case FrameType::syn: return describe_syn(frame.payload);
    case FrameType::syn_ack: return describe_syn_ack(frame.payload);
  }
  return "type " + std::to_string(static_cast<unsigned>(frame.type)) + ", " + std::to_string(frame.payload.size()) +
         " B";
}

}  // namespace cproto
