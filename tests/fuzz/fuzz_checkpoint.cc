// Whatever an intact journal says of checkpoints, logs, parts and files, and whatever of them is there, the store opens
// or says what is missing, and keeps to its own folders; and what it took up then it takes up again the next time, and
// nothing else.
#include "tests/fuzz/journal_script.h"

using namespace cproto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::StoreEnd end;
  fuzz::JournalScript(end.disk, false).play({data, size});
  fuzz::open_twice(end);
  return 0;
}
