#include "daemon/exposition.h"

#include <cstdio>

namespace cproto {

std::string Exposition::number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

}  // namespace cproto
