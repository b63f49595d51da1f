#include "daemon/notify.h"

#ifdef CPROTO_HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace cproto {

#ifdef CPROTO_HAVE_LIBSYSTEMD
void notify(const std::string& state) { sd_notify(0, state.c_str()); }
#else
void notify(const std::string&) {}
#endif

}  // namespace cproto
