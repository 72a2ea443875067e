#include "server/rest/own_routes.h"

#include <utility>

#include "server/rest/adapter_archive.h"
#include "server/rest/dataset_upload.h"
#include "server/rest/job_event_stream.h"
#include "server/rest/route_forms.h"
#include "server/rest/texts.h"
#include "server/rest/transcode.h"
#include "server/service/call_table.h"

namespace graft::server::rest {
namespace {

using http::Route;
using service::OptionsOf;
using service::Services;

void AddJobs(Services& services, std::vector<Route>& routes) {
  using Jobs = service::FinetuningService;
  Jobs& jobs = services.finetuning;
  const std::vector<Binding> job = {{"name", "jobs/{job}"}};
  Add({Get("/v1/jobs", OptionsOf("FinetuningService.ListJobs"), Transcoded(jobs, &Jobs::ListJobs)),
       Post("/v1/jobs", OptionsOf("FinetuningService.CreateJob"),
            Transcoded(jobs, &Jobs::CreateJob)),
       Post("/v1/jobs/estimate", OptionsOf("FinetuningService.EstimateJob"),
            Transcoded(jobs, &Jobs::EstimateJob)),
       Get("/v1/jobs/{job}", OptionsOf("FinetuningService.GetJob"),
           Transcoded(jobs, &Jobs::GetJob, job)),
       Delete("/v1/jobs/{job}", OptionsOf("FinetuningService.DeleteJob"),
              Transcoded(jobs, &Jobs::DeleteJob, job)),
       Post("/v1/jobs/{job}/cancel", OptionsOf("FinetuningService.CancelJob"),
            Transcoded(jobs, &Jobs::CancelJob, job)),
       Post("/v1/jobs/{job}/pause", OptionsOf("FinetuningService.PauseJob"),
            Transcoded(jobs, &Jobs::PauseJob, job)),
       Post("/v1/jobs/{job}/resume", OptionsOf("FinetuningService.ResumeJob"),
            Transcoded(jobs, &Jobs::ResumeJob, job)),
       Get("/v1/jobs/{job}/events", OptionsOf("FinetuningService.WatchJob"),
           JobEventsHandler(services))},
      routes);
}

void AddAdapters(Services& services, std::vector<Route>& routes) {
  using Adapters = service::AdapterService;
  Adapters& adapters = services.adapters;
  const std::vector<Binding> named = {{"name", "adapters/{adapter}"}};
  const std::vector<Binding> of = {{"adapter", "adapters/{adapter}"}};
  const std::vector<Binding> any = {{"adapter", "{adapter}"}};
  Add({Get("/v1/adapters", OptionsOf("AdapterService.ListAdapters"),
           Transcoded(adapters, &Adapters::ListAdapters)),
       Get("/v1/adapters/{adapter}", OptionsOf("AdapterService.GetAdapter"),
           Transcoded(adapters, &Adapters::GetAdapter, named)),
       Delete("/v1/adapters/{adapter}", OptionsOf("AdapterService.DeleteAdapter"),
              Transcoded(adapters, &Adapters::DeleteAdapter, named)),
       Get("/v1/adapters/{adapter}/versions", OptionsOf("AdapterService.ListVersions"),
           Transcoded(adapters, &Adapters::ListVersions, of)),
       Delete("/v1/adapters/{adapter}/versions/{version}",
              OptionsOf("AdapterService.DeleteVersion"),
              Transcoded(adapters, &Adapters::DeleteVersion,
                         {{"name", "adapters/{adapter}/versions/{version}"}})),
       Put("/v1/adapters/{adapter}/aliases/{alias}", OptionsOf("AdapterService.SetAlias"),
           Transcoded(adapters, &Adapters::SetAlias,
                      {{"adapter", "adapters/{adapter}"}, {"alias", "{alias}"}})),
       Post("/v1/adapters/{adapter}/rollback", OptionsOf("AdapterService.Rollback"),
            Transcoded(adapters, &Adapters::Rollback, of)),
       Post("/v1/adapters/{adapter}/evaluate", OptionsOf("AdapterService.EvaluateVersion"),
            Transcoded(adapters, &Adapters::EvaluateVersion, any)),
       Get("/v1/adapters/{adapter}/export", OptionsOf("AdapterService.ExportAdapter"),
           ExportHandler(services)),
       Receive("/v1/adapters/{adapter}/import", OptionsOf("AdapterService.ImportAdapter"),
               ImportHandler(services)),
       Post("/v1/adapters/{adapter}/warm", OptionsOf("AdapterService.WarmAdapter"),
            Transcoded(adapters, &Adapters::WarmAdapter, any)),
       Post("/v1/adapters/{adapter}/pin", OptionsOf("AdapterService.PinAdapter"),
            Transcoded(adapters, &Adapters::PinAdapter, any))},
      routes);
}

void AddBases(service::BaseModelService& bases, std::vector<Route>& routes) {
  using Bases = service::BaseModelService;
  Add({Get("/v1/bases", OptionsOf("BaseModelService.ListBases"),
           Transcoded(bases, &Bases::ListBases)),
       Get("/v1/bases/{base}", OptionsOf("BaseModelService.GetBase"),
           Transcoded(bases, &Bases::GetBase, {{"name", "bases/{base}"}}))},
      routes);
}

void AddDatasets(Services& services, std::vector<Route>& routes) {
  using Datasets = service::DatasetService;
  Datasets& datasets = services.datasets;
  const std::vector<Binding> named = {{"name", "datasets/{dataset}"}};
  Add({Post("/v1/datasets/check", OptionsOf("DatasetService.CheckDataset"),
            Transcoded(datasets, &Datasets::CheckDataset)),
       Receive("/v1/datasets", OptionsOf("DatasetService.UploadDataset"), UploadHandler(services)),
       Get("/v1/datasets", OptionsOf("DatasetService.ListDatasets"),
           Transcoded(datasets, &Datasets::ListDatasets)),
       Get("/v1/datasets/{dataset}", OptionsOf("DatasetService.GetDataset"),
           Transcoded(datasets, &Datasets::GetDataset, named)),
       Delete("/v1/datasets/{dataset}", OptionsOf("DatasetService.DeleteDataset"),
              Transcoded(datasets, &Datasets::DeleteDataset, named))},
      routes);
}

}  // namespace

void AddOwnRoutes(Services& services, std::vector<Route>& routes) {
  Add({Post("/v1/classify", OptionsOf("InferenceService.Classify"), ClassifyHandler(services)),
       Post("/v1/score", OptionsOf("InferenceService.Score"), ScoreHandler(services))},
      routes);
  AddJobs(services, routes);
  AddAdapters(services, routes);
  AddBases(services.bases, routes);
  AddDatasets(services, routes);
  using Workers = service::WorkerService;
  Add({Get("/v1/workers", OptionsOf("WorkerService.ListWorkers"),
           Transcoded(services.workers, &Workers::ListWorkers))},
      routes);
}

}  // namespace graft::server::rest
