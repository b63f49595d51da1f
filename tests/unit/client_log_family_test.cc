#include "client/log_family.h"

#include <doctest/doctest.h>

#include <string>

using namespace cproto;
using namespace cproto::client;

namespace {

using Kind = Rotation::Kind;

Relative relative(std::string_view name, std::int64_t born, std::int64_t modified) {
  Relative file;
  file.path = name;
  file.facts.born_ns = born;
  file.facts.modified_ns = modified;
  file.is_log = name == "app.log";
  file.is_compressed = name.ends_with(".gz");
  file.rotation = rotation_of(file.is_compressed ? name.substr(0, name.size() - 3) : name, "app.log");
  return file;
}

std::weak_ordering written(const Relative& file, const Relative& other) {
  return Chronology({file, other}).written(file, other);
}

}  // namespace

TEST_CASE("log family: a rotated log is known by its name") {
  CHECK(rotation_of("app.log.1", "app.log") == Rotation{Kind::number, "1"});
  CHECK(rotation_of("app.log.007", "app.log") == Rotation{Kind::number, "7"});
  CHECK(rotation_of("app.log.0", "app.log") == Rotation{Kind::number, "0"});
  CHECK(rotation_of("app-12.log", "app.log") == Rotation{Kind::number, "12"});
  CHECK(rotation_of("app.log-20260102", "app.log") == Rotation{Kind::date, "20260102"});
  CHECK(rotation_of("app-2026-01-02.log", "app.log") == Rotation{Kind::date, "20260102"});
  CHECK(rotation_of("app.log.2026-01-02T03:04:05Z", "app.log") == Rotation{Kind::date, "20260102030405"});
  CHECK(rotation_of("app.log-02012026", "app.log") == Rotation{Kind::unspecific, "02012026"});
  CHECK(rotation_of("app.log.old", "app.log") == Rotation{});
  CHECK(rotation_of("syslog.1", "syslog") == Rotation{Kind::number, "1"});
}

TEST_CASE("log family: another log is none, however alike its name is") {
  for (const char* name : {"app.log", "app.log.errors", "app.log.", "app.log1", "app.logs", "app-errors.log", "app.lo",
                           "app.log.1.txt", "app.log.swp", "app", ".log", "app.1", "1.app.log"})
    CHECK_MESSAGE(!rotation_of(name, "app.log"), name);
  CHECK_FALSE(rotation_of("mail.err", "mail"));
}

TEST_CASE("log family: what two of name, birth and modification say is believed") {
  const Relative left = relative("app.log.2", 100, 200);
  CHECK(written(relative("app.log.1", 200, 300), left) > 0);
  CHECK(written(relative("app.log.3", 50, 100), left) < 0);
  CHECK(written(relative("app.log", 250, 300), left) > 0);
  // Written to late: the older one, or the one we read.
  CHECK(written(relative("app.log.3", 50, 300), left) < 0);
  CHECK(written(relative("app.log.1", 150, 180), left) > 0);
  // Numbered upwards.
  CHECK(written(relative("app.log.3", 200, 300), left) > 0);
  CHECK(written(relative("app.log.1", 50, 100), left) < 0);
  // Births are not known everywhere, and then there may be two who contradict each other.
  CHECK(written(relative("app.log.1", 0, 200), left) > 0);
  CHECK(written(relative("app.log.1", 0, 100), left) == 0);
  CHECK(written(relative("app.log.old", 0, 300), left) > 0);
}

TEST_CASE("log family: of a compressed one the name is believed, then the time, but not its birth") {
  const Relative left = relative("app.log.2", 100, 200);
  CHECK(written(relative("app.log.1.gz", 300, 300), left) > 0);
  CHECK(written(relative("app.log.3.gz", 300, 300), left) < 0);
  CHECK(written(relative("app.log.old.gz", 300, 300), left) > 0);
  CHECK(written(relative("app.log.old.gz", 300, 150), left) < 0);
}

