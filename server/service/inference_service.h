#pragma once
/// graft.v1.InferenceService: answers from adapters. A name is resolved to a version once, when the
/// request is admitted; whatever is promoted meanwhile, the request ends on that version.

#include <chrono>
#include <string>
#include <utility>

#include "graft/internal/v1/engine.pb.h"
#include "graft/v1/inference.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/calls/streams.h"
#include "server/core/rows.h"
#include "server/service/version_ref.h"

namespace graft::server::service {

class InferenceService {
 public:
  explicit InferenceService(background::Backend& backend) : backend_(backend) {}

  calls::Awaitable<StatusOr<graft::v1::ClassifyResponse>> Classify(
      calls::CallContext&, const graft::v1::ClassifyRequest&);
  calls::Awaitable<StatusOr<graft::v1::EmbedResponse>> Embed(calls::CallContext&,
                                                             const graft::v1::EmbedRequest&);
  calls::Awaitable<Status> Generate(calls::CallContext&, const graft::v1::GenerateRequest&,
                                    calls::StreamWriter<graft::v1::GenerateResponse>&);
  calls::Awaitable<StatusOr<graft::v1::ScoreResponse>> Score(calls::CallContext&,
                                                             const graft::v1::ScoreRequest&);

 private:
  /// What computes an answer: a version, or a plain base, of which `version` has the base alone.
  struct Target {
    core::Version version;
    bool is_plain = false;

    graft::v1::Provenance Provenance(const std::string& base_fingerprint) const;
    /// Sets the request's version, or its base.
    template <typename EngineRequest>
    void NameIn(EngineRequest& request) const {
      if (is_plain) {
        request.set_base(version.base);
      } else {
        *request.mutable_version() = RefTo(version);
      }
    }
  };
  /// Tells the metrics how long a call took, whatever ends it.
  class Stopwatch {
   public:
    explicit Stopwatch(calls::Probe& probe)
        : probe_(probe), begin_(std::chrono::steady_clock::now()) {}
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;
    ~Stopwatch() { probe_.InferenceFinished(seconds()); }
    double seconds() const;

   private:
    calls::Probe& probe_;
    const std::chrono::steady_clock::time_point begin_;
  };
  /// Resolves what a request names: an adapter's version or a plain base, one of the two.
  /// Errors: InvalidArgument if it names both or neither; NotFound; as BaseFinder::Find.
  calls::Awaitable<StatusOr<Target>> Resolve(const calls::CallContext& context, std::string adapter,
                                             std::string base);

  /// How a stream of a worker's ended.
  struct Ended {
    Status status;
  };
  /// Passes a worker's stream on. Errors: what the worker said before it sent anything; what comes
  /// later is told in Ended.
  calls::Awaitable<StatusOr<Ended>> PassOn(
      const calls::CallContext& context, background::EngineLink& link,
      const graft::internal::v1::EngineGenerateRequest& request, const Target& target,
      const Stopwatch& watch, calls::StreamWriter<graft::v1::GenerateResponse>& writer);

  background::Backend& backend_;
};

}  // namespace graft::server::service
