// A key file means the same when its keys are written and read again; of one with a mistake nothing is used, and what
// is said of it repeats nothing of it.
#include <string>

#include "proto/assert.h"
#include "proto/client_key.h"

using namespace cproto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(ByteView(data, size)));
  const KeyFile file = read_key_file(text);
  CPROTO_ASSERT(file.trouble.empty() || file.keys.empty());
  std::string again;
  for (const ClientKey& key : file.keys) again += key.line() + "\n";
  const KeyFile second = read_key_file(again);
  CPROTO_ASSERT(second.trouble.empty() && second.keys.size() == file.keys.size());
  for (std::size_t i = 0; i < file.keys.size(); ++i)
    CPROTO_ASSERT(file.keys[i].secret == second.keys[i].secret && file.keys[i].client_id == second.keys[i].client_id);
  return 0;
}
