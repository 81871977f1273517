// Room: experiments. Curves read off metrics.jsonl.
#include "experiments/compare/curves.hpp"

#include "core/json.hpp"

#include <algorithm>
#include <fstream>

namespace mneme::experiments {

Curve learning_curve(const std::filesystem::path& run, const std::string& kind, const std::string& metric) {
  Curve curve;
  std::ifstream in(run / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) {
    const Json j = parse_json(line);
    if (!j.is_object() || j.value("kind", "") != kind) continue;
    const auto number = [&](const std::string& key) {
      const auto it = j.find(key);
      return it != j.end() && it->is_number() ? std::optional<double>(it->get<double>()) : std::nullopt;
    };
    const auto sequences = number("sequences");
    if (!sequences) continue;
    curve.push_back({static_cast<std::uint64_t>(*sequences), number("seconds").value_or(0), number(metric)});
  }
  return curve;
}

std::optional<CurvePoint> first_at_most(const Curve& curve, double threshold) {
  const auto it =
      std::find_if(curve.begin(), curve.end(), [&](const CurvePoint& p) { return p.value && *p.value <= threshold; });
  return it == curve.end() ? std::nullopt : std::optional<CurvePoint>(*it);
}

}  // namespace mneme::experiments
