#pragma once
/// graft.v1.InferenceService: answers from adapters. A name is resolved to a version once, when the
/// request is admitted; whatever is promoted meanwhile, the request ends on that version.

#include <chrono>
#include <string>
#include <utility>

#include "graft/internal/v1/engine.pb.h"
#include "graft/v1/inference.pb.h"
#include "server/core/rows.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"
#include "server/rpc/reactors.h"
#include "server/rpc/version_ref.h"

namespace graft::server::rpc {

class InferenceService {
 public:
  explicit InferenceService(Backend& backend) : backend_(backend) {}

  Awaitable<StatusOr<graft::v1::ClassifyResponse>> Classify(CallContext&,
                                                            const graft::v1::ClassifyRequest&);
  Awaitable<StatusOr<graft::v1::EmbedResponse>> Embed(CallContext&, const graft::v1::EmbedRequest&);
  Awaitable<Status> Generate(CallContext&, const graft::v1::GenerateRequest&,
                             StreamWriter<graft::v1::GenerateResponse>&);
  Awaitable<StatusOr<graft::v1::ScoreResponse>> Score(CallContext&, const graft::v1::ScoreRequest&);

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
  /// One of the calls that may be in flight; gives its place back, whatever ends it.
  class Admission {
   public:
    explicit Admission(InferenceService& service);
    Admission(Admission&& other) noexcept
        : service_(std::exchange(other.service_, nullptr)), begin_(other.begin_) {}
    Admission& operator=(Admission&&) = delete;
    ~Admission();
    double SecondsSince() const;

   private:
    InferenceService* service_;
    std::chrono::steady_clock::time_point begin_;
  };
  StatusOr<Admission> Admit();
  /// Resolves what a request names: an adapter's version or a plain base, one of the two.
  /// Errors: InvalidArgument if it names both or neither; NotFound; as BaseFinder::Find.
  Awaitable<StatusOr<Target>> Resolve(const CallContext& context, std::string adapter,
                                      std::string base);

  /// How a stream of a worker's ended.
  struct Ended {
    Status status;
  };
  /// Passes a worker's stream on. Errors: what the worker said before it sent anything; what comes
  /// later is told in Ended.
  Awaitable<StatusOr<Ended>> PassOn(const CallContext& context, EngineLink& link,
                                    const graft::internal::v1::EngineGenerateRequest& request,
                                    const Target& target, const Admission& admission,
                                    StreamWriter<graft::v1::GenerateResponse>& writer);

  Backend& backend_;
  int num_calls_ = 0;  ///< Admitted and not yet answered.
};

}  // namespace graft::server::rpc
