//! Examples below the help of each command.

pub(super) const RUN: &str = "Examples:
  blackstart run                                         every drill in drills/
  blackstart run drills/failback.yaml --seed 7           one, with the same chance as before
  blackstart run --tag weekly --format junit             for a CI server
  blackstart run drills/failback.yaml --dry-run          all but touch
  blackstart run game-day.yaml --interactive --speed 1   with people, in their time
  blackstart run scale.yaml --until 0.9@0.95             until 9 of 10 such failovers are shown to pass
  blackstart run --serve 127.0.0.1:8080                  with a page for the room";
pub(super) const WATCH: &str = "Examples:
  blackstart watch shop                                  until Ctrl-C
  blackstart watch shop --for 10m --slo availability=99.9,p99=500ms,outage=5s
  blackstart watch shop --slo keep-alive:max=2s          of another probe
  blackstart watch shop --format ndjson | jq .verdict    every sample, for another program

Exit codes: 0 every objective held · 1 one did not · 3 nothing can be said";
pub(super) const CHECK: &str = "Examples:
  blackstart check                                       every drill in drills/
  blackstart check drills/shop-restart.yaml --env shop   in another environment";
pub(super) const PLAN: &str = "Examples:
  blackstart plan drills/double-failure.yaml             targets, faults, reverts, limits, who is told
  blackstart plan --tag weekly --speed 1                 what the weekly drills would take in real time";
pub(super) const LIST: &str = "Examples:
  blackstart list                                        every drill with what it expects
  blackstart list --tag weekly";
pub(super) const REPORT: &str = "Examples:
  blackstart report reports/latest                       the last report again
  blackstart report reports/latest --pdf --paper letter  on paper
  blackstart report reports/latest --format json";
pub(super) const TREND: &str = "Examples:
  blackstart trend                                       all drills
  blackstart trend scale-to-zero                         one, in more words
  blackstart trend --format svg > trend.svg              as a picture";
pub(super) const COMPARE: &str = "Examples:
  blackstart compare before/latest now/latest            two series of runs, each made with
  blackstart run drills/failback.yaml --repeat 12 --reports before

A regression is a recovery that takes longer, by ranks with 95 % confidence and by more than two intervals of the probe and
5 %; or an expectation that held in every run before and failed now.";
pub(super) const REVERT: &str = "Examples:
  blackstart revert --list                               what runs left broken
  blackstart revert                                      put it back
  blackstart revert reports/latest                       of one run";
pub(super) const DOCTOR: &str = "Examples:
  blackstart doctor                                      this machine, and what to do about each line";
pub(super) const INIT: &str = "Examples:
  blackstart init                                        asks
  blackstart init --url http://localhost:8080/ --container shop-app
  blackstart init --url https://staging.example.com/ --service web --project staging
  blackstart init --url https://www.example.com/         to be watched, and rehearsed in a lab";
pub(super) const EXPLAIN: &str = "Examples:
  blackstart explain                                     every topic
  blackstart explain exit-5";
pub(super) const SCHEMA: &str = "Examples:
  blackstart schema drill > drill.schema.json            for an editor";
pub(super) const COMPLETIONS: &str = "Examples:
  blackstart completions bash > ~/.local/share/bash-completion/completions/blackstart
  blackstart completions zsh > ~/.zfunc/_blackstart
  blackstart completions fish > ~/.config/fish/completions/blackstart.fish";
pub(super) const MAN: &str = "Examples:
  blackstart man | man -l -                              read it
  blackstart man run | man -l -                          of one command
  blackstart man --dir ~/.local/share/man/man1           install all of them";
pub(super) const LAB: &str = "Examples:
  blackstart lab up three-tier                           and try it by hand
  blackstart lab up three-tier --token-file lab.json     for `run --lab lab.json`
  blackstart lab image                                   for drills in containers
  blackstart lab down                                    what is left in the engine";
