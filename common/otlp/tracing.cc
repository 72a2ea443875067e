#include "common/otlp/tracing.h"

#include <unistd.h>

#include <utility>

#include <spdlog/spdlog.h>

#include "common/otlp/curl_transport.h"

namespace graft::otlp {

StatusOr<Tracing> StartTracing(Environment environment, const std::string& program,
                               const std::string& instance) {
  GRAFT_ASSIGN_OR_RETURN(std::optional<Settings> settings, ReadSettings(environment, program));
  if (!settings) return Tracing();
  GRAFT_ASSIGN_OR_RETURN(auto transport, MakeCurlTransport(*settings));
  for (const std::string& note : settings->notes) spdlog::warn("{}", note);
  SetIfAbsent(settings->resource, "process.pid", int64_t{::getpid()});
  SetIfAbsent(settings->resource, "service.instance.id", instance);
  const Exporter::Options options{.max_queue = settings->max_queue,
                                  .max_batch = settings->max_batch,
                                  .delay = settings->delay,
                                  .patience = settings->patience};
  auto exporter =
      std::make_shared<Exporter>(options, std::move(settings->resource), std::move(transport));
  spdlog::info("traces go to {}", settings->url.shown);
  return Tracing{tracing::Tracer(exporter, settings->sampler), exporter};
}

}  // namespace graft::otlp
