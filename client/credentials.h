// What the client shows and whom it believes, from the files its arguments name: read once, before anything else.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/options.h"
#include "client/source.h"
#include "proto/tls_context.h"

namespace cproto::client {

struct Credentials {
  std::shared_ptr<const TlsContext> tls;  // nullptr: plain text is spoken
  // Whose the key or the certificate is. Empty: nobody's that they name.
  std::string client_id;
  // What somebody ought to see to. Empty: nothing.
  std::string warning;
};

// A problem says what cannot be used, and nothing of what is in it.
std::optional<Problem> read_credentials(const TlsOptions& options, Credentials& credentials);

}  // namespace cproto::client
