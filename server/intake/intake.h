#pragma once
/// Reads, checks and stores what a job trains on, before any device is taken. The same code serves
/// jobs, validate_only, EstimateJob, CheckDataset and EvaluateVersion.

#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/stop_flag.h"
#include "common/datasets/ingest.h"
#include "common/objects/object_store.h"
#include "common/spec/job_spec.h"
#include "common/tokenizers/tokenizer.h"
#include "server/core/rows.h"
#include "server/intake/base_catalog.h"
#include "server/intake/dataset_source.h"
#include "server/intake/estimate.h"
#include "server/intake/turns.h"

namespace graft::server::intake {

/// A job's data, ready for a worker.
struct Prepared {
  spec::JobSpec spec;          ///< As it was asked for, with the chat template that it uses.
  std::string dataset_sha256;  ///< Of the ingested form.
  core::JobFacts facts;
  /// Of the data, and of settings that can't take effect (see FindIdleSettings).
  std::vector<std::string> warnings;
};

/// How a job's data is prepared.
struct PrepareOptions {
  std::vector<Machine> machines;  ///< That could run the job, the likeliest first.
  bool store = false;             ///< Keep the ingested form under its hash.
  StopFlag stop;
  TimeUs create_time = 0;             ///< Of the job.
  std::string init_from_prefix = {};  ///< Of the version that it continues; empty: none.
};

/// What is asked of data that no job is submitted for.
struct CheckOptions {
  tasks::TaskSpec task;
  BasePtr base;        ///< Of a language model; null: its tokens aren't counted.
  int max_length = 0;  ///< With a base: resolved.
  StopFlag stop = {};
};

/// A report with what the base would read, if there was one.
struct Checked {
  datasets::Report report;
  int64_t train_tokens = 0, loss_tokens = 0;
};

/// Thread safety: const methods only. Reads and computes for long: for threads of its own, which
/// may be more than work at once: calls take turns between two reads or steps, so that a short one
/// that has a thread isn't kept waiting by long ones. Once a method's StopFlag is set it ends at
/// its next read or step, as Cancelled.
class Intake {
 public:
  static constexpr int kAtOnce = 2;  ///< Calls that work at a time.

  Intake(const DatasetSources& sources, objects::ObjectStore& objects)
      : sources_(sources), objects_(objects) {}

  /// Ingests the job's data and counts what the run will take. Requires: `spec` is resolved for
  /// `base`, which is usable.
  /// Errors: InvalidArgument with up to 20 faults of the data; as DatasetSources::Resolve and
  /// CheckFits; ResourceExhausted if the disk is full, Unavailable if the object store is away (try
  /// again).
  StatusOr<Prepared> Prepare(const std::string& tenant, const spec::JobSpec& spec, const Base& base,
                             const PrepareOptions& options) const;

  /// Reports on the data, usable or not. Errors: of the request only.
  StatusOr<Checked> Check(const std::string& tenant, const spec::DatasetSpec& dataset,
                          const CheckOptions& options) const;

  /// Ingests data to evaluate a version of this task on, stores it and returns its hash.
  StatusOr<std::string> PrepareEvaluation(const std::string& tenant,
                                          const spec::DatasetSpec& dataset,
                                          const tasks::TaskSpec& task,
                                          const StopFlag& stop = {}) const;

 private:
  /// As DatasetSources::Resolve, for reads that `stop` ends and between which `turn` gives way.
  StatusOr<datasets::IngestSpec> Resolve(const std::string& tenant,
                                         const spec::DatasetSpec& dataset, tasks::Kind kind,
                                         const StopFlag& stop, Turns::Turn& turn) const;
  /// How the version under `prefix`, which a job continues, renders chats.
  struct Continued {
    std::string chat_template;  ///< Empty: it has none of its own.
    Json variables = Json::object();
  };
  StatusOr<Continued> ReadContinued(const std::string& prefix) const;
  /// Sets in `spec` the chat template and the variables that it uses.
  /// Errors: as ReadContinued, ChooseChatTemplate and CountLanguage.
  StatusOr<TokenCounts> CountLanguageTokens(const datasets::IngestedDataset& dataset,
                                            const PrepareOptions& options, const Base& base,
                                            Turns::Turn& turn, spec::JobSpec& spec,
                                            datasets::Report& report) const;
  StatusOr<std::string> StoreDataset(const std::string& tenant,
                                     const datasets::IngestedDataset& dataset) const;

  const DatasetSources& sources_;
  objects::ObjectStore& objects_;
  mutable Turns turns_{kAtOnce};
};

/// Token counts of all examples; of an even sample, scaled, where the texts are many megabytes: an
/// estimate must not take as long as the job. The worker that trains counts each. Calls `between`,
/// if given, between two examples.
TokenCounts CountTokens(const datasets::IngestedDataset& dataset,
                        const tokenizers::Tokenizer& tokenizer, int max_length,
                        const std::function<void()>& between = {});

}  // namespace graft::server::intake
