// Room: experiments. The studies there are, with the published figures and where they are from.
#include "core/error.hpp"
#include "core/names.hpp"
#include "experiments/compare/study.hpp"

#include <numeric>

namespace mneme::experiments {

namespace {

std::vector<std::int64_t> tasks_1_to_20() {
  std::vector<std::int64_t> all(20);
  std::iota(all.begin(), all.end(), 1);
  return all;
}

}  // namespace

const std::vector<Study>& studies() {
  static const std::vector<Study> all = {
      {.name = "copy",
       .summary =
           "copy of 1 to 20 vectors of 8 bits: sequences until solved, then longer ones (Graves et al. 2014, section "
           "4.1)",
       .presets = {{"copy_ntm"}, {"copy_ntm_ff"}, {"copy_lstm_1x100"}, {"copy_lstm_3x256"}},
       .standard = 4,
       .lengths = {20, 40, 80, 120},
       .published =
           {{"Graves et al. 2014, figure 3, one run, read off the curve",
             "near 0 bits at about 200,000 sequences (LSTM controller) and 100,000 (feedforward); LSTM 3 x 256 about 2 "
             "bits at 1,000,000"},
            {"Graves et al. 2014, figure 4", "copies length 120 with small errors"},
            {"pytorch-ntm, mean of seeds 1, 10, 100, 1000, read off its plots",
             "0.1 wrong bits at about 14,000 sequences, back to 11 at 15,000, about 0 from 17,000"},
            {"mgupta8143's rebuild, 2026",
             "first below 0.05 bits: feedforward 5,000, LSTM controller 10,000, LSTM never (1.03 bits at 500,000); no "
             "error at length 120, LSTM 48 % of bits wrong"}}},
      {.name = "copy-batches",
       .summary = "copy with batches of 1, 4 and 16 sequences, both controllers: whether the settings hold over seeds",
       .presets =
           {{"copy_ntm"}, {"copy_ntm_b4"}, {"copy_ntm_b16"}, {"copy_ntm_ff"}, {"copy_ntm_ff_b4"}, {"copy_ntm_ff_b16"}},
       .standard = 6,
       .lengths = {20, 40, 80, 120},
       .published = {{"pytorch-ntm, issues 2 and 15", "its settings for batch 1 do not solve copy with batch 15"}}},
      {.name = "babi-1k",
       .summary = "the 20 bAbI tasks of 1,000 questions: test error task by task (Sukhbaatar et al. 2015, table 1); "
                  "--task.data names the folder of the published files",
       .presets = {{"babi_memn2n_single", {1, 10}, tasks_1_to_20()},
                   {"babi_memn2n_joint", {1, 10}},
                   {"babi_kv", {1, 1}, tasks_1_to_20()},
                   {"babi_lstm", {1, 1}, tasks_1_to_20()},
                   {"babi_ntm",
                    {1, 1},
                    {1, 4, 15},
                    "curves, not a comparison: how the NTM learns three tasks, in metrics.jsonl of each run"}},
       .standard = 2,
       .lengths = {},
       .published = {{"Sukhbaatar et al. 2015, table 1, 1,000 questions, best of 10 runs by training error",
                      "mean error of MemN2N, 3 hops, PE LS RN: 13.9 single, 12.4 joint; LSTM 51.3"},
                     {"siyuanzhao's key-value rebuild, its README, one run, tasks trained together",
                      "more than 5 % error in tasks 2, 3, 4, 5, 7, 8, 10 and 14 to 19"},
                     {"Graves et al. 2016, table 1, 10,000 questions, joint: not comparable", "NTM mean error 20.1"}},
       .columns =
           {{"program",
             "babi_memn2n_single",
             "the authors' Matlab program (facebook MemNN, README), single tasks, PE LS RN, 3 hops: best of 10 "
             "runs by training error",
             {.1, 8.2, 41.8, 4.4, 13.7, 7.9, 20.3, 11.7, 13.6, 9.7, .7, 0, .3, .9, 0, .4, 51.0, 10.5, 81.4, 0}},
            {"NumPy",
             "babi_memn2n_single",
             "vinhkhuc's NumPy rebuild (README), single tasks: its own figures, runs not said",
             {0, 8.9, 41.4, 7.3, 12.2, 7.7, 19.8, 12.9, 13.9, 18.9, .5, .2, .9, 9.0, 0, .6, 49.1, 10.4, 90.8, 0}},
            {"paper",
             "babi_memn2n_joint",
             "Sukhbaatar et al. 2015, table 1, joint, PE LS RN, 3 hops: best of 10 runs by training error",
             {0, 11.4, 21.9, 13.4, 14.4, 2.8, 18.3, 9.3, 1.9, 6.5, .3, .1, .2, 6.9, 0, 2.7, 40.4, 9.4, 88.0, 0}},
            {"program",
             "babi_memn2n_joint",
             "the authors' Matlab program (facebook MemNN, README), joint, PE LS RN, 3 hops: best of 10 runs by "
             "training error",
             {0, 13.1, 23.4, 5.9, 12.9, 3.7, 22.9, 9.1, 2.7, 7.2, .8, .1, .1, 4.2, 0, 1.2, 43.6, 10.5, 86.7, 0}},
            {"NumPy",
             "babi_memn2n_joint",
             "vinhkhuc's NumPy rebuild (README), joint: its own figures, runs not said",
             {.1, 16.6, 26.3, 11.3, 14.4, 2.8, 16.0, 10.1, 2.3, 6.5, 1.2, .2, .5, 5.5, .3, 2.1, 42.6, 9.0, 90.2, .2}}},
       .number_key = "task.number",
       .data_key = "task.data",
       .test_data_key = "task.test-data"}};
  return all;
}

const Study& find_study(const std::string& name) {
  std::vector<std::string> names;
  for (const Study& s : studies()) {
    if (s.name == name) return s;
    names.push_back(s.name);
  }
  throw ArgumentError("[study] " + unknown_name("study", name, names));
}

}  // namespace mneme::experiments
