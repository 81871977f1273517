#include "tasks/task.hpp"

#include "core/prediction.hpp"

#include <cmath>

namespace mneme {

std::vector<Figure> Task::summary(std::span<const double> rows) const {
  const std::size_t n = metrics().size(), count = rows.size() / n;
  std::vector<Figure> figures(n);
  for (std::size_t m = 0; m < n && count > 0; ++m) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < count; ++i) sum += rows[i * n + m];
    const auto all = static_cast<double>(count);
    const double mean = sum / all;
    figures[m].value = mean;
    if (count < 2) continue;
    for (std::size_t i = 0; i < count; ++i) squares += (rows[i * n + m] - mean) * (rows[i * n + m] - mean);
    figures[m].standard_error = std::sqrt(squares / (all - 1) / all);
  }
  return figures;
}

std::string Task::display(const Batch& batch, std::size_t row, const Prediction* answer) const {
  std::string text = batch.text(spec(), row, token_names());
  if (!answer) return text;
  const auto& values = answer->values;
  text += fmt::format("{:<15}", "output");
  const std::size_t count = batch.count(spec().target_over, row);
  for (std::size_t i = 0; i < count && i < values.shape()[0]; ++i) {
    if (i) text += " |";
    for (std::size_t k = 0; k < values.shape()[2]; ++k) text += fmt::format(" {:.4g}", values(i, row, k));
  }
  return text + '\n';
}

Registry<TaskPlugin>& tasks() {
  static Registry<TaskPlugin> registry("task");
  return registry;
}

}  // namespace mneme
