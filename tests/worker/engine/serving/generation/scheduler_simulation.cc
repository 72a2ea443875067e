#include "tests/worker/engine/serving/generation/scheduler_simulation.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace graft::worker::engine::generation {
namespace {

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15 + b + 1;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

Tokens Prompt(uint64_t request, int64_t tokens) {
  Tokens prompt;
  for (int64_t i = 0; i < tokens; ++i) prompt.push_back(Mix(request, static_cast<uint64_t>(i)));
  return prompt;
}

/// What a model and a sampler would give behind these tokens.
uint64_t NextToken(const Tokens& history, const SequenceId& id, int64_t step) {
  uint64_t hash = 0;
  for (const uint64_t token : history) hash = Mix(hash, token);
  return Mix(Mix(hash, Mix(id.request, static_cast<uint64_t>(id.index))),
             static_cast<uint64_t>(step));
}

int64_t TokensOf(const Asked& asked) {
  return std::min(asked.ends_after.value_or(asked.max_new_tokens), asked.max_new_tokens);
}

Tokens TextOf(const Tokens& history, const Asked& asked) {
  return {history.begin() + asked.prompt_tokens, history.end()};
}

}  // namespace

Tokens TextAlone(uint64_t request, int32_t index, const Asked& asked) {
  Tokens history = Prompt(request, asked.prompt_tokens);
  for (int64_t step = 0; step < TokensOf(asked); ++step)
    history.push_back(NextToken(history, {request, index}, step));
  return TextOf(history, asked);
}

SchedulerSimulation::SchedulerSimulation(const SequenceScheduler::Limits& limits)
    : limits_(limits),
      scheduler_(SequenceScheduler::Create(limits).value()),
      cells_(static_cast<size_t>(limits.num_blocks * limits.block_tokens)) {}

uint64_t SchedulerSimulation::Add(const Asked& asked) {
  const uint64_t request = ++last_request_;
  asked_[request] = asked;
  const Status status = scheduler_.Add({.id = request,
                                        .owner = asked.owner,
                                        .prompt_tokens = asked.prompt_tokens,
                                        .max_new_tokens = asked.max_new_tokens,
                                        .n = asked.n});
  EXPECT_TRUE(status.ok()) << status;
  return request;
}

void SchedulerSimulation::Cancel(uint64_t request) {
  scheduler_.Cancel(request);
  std::erase_if(streams_, [&](const auto& entry) { return entry.first.request == request; });
  over_.insert(request);
}

uint64_t& SchedulerSimulation::Cell(const BlockTable& table, int64_t position) {
  const int32_t block = table.blocks()[static_cast<size_t>(position / limits_.block_tokens)];
  return cells_[static_cast<size_t>(block * limits_.block_tokens +
                                    position % limits_.block_tokens)];
}

void SchedulerSimulation::Check(const StepPlan& plan) const {
  const std::set<SequenceId> preempted(plan.preempted.begin(), plan.preempted.end());
  std::set<SequenceId> planned;
  int64_t tokens = 0;
  for (const PlannedRows& rows : plan.rows) {
    EXPECT_TRUE(asked_.contains(rows.sequence.request));
    EXPECT_EQ(rows.owner, asked_.at(rows.sequence.request).owner);
    EXPECT_GE(rows.tokens, 1);
    EXPECT_LE(rows.tokens, rows.is_decode ? 1 : limits_.chunk_tokens);
    EXPECT_TRUE(planned.insert(rows.sequence).second) << "twice in a step";
    tokens += rows.tokens;
  }
  EXPECT_EQ(plan.tokens, tokens);
  EXPECT_LE(tokens, limits_.step_tokens);
  EXPECT_LE(scheduler_.num_running(), limits_.max_sequences);
  EXPECT_GE(scheduler_.blocks().free_blocks(), 0);
  for (const auto& [id, stream] : streams_) {
    const int64_t left = static_cast<int64_t>(stream.history.size()) - stream.computed;
    const bool decodes = generated(id.request, id.index) > 0 && stream.computed > 0 && left == 1;
    EXPECT_TRUE(!decodes || planned.contains(id) || preempted.contains(id))
        << "a stream of request " << id.request << " waited";
  }
  EXPECT_TRUE(std::ranges::is_sorted(
      plan.rows, {}, [](const PlannedRows& rows) { return std::pair(rows.owner, rows.sequence); }));
}

