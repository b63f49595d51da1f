// The files of [tls]: from the configuration to what a connection needs of them.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "proto/tls_context.h"

namespace cproto {

struct LoadedTls {
  std::shared_ptr<const TlsContext> context;  // nullptr: TLS is off, or there is a problem
  std::string problem;                        // "tls.certificate: /etc/…: …"; empty: all is well
  std::string warning = {};                   // a secret that others can read; empty: none
};

// Reads them anew, and waits for the disk.
LoadedTls load_tls(const Config::Tls& tls);

}  // namespace cproto
