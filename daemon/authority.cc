#include "daemon/authority.h"

#include <algorithm>

#include "proto/options.h"

namespace cproto {

Authority::Authority(const std::map<std::string, Config::Client>& clients) {
  for (const auto& [name, client] : clients) {
    Rules& rules = rules_[name];
    rules.channels = client.channels;
    rules.files = client.files;
    for (const std::string& network : client.from) rules.from.push_back(*parse_network(network));
    if (!client.certificate_name.empty()) by_certificate_name_[client.certificate_name] = name;
  }
}

// A key belongs to who it was made for. Of a certificate's names the first counts that is mapped, else the first that
// can be a client's.
Identity Authority::identify(const TlsStream& stream) const {
  if (stream.key() != nullptr) return {Identity::Proof::key, stream.key()->client_id, {}};
  const std::vector<std::string>& names = stream.certificate_names();
  if (names.empty()) return {Identity::Proof::anonymous, {}, {}};
  for (const std::string& name : names)
    if (const auto it = by_certificate_name_.find(name); it != by_certificate_name_.end())
      return {Identity::Proof::certificate, it->second, {}};
  const auto own =
      std::find_if(names.begin(), names.end(), [](const std::string& name) { return is_valid_name(name); });
  if (own == names.end()) return {Identity::Proof::anonymous, {}, names.front()};
  return {Identity::Proof::certificate, *own, {}};
}

const Authority::Rules* Authority::rules_of(const std::string& client_id) const {
  const auto it = rules_.find(client_id);
  return it == rules_.end() ? nullptr : &it->second;
}

std::optional<Error> Authority::check(const Rules& rules, MessageKind kind, const std::string& channel) {
  if (kind == MessageKind::file && !rules.files) return Error::of(ErrorCode::files_not_allowed);
  const auto& channels = rules.channels;
  if (channel.empty() || channels.empty() || std::find(channels.begin(), channels.end(), channel) != channels.end())
    return std::nullopt;
  return Error::of(ErrorCode::channel_not_allowed, 0, channel);
}

std::optional<Error> Authority::check(const std::string& client_id, const MessageHeader& header) const {
  const Rules* rules = rules_of(client_id);
  return rules == nullptr ? std::nullopt : check(*rules, header.kind, header.channel);
}

std::optional<Error> Authority::check(const Syn& syn, const Identity& identity, const std::string& host) const {
  if (identity.proof == Identity::Proof::anonymous) return Error::of(ErrorCode::identity_required, 0, identity.detail);
  if (identity.proof != Identity::Proof::none && syn.client_id != identity.client_id)
    return Error::of(ErrorCode::wrong_identity, 0, "it is " + identity.client_id + "'s");
  const Rules* rules = rules_of(syn.client_id);
  if (rules == nullptr) return std::nullopt;
  const auto is_there = [&](const Network& network) { return network.contains(host); };
  if (!rules->from.empty() && std::none_of(rules->from.begin(), rules->from.end(), is_there))
    return Error::of(ErrorCode::address_not_allowed, 0, host);
  return check(*rules, syn.kind, syn.channel);
}

}  // namespace cproto
