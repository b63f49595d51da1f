#include "client/uv_machine.h"

#include <utility>

#include "client/input.h"
#include "client/uv_log_watch.h"

namespace cproto::client {

namespace {

struct Aside {
  uv_work_t request{};
  std::function<void()> work;
  std::function<void()> done;
};

}  // namespace

void UvMachine::run_aside(std::function<void()> work, std::function<void()> done) {
  auto* aside = new Aside{{}, std::move(work), std::move(done)};
  aside->request.data = aside;
  uv_queue_work(
      loop_, &aside->request, [](uv_work_t* request) { static_cast<Aside*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Aside> over(static_cast<Aside*>(request->data));
        over->done();
      });
}

std::unique_ptr<LogWatch> UvMachine::watch_log(Duration poll, std::function<void()> wake) {
  return std::make_unique<UvLogWatch>(loop_, poll, std::move(wake));
}

std::unique_ptr<Stream> UvMachine::make_stream(std::function<void()> wake) {
  return std::make_unique<Input>(loop_, std::move(wake));
}

}  // namespace cproto::client
