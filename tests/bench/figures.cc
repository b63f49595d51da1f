#include "tests/bench/figures.h"

#include <algorithm>
#include <cstddef>

namespace cproto::bench {

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[(values.size() - 1) / 2], values.front(), values.back()};
}

Percentiles percentiles_of(std::vector<Duration>& times) {
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  const auto at = [&](std::size_t percent) {
    return std::chrono::duration<double, std::micro>(times[(times.size() - 1) * percent / 100]).count();
  };
  return {at(50), at(90), at(99), at(100)};
}

void Section::add(const std::string& key, const std::string& label, int decimals, double value) {
  auto it = std::find_if(figures.begin(), figures.end(), [&](const Figure& figure) { return figure.key == key; });
  if (it == figures.end()) it = figures.insert(it, {key, label, decimals, {}});
  it->runs.push_back(value);
}

}  // namespace cproto::bench
