#include "common/families/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <utility>

#include "common/base/utf8.h"

namespace graft::families {
namespace {

/// What a number may be. Within these ranges no product or quotient below leaves the range of fp32.
struct Range {
  double low, high;
  const char* text;
};
constexpr Range kTheta = {1, 1e12, "1 to 1e12"};
constexpr Range kRatio = {0.001, 1e6, "0.001 to 1000000"};  ///< Factors and their like.

/// Fields of a rope, with what was read of each.
class RopeFields {
 public:
  /// `section` is where config.json has them, "rope_scaling"; empty: in itself.
  RopeFields(const Json& json, const std::string& section)
      : json_(json), at_("config.json: " + section + (section.empty() ? "" : ".")) {}

  /// A number in `range`; NaN if the field is absent or null.
  double Number(const char* name, const Range& range) {
    read_.insert(name);
    const auto field = json_.find(name);
    if (field == json_.end() || field->is_null()) return NAN;
    if (!field->is_number() || !IsIn(field->get<double>(), range)) {
      Fail(name, std::string("must be a number from ") + range.text);
      return NAN;
    }
    return field->get<double>();
  }
  double Required(const char* name, const Range& range) {
    return IfThere(name, Number(name, range));
  }
  /// A number of tokens; NaN if the field is absent or null.
  double Positions(const char* name) {
    const double value = Number(name, {1, kMostPositions, "1 to 16777216"});
    if (std::isnan(value) || value == std::floor(value)) return value;
    Fail(name, "must be a whole number");
    return NAN;
  }
  double RequiredPositions(const char* name) { return IfThere(name, Positions(name)); }
  bool Flag(const char* name, bool fallback) {
    read_.insert(name);
    const auto field = json_.find(name);
    if (field == json_.end() || field->is_null()) return fallback;
    if (!field->is_boolean()) Fail(name, "must be true or false");
    return field->is_boolean() ? field->get<bool>() : fallback;
  }
  void Skip(const char* name) { read_.insert(name); }
  void Fail(const std::string& name, const std::string& what) {
    if (status_.ok()) status_ = InvalidArgumentError(at_ + name + " " + what);
  }
  const Status& status() const { return status_; }
  /// Errors: the first fault, or a field that nobody read.
  Status Finish() {
    for (const auto& [name, value] : json_.items()) {
      if (!read_.contains(name) && !value.is_null())
        Fail(Printable(name, 80), "isn't known for this kind of rope");
    }
    return status_;
  }

 private:
  static bool IsIn(double value, const Range& range) {
    return value >= range.low && value <= range.high;
  }
  double IfThere(const char* name, double value) {
    if (std::isnan(value)) Fail(name, "is missing");
    return value;
  }

