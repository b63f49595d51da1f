// A private authority, as a test needs it: certificates that are good, or bad in one way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct evp_pkey_st;
struct x509_st;

namespace cproto::test {

struct CertificatePem {
  std::string certificate;
  std::string key;
};

struct CertificateRequest {
  std::string name;                     // the common name; empty: none
  std::vector<std::string> hosts = {};  // alternative names: "DNS:logs.example", "IP:127.0.0.1"
  long from_seconds = -60;              // from now
  long to_seconds = 86'400;
};

class Authority {
 public:
  explicit Authority(const std::string& name);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  std::string pem() const;
  CertificatePem sign(const CertificateRequest& request) const;

 private:
  evp_pkey_st* key_;
  x509_st* certificate_;
};

}  // namespace cproto::test
