// The names a certificate is for (PROTOCOL §12.3).
#pragma once

#include <string>
#include <vector>

struct x509_st;

namespace cproto {

// The common name of its subject, then the DNS names of its alternatives. As they are written there: whoever signed
// them chose the bytes.
std::vector<std::string> names_of(const x509_st* certificate);

}  // namespace cproto
