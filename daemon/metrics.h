// The daemon's figures as Prometheus text (exposition format 0.0.4), for cprotoctl metrics.
#pragma once

#include <string>

#include "daemon/reports.h"

namespace cproto {

std::string metrics_text(const DaemonView& view);

}  // namespace cproto
