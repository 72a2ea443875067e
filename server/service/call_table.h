#pragma once
/// How the calls of each method are treated, whichever protocol they come by.

#include <chrono>
#include <string_view>

#include "server/calls/call.h"

namespace graft::server::service {
namespace internal {

using calls::CallOptions;
using calls::Cost;
using calls::OnDrain;
using calls::Role;
using calls::Traced;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// For calls that read a whole data set or wait for workers to load something.
inline constexpr auto kLong = minutes(30);
inline constexpr auto kShort = seconds(60);
inline constexpr auto kEndless = hours(24 * 365);

inline constexpr CallOptions kCalls[] = {
    {"FinetuningService.CreateJob", kLong},
    {"FinetuningService.GetJob", kShort},
    {"FinetuningService.ListJobs", kShort},
    {"FinetuningService.CancelJob", kShort},
    {"FinetuningService.PauseJob", kShort},
    {"FinetuningService.ResumeJob", kShort},
    {"FinetuningService.DeleteJob", kShort},
    {"FinetuningService.EstimateJob", kLong},
    {"FinetuningService.ListJobEvents", kShort},
    {"FinetuningService.WatchJob", kEndless, Role::kUser, OnDrain::kEnd},

    {"AdapterService.ListAdapters", kShort},
    {"AdapterService.GetAdapter", kShort},
    {"AdapterService.ListVersions", kShort},
    {"AdapterService.EvaluateVersion", kLong},
    {"AdapterService.SetAlias", minutes(5)},
    {"AdapterService.Rollback", minutes(5)},
    {"AdapterService.DeleteVersion", kShort},
    {"AdapterService.DeleteAdapter", kShort},
    {"AdapterService.WarmAdapter", minutes(5)},
    {"AdapterService.PinAdapter", kShort},
    {"AdapterService.ImportAdapter", kLong},
    {"AdapterService.ExportAdapter", kLong},

    {"InferenceService.Classify", minutes(5), Role::kUser, OnDrain::kFinish, Cost::kInference},
    {"InferenceService.Embed", minutes(5), Role::kUser, OnDrain::kFinish, Cost::kInference},
    {"InferenceService.Score", minutes(5), Role::kUser, OnDrain::kFinish, Cost::kInference},
    {"InferenceService.Generate", minutes(30), Role::kUser, OnDrain::kFinish, Cost::kInference},

    {"BaseModelService.ListBases", minutes(10)},
    {"BaseModelService.GetBase", minutes(10)},

    {"DatasetService.CheckDataset", kLong},
    {"DatasetService.DeleteDataset", kShort},
    {"DatasetService.GetDataset", kShort},
    {"DatasetService.ListDatasets", minutes(10)},  // The first after a start may read much.
    {"DatasetService.ReadDataset", hours(4)},
    {"DatasetService.UploadDataset", hours(4)},

    {"WorkerService.ListWorkers", kShort},

    // What HTTP alone has.
    {"Http.Health", kShort, Role::kUser, OnDrain::kRun, Cost::kSmall, Traced::kInTraces},
    {"Http.Ready", kShort, Role::kUser, OnDrain::kFinish, Cost::kSmall, Traced::kInTraces},
    // Files that are part of the server.
    {"Http.Read", kShort, Role::kUser, OnDrain::kFinish, Cost::kSmall, Traced::kInTraces},
    {"Http.ListModels", minutes(10)},
    {"Http.GetModel", kShort},

    // Workers finish their work while the server drains: only the poll for new work ends.
    {"Coordinator.Register", kShort, Role::kWorker, OnDrain::kRun, Cost::kSmall, Traced::kInTraces},
    {"Coordinator.AcquireLeases", minutes(10), Role::kWorker, OnDrain::kEnd, Cost::kSmall,
     Traced::kInTraces},
    {"Coordinator.RenewLeases", kShort, Role::kWorker, OnDrain::kRun, Cost::kSmall,
     Traced::kInTraces},
    {"Coordinator.KeepCheckpoint", kShort, Role::kWorker, OnDrain::kRun, Cost::kSmall,
     Traced::kInTraces},
    {"Coordinator.CompleteLease", kShort, Role::kWorker, OnDrain::kRun, Cost::kSmall,
     Traced::kInTraces},
    {"Coordinator.GetObject", kLong, Role::kWorker, OnDrain::kRun, Cost::kSmall, Traced::kInTraces},
    {"Coordinator.PutObject", kLong, Role::kWorker, OnDrain::kRun, Cost::kSmall, Traced::kInTraces},
};

}  // namespace internal

/// Of a method's full name. What isn't in the table doesn't compile.
consteval const calls::CallOptions& OptionsOf(std::string_view rpc) {
  for (const calls::CallOptions& options : internal::kCalls) {
    if (options.rpc == rpc) return options;
  }
  throw "the table of calls lacks this method";
}

}  // namespace graft::server::service
