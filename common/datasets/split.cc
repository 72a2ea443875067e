#include "common/datasets/split.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "common/base/random.h"

namespace graft::datasets {
namespace {

enum Side : uint8_t { kTrain, kValidation, kTest };

Status Empty(const std::string& field, const std::string& what) {
  return InvalidArgumentError(what).At(field, "SPLIT_EMPTY");
}

}  // namespace

TextGroups GroupByText(const std::vector<const Example*>& examples) {
  // Sorting, not hashing: no input makes it slow. Lengths first, since most differ there.
  const auto before = [&](uint32_t a, uint32_t b) {
    const Example& x = *examples[a];
    const Example& y = *examples[b];
    if (x.text.size() != y.text.size()) return x.text.size() < y.text.size();
    if (x.text_pair.size() != y.text_pair.size()) return x.text_pair.size() < y.text_pair.size();
    if (const int order = x.text.compare(y.text); order != 0) return order < 0;
    if (const int order = x.text_pair.compare(y.text_pair); order != 0) return order < 0;
    return a < b;
  };
  std::vector<uint32_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), before);

  std::vector<uint32_t> first_of(examples.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const bool repeats = i > 0 && examples[order[i]]->text == examples[order[i - 1]]->text &&
                         examples[order[i]]->text_pair == examples[order[i - 1]]->text_pair;
    first_of[order[i]] = repeats ? first_of[order[i - 1]] : order[i];
  }
  TextGroups groups;
  groups.group_of.resize(examples.size());
  for (uint32_t i = 0; i < examples.size(); ++i) {
    groups.group_of[i] = first_of[i] == i ? groups.num_groups++ : groups.group_of[first_of[i]];
  }
  return groups;
}

Status SplitByFraction(double validation_fraction, double test_fraction, uint64_t seed,
                       IngestedDataset& dataset) {
  if (validation_fraction == 0 && test_fraction == 0) return OkStatus();
  std::vector<Example> all = std::move(dataset.train);
  dataset.train.clear();
  std::vector<const Example*> pointers;
  for (const Example& example : all) pointers.push_back(&example);
  const TextGroups groups = GroupByText(pointers);
  std::vector<uint32_t> group_size(groups.num_groups);
  for (const uint32_t group : groups.group_of) ++group_size[group];

  const auto share = [&](double fraction) {
    return static_cast<uint64_t>(std::llround(fraction * static_cast<double>(all.size())));
  };
  uint64_t test_left = share(test_fraction);
  uint64_t validation_left = share(validation_fraction);
  std::vector<Side> side(groups.num_groups, kTrain);
  for (const uint32_t group : RandomPermutation(groups.num_groups, seed, RandomStream::kSplit, 0)) {
    if (group_size[group] <= test_left) {
      test_left -= group_size[group];
      side[group] = kTest;
    } else if (group_size[group] <= validation_left) {
      validation_left -= group_size[group];
      side[group] = kValidation;
    }
  }
  for (size_t i = 0; i < all.size(); ++i) {
    const Side to = side[groups.group_of[i]];
    auto& split = to == kTrain ? dataset.train : to == kTest ? dataset.test : dataset.validation;
    split.push_back(std::move(all[i]));
  }

  const std::string of = " of " + std::to_string(all.size()) + " examples in " +
                         std::to_string(groups.num_groups) +
                         " distinct texts is none; raise it, or send more data";
  if (validation_fraction > 0 && dataset.validation.empty()) {
    return Empty("dataset.validation_fraction", "validation_fraction" + of);
  }
  if (test_fraction > 0 && dataset.test.empty()) {
    return Empty("dataset.test_fraction", "test_fraction" + of);
  }
  if (dataset.train.empty()) {
    return Empty(validation_fraction > 0 ? "dataset.validation_fraction" : "dataset.test_fraction",
                 "the fractions leave no example for training; lower them, or send more data");
  }
  return OkStatus();
}

void KeepAtMost(uint64_t count, uint64_t seed, std::vector<Example>& examples) {
  if (examples.size() <= count) return;
  std::vector<uint32_t> kept =
      RandomPermutation(static_cast<uint32_t>(examples.size()), seed, RandomStream::kSplit, 1);
  kept.resize(count);
  std::sort(kept.begin(), kept.end());
  // kept[i] >= i, so nothing is overwritten before it has moved.
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != i) examples[i] = std::move(examples[kept[i]]);
  }
  examples.resize(count);
}

}  // namespace graft::datasets
