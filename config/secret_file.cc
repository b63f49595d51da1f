#include "config/secret_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace cproto {

namespace {

constexpr std::size_t kFileMax = 4u << 20;

}  // namespace

int read_secret_file(const std::string& path, std::string& text) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return errno;
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // its buffer would not be wiped
  text.resize(kFileMax + 1);
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return errno;
  return text.size() > kFileMax ? EFBIG : 0;
}

std::string warning_of_secret(const std::string& path) {
  struct stat status {};
  const bool is_open = !path.empty() && ::stat(path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0;
  return is_open ? path + ": everybody on this machine can read it; chmod o-r " + path : "";
}

}  // namespace cproto
