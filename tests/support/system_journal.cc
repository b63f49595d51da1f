#include "tests/support/system_journal.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "client/journal_reader.h"

namespace cproto::test {

namespace {

const std::string kTool = "/lib/systemd/systemd-journal-remote";

std::string little_endian(std::uint64_t size) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(size >> shift & 0xff);
  return bytes;
}

}  // namespace

bool has_system_journals() {
  std::string lack;
  if (!client::JournalReader::is_available()) lack = "built without libsystemd";
  if (!std::filesystem::exists(kTool)) lack = "no " + kTool + " (package systemd-journal-remote)";
  if (lack.empty()) return true;
  const char* no_skip = std::getenv("CPROTO_NO_SKIP");
  const bool may_skip = no_skip == nullptr || std::string_view(no_skip) != "1";
  MESSAGE("skipped: " << lack);
  CHECK(may_skip);
  return false;
}

std::string exported_entry(std::uint64_t number, const JournalFields& fields) {
  std::string text = "__REALTIME_TIMESTAMP=" + std::to_string(1'600'000'000'000'000 + number) +
                     "\n__MONOTONIC_TIMESTAMP=" + std::to_string(number) +
                     "\n_BOOT_ID=0123456789abcdef0123456789abcdef\n";
  for (const auto& [name, value] : fields)
    text.append(name).append("\n").append(little_endian(value.size())).append(value).append("\n");
  return text + "\n";
}

SystemJournal::SystemJournal() { std::filesystem::create_directory(path("")); }

void SystemJournal::write_export(const std::string& exported, const std::string& file) const {
  const std::string command = kTool + " -o '" + path(file) + "' - 2>/dev/null";
  std::FILE* pipe = popen(command.c_str(), "w");
  REQUIRE(pipe != nullptr);
  CHECK(std::fwrite(exported.data(), 1, exported.size(), pipe) == exported.size());
  REQUIRE(pclose(pipe) == 0);
}

void SystemJournal::write_numbers(std::uint64_t first, std::uint64_t last, const std::string& file) const {
  std::string exported;
  for (std::uint64_t number = first; number <= last; ++number)
    exported += exported_entry(number, {{"NUMBER", std::to_string(number)}});
  write_export(exported, file);
}

void SystemJournal::rename(const std::string& from, const std::string& to) const {
  std::filesystem::rename(path(from), path(to));
}

void SystemJournal::remove(const std::string& file) const { std::filesystem::remove(path(file)); }

std::string output_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> part{};
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), pipe)) output.append(part.data(), size);
  REQUIRE(pclose(pipe) == 0);
  return output;
}

}  // namespace cproto::test
