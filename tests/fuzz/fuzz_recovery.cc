// Whatever a medium makes of a journal, the store opens or says why not; and what it took up then, sessions and inbox,
// it takes up again the next time, and nothing else.
#include "tests/fuzz/journal_script.h"

using namespace cproto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::StoreEnd end;
  fuzz::JournalScript(end.disk, true).play({data, size});
  fuzz::open_twice(end);
  return 0;
}
