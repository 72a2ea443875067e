#include "server/app/scrape_targets.h"

#include <fmt/format.h>

namespace graft::server::app {

Json ScrapeTargets(const Address& server, const std::vector<WorkerTarget>& workers) {
  Json groups = Json::array();
  if (server.port != 0) {
    // Listening everywhere is no address to dial; whoever reads the file is on this machine.
    Address dialled = server;
    if (server.host == "0.0.0.0") dialled.host = "127.0.0.1";
    if (server.host == "::") dialled.host = "::1";
    groups.push_back({{"targets", {dialled.ToString()}}, {"labels", {{"job", "graft-server"}}}});
  }
  for (size_t i = 0; i < workers.size(); ++i) {
    groups.push_back({{"targets", {fmt::format("127.0.0.1:{}", workers[i].port)}},
                      {"labels",
                       {{"job", "graft-worker"},
                        {"worker", std::to_string(i)},
                        {"device", workers[i].device}}}});
  }
  return groups;
}

}  // namespace graft::server::app
