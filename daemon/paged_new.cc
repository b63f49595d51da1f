// Memory for large buffers begins at a page, in this program: from there a disk takes a batch of the journal without a
// copy in between. Who builds without this file has the same daemon, with its batches written through the page cache.
#include <cstdlib>
#include <new>

#include "daemon/disk.h"

namespace {

constexpr std::size_t kPage = 4096;

void* allocate(std::size_t size) {
  return size < cproto::kPagedSize ? std::malloc(size == 0 ? 1 : size)
                                   : std::aligned_alloc(kPage, (size + kPage - 1) / kPage * kPage);
}

}  // namespace

void* operator new(std::size_t size) {
  for (;;) {
    if (void* const memory = allocate(size)) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
