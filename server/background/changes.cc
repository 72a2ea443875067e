#include "server/background/changes.h"

#include <algorithm>

#include <boost/asio/experimental/as_tuple.hpp>

namespace graft::server::background {

JobChanges::Subscription::Subscription(JobChanges& changes, core::JobKey key)
    : changes_(changes), key_(std::move(key)), timer_(changes.runtime_.io()) {
  changes_.subscriptions_.insert(this);
}

JobChanges::Subscription::~Subscription() { changes_.subscriptions_.erase(this); }

calls::Awaitable<void> JobChanges::Subscription::Wait(std::chrono::milliseconds at_most) {
  if (!changed_) {
    timer_.expires_after(at_most);
    // A woken timer reports operation_aborted; a cancelled coroutine throws at its next await.
    co_await timer_.async_wait(boost::asio::experimental::as_tuple(boost::asio::use_awaitable));
  }
  changed_ = false;
}

void JobChanges::Notify(std::vector<core::JobKey> keys) {
  boost::asio::post(runtime_.io(), [this, keys = std::move(keys)] {
    for (Subscription* subscription : subscriptions_) {
      if (!subscription->key_.id.empty() &&
          std::find(keys.begin(), keys.end(), subscription->key_) == keys.end()) {
        continue;
      }
      subscription->changed_ = true;
      subscription->timer_.cancel();
    }
  });
}

}  // namespace graft::server::background
