#include "server/calls/chain.h"

namespace graft::server::calls {

Chain MakeChain(const ChainOptions& options) {
  Chain chain;
  chain.push_back(MakeRoleLink());
  chain.push_back(MakeDrainLink());
  chain.push_back(MakeDeadlineLink());
  chain.push_back(MakeLimitLink(options.max_inference_calls));
  return chain;
}

}  // namespace graft::server::calls
