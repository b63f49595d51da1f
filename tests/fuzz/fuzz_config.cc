// Any text is a configuration or a list of mistakes; one without mistakes is the same when it is printed and read
// again.
#include <string_view>

#include "config/loader.h"
#include "config/print.h"
#include "proto/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cproto;
  const LoadResult result = load_text({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  for (const std::string& error : result.errors) CPROTO_ASSERT(error.find('\n') == std::string::npos);
  if (!result.errors.empty()) return 0;
  const LoadResult again = load_text(print(result.config), "printed.toml");
  CPROTO_ASSERT(again.errors.empty());
  CPROTO_ASSERT(again.config == result.config);
  return 0;
}
