#pragma once
/// Counter-based random numbers: a value depends only on (seed, stream, counter), so it depends on
/// no order of calls and a resumed job draws what the undisturbed one drew. Source: Philox4x32-10,
/// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace graft {

/// Returns four 32-bit words for one 128-bit counter and 64-bit key.
constexpr std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                             std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// What a stream of numbers is for; streams of one seed are independent.
enum class RandomStream : uint32_t {
  kShuffle = 1,
  kSplit = 2,
  kInit = 3,
  kDropout = 4,
  kProbe = 5,
  kSampling = 6
};

/// A sequence for one (seed, stream, substream). Copyable; equal inputs give equal sequences on
/// every machine.
class PhiloxSequence {
 public:
  PhiloxSequence(uint64_t seed, RandomStream stream, uint64_t substream = 0)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        stream_(static_cast<uint32_t>(stream)),
        sub_{static_cast<uint32_t>(substream), static_cast<uint32_t>(substream >> 32)} {}

  uint32_t Next32() {
    if (used_ == 4) {
      block_ = Philox4x32({counter_++, stream_, sub_[0], sub_[1]}, key_);
      used_ = 0;
    }
    return block_[used_++];
  }
  uint64_t Next64() {
    const uint64_t low = Next32();
    return low | uint64_t{Next32()} << 32;
  }
  /// Uniform in [0, 1) with 24 bits.
  float NextFloat() { return static_cast<float>(Next32() >> 8) * 0x1p-24F; }
  /// Uniform in [0, 1) with 53 bits.
  double NextDouble() { return static_cast<double>(Next64() >> 11) * 0x1p-53; }
  /// Uniform in [0, bound), without bias. Requires: bound > 0. Source: Lemire, arXiv:1805.10941.
  uint32_t NextBelow(uint32_t bound) {
    uint64_t product = uint64_t{Next32()} * bound;
    if (auto low = static_cast<uint32_t>(product); low < bound) {
      for (const uint32_t threshold = (0U - bound) % bound; low < threshold;) {
        product = uint64_t{Next32()} * bound;
        low = static_cast<uint32_t>(product);
      }
    }
    return static_cast<uint32_t>(product >> 32);
  }

 private:
  std::array<uint32_t, 2> key_;
  uint32_t stream_;
  std::array<uint32_t, 2> sub_;
  uint32_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  size_t used_ = 4;
};

/// Returns 0..n-1 in an order fixed by (seed, stream, substream): Fisher-Yates over PhiloxSequence.
inline std::vector<uint32_t> RandomPermutation(uint32_t n, uint64_t seed, RandomStream stream,
                                               uint64_t substream) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  PhiloxSequence random(seed, stream, substream);
  for (uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.NextBelow(i)]);
  return order;
}

}  // namespace graft
