// What is printed: one form for people, one for programs, both of the same figures.
#pragma once

#include <deque>
#include <string>

#include "proto/handshake.h"
#include "tests/bench/figures.h"
#include "tests/bench/options.h"

namespace cproto::bench {

struct Report {
  Options options;
  std::string server;       // "127.0.0.1:40123"
  std::string file_system;  // "ext4 on /dev/sda1": where the limit of the disk was measured
  std::string directory;
  SynAck terms;
  std::deque<Section> sections;
};

std::string to_text(const Report& report);
std::string to_json(const Report& report);

}  // namespace cproto::bench
