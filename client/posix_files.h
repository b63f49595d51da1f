// The client's disk, as the system has it.
#pragma once

#include "client/files.h"

namespace cproto::client {

class PosixFiles final : public Files {
 public:
  int open(const std::string& path, Access access, std::unique_ptr<OpenFile>& opened) override;
  std::optional<FileFacts> facts_of(const std::string& path) const override;
  int list(const std::string& directory, std::vector<std::string>& names) const override;
  std::string follow_links(const std::string& path) const override;
  int make_directory(const std::string& path, unsigned mode) override;
  int sync_directory(const std::string& path) override;
  int remove(const std::string& path) override;
  std::int64_t clock_ns() const override;
};

}  // namespace cproto::client
