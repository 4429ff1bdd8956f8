//! The Kubernetes binding against a real API server. Without one everything here is ignored, and says why.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, which a harness of their own runs"
)]

#[path = "../shared/beside_a_lab.rs"]
#[expect(dead_code, reason = "no secret is given to the harness here")]
mod beside_a_lab;
mod breaking;
mod kills;
mod rehearsing;
mod rig;
mod scaling;

use std::{process::ExitCode, sync::Arc};

use blackstart_lab as _;
use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use rig::Rig;
use tokio::runtime::Runtime;

type Case = for<'a> fn(&'a Rig) -> LocalBoxFuture<'a, ()>;

/// Each function of a module as a case of its name.
macro_rules! cases {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        [$($((stringify!($name), (|rig| Box::pin($module::$name(rig))) as Case)),+),+]
    };
}

fn main() -> ExitCode {
    let cases = cases![
        scaling:
            whatever_can_be_scaled_is_scaled_and_gets_its_own_number_back,
            an_object_of_any_kind_is_scaled_by_its_subresource,
            of_several_objects_each_gets_its_own_number_back,
            what_a_human_or_an_autoscaler_set_meanwhile_is_told_and_left,
            an_object_made_anew_under_its_name_is_another,
            writes_of_controllers_do_not_keep_a_fault_from_being_injected,
            who_may_not_and_what_is_not_there_is_named,
            a_context_that_leads_elsewhere_now_is_refused,
            ready_replicas_are_what_the_cluster_thinks_of_a_workload;
        breaking:
            killed_pods_are_back_when_as_many_live_as_before,
            of_none_that_lives_none_is_killed,
            ingress_is_shut_by_a_policy_of_its_own_and_opened_again,
            a_policy_that_lets_somebody_in_anyway_is_named,
            the_path_of_a_readiness_probe_is_broken_and_put_back,
            a_workload_without_a_probe_is_named,
            a_zone_is_cordoned_and_drained_and_open_again,
            a_disruption_budget_keeps_a_zone_and_is_named,
            a_service_is_healthy_while_one_of_its_endpoints_is_ready,
            what_went_wrong_last_stands_beside_a_bad_reading;
        rehearsing:
            a_rehearsal_asks_the_server_and_changes_nothing,
            what_works_against_a_drill_is_told_beforehand,
            the_role_that_plan_prints_is_what_a_fault_needs;
        kills:
            one_drill_breaks_and_restores_a_lab_and_a_cluster,
            a_cluster_is_restored_by_the_guard_when_the_harness_is_killed,
            revert_restores_a_cluster_when_harness_and_guard_are_killed;
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    let runtime = Arc::new(Runtime::new().expect("threads"));
    let rig = if arguments.list {
        Err("they are only listed".to_owned())
    } else {
        runtime.block_on(Rig::start()).map(Arc::new)
    };
    let trial = |(name, case): (&str, Case)| {
        let (runtime, name) = (Arc::clone(&runtime), format!("kubernetes::{name}"));
        match rig.clone() {
            Ok(rig) => Trial::test(name, move || {
                runtime.block_on(case(&rig));
                Ok(())
            }),
            Err(reason) => Trial::test(name, || Ok(()))
                .with_kind(reason)
                .with_ignored_flag(true),
        }
    };
    let conclusion = libtest_mimic::run(&arguments, cases.into_iter().map(trial).collect());
    if let Some(rig) = rig.ok().and_then(Arc::into_inner) {
        runtime.block_on(rig.close());
    }
    conclusion.exit_code()
}
