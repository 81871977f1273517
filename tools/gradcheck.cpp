// Room: tools. `mneme gradcheck`: analytic against numeric derivatives in float64, of everything that is registered.
#include "experiments/proving/gradcheck.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/names.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace mneme::tools {

namespace {

using experiments::GradientJob;

std::vector<std::string> known_names() {
  std::set<std::string> known;
  for (const GradientJob& job : experiments::gradient_jobs()) known.insert({job.name, job.family});
  return {known.begin(), known.end()};
}

std::vector<GradientJob> chosen_jobs(const Arguments& a) {
  std::vector<GradientJob> all = experiments::gradient_jobs();
  if (a.has("--all") && !a.positional.empty())
    fail<ArgumentError>("--all", "checks everything; leave out '{}'", a.positional[0]);
  if (a.has("--all")) return all;
  if (a.positional.empty())
    fail<ArgumentError>("gradcheck", "NAME is missing (or --all). There are: {}", join(known_names(), ", "));
  const std::string& name = a.positional[0];
  std::vector<GradientJob> some;
  for (GradientJob& job : all)
    if (job.name == name || job.family == name) some.push_back(std::move(job));
  if (some.empty()) throw ArgumentError("[gradcheck] " + unknown_name("op or plug-in", name, known_names()));
  return some;
}

int run(const Arguments& a) {
  const std::vector<GradientJob> jobs = chosen_jobs(a);
  Json list = Json::array();
  Table table({"kind", "name", "case", ">largest error", "ok"});
  std::size_t wrong = 0, compared = 0;
  double worst = 0;
  std::string complaints;
  {
    Progress bar;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      stop_if_signalled();
      const GradientJob& job = jobs[i];
      bar.show(i, jobs.size(), job.label());
      const GradientResult r = job.run();
      compared += r.compared;
      worst = std::max(worst, r.error);
      if (!r.ok()) {
        ++wrong;
        complaints += fmt::format("{}: {}\n", job.label(), r.text());
      }
      table.add({job.family, job.name, job.variant, fmt::format("{:.2e}", r.error), r.ok() ? "ok" : "WRONG"});
      list.push_back({{"family", job.family},
                      {"name", job.name},
                      {"variant", job.variant},
                      {"error", r.error},
                      {"compared", r.compared},
                      {"ok", r.ok()}});
    }
  }
  if (a.json()) {
    const Json j = {{"ok", wrong == 0},
                    {"checks", jobs.size()},
                    {"derivatives", compared},
                    {"largest_error", worst},
                    {"results", list}};
    print("{}\n", json_text(j, 2));
  } else {
    put(table.text(), true);
    print("{} checks, {} derivatives, largest error {:.2e} of 1e-6: {}\n", jobs.size(), compared, worst,
          wrong == 0 ? "all right" : fmt::format("{} wrong", wrong));
  }
  if (wrong) say(complaints.substr(0, complaints.size() - 1));
  return wrong == 0 ? kOk : kNotVerified;
}

}  // namespace

Command gradcheck_command() {
  Command c;
  c.name = "gradcheck";
  c.summary = "derivatives of every op, memory, controller and model against differences, in float64";
  c.parameters = "[NAME]";
  c.choices = known_names;
  c.examples = {{"gradcheck --all", "everything; exit 5 where one is wrong"},
                {"gradcheck ntm", "a memory, with each value of its options"},
                {"gradcheck attention", "a family: autodiff, attention, memory, controller, model"}};
  c.flags.flag("--all", false, "everything that is registered").flag("--json", false, "JSON on stdout");
  c.notes =
      "Memories and controllers run three steps and are differentiated with respect to inputs, parameters and initial\n"
      "state; an error is |a - n| / max(1, |a|, |n|) and must be at most 1e-6.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
