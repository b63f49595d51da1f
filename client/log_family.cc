#include "client/log_family.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace cproto::client {

namespace {

constexpr std::array<std::string_view, 7> kCompressors = {".gz", ".xz", ".zst", ".bz2", ".Z", ".lz4", ".zip"};
constexpr std::array<std::string_view, 4> kAside = {".old", ".bak", ".prev", "~"};
// A rotation number has at most so many digits; what has more is a date.
constexpr std::size_t kNumberDigitsMax = 5;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_separator(char c) { return c == '.' || c == '-' || c == '_'; }

// ".1", "-20260101", "_2026-01-01T00:00:00Z", ".old"
std::optional<Rotation> rotation_in(std::string_view suffix) {
  if (std::find(kAside.begin(), kAside.end(), suffix) != kAside.end()) return Rotation{};
  if (suffix.size() < 2 || !is_separator(suffix[0])) return std::nullopt;
  std::string digits;
  for (const char c : suffix.substr(1)) {
    if (is_digit(c))
      digits += c;
    else if (!is_separator(c) && c != ':' && c != 'T' && c != 'Z')
      return std::nullopt;
  }
  if (digits.empty()) return std::nullopt;
  if (digits.size() == suffix.size() - 1 && digits.size() <= kNumberDigitsMax) {
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
    return Rotation{Rotation::Kind::number, digits};
  }
  const bool begins_with_year = digits.size() >= 6 && (digits.starts_with("19") || digits.starts_with("20"));
  return Rotation{begins_with_year || digits.size() >= 10 ? Rotation::Kind::date : Rotation::Kind::unspecific, digits};
}

std::string_view without_compressor(std::string_view name) {
  for (const std::string_view ending : kCompressors)
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return name;
}

template <class T>
int compare(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

bool are_numbered(const Relative& file, const Relative& other) {
  return file.rotation && other.rotation && file.rotation->kind == Rotation::Kind::number &&
         other.rotation->kind == Rotation::Kind::number;
}

// Of two that are numbered: greater if `file` has the larger number.
int compare_numbers(const Relative& file, const Relative& other) {
  const std::string& a = file.rotation->digits;
  const std::string& b = other.rotation->digits;
  return a.size() != b.size() ? compare(a.size(), b.size()) : compare(a, b);
}

// Greater: `file` has the later date. 0: the names do not tell.
int compare_dates(const Relative& file, const Relative& other) {
  if (!file.rotation || !other.rotation || file.rotation->kind != Rotation::Kind::date ||
      other.rotation->kind != Rotation::Kind::date)
    return 0;
  const std::string& a = file.rotation->digits;
  const std::string& b = other.rotation->digits;
  return a.size() != b.size() ? 0 : compare(a, b);
}

// The last component, and what is before it with its slash.
struct Name {
  std::string directory;
  std::string last;
};
Name split(const std::string& path) {
  const std::size_t slash = path.find_last_of('/') + 1;
  return {path.substr(0, slash), path.substr(slash)};
}

Family list(const Files& files, const std::string& log, std::span<const std::uint64_t> inodes) {
  const Name log_name = split(log);
  Family family;
  std::vector<std::string> names;
  const int error = files.list(directory_of(log), names);
  for (const std::string& name : names) {
    const bool is_log = name == log_name.last;
    const std::string_view bare = is_log ? name : without_compressor(name);
    Relative file{log_name.directory + name, {}, is_log, bare.size() < name.size(), rotation_of(bare, log_name.last)};
    const std::optional<FileFacts> facts = files.facts_of(file.path);
    if (!facts || why_no_log(facts->mode) != 0) continue;
    file.facts = *facts;
    const bool is_sought = std::find(inodes.begin(), inodes.end(), facts->inode) != inodes.end();
    if (file.is_log || file.rotation || is_sought) family.push_back(std::move(file));
  }
  // A directory that may be passed but not read: the log is all that is known.
  if (error != 0 && family.empty())
    if (const auto facts = files.facts_of(log)) family.push_back({log, *facts, true, false, std::nullopt});
  std::sort(family.begin(), family.end(), [](const Relative& a, const Relative& b) { return a.path < b.path; });
  return family;
}

// A compressor at work leaves both; what is still there uncompressed is not lost.
bool is_beside_original(const Family& family, const Relative& file) {
  const std::string_view original = without_compressor(file.path);
  return std::any_of(family.begin(), family.end(), [&](const Relative& other) { return other.path == original; });
}

bool open_behind(Files& files, LogFile& opened, const Relative& file, FilePlace place) {
  if (open(files, opened, file, place.offset) != 0) return false;
  if (opened.is_past_line_feed()) {
    opened.rewind(1);
    --place.offset;
  }
  return opened.fits(place);
}

}  // namespace

std::optional<Rotation> rotation_of(std::string_view name, std::string_view log) {
  if (name.starts_with(log))
    if (auto rotation = rotation_in(name.substr(log.size()))) return rotation;
  const std::size_t dot = log.rfind('.');
  if (dot == log.npos || dot == 0) return std::nullopt;
  const std::string_view stem = log.substr(0, dot);
  const std::string_view extension = log.substr(dot);
  if (!name.starts_with(stem) || !name.ends_with(extension) || name.size() <= log.size()) return std::nullopt;
  return rotation_in(name.substr(stem.size(), name.size() - log.size()));
}

Chronology::Chronology(const Family& family) {
  for (const Relative& file : family)
    if (file.is_log) log_ = file.facts;
  // Times that cannot be right say nothing of numbers, and then the newest has the smallest, as nearly everywhere.
  if (std::any_of(family.begin(), family.end(), [this](const Relative& file) { return is_out_of_time(file); })) {
    numbers_ = -1;
    return;
  }
  int rising = 0;
  for (auto file = family.begin(); file != family.end(); ++file) {
    for (auto other = std::next(file); other != family.end(); ++other) {
      if (file->is_compressed || other->is_compressed || !are_numbered(*file, *other)) continue;
      const int births = compare_births(*file, *other);
      if (births == compare(file->facts.modified_ns, other->facts.modified_ns))
        rising += births * compare_numbers(*file, *other);
    }
  }
  numbers_ = compare(rising, 0);
}

// Begun after it was written, or after the log that replaced it: the clock was put back, or it is a copy.
bool Chronology::is_out_of_time(const Relative& file) const {
  const std::int64_t born = file.facts.born_ns;
  if (file.is_compressed || born == 0) return false;
  return file.facts.modified_ns < born || (!file.is_log && log_.born_ns != 0 && born > log_.born_ns);
}

// Whether the clock says that a rotated file is newer than the log.
bool Chronology::is_ahead(const Relative& file) const {
  return !file.is_log && log_.born_ns != 0 && file.facts.born_ns > log_.born_ns &&
         file.facts.modified_ns > log_.modified_ns;
}

// 0: they are not known everywhere, and compressing makes a new file.
int Chronology::compare_births(const Relative& file, const Relative& other) const {
  const bool are_known =
      file.facts.born_ns != 0 && other.facts.born_ns != 0 && !file.is_compressed && !other.is_compressed;
  return are_known ? compare(file.facts.born_ns, other.facts.born_ns) : 0;
}

std::weak_ordering Chronology::written(const Relative& file, const Relative& other) const {
  if (file.is_log != other.is_log) return file.is_log ? std::weak_ordering::greater : std::weak_ordering::less;
  const bool is_one_clock = is_ahead(file) == is_ahead(other);
  int names = is_one_clock ? compare_dates(file, other) : 0;
  if (are_numbered(file, other)) {
    names = compare_numbers(file, other) * (numbers_ != 0 ? numbers_ : -1);
    if (numbers_ != 0) return names <=> 0;
  }
  // Not every compressor gives the new file the old one's time.
  if (!is_one_clock || (names != 0 && (file.is_compressed || other.is_compressed))) return names <=> 0;
  return names + compare_births(file, other) + compare(file.facts.modified_ns, other.facts.modified_ns) <=> 0;
}

// Listing takes a moment, in which a rotation under way can move a file past it. Two lists that are the same show what
// was there at one time.
std::optional<Family> find_family(const Files& files, const std::string& path, std::span<const std::uint64_t> inodes) {
  constexpr int kTries = 20;
  Family family = list(files, path, inodes);
  for (int i = 0; i < kTries; ++i) {
    Family again = list(files, path, inodes);
    if (again == family) return again;
    family = std::move(again);
  }
  return std::nullopt;
}

bool is_refilled(Files& files, const Family& family, const LogFile& log, const FilePlace& place) {
  if (place.fingerprint.bytes == 0 || place.fingerprint.bytes >= kFingerprintBytesMax) return false;
  return std::any_of(family.begin(), family.end(), [&](const Relative& file) {
    const bool is_since = !file.is_log && file.facts.born_ns > place.modified_ns;
    if (!is_since || file.is_compressed || !file.rotation || is_same(file.facts, place)) return false;
    LogFile copy;
    if (open(files, copy, file) != 0 || !copy.fits(place)) return false;
    FilePlace whole = copy.place();
    whole.offset = 0;
    return !log.fits(whole);
  });
}

LogFile find_file(Files& files, const Family& family, const FilePlace& place) {
  for (const Relative& file : family) {
    LogFile found;
    if (!is_same(file.facts, place) || file.is_compressed || !open_behind(files, found, file, place)) continue;
    if (!file.is_log || !is_refilled(files, family, found, place)) return found;
  }
  const Chronology order(family);
  LogFile oldest;
  const Relative* chosen = nullptr;
  for (const Relative& file : family) {
    if (place.fingerprint.bytes == 0 || file.is_compressed || file.facts.modified_ns < place.modified_ns) continue;
    if (file.is_log && is_same(file.facts, place)) continue;
    if (chosen != nullptr && !(order.written(file, *chosen) < 0)) continue;
    LogFile found;
    if (!open_behind(files, found, file, place)) continue;
    oldest = std::move(found);
    oldest.is_copy = !file.is_log;
    chosen = &file;
  }
  return oldest;
}

int open(Files& files, LogFile& opened, const Relative& file, std::uint64_t offset) {
  const int error = opened.open(files, file.path, offset);
  if (error != 0 || is_same(file.facts, opened.place())) return error;
  opened.close();
  return ENOENT;
}

Succession find_next(const Chronology& order, const Family& family, const Relative& file) {
  Succession succession;
  for (const Relative& other : family) {
    if (other.is_compressed || (!other.is_log && !other.rotation)) continue;
    const auto when = order.written(other, file);
    if (when < 0) continue;
    if (when == 0)
      succession.unclear.push_back(&other);
    else if (succession.next == nullptr || order.written(other, *succession.next) < 0)
      succession.next = &other;
  }
  if (succession.next == nullptr) return succession;
  for (const Relative& other : family) {
    if (!other.is_compressed || is_beside_original(family, other)) continue;
    if (order.written(other, file) > 0 && !(order.written(other, *succession.next) > 0))
      succession.lost.push_back(&other);
  }
  return succession;
}

// The last four bytes of gzip's format (RFC 1952, ISIZE).
std::optional<std::uint64_t> uncompressed_size(Files& files, const std::string& path) {
  if (!path.ends_with(".gz")) return std::nullopt;
  std::unique_ptr<OpenFile> file;
  if (files.open(path, Files::Access::read, file) != 0) return std::nullopt;
  const std::optional<FileFacts> facts = file->facts();
  std::array<std::uint8_t, 4> size{};
  if (!facts || facts->size <= size.size() || file->read(size, facts->size - size.size()) != 4) return std::nullopt;
  return static_cast<std::uint64_t>(size[0]) | static_cast<std::uint64_t>(size[1]) << 8 |
         static_cast<std::uint64_t>(size[2]) << 16 | static_cast<std::uint64_t>(size[3]) << 24;
}

}  // namespace cproto::client