TEST_CASE("log family: where the clock was put back since a file was rotated, the numbers tell what came after it") {
  const Family family = {relative("app.log", 40, 50), relative("app.log.1", 20, 40), relative("app.log.2", 900, 950)};
  const Chronology order(family);
  CHECK(order.written(family[1], family[2]) > 0);
  CHECK(find_next(order, family, family[2]).next == &family[1]);
}

TEST_CASE("log family: where the clock was put back for a while, the numbers go the way of the other files") {
  const Family falling = {relative("app.log", 970, 990), relative("app.log.1", 950, 970), relative("app.log.2", 20, 40),
                          relative("app.log.3", 900, 950), relative("app.log.4", 800, 900)};
  CHECK(find_next(Chronology(falling), falling, falling[3]).next == &falling[2]);
  const Family rising = {relative("app.log", 970, 990), relative("app.log.1", 800, 900),
                         relative("app.log.2", 900, 950), relative("app.log.3", 20, 40),
                         relative("app.log.4", 950, 970)};
  CHECK(find_next(Chronology(rising), rising, rising[2]).next == &rising[3]);
}

TEST_CASE("log family: where the clock was put back and forward again, the numbers tell what came after") {
  const Family family = {relative("app.log", 990, 995), relative("app.log.1", 20, 40), relative("app.log.2", 910, 10),
                         relative("app.log.3", 800, 900)};
  CHECK(find_next(Chronology(family), family, family[3]).next == &family[2]);
  CHECK(find_next(Chronology(family), family, family[2]).next == &family[1]);
}

TEST_CASE("log family: a log older than one that it replaced shows that the clock was put back, whatever it is now") {
  const Family family = {relative("app.log", 40, 995), relative("app.log.1", 20, 40), relative("app.log.2", 900, 910)};
  CHECK(find_next(Chronology(family), family, family[2]).next == &family[1]);
  CHECK(Chronology(family).written(family[2], family[1]) < 0);
}

TEST_CASE("log family: dates are of the clock, and where that was put back it is unclear what came after") {
  const Family family = {relative("app.log", 40, 50), relative("app.log-20260101", 20, 40),
                         relative("app.log-20260301", 900, 950)};
  const Family others = {family[0], family[1]};
  const Succession succession = find_next(Chronology(family), others, family[2]);
  CHECK(succession.next == &others[0]);
  REQUIRE(succession.unclear.size() == 1);
  CHECK(succession.unclear[0] == &others[1]);
}

TEST_CASE("log family: what is next is the oldest that came after, and what is compressed before it is lost") {
  const Family family = {relative("app.log", 500, 500),      relative("app.log.1", 400, 450),
                         relative("app.log.2", 300, 350),    relative("app.log.3.gz", 300, 300),
                         relative("app.log.5.gz", 150, 200), relative("app.log.6", 50, 100)};
  const Succession first = find_next(Chronology(family), family, relative("app.log.4", 100, 210));
  REQUIRE(first.next != nullptr);
  CHECK(first.next->path == "app.log.2");
  REQUIRE(first.lost.size() == 1);
  CHECK(first.lost[0]->path == "app.log.3.gz");
  CHECK(first.unclear.empty());
  const Succession last = find_next(Chronology(family), family, family[1]);
  REQUIRE(last.next != nullptr);
  CHECK(last.next->is_log);
  CHECK(last.lost.empty());
}

TEST_CASE("log family: a fingerprint covers more as its file grows, and fits no other") {
  const std::string text(2000, 'x');
  const auto first = [&](std::size_t size) { return as_bytes(text).first(size); };
  Fingerprint fingerprint;
  CHECK(fingerprint.follow(first(0)));
  CHECK(fingerprint.follow(first(10)));
  CHECK(fingerprint.follow(first(1000)));
  CHECK(fingerprint.bytes == 1000);
  Fingerprint at_once;
  CHECK(at_once.follow(first(1000)));
  CHECK(at_once == fingerprint);
  CHECK_FALSE(fingerprint.follow(first(999)));
  const std::string other = std::string(999, 'x') + "y";
  CHECK_FALSE(fingerprint.follow(as_bytes(other)));
  CHECK(fingerprint == at_once);
}
