// A task of graphs, with edges and targets over items: trained, recorded, shown, judged by figures of the whole set.
#include "core/prediction.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/training_trace.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <numeric>
#include <sstream>

namespace mneme::experiments {
namespace {

Config graphs(const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> given = {{"task", "toy_graph", ""},
                                   {"model", "neighbours", ""},
                                   {"train.batch", "4", ""},
                                   {"train.learning-rate", "1e-2", ""},
                                   {"train.max-sequences", "4000", ""},
                                   {"train.eval-every", "1000", ""},
                                   {"train.eval-episodes", "50", ""},
                                   {"train.stop-when-solved", "false", ""}};
  return Config::from(merged(given, more));
}

std::vector<std::vector<double>> rows_of(const Task& task, const std::vector<double>& values) {
  std::vector<std::vector<double>> rows;
  const std::size_t n = task.metrics().size();
  for (std::size_t i = 0; i < values.size(); i += n)
    rows.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(i),
                      values.begin() + static_cast<std::ptrdiff_t>(i + n));
  return rows;
}

TEST(Graphs, OneStepLowersTheLossOfEachNodeThatIsAsked) {
  Session s(graphs({{"train.loss", "sum", ""}}), 1);
  const StepReport first = s.step(0, 1);
  EXPECT_NEAR(first.metrics[0], first.loss, 1e-5 * first.loss) << "nats of the rows are the loss";
  EXPECT_GT(first.gradient_norm, 0);
  double again = 0;
  for (std::uint64_t update = 2; update < 40; ++update) again = s.step(0, update).loss;
  EXPECT_LT(again, 0.9 * first.loss) << "the same graphs";
}

TEST(Graphs, EdgesAndAnswersOfNodesAreRecorded) {
  Folder folder;
  const Config c =
      graphs({{"trace.level", "weights", ""}, {"trace.every", "7", ""}, {"train.max-sequences", "200", ""}});
  run(c, folder / "run");
  const fs::path file = folder / "run/traces/train.000.trace.h5";
  EXPECT_EQ(trace::check(file), std::vector<std::string>{});
  const trace::Reader reader(file);
  std::vector<std::string> names;
  for (const auto& f : reader.layout().fields) names.push_back(f.path());
  EXPECT_EQ(names, (std::vector<std::string>{"/items/edges", "/items/target_indices", "/items/target_scored",
                                             "/items/output"}));
  ASSERT_EQ(reader.episodes(), 29u);
  const auto task = tasks().find(c.task).make(c.task_options);
  for (std::size_t i = 0; i < reader.episodes(); ++i) {
    const trace::Episode e = reader.episode(i);
    Batch batch;
    task->sample({c.seed, "task", static_cast<std::uint64_t>(e.sequence), 0, 1}, batch);
    ASSERT_EQ(e.items.count, batch.items.count[0]);
    ASSERT_EQ(e.items.edges, batch.items.edge_count[0]);
    const auto& edges = std::get<std::vector<std::int32_t>>(e.fields[0]);
    const auto& target = std::get<std::vector<std::int32_t>>(e.fields[1]);
    const auto& scored = std::get<std::vector<std::int32_t>>(e.fields[2]);
    const auto& output = std::get<std::vector<float>>(e.fields[3]);
    for (std::size_t k = 0; k < edges.size(); ++k) EXPECT_EQ(edges[k], batch.items.edges(0, k / 2, k % 2));
    double nats = 0;
    for (std::size_t n = 0; n < e.items.count; ++n) {
      EXPECT_EQ(e.items.values[n], batch.items.values(0, n, 0));
      EXPECT_EQ(target[n], batch.target.indices(n, 0));
      EXPECT_EQ(scored[n], batch.target.scored(n, 0));
      EXPECT_NEAR(output[2 * n] + output[2 * n + 1], 1, 1e-5);
      if (scored[n]) nats -= std::log(static_cast<double>(output[2 * n + static_cast<std::size_t>(target[n])]));
    }
    EXPECT_NEAR(nats, e.loss, 1e-4);
    EXPECT_EQ(e.params, std::vector<double>{static_cast<double>(e.items.count)});
  }
  std::ostringstream shown;
  trace::show_episode(reader, 0, shown);
  for (const char* name : {"\nedges ", "\ntarget_indices ", "\ntarget_scored ", "\noutput "})
    expect_has(shown.str(), name);
  const auto files = trace::export_csv(reader, folder / "csv", {}, false);
  EXPECT_TRUE(std::any_of(files.begin(), files.end(), [](const fs::path& p) { return p.filename() == "fields.csv"; }));
  expect_has(read_file(folder / "csv/fields.csv"), "episode,name,along,row,channel,value\n0,edges,edge_row,0,0,");
}

TEST(Graphs, ATaskWithoutADisplayShowsEachField) {
  const auto task = tasks().find("toy_graph").make(graphs().task_options);
  Batch batch;
  task->sample({}, batch);
  const std::string text = task->display(batch, 0, nullptr);
  EXPECT_EQ(text, batch.text(task->spec(), 0));
  Prediction half;
  half.values.resize({6, 1, 2});
  std::fill(half.values.storage().begin(), half.values.storage().end(), 0.5f);
  EXPECT_EQ(task->display(batch, 0, &half).substr(0, text.size() + 24), text + "output          0.5 0.5 ");
}

// Rows of 1 wrong of 1 and 1 wrong of 4: the mean of shares is 0.625, the share of all is 2 of 5.
TEST(Figures, OfTheSetAndNotMeansOfRows) {
  const auto task = tasks().find("toy_graph").make(graphs({{"task.fail-above", "0.5", ""}}).task_options);
  const std::vector<double> rows = {1, 1, 1, 1, 1, 3, 1, 4, 0, 0.25};
  const std::vector<Figure> figures = task->summary(rows);
  EXPECT_DOUBLE_EQ(figures[0].value.value(), 2);
  EXPECT_DOUBLE_EQ(figures[0].standard_error.value(), 1);
  EXPECT_DOUBLE_EQ(figures[4].value.value(), 0.4);
  EXPECT_FALSE(figures[4].standard_error) << "a ratio has no standard error of a mean";
  const auto strict = tasks().find("toy_graph").make(graphs({{"task.fail-above", "0.4", ""}}).task_options);
  EXPECT_FALSE(strict->summary(rows)[4].value) << "half of the graphs are wrong throughout";
  EXPECT_TRUE(strict->summary(rows)[3].value);
}

TEST(Figures, EvaluationsTakeThemFromTheTask) {
  Folder folder;
  const Config c = graphs({{"train.max-sequences", "20", ""}, {"train.eval-every", "5", ""}});
  run(c, folder / "run");
  const Evaluation e = evaluate(folder / "run", {.episodes = 60});
  Session s(c, 1);
  load_checkpoint(e.checkpoint, s.parameters());
  std::vector<double> values;
  s.evaluate({.first = kTestNumbers, .count = 60}, values);
  double wrong = 0, asked = 0, shares = 0;
  for (const auto& row : rows_of(s.task(), values)) {
    wrong += row[1];
    asked += row[2];
    shares += row[4] / 60;
  }
  EXPECT_DOUBLE_EQ(e.results[0].figures[4].value.value(), wrong / asked);
  EXPECT_GT(std::abs(shares - wrong / asked), 1e-4) << "or the test says nothing";
  const auto j = parse_json(evaluation_json(e));
  EXPECT_DOUBLE_EQ(j["results"][0]["wrong_share"].get<double>(), wrong / asked);
  EXPECT_TRUE(j["results"][0]["wrong_share_se"].is_null());
  // The evaluations of the training are figures too, and the run's record has the last of them.
  s.evaluate({.first = 3 * 50, .count = 50}, values);
  EXPECT_DOUBLE_EQ(run_json(folder / "run")["last_evaluation"].get<double>(),
                   s.task().summary(values)[4].value.value());
}

TEST(Figures, ASetThatHasFailedHasNoFigureAndIsNotSolved) {
  Folder folder;
  const Config c = graphs({{"train.max-sequences", "40", ""},
                           {"train.eval-every", "20", ""},
                           {"train.learning-rate", "1e-9", ""},
                           {"task.fail-above", "0", ""}});
  const RunResult r = run(c, folder / "run");
  EXPECT_FALSE(r.solved_at_sequences);
  EXPECT_FALSE(r.evaluation);
  expect_has(r.message, "wrong_share = FAIL, not solved");
  EXPECT_TRUE(run_json(folder / "run")["last_evaluation"].is_null());
  const Evaluation e = evaluate(folder / "run", {.episodes = 50});
  EXPECT_FALSE(e.results[0].figures[4].value);
  const auto j = parse_json(evaluation_json(e));
  EXPECT_TRUE(j["results"][0]["wrong_share"].is_null());
  EXPECT_TRUE(j["results"][0]["wrong_nodes"].is_number());
}

}  // namespace
}  // namespace mneme::experiments
