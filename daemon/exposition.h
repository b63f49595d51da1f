// Metrics as text, as Prometheus reads it: https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/counters.h"

namespace cproto {

// One family of samples after another, each with what Prometheus' rules ask for: HELP, TYPE, base units.
class Exposition {
 public:
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "counter", help);
    sample(name, "", std::to_string(value));
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, "gauge", help);
    sample(name, "", number(value));
  }
  void family(std::string_view name, std::string_view type, std::string_view help) {
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  // `labels` with their braces, or empty.
  void sample(std::string_view name, std::string_view labels, std::string_view value) {
    text_.append(name).append(labels).append(" ").append(value).append("\n");
  }
  template <std::size_t N>
  void histogram(const std::string& name, std::string_view help, const Histogram<N>& histogram) {
    family(name, "histogram", help);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < N; ++i) {
      below += histogram.in(i);
      sample(name + "_bucket", "{le=\"" + number(histogram.bounds()[i]) + "\"}", std::to_string(below));
    }
    sample(name + "_bucket", "{le=\"+Inf\"}", std::to_string(histogram.count()));
    sample(name + "_sum", "", number(histogram.sum()));
    sample(name + "_count", "", std::to_string(histogram.count()));
  }
  std::string take() { return std::move(text_); }

  static std::string number(double value);

 private:
  std::string text_;
};

}  // namespace cproto