void SchedulerSimulation::Copy(const StepPlan& plan) {
  const auto size = static_cast<ptrdiff_t>(limits_.block_tokens);
  for (const BlockCopy& copy : plan.copies)
    std::copy_n(cells_.begin() + copy.from * size, size, cells_.begin() + copy.to * size);
}

void SchedulerSimulation::Write(const PlannedRows& rows) {
  Stream& stream = streams_[rows.sequence];
  if (stream.history.empty())
    stream.history = Prompt(rows.sequence.request, asked_.at(rows.sequence.request).prompt_tokens);
  ASSERT_EQ(rows.begin, stream.computed) << "left out, or computed twice";
  const auto known = static_cast<int64_t>(stream.history.size());
  ASSERT_LE(rows.begin + rows.tokens, known);
  ASSERT_EQ(rows.table->tokens(), known) << "room for what is known, no more";
  for (int64_t i = 0; i < rows.tokens; ++i, ++stream.computed)
    Cell(*rows.table, stream.computed) = stream.history[static_cast<size_t>(stream.computed)];
  computed_tokens_ += rows.tokens;
}

void SchedulerSimulation::Draw(const PlannedRows& rows) {
  const Stream stream = streams_.at(rows.sequence);
  const bool is_last = stream.computed == static_cast<int64_t>(stream.history.size());
  ASSERT_EQ(rows.samples > 0, is_last);
  if (!is_last) return;
  Tokens read;
  for (int64_t i = 0; i < stream.computed; ++i) read.push_back(Cell(*rows.table, i));
  ASSERT_EQ(read, stream.history) << "somebody else wrote there";
  const int64_t step = stream.computed - asked_.at(rows.sequence.request).prompt_tokens;
  for (int32_t i = 0; i < rows.samples; ++i) {
    const SequenceId id{rows.sequence.request, rows.sequence.index + i};
    streams_[id] = stream;
    Take(id, NextToken(read, id, step));
  }
}

void SchedulerSimulation::Take(const SequenceId& id, uint64_t token) {
  const Asked& asked = asked_.at(id.request);
  Stream& stream = streams_.at(id);
  stream.history.push_back(token);
  const Tokens text = TextOf(stream.history, asked);
  if (static_cast<int64_t>(text.size()) < TokensOf(asked)) return;
  // Those with all their tokens the scheduler ends by itself.
  if (TokensOf(asked) < asked.max_new_tokens) scheduler_.Finish(id);
  texts_[id] = text;
  streams_.erase(id);
  if (++ended_[id.request] == asked.n) over_.insert(id.request);
}

StepPlan SchedulerSimulation::Step() {
  const StepPlan plan = scheduler_.NextStep();
  Check(plan);
  for (const SequenceId& id : plan.preempted) streams_[id].computed = 0;
  num_preempted_ += static_cast<int64_t>(plan.preempted.size());
  Copy(plan);
  for (const PlannedRows& rows : plan.rows) Write(rows);
  for (const PlannedRows& rows : plan.rows) Draw(rows);
  return plan;
}

int SchedulerSimulation::StepsUntilFirstToken(uint64_t request) {
  int steps = 0;
  for (; steps < 1000 && generated(request) == 0; ++steps) Step();
  return steps;
}

int SchedulerSimulation::StepsUntilAllOver(int most) {
  int steps = 0;
  for (; steps < most && !scheduler_.empty(); ++steps) {
    const StepPlan plan = Step();
    EXPECT_TRUE(!plan.rows.empty() || scheduler_.empty()) << "something waits and nothing runs";
  }
  return steps;
}

int64_t SchedulerSimulation::generated(uint64_t request, int32_t index) const {
  const SequenceId id{request, index};
  if (const auto ended = texts_.find(id); ended != texts_.end())
    return static_cast<int64_t>(ended->second.size());
  const auto found = streams_.find(id);
  if (found == streams_.end()) return 0;
  return static_cast<int64_t>(found->second.history.size()) - asked_.at(request).prompt_tokens;
}

void SchedulerSimulation::CheckEnd() const {
  for (const auto& [id, text] : texts_)
    EXPECT_EQ(text, TextAlone(id.request, id.index, asked_.at(id.request))) << id.request;
  for (const auto& [request, asked] : asked_) EXPECT_TRUE(over_.contains(request)) << request;
  EXPECT_TRUE(streams_.empty());
  EXPECT_EQ(scheduler_.blocks().free_blocks(), limits_.num_blocks);
}

}  // namespace graft::worker::engine::generation
