// Where the files of [tls] are.
#pragma once

#include <string>

#include "config/config.h"

namespace cproto {

// A name without a slash is one that the service manager hands over, in $CREDENTIALS_DIRECTORY; anything else is a
// path, and is returned as it is.
[[nodiscard]] std::string credential_path(const std::string& name);

// Whether TLS is on: there is a certificate, or a key file. Looks at the disk.
[[nodiscard]] bool has_tls(const Config::Tls& tls);

}  // namespace cproto