  const Json& json_;
  const std::string at_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

double OrElse(double value, double fallback) { return std::isnan(value) ? fallback : value; }

/// In fp32 throughout, as transformers: at far positions a rounding is a visible part of a turn.
std::vector<float> PlainFrequencies(double theta, int64_t head_dim) {
  std::vector<float> result;
  for (int64_t i = 0; i < head_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    result.push_back(1.0F / std::pow(static_cast<float>(theta), exponent));
  }
  return result;
}

void ReadLinear(RopeFields& fields, std::vector<float>& frequencies) {
  const auto factor = static_cast<float>(fields.Required("factor", kRatio));
  for (float& frequency : frequencies) frequency /= factor;
}

/// Source: _compute_llama3_parameters.
void ReadLlama3(RopeFields& fields, std::vector<float>& frequencies) {
  const auto factor = static_cast<float>(fields.Required("factor", kRatio));
  const auto low = static_cast<float>(fields.Required("low_freq_factor", kRatio));
  const auto high = static_cast<float>(fields.Required("high_freq_factor", kRatio));
  const auto original =
      static_cast<float>(fields.RequiredPositions("original_max_position_embeddings"));
  if (high <= low) fields.Fail("high_freq_factor", "must be more than low_freq_factor");
  for (float& frequency : frequencies) {
    const float wave = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wave > original / low) {
      frequency /= factor;
    } else if (wave >= original / high) {
      const float smooth = (original / wave - low) / (high - low);
      frequency = (1 - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

/// Source: _compute_yarn_parameters; arXiv:2309.00071. Returns the factor of cosines and sines, and
/// in `original` the context that the base was trained on.
double ReadYarn(RopeFields& fields, double theta, double& original,
                std::vector<float>& frequencies) {
  const double factor = fields.Required("factor", kRatio);
  original = OrElse(fields.Positions("original_max_position_embeddings"), original);
  if (factor * original > kMostPositions) {
    fields.Fail("factor", "makes a context of more than " + std::to_string(kMostPositions) +
                              " tokens of the " + std::to_string(static_cast<int64_t>(original)) +
                              " that it multiplies");
  }
  const double fast = OrElse(fields.Number("beta_fast", kRatio), 32);
  const double slow = OrElse(fields.Number("beta_slow", kRatio), 1);
  const bool truncate = fields.Flag("truncate", true);
  const auto scale_of = [&](double mscale) {
    return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
  };
  const double mscale = fields.Number("mscale", kRatio),
               all_dim = fields.Number("mscale_all_dim", kRatio);
  const double both = std::isnan(mscale) || std::isnan(all_dim)
                          ? scale_of(1)
                          : scale_of(mscale) / scale_of(all_dim);
  const double scale = OrElse(fields.Number("attention_factor", kRatio), both);

  const auto half = static_cast<double>(frequencies.size());
  const auto dimension = [&](double rotations) {
    return 2 * half * std::log(original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  double low = dimension(fast), high = dimension(slow);
  if (truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, 2 * half - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const auto ramp =
        static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    const float interpolated = frequencies[i] / static_cast<float>(factor);
    frequencies[i] = interpolated * ramp + frequencies[i] * (1 - ramp);
  }
  return scale;
}

struct Section {
  std::string name;  ///< Empty: there is none.
  Json fields = Json::object();
};

/// rope_scaling or rope_parameters.
StatusOr<Section> FindSection(const Json& config) {
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(name);
    if (found == config.end() || found->is_null()) continue;
    if (!found->is_object())
      return InvalidArgumentError(std::string("config.json: ") + name + " must be an object");
    return Section{name, *found};
  }
  return Section{};
}

}  // namespace

StatusOr<RopeReading> ReadRope(const Json& config, int64_t head_dim, int64_t max_positions) {
  GRAFT_ASSIGN_OR_RETURN(const Section found, FindSection(config));
  const Json& section = found.fields;
  RopeFields fields(section, found.name);
  double theta = fields.Number("rope_theta", kTheta);
  if (std::isnan(theta)) {
    RopeFields outer(config, "");
    theta = OrElse(outer.Number("rope_theta", kTheta), 10'000);
    GRAFT_RETURN_IF_ERROR(outer.status());
  }
  for (const char* name : {"rope_type", "type"}) fields.Skip(name);
  const Json kind_json = section.value("rope_type", section.value("type", Json("default")));
  const std::string kind = kind_json.is_string() ? kind_json.get<std::string>() : kind_json.dump();
  if (const double partial = fields.Number("partial_rotary_factor", kRatio);
      !std::isnan(partial) && partial != 1)
    return UnimplementedError("config.json: a partial_rotary_factor other than 1 isn't built");

  std::vector<float> frequencies = PlainFrequencies(theta, head_dim);
  auto original = static_cast<double>(max_positions);
  RopeReading reading;
  reading.max_positions = max_positions;
  if (kind == "linear") {
    ReadLinear(fields, frequencies);
  } else if (kind == "llama3") {
    ReadLlama3(fields, frequencies);
  } else if (kind == "yarn") {
    // Its dimensions are counted in the logarithm of it.
    if (theta <= 1)
      return InvalidArgumentError("config.json: rope_theta must be more than 1 for a yarn rope");
    reading.rope.scale = ReadYarn(fields, theta, original, frequencies);
    GRAFT_RETURN_IF_ERROR(fields.status());
    const double longest = original * OrElse(fields.Number("factor", kRatio), 1);
    reading.max_positions = std::max(max_positions, static_cast<int64_t>(longest));
  } else if (kind != "default") {
    return UnimplementedError("config.json: the rope type " + Printable(kind) +
                              " isn't built; default, linear, llama3 and yarn are");
  }
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  reading.rope.inverse_frequencies = std::move(frequencies);
  reading.canonical = section;
  reading.canonical.erase("type");
  reading.canonical["rope_type"] = kind;
  reading.canonical["rope_theta"] = theta;
  return reading;
}

void WriteRope(const Json& canonical, Json& config) {
  Json scaling = canonical;
  config["rope_theta"] = scaling["rope_theta"];
  scaling.erase("rope_theta");
  // A rope without scaling is said by none.
  config["rope_scaling"] = scaling == Json{{"rope_type", "default"}} ? Json() : scaling;
}

}  // namespace graft::families
