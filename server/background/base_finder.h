#pragma once
/// The server's bases for coroutines: one read of a base serves all who ask for it meanwhile.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "server/calls/await.h"
#include "server/calls/call.h"
#include "server/calls/runtime.h"
#include "server/intake/base_catalog.h"

namespace graft::server::background {

/// Hashing a base takes minutes, so it has threads of its own; a base that is known costs a look at
/// its folder. A caller who is cancelled stops waiting at once; the read goes on for the others.
/// Thread safety: confined to the io thread.
class BaseFinder {
 public:
  BaseFinder(calls::Runtime& runtime, intake::BaseCatalog& catalog)
      : runtime_(runtime), catalog_(catalog) {}

  /// The base, usable or not. Errors: as BaseCatalog::Get.
  calls::Awaitable<StatusOr<intake::BasePtr>> Get(std::string id);
  /// Errors: as BaseCatalog::Find.
  calls::Awaitable<StatusOr<intake::BasePtr>> Find(std::string id);
  /// The same for a call, whose deadline's message then says that it waited for the base.
  calls::Awaitable<StatusOr<intake::BasePtr>> Find(const calls::CallContext& context,
                                                   std::string id);
  /// OK while the folder is there and isn't known to be unusable; reads nothing.
  /// Errors: FailedPrecondition with the reason.
  calls::Awaitable<Status> Check(std::string id);
  /// Whether a base has this name, usable or not.
  calls::Awaitable<StatusOr<bool>> Has(std::string id);
  /// OK unless a base has this name: adapters and bases share one name space, for a client names
  /// either as its model. Errors: InvalidArgument at `field`.
  calls::Awaitable<Status> CheckAdapterName(std::string adapter, std::string field);
  /// The ids there are, sorted.
  calls::Awaitable<StatusOr<std::vector<std::string>>> Names();
  /// Every base that was read since the server started, gone ones too: jobs are on no others.
  const std::set<std::string>& seen() const { return seen_; }

 private:
  /// One base that is being read.
  struct Flight {
    explicit Flight(boost::asio::io_context& io)
        : ended(io, boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer ended;  ///< Cancelled once `result` is set.
    std::optional<StatusOr<intake::BasePtr>> result;
  };
  calls::Awaitable<void> Read(std::string id, std::shared_ptr<Flight> flight);

  calls::Runtime& runtime_;
  intake::BaseCatalog& catalog_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  std::set<std::string> seen_;
};

}  // namespace graft::server::background
