#include "server/calls/worker_access.h"

#include <openssl/crypto.h>

namespace graft::server::calls {
namespace {

/// Equal, without telling by the time taken where they differ.
bool SameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Status WorkerAccess::Check(std::string_view bearer) const {
  if (everyone || (!token.empty() && SameSecret(token, bearer))) return OkStatus();
  return PermissionDeniedError(
      token.empty() ? "workers may not dial in on this port: the server has no worker token "
                      "(GRAFT_WORKER_TOKEN)"
                    : "the worker token is missing or wrong (GRAFT_WORKER_TOKEN on both sides)");
}

}  // namespace graft::server::calls
