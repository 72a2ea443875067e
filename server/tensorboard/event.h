#pragma once
/// TensorBoard's message Event as far as scalars need it, written and read without protobuf. Pure.
/// Source: TensorFlow's core/util/event.proto and core/framework/summary.proto: Event is wall_time
/// 1 (double), step 2, file_version 3, summary 5; Summary is value 1; Value is tag 1, simple_value
/// 2 (float).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace graft::server::tensorboard {

struct Scalar {
  std::string tag;  ///< "train/loss"
  double value = 0;
};

struct Event {
  double wall_time = 0;  ///< Seconds since 1970.
  int64_t step = 0;
  std::vector<Scalar> scalars;
  /// Of the job's event that it comes from: what a reader of the file goes on behind. A field that
  /// the message doesn't have, so TensorBoard leaves it aside.
  int64_t number = 0;
};

std::string Encode(const Event& event);
/// What a file must begin with.
std::string EncodeVersion(double wall_time);

bool IsVersion(std::string_view data);
/// The number in what Encode wrote; nothing if there is none or this is no message.
std::optional<int64_t> NumberOf(std::string_view data);

}  // namespace graft::server::tensorboard
