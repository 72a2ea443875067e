#include "server/rpc/await.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace graft::server::rpc::internal {

Awaitable<void> AwaitSignal(Runtime& runtime, std::function<void(std::function<void()> done)> start,
                            std::function<void()> on_cancel) {
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [](auto handler, Runtime* rt, std::function<void(std::function<void()>)> begin,
         std::function<void()> cancel) {
        if (auto slot = asio::get_associated_cancellation_slot(handler);
            cancel && slot.is_connected()) {
          slot.assign([cancel = std::move(cancel)](asio::cancellation_type) { cancel(); });
        }
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        begin([rt, shared] {
          asio::post(rt->io(), [shared] {
            auto complete = std::move(*shared);
            if (auto slot = asio::get_associated_cancellation_slot(complete); slot.is_connected())
              slot.clear();
            std::move(complete)();
          });
        });
      },
      asio::use_awaitable, &runtime, std::move(start), std::move(on_cancel));
}

}  // namespace graft::server::rpc::internal
