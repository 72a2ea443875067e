#include "server/core/room.h"

#include <algorithm>
#include <utility>

#include "common/base/bytes_text.h"
#include "common/base/json.h"

namespace graft::server::core {
namespace {

/// The precision that an earlier attempt ran in, else the spec's, else the worker's.
bool RunsInBf16(const Job& job, bool prefers_bf16) {
  if (!job.resolved_precision.empty()) return job.resolved_precision == "bf16";
  // It is estimated in each that it may run in. Rows of older servers are in none.
  const bool may_fp32 = job.facts.fp32_memory.least > 0;
  const bool may_bf16 = job.facts.bf16_memory.least > 0;
  if (may_fp32 || may_bf16) return may_bf16 && (prefers_bf16 || !may_fp32);
  const StatusOr<Json> spec = ParseJson(job.spec_json, "the job's spec");
  if (!spec.ok() || !spec->is_object()) return prefers_bf16;
  const auto hyperparameters = spec->find("hyperparameters");
  if (hyperparameters == spec->end() || !hyperparameters->is_object()) return prefers_bf16;
  const auto precision = hyperparameters->find("precision");
  if (precision == hyperparameters->end()) return prefers_bf16;
  return *precision == "BF16" || (*precision != "FP32" && prefers_bf16);
}

/// What the job needs of a device that can give it `most_bytes`, its base included: a pass keeps
/// less where not all of it would fit. Rows of older servers know one figure.
int64_t NeedOn(const Job& job, int64_t most_bytes, bool is_bf16) {
  const report::MemoryNeed& need = is_bf16 ? job.facts.bf16_memory : job.facts.fp32_memory;
  if (need.least == 0) return job.facts.peak_memory_bytes;
  return need.whole <= most_bytes ? need.whole : need.least;
}

const WorkerMemory::BaseInUse* FindBase(const Job& job, bool is_bf16, const WorkerMemory& memory) {
  const auto found = std::ranges::find_if(memory.bases_in_use, [&](const auto& base) {
    return base.id == job.base && base.is_bf16 == is_bf16;
  });
  return found != memory.bases_in_use.end() ? &*found : nullptr;
}

/// The same beside a base that is there.
int64_t MissingOf(const Job& job, bool is_bf16, const WorkerMemory& memory) {
  const WorkerMemory::BaseInUse* base = FindBase(job, is_bf16, memory);
  const int64_t there = base != nullptr ? base->bytes : 0;
  return std::max<int64_t>(NeedOn(job, memory.most_bytes, is_bf16) - there, 0);
}

bool Has(const WorkerPlace& place, const std::string& base) {
  return std::ranges::find(place.bases, base) != place.bases.end();
}

int64_t NeedOn(const Job& job, const WorkerPlace& place) {
  return NeedOn(job, place.most_bytes, RunsInBf16(job, place.prefers_bf16));
}

}  // namespace

Room RoomFor(const Job& job, const WorkerMemory& memory) {
  const bool is_bf16 = RunsInBf16(job, memory.prefers_bf16);
  if (NeedOn(job, memory.most_bytes, is_bf16) > memory.most_bytes) return Room::kNever;
  return MissingOf(job, is_bf16, memory) <= memory.free_bytes ? Room::kFits : Room::kLater;
}

void Take(const Job& job, WorkerMemory& memory) {
  const bool is_bf16 = RunsInBf16(job, memory.prefers_bf16);
  memory.free_bytes -= MissingOf(job, is_bf16, memory);
  if (FindBase(job, is_bf16, memory) != nullptr) return;
  memory.bases_in_use.push_back({job.base, is_bf16, job.facts.base_parameters * (is_bf16 ? 2 : 4)});
}

bool CouldHold(const Job& job, const WorkerPlace& place) {
  if (!Has(place, job.base)) return false;
  return place.most_bytes == 0 || NeedOn(job, place) <= place.most_bytes;
}

Prospect ProspectOf(const Job& job, std::span<const WorkerPlace> places) {
  Prospect prospect = Prospect::kUnknown;
  for (const WorkerPlace& place : places) {
    if (CouldHold(job, place)) {
      if (!place.is_draining) return Prospect::kSome;
      prospect = Prospect::kDraining;
    } else if (prospect == Prospect::kUnknown && Has(place, job.base)) {
      prospect = Prospect::kNone;
    }
  }
  return prospect;
}

void NoteNeed(Job& job, bool prefers_bf16, int64_t bytes) {
  if (bytes <= 0) return;
  job.facts.peak_memory_bytes = bytes;
  if (job.facts.fp32_memory.least == 0 && job.facts.bf16_memory.least == 0) return;
  report::MemoryNeed& need =
      RunsInBf16(job, prefers_bf16) ? job.facts.bf16_memory : job.facts.fp32_memory;
  need.least = bytes;
  need.whole = std::max(need.whole, bytes);
}

std::string WhyItWaits(const Job& job, const std::string& worker, const WorkerMemory& memory) {
  const int64_t need = NeedOn(job, memory.most_bytes, RunsInBf16(job, memory.prefers_bf16));
  return std::string(kWaitsForMemory) + "it needs about " + BytesText(need) + ", and of the " +
         BytesText(memory.most_bytes) + " that worker " + worker + " has for jobs " +
         BytesText(std::max<int64_t>(memory.free_bytes, 0)) +
         " are free; it runs when others have ended";
}

std::string WhyNoneHolds(const Job& job, std::span<const WorkerPlace> places) {
  // Those that take jobs first, then the one that lacks least.
  const auto rank = [&](const WorkerPlace* place) {
    return std::pair(place->is_draining, NeedOn(job, *place) - place->most_bytes);
  };
  const WorkerPlace* nearest = nullptr;
  const WorkerPlace* could = nullptr;
  for (const WorkerPlace& place : places) {
    if (!Has(place, job.base)) continue;
    if (CouldHold(job, place)) could = &place;
    if (nearest == nullptr || rank(&place) < rank(nearest)) nearest = &place;
  }
  std::string why(kWaitsForWorker);
  why += "it needs about " + BytesText(NeedOn(job, *nearest)) + ", and worker " + nearest->worker +
         ", the nearest to that of those that take jobs on the base " + job.base +
         ", can give a job " + BytesText(nearest->most_bytes);
  if (could != nullptr)
    return why + "; worker " + could->worker + " could, but is draining and takes none";
  return why + "; cancel it, or start a larger worker";
}

}  // namespace graft::server::core
