// What was measured: named figures with one value a run, of which medians are made. Knows nothing of what they mean.
#pragma once

#include <string>
#include <vector>

#include "proto/time.h"

namespace cproto::bench {

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
// Pre: not empty. Of an even number the lower middle, so that it is a value that was measured.
Spread spread_of(std::vector<double> values);

// In microseconds.
struct Percentiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};
// Sorts `times`. Zeros if there are none.
Percentiles percentiles_of(std::vector<Duration>& times);

struct Figure {
  std::string key;    // for programs: "messages_per_second"
  std::string label;  // for people; empty: for programs only
  int decimals = 0;
  std::vector<double> runs;
};

// The figures of one work, in the order they are shown.
struct Section {
  std::string work;     // "throughput"
  std::string heading;  // for people
  std::vector<Figure> figures;

  // One run's value. A key not seen before makes a figure.
  void add(const std::string& key, const std::string& label, int decimals, double value);
};

}  // namespace cproto::bench
