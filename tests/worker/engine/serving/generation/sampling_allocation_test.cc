/// That sampling allocates nothing once its scratch is there. A program of its own, for it counts
/// every allocation.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "worker/engine/serving/generation/sampling.h"

namespace {

std::atomic<int64_t> allocations = 0;

void* Allocate(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new[](size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace graft::worker::engine::generation {
namespace {

TEST(SamplerAllocationTest, TokensAfterTheFirstAllocateNothing) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(20'000);
  for (float& logit : logits) logit = normal(random);
  const std::vector<int32_t> tokens(300, 17);
  GenerationSettings plain, all;
  all.sampling = {.logit_bias = {{1, 2}},
                  .repetition_penalty = 1.1,
                  .frequency_penalty = 0.1,
                  .presence_penalty = 0.1,
                  .temperature = 0.8,
                  .top_k = 50,
                  .top_p = 0.9,
                  .min_p = 0.01,
                  .logprobs = 5};
  GenerationSettings top_p = all, greedy = plain;
  top_p.sampling.top_k.reset();
  greedy.sampling.temperature = 0;
  Sampler sampler;
  const auto sample_each = [&](size_t step) {
    const TokenHistory history{std::span(tokens).first(step), 10};
    for (const GenerationSettings& settings :
         {std::cref(plain), std::cref(all), std::cref(top_p), std::cref(greedy)})
      EXPECT_TRUE(sampler.Sample(logits, settings, history, {.seed = step}).ok());
  };
  sample_each(10);

  const int64_t before = allocations;
  for (size_t step = 11; step < 300; ++step) sample_each(step);

  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace graft::worker::engine::generation
