#include "config/credentials.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace cproto {

std::string credential_path(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos) return name;
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  return directory == nullptr ? name : std::string(directory) + "/" + name;
}

// Only the default's file may be absent. One that is named, or cannot be looked for, has to be there: whoever reads it
// says that it is not.
bool has_tls(const Config::Tls& tls) {
  if (!tls.certificate.empty()) return true;
  if (tls.keys.empty()) return false;
  std::error_code error;
  return tls.keys != Config::Tls().keys || std::filesystem::exists(tls.keys, error) || error;
}

}  // namespace cproto
